"""The same store on a real PostgreSQL server, where this machine has its programs."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from datetime import date
from typing import TYPE_CHECKING

import pytest

from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.principal import KeyLimits
from namel3ss.gateway.store import (
    Audit,
    Books,
    KeyAdministration,
    KeyGrant,
    Keyring,
    NewKey,
    Store,
    StoreError,
)
from namel3ss.gateway.store.migrating import migrate
from namel3ss.gateway.store.schema import AUDIT
from tests.gateway.store.events import NOON, TODAY, event, holder, used
from tests.gateway.store.places import CLASSES
from tests.gateway.store.test_migrations import differences
from tests.support.clock import ManualClock
from tests.support.postgresql import postgresql_programs, postgresql_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy.engine import Connection

    from tests.support.postgresql import PostgreSql

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        postgresql_programs() is None,
        reason="no PostgreSQL here: initdb and postgres are neither on the PATH nor in /usr/lib/postgresql",
    ),
]

ME = "tester"
DAY = date.fromisoformat(TODAY)
GUARD_S = 20.0


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSql]:
    programs = postgresql_programs()
    assert programs is not None
    with postgresql_server(programs) as running:
        yield running


@pytest.fixture
def own_server() -> Iterator[PostgreSql]:
    """One that a test may stop and stop from answering."""
    programs = postgresql_programs()
    assert programs is not None
    with postgresql_server(programs) as running:
        yield running


async def open_store(url: str, folder: Path, timeout_s: float = 10.0) -> Store:
    return await Store.open(url, folder, timeout_s=timeout_s)


async def test_migrations_make_the_tables_that_the_code_knows(server: PostgreSql, tmp_path: Path) -> None:
    url = server.new_database()
    stores = await asyncio.gather(*(open_store(url, tmp_path) for _ in range(4)))
    try:
        assert await stores[0].read(differences) == []
        assert await stores[1].write(migrate) is False
    finally:
        await asyncio.gather(*(store.aclose() for store in stores))


async def test_keys_live_there_from_creation_to_revocation(server: PostgreSql, tmp_path: Path) -> None:
    grant = KeyGrant(
        class_name="chat",
        models=("llama3:*",),
        networks=(ipaddress.ip_network("10.0.0.0/8"),),
        limits=KeyLimits(tokens_per_day=10**9),
        expires_at=time.time() + 3600,
    )
    ended: asyncio.Queue[str] = asyncio.Queue()
    async with await open_store(server.new_database(), tmp_path) as store, Keyring(store, CLASSES) as keyring:
        keyring.on_revoked(ended.put_nowait)
        async with await open_store(store.url.render_as_string(), tmp_path) as theirs:
            administration = KeyAdministration(theirs)
            await administration.users.create("alice", actor=ME, password="correct horse battery")
            made = await administration.keys.create("alice", grant, actor=ME)
            await keyring.refresh()
            principal = keyring.find(made.token)
            assert (principal.user, principal.models, principal.networks, principal.limits) == (
                "alice",
                grant.models,
                grant.networks,
                grant.limits,
            )
            session = await administration.sessions.open("alice", "correct horse battery")
            await keyring.refresh()
            assert keyring.find(session.token).key_id == f"session:{session.id}"

            await administration.users.disable("alice", actor=ME)
            async with asyncio.timeout(GUARD_S):
                assert {await ended.get(), await ended.get()} == {made.key.id, f"session:{session.id}"}
            await administration.users.remove("alice", actor=ME)
            assert await administration.keys.list() == ()


async def test_stores_that_open_at_once_make_one_administrator(server: PostgreSql, tmp_path: Path) -> None:
    url = server.new_database()
    delivered: list[NewKey] = []

    async def start() -> None:
        async with await open_store(url, tmp_path) as store:
            await KeyAdministration(store).make_first_key(delivered.append)

    await asyncio.gather(*(start() for _ in range(4)))

    assert len(delivered) == 1


async def test_usage_of_two_processes_is_summed(server: PostgreSql, tmp_path: Path) -> None:
    url = server.new_database()
    clock = ManualClock(NOON)
    limited = holder(tokens_per_day=100)
    async with (
        await open_store(url, tmp_path) as first_store,
        await open_store(url, tmp_path) as second_store,
        Books(first_store, streams_per_user=8, wall_clock=clock) as first,
        Books(second_store, streams_per_user=8, wall_clock=clock) as second,
    ):
        for _ in range(3):
            for books in (first, second):
                books.reserve(limited, 10).settle(used(10, 5))
                books.record(event())
                books.record(event(model="tiny", user="\0\udcff", key_id="other"))
            await asyncio.gather(first.flush(), second.flush())

        rows = await first.usage(since=DAY, until=DAY, by=("model",))
        assert [(row.model, row.requests, row.prompt_tokens, row.wait_s) for row in rows] == [
            ("llama3:8b", 6, 60, 3.0),
            ("tiny", 6, 60, 3.0),
        ]
        # What others wrote is read with what one writes oneself.
        second.record(event(usage=used(0, 0)))
        await second.flush()
        with pytest.raises(Refusal, match="90 of them are used"):
            second.reserve(limited, 11)


@pytest.mark.security(35)
async def test_audit_log_only_grows(server: PostgreSql, tmp_path: Path) -> None:
    async with await open_store(server.new_database(), tmp_path) as store:
        await Audit(store).record(ME, "test", "once")
        for statement in (AUDIT.update().values(actor="nobody"), AUDIT.delete()):

            def tamper(connection: Connection, statement: object = statement) -> None:
                connection.execute(statement)  # type: ignore[call-overload]  # one of two kinds

            with pytest.raises(Refusal):
                await store.write(tamper)
        with pytest.raises(Refusal):
            await store.write(lambda connection: connection.exec_driver_sql("TRUNCATE audit"))
        assert [entry.subject for entry in await Audit(store).entries()] == ["once"]


@pytest.mark.fault(73)
async def test_server_that_goes_and_comes_back_loses_nothing(own_server: PostgreSql, tmp_path: Path) -> None:
    server = own_server
    async with (
        await open_store(server.new_database(), tmp_path, timeout_s=1.0) as store,
        Keyring(store, CLASSES) as keyring,
        Books(store, streams_per_user=8, wall_clock=ManualClock(NOON)) as books,
    ):
        administration = KeyAdministration(store)
        await administration.users.create("alice", actor=ME)
        made = await administration.keys.create("alice", KeyGrant(), actor=ME)
        await keyring.refresh()

        server.stop()
        try:
            async with asyncio.timeout(GUARD_S):
                with pytest.raises(Refusal) as caught:
                    await administration.keys.revoke(made.key.id, actor=ME)
            assert caught.value.reason is Reason.store_down
            assert keyring.find(made.token).user == "alice"
            books.record(event())
            with pytest.raises(StoreError, match="cannot be reached"):
                await open_store(store.url.render_as_string(), tmp_path)
        finally:
            server.start()

        async with asyncio.timeout(GUARD_S):
            while True:
                rows = await books.usage(since=DAY, until=DAY, by=())
                if rows:
                    break
                await asyncio.sleep(0.05)
        assert [row.requests for row in rows] == [1]
        await keyring.refresh()

        # A restart that nobody asked anything during is not noticed at all.
        server.stop()
        server.start()
        assert await Audit(store).entries(limit=1)
        await administration.users.create("bob", actor=ME)


@pytest.mark.fault(73)
async def test_server_that_stands_still_hangs_nobody(own_server: PostgreSql, tmp_path: Path) -> None:
    server = own_server
    url = server.new_database()
    async with await open_store(url, tmp_path) as store:
        await KeyAdministration(store).users.create("alice", actor=ME)
    store = await open_store(url, tmp_path, timeout_s=0.25)
    await store.read(lambda connection: connection.exec_driver_sql("SELECT 1").all())
    server.freeze()
    try:
        async with asyncio.timeout(GUARD_S):
            for _ in range(3):
                with pytest.raises(Refusal) as caught:
                    await KeyAdministration(store).users.list()
                assert caught.value.reason is Reason.store_down
        async with asyncio.timeout(GUARD_S):
            await store.aclose(grace_s=0.1)
    finally:
        server.thaw()
