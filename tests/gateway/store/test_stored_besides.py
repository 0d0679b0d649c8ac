"""Whitelist entries and servers that are stored besides those of the file, which are read-only here."""

from __future__ import annotations

import contextlib
import ipaddress
import sqlite3
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.plan import BackendPlan
from namel3ss.gateway.store import KeyAdministration, KeyGrant, Keyring, StoredServer
from namel3ss.gateway.store.servers import check_server_url
from tests.gateway.forwarding.play import eventually
from tests.gateway.plans import ONE_MODEL, plan_of
from tests.gateway.store.places import CLASSES, database_file, opened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable
    from pathlib import Path

ME = "root"
OFFICE = ipaddress.ip_network("10.1.0.0/16")
LOCAL = ipaddress.ip_network("127.0.0.1/32")
PLAN = plan_of(
    ONE_MODEL
    + 'server gpu1 { base_url: "http://10.0.0.5:11434" }\n'
    + 'gateway team { priorities: { coding: 0, chat: 5 }  whitelist: { coding: ["127.0.0.1"] } }\n'
)


@contextlib.asynccontextmanager
async def administration_of(folder: Path) -> AsyncIterator[tuple[KeyAdministration, Keyring]]:
    async with opened(folder) as store, Keyring(store, CLASSES) as keyring:
        yield KeyAdministration(store, PLAN, applied=keyring.refresh), keyring


async def refused(work: Awaitable[object], reason: Reason) -> str:
    with pytest.raises(Refusal) as caught:
        await work
    assert caught.value.reason is reason
    return str(caught.value)


async def test_whitelist_shows_the_file_s_entries_and_those_that_are_stored(tmp_path: Path) -> None:
    async with administration_of(tmp_path) as (administration, keyring):
        await administration.whitelist.add("chat", OFFICE, actor=ME, note="the office")
        entries = await administration.whitelist.list()

        assert [(entry.class_name, entry.network, entry.note, entry.origin) for entry in entries] == [
            ("coding", LOCAL, "", "team.ai:3:9"),
            ("chat", OFFICE, "the office", None),
        ]
        assert keyring.snapshot.whitelist == {"chat": (OFFICE,)}

        await administration.whitelist.remove("chat", OFFICE, actor=ME)
        assert keyring.snapshot.whitelist == {}


async def test_what_the_file_declares_can_only_be_changed_there(tmp_path: Path) -> None:
    async with administration_of(tmp_path) as (administration, _):
        whitelist, servers = administration.whitelist, administration.servers

        assert "team.ai:3:9" in await refused(whitelist.remove("coding", LOCAL, actor=ME), Reason.read_only)
        assert "team.ai:3:9" in await refused(whitelist.add("coding", LOCAL, actor=ME), Reason.conflict)
        for work in (
            servers.add("gpu1", "http://10.0.0.6:11434", actor=ME),
            servers.remove("gpu1", actor=ME),
            servers.disable("gpu1", actor=ME),
            servers.enable("gpu1", actor=ME),
        ):
            assert "team.ai:2:8" in await refused(work, Reason.read_only)
    assert Reason.read_only.status == 409


async def test_whitelist_refuses_what_is_there_what_is_not_and_unknown_classes(tmp_path: Path) -> None:
    async with administration_of(tmp_path) as (administration, _):
        whitelist = administration.whitelist
        await whitelist.add("chat", OFFICE, actor=ME)

        await refused(whitelist.add("chat", OFFICE, actor=ME), Reason.conflict)
        await refused(whitelist.remove("chat", LOCAL, actor=ME), Reason.not_found)
        assert "`chat`" in await refused(whitelist.add("chta", OFFICE, actor=ME), Reason.invalid)
        grant = KeyGrant(class_name="chta")
        assert "`chat`" in await refused(administration.keys.create("a", grant, actor=ME), Reason.invalid)


def used(keyring: Keyring) -> list[StoredServer]:
    return list(keyring.snapshot.servers)


