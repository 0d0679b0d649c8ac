"""The audit log: every act, in order, unchangeable, without secrets."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

import pytest

from namel3ss.gateway.errors import Refusal
from namel3ss.gateway.store import Audit, KeyGrant
from namel3ss.gateway.store.schema import AUDIT
from namel3ss.gateway.store.tokens import make_token
from tests.gateway.store.places import keys_of, opened
from tests.support.clock import ManualClock

if TYPE_CHECKING:
    from pathlib import Path

    import sqlalchemy as sa
    from sqlalchemy.engine import Connection

pytestmark = pytest.mark.security(35)

ME = "root"
PASSWORD = "correct horse battery"


async def test_every_act_of_an_administrator_has_its_line(tmp_path: Path) -> None:
    network = ipaddress.ip_network("10.0.0.0/8")
    async with keys_of(tmp_path) as (administration, _):
        users, keys, sessions = administration.users, administration.keys, administration.sessions
        whitelist, servers = administration.whitelist, administration.servers
        await administration.make_first_key(lambda _: None)
        await users.create("alice", actor=ME, password=PASSWORD)
        await users.set_scopes("alice", [], actor=ME)
        made = await keys.create("alice", KeyGrant(class_name="coding"), actor=ME)
        rotated = await keys.rotate(made.key.id, actor=ME)
        await keys.revoke(rotated.key.id, actor=ME)
        session = await sessions.open("alice", PASSWORD)
        await sessions.close(session.token)
        await users.set_password("alice", PASSWORD + "!", actor=ME)
        await users.disable("alice", actor=ME)
        await users.enable("alice", actor=ME)
        await users.remove("alice", actor=ME)
        await whitelist.add("chat", network, actor=ME)
        await whitelist.remove("chat", network, actor=ME)
        await servers.add("gpu", "http://10.0.0.5:11434", actor=ME)
        await servers.disable("gpu", actor=ME)
        await servers.enable("gpu", actor=ME)
        await servers.remove("gpu", actor=ME)
        entries = await Audit(administration.store).entries()
        text = repr(entries)

    assert [entry.action for entry in reversed(entries)] == [
        *("key.first", "user.create", "user.scopes", "key.create", "key.rotate", "key.revoke"),
        *("session.open", "session.close", "user.password", "user.disable", "user.enable", "user.remove"),
        *("whitelist.add", "whitelist.remove"),
        *("server.add", "server.disable", "server.enable", "server.remove"),
    ]
    assert {entry.actor for entry in entries} == {ME, "alice", "gateway"}
    created = next(entry for entry in entries if entry.action == "key.create")
    assert (created.subject, created.detail) == (
        made.key.id,
        {"user": "alice", "scopes": ["use"], "class": "coding"},
    )
    for secret in (made.token, rotated.token, session.token, PASSWORD):
        assert secret not in text
        assert secret.rpartition("_")[2] not in text


async def test_act_that_was_refused_has_no_line(tmp_path: Path) -> None:
    async with keys_of(tmp_path) as (administration, _):
        await administration.users.create("alice", actor=ME)
        for attempt in (
            administration.users.create("alice", actor=ME),
            administration.keys.create("bob", KeyGrant(), actor=ME),
            administration.keys.revoke("nothing", actor=ME),
        ):
            with pytest.raises(Refusal):
                await attempt

        assert [entry.action for entry in await Audit(administration.store).entries()] == ["user.create"]


async def test_secrets_that_are_handed_in_are_masked(tmp_path: Path) -> None:
    key, session = make_token("n3k").text, make_token("n3s").text
    async with opened(tmp_path) as store:
        audit = Audit(store, clock=ManualClock(7.0))
        await audit.record(
            key, "model.pull", f"from http://me:pass@host with {session}", {"by": [key, 1, None]}
        )
        (entry,) = await audit.entries()

    assert (entry.at, entry.actor, entry.action) == (7.0, "n3k_***", "model.pull")
    assert entry.subject == "from http://***@host with n3s_***"
    assert entry.detail == {"by": ["n3k_***", 1, None]}


@pytest.mark.parametrize("statement", [AUDIT.update().values(actor="nobody"), AUDIT.delete()])
async def test_lines_are_never_changed_and_never_removed(tmp_path: Path, statement: sa.UpdateBase) -> None:
    async with opened(tmp_path) as store:
        audit = Audit(store)
        await audit.record(ME, "test", "once")

        def tamper(connection: Connection) -> None:
            connection.execute(statement)

        with pytest.raises(Refusal):
            await store.write(tamper)
        assert [entry.subject for entry in await audit.entries()] == ["once"]


async def test_pages_go_back_from_the_newest(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        audit = Audit(store)
        for number in range(5):
            await audit.record(ME, "test", str(number))
        first = await audit.entries(limit=2)
        second = await audit.entries(limit=2, before_id=first[-1].id)

    assert [entry.subject for entry in first + second] == ["4", "3", "2", "1"]
