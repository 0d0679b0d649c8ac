"""Several processes on one database, and processes that are killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from namel3ss.gateway.errors import Refusal
from namel3ss.gateway.store import KeyAdministration, KeyGrant, Keyring, NewKey, Store
from namel3ss.gateway.store import keyring as keyring_module
from namel3ss.gateway.store.classes import Classes
from tests.gateway.store.places import CLASSES, DATABASE, database_file, keys_of, opened
from tests.support.clock import ManualClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ME = "tester"
GUARD_S = 20.0


@pytest.mark.security(6)
async def test_changes_of_another_process_hold_without_being_asked_for(tmp_path: Path) -> None:
    """Both have connections of their own, as two processes do. The look that finds it comes twice a second."""
    assert keyring_module.POLL_S <= 0.5
    ended: asyncio.Queue[str] = asyncio.Queue()
    changed = asyncio.Event()
    async with keys_of(tmp_path) as (theirs, _), opened(tmp_path) as store, Keyring(store, CLASSES) as ours:
        ours.on_revoked(ended.put_nowait)
        ours.on_changed(changed.set)
        await theirs.users.create("alice", actor=ME)
        made = await theirs.keys.create("alice", KeyGrant(), actor=ME)
        async with asyncio.timeout(GUARD_S):
            while not is_known(ours, made):
                changed.clear()
                await changed.wait()

        await theirs.users.disable("alice", actor=ME)
        async with asyncio.timeout(GUARD_S):
            assert await ended.get() == made.key.id
        assert not is_known(ours, made)
        await theirs.users.enable("alice", actor=ME)
        async with asyncio.timeout(GUARD_S):
            while not is_known(ours, made):
                changed.clear()
                await changed.wait()

        await theirs.keys.revoke(made.key.id, actor=ME)
        async with asyncio.timeout(GUARD_S):
            assert await ended.get() == made.key.id
        assert not is_known(ours, made)


def is_known(keyring: Keyring, made: NewKey) -> bool:
    try:
        return keyring.find(made.token).key_id == made.key.id
    except Refusal:
        return False


@pytest.mark.security(13)
async def test_key_that_expires_is_told_of_as_one_that_is_revoked(tmp_path: Path) -> None:
    ended: asyncio.Queue[str] = asyncio.Queue()
    clock = ManualClock(time.time())
    async with opened(tmp_path) as store, Keyring(store, CLASSES, wall_clock=clock) as keyring:
        keyring.on_revoked(ended.put_nowait)
        administration = KeyAdministration(store, applied=keyring.refresh)
        await administration.users.create("alice", actor=ME)
        grant = KeyGrant(expires_at=clock() + 3600.0)
        made = await administration.keys.create("alice", grant, actor=ME)
        assert is_known(keyring, made)
        clock.advance(3600.0)
        async with asyncio.timeout(GUARD_S):
            assert await ended.get() == made.key.id
        with pytest.raises(Refusal, match="has expired"):
            keyring.find(made.token)


@pytest.mark.security(13)
async def test_last_use_is_noted_and_is_no_change_to_anybody(tmp_path: Path) -> None:
    async with keys_of(tmp_path) as (administration, keyring):
        await administration.users.create("alice", actor=ME)
        made = await administration.keys.create("alice", KeyGrant(), actor=ME)
        revision = keyring.snapshot.revision
        before = time.time()
        keyring.find(made.token)

    async with keys_of(tmp_path) as (administration, keyring):
        (key,) = await administration.keys.list()
        assert key.last_used_at is not None
        assert key.last_used_at >= before
        assert keyring.snapshot.revision == revision


@pytest.mark.security(31)
async def test_stores_that_open_at_once_make_one_administrator(tmp_path: Path) -> None:
    async def start() -> list[NewKey]:
        delivered: list[NewKey] = []
        async with await Store.open(DATABASE, tmp_path, timeout_s=10.0) as store:
            assert await KeyAdministration(store).make_first_key(delivered.append) is bool(delivered)
        return delivered

    started = await asyncio.gather(*(start() for _ in range(4)))

    (made,) = [key for keys in started for key in keys]
    async with keys_of(tmp_path) as (administration, keyring):
        assert keyring.find(made.token).user == "admin"
        assert [key.id for key in await administration.keys.list()] == [made.key.id]


@pytest.mark.security(31)
async def test_first_key_that_could_not_be_delivered_is_not_made(tmp_path: Path) -> None:
    def fail(_made: NewKey) -> None:
        raise OSError("nobody is there")

    async with keys_of(tmp_path) as (administration, _):
        with pytest.raises(OSError, match="nobody is there"):
            await administration.make_first_key(fail)
        assert await administration.keys.list() == ()
        delivered: list[NewKey] = []
        assert await administration.make_first_key(delivered.append)
        assert not await administration.make_first_key(delivered.append)
    assert len(delivered) == 1


# -- processes of their own -----------------------------------------------------------------------------------------


def started(folder: Path, what: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.gateway.store.worker_process", what, str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )


@contextlib.contextmanager
def worker(folder: Path, what: str) -> Iterator[subprocess.Popen[str]]:
    process = started(folder, what)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.mark.long
@pytest.mark.security(31)
async def test_processes_that_start_at_once_make_one_administrator(tmp_path: Path) -> None:
    processes = [started(tmp_path, "first-key") for _ in range(3)]
    printed = [process.communicate(timeout=60)[0].split() for process in processes]

    assert [process.returncode for process in processes] == [0, 0, 0]
    (token,) = [token for tokens in printed for token in tokens]
    async with keys_of(tmp_path) as (_, keyring):
        assert keyring.find(token).user == "admin"


@pytest.mark.long
@pytest.mark.fault(71)
async def test_process_that_is_killed_loses_no_key_and_at_most_its_last_usage(tmp_path: Path) -> None:
    keys: list[str] = []
    recorded: list[tuple[float, int]] = []
    with worker(tmp_path, "load") as process:
        assert process.stdout is not None
        until = None
        for line in process.stdout:
            said = json.loads(line)
            if "key" in said:
                keys.append(said["key"])
            else:
                recorded.append((said["at"], said["recorded"]))
            until = until or time.monotonic() + 7.0
            if time.monotonic() > until:
                break
        os.kill(process.pid, signal.SIGKILL)
        killed_at = time.monotonic()
        process.wait()
        whole = [line for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
        keys += [said["key"] for said in map(json.loads, whole) if "key" in said]

    rows = read(tmp_path, "SELECT requests, prompt_tokens, completion_tokens FROM usage")
    requests = sum(row[0] for row in rows)
    # What was recorded long ago is there; five seconds for a busy machine where one is promised.
    assert requests >= max(count for at, count in recorded if at < killed_at - 5.0)
    assert (sum(row[1] for row in rows), sum(row[2] for row in rows)) == (10 * requests, 5 * requests)
    assert read(tmp_path, "PRAGMA integrity_check") == [("ok",)]
    acts = read(tmp_path, "SELECT count(*) FROM audit WHERE action = 'key.create'")
    assert acts == read(tmp_path, "SELECT count(*) FROM keys")
    assert len(keys) > 3
    async with opened(tmp_path) as store, Keyring(store, Classes.of({"default": 0})) as keyring:
        assert {keyring.find(key).user for key in keys} == {"alice"}


def read(folder: Path, statement: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(database_file(folder))) as connection:
        return connection.execute(statement).fetchall()