@pytest.mark.security(6)
async def test_servers_are_used_while_they_are_stored_and_not_disabled(tmp_path: Path) -> None:
    async with administration_of(tmp_path) as (administration, keyring):
        servers = administration.servers
        added = await servers.add("gpu2", "http://10.0.0.6:11434/", actor=ME, slots=2, weight=2.0)

        assert await servers.list() == (added,)
        assert used(keyring) == [added]
        assert added.backend == BackendPlan(
            name="gpu2", base_url="http://10.0.0.6:11434", slots=2, weight=2.0, is_guarded=True
        )
        await refused(servers.add("gpu2", "http://10.0.0.7", actor=ME), Reason.conflict)

        disabled = await servers.disable("gpu2", actor=ME)
        assert disabled.disabled_at is not None
        assert (used(keyring), await servers.list()) == ([], (disabled,))
        assert await servers.enable("gpu2", actor=ME) == added
        await servers.remove("gpu2", actor=ME)
        assert used(keyring) == []
        await refused(servers.remove("gpu2", actor=ME), Reason.not_found)


@pytest.mark.security(37)
@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254",
        "http://169.254.169.254:80/latest",
        "http://[fe80::1]:11434",
        "http://[fe80::1%25eth0]:11434",
        "http://[::ffff:169.254.169.254]",
        "http://2852039166/",
        "http://0xa9.0xfe.0xa9.0xfe",
        "http://0251.0376.0251.0376",
        "http://169.254.43518",
        "http://[fd00:ec2::254]",
        "http://metadata.google.internal",
        "http://METADATA.google.internal.",
        "http://0.0.0.0:11434",
        "http://[::]:11434",
        "http://224.0.0.1",
        "http://user:secret@10.0.0.5",
        "http://10.0.0.5@169.254.169.254",
        "http://10.0.0.5\\@169.254.169.254",
        "http://10.0.0.5/?to=x",
        "http://10.0.0.5/#x",
        "http://10.0.0.5:99999",
        "http://10.0.0.5:0",
        "http://",
        "ftp://10.0.0.5",
        "file:///etc/passwd",
        "gopher://10.0.0.5",
        "http://10.0.0.5 .evil",
        "http://gpü:11434",
        "http://10.0.0.5\n",
        "javascript:alert(1)",
        "",
    ],
)
def test_what_is_no_address_for_a_server_is_refused(url: str) -> None:
    with pytest.raises(Refusal) as caught:
        check_server_url(url)

    assert caught.value.reason is Reason.invalid


@pytest.mark.security(37)
@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.5:11434",
        "https://gpu.example.com",
        "http://localhost:11434",
        "http://[::1]:11434",
        "http://gpu-1:11434/ollama",
    ],
)
def test_addresses_of_servers_are_taken(url: str) -> None:
    assert check_server_url(url) == check_server_url(url + "/") == url


@pytest.mark.security(37)
@given(st.ip_addresses(v=4, network="169.254.0.0/16"), st.integers(0, 3))
def test_no_spelling_of_a_link_local_address_is_taken(address: ipaddress.IPv4Address, how: int) -> None:
    octets = list(address.packed)
    spelling = (
        str(address),
        str(int(address)),
        ".".join(f"0x{octet:x}" for octet in octets),
        f"{octets[0]}.{octets[1]}.{octets[2] * 256 + octets[3]}",
    )[how]
    with pytest.raises(Refusal):
        check_server_url(f"http://{spelling}:11434")


@pytest.mark.parametrize(
    ("option", "value"), [("slots", 0), ("slots", 1025), ("weight", 0.0), ("max_loaded_models", 0)]
)
async def test_numbers_of_a_server_are_bounded(tmp_path: Path, option: str, value: float) -> None:
    async with administration_of(tmp_path) as (administration, _):
        options = {option: value}
        message = await refused(
            administration.servers.add("gpu", "http://10.0.0.5", actor=ME, **options),  # type: ignore[arg-type]  # one of several numbers
            Reason.invalid,
        )
    assert option in message


async def test_a_row_that_cannot_be_read_is_logged_and_ends_nobodys_following(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def write(statement: str) -> None:
        with contextlib.closing(sqlite3.connect(database_file(tmp_path))) as database, database:
            database.execute(statement)
            database.execute("UPDATE state SET revision = revision + 1")

    async with opened(tmp_path) as store, Keyring(store, CLASSES) as keyring:
        before = keyring.snapshot
        write("INSERT INTO whitelist VALUES ('chat', 'nowhere', '', 0, 'somebody')")
        await eventually(lambda: "'nowhere' does not appear to be" in caplog.text)
        assert keyring.snapshot is before
        write("DELETE FROM whitelist")
        await eventually(lambda: keyring.snapshot is not before)

    assert "Keys are read again" in caplog.text
