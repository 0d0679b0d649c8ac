"""The database is locked, read-only, full, damaged or gone: nothing hangs, nothing is opened to anybody, little is lost."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sqlite3
import threading
import time
from datetime import date
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.store import Audit, Books, KeyAdministration, KeyGrant, Keyring, Store, StoreError
from namel3ss.gateway.store import books as books_module
from namel3ss.gateway.store.keyring import MAX_AGE_S
from namel3ss.gateway.store.schema import USERS
from tests.gateway.store.events import NOON, TODAY, event, holder
from tests.gateway.store.places import CLASSES, DATABASE, database_file, opened
from tests.support.clock import ManualClock
from tests.support.scripted_server import Signal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from sqlalchemy.engine import Connection

pytestmark = pytest.mark.fault(73)

ME = "tester"
DAY = date.fromisoformat(TODAY)
# Nothing here may take long, and a busy machine may take long for anything.
GUARD_S = 20.0

ENDLESS = sa.text("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n")


@contextlib.asynccontextmanager
async def at_work(folder: Path) -> AsyncIterator[tuple[Store, KeyAdministration, Keyring, Books, str]]:
    """Everything open, and a key that is known. Locks are given up soon; for the rest a busy machine has its time."""
    async with (
        await Store.open(DATABASE, folder, timeout_s=GUARD_S / 2, patience_s=0.1) as store,
        Keyring(store, CLASSES) as keyring,
        Books(store, streams_per_user=8, wall_clock=ManualClock(NOON)) as books,
    ):
        administration = KeyAdministration(store, applied=keyring.refresh)
        await administration.users.create("alice", actor=ME)
        made = await administration.keys.create("alice", KeyGrant(), actor=ME)
        yield store, administration, keyring, books, made.token


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Another process writes, and does not come to an end."""
    other = sqlite3.connect(database_file(folder), isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")
    finally:
        other.close()


async def refused(work: object) -> Refusal:
    async with asyncio.timeout(GUARD_S):
        with pytest.raises(Refusal) as caught:
            await work  # type: ignore[misc]  # any coroutine
    assert caught.value.reason is Reason.store_down
    assert caught.value.retry_after_s is not None
    return caught.value


async def used_requests(books: Books) -> int:
    rows = await books.usage(since=DAY, until=DAY, by=())
    return sum(row.requests for row in rows)


async def test_locked_database_refuses_changes_and_serves_on(tmp_path: Path) -> None:
    async with at_work(tmp_path) as (store, administration, keyring, books, token):
        with locked(tmp_path):
            refusal = await refused(administration.users.create("bob", actor=ME))
            assert "another process holds it" in refusal.message
            await refused(Audit(store).record(ME, "test", "nothing"))
            books.record(event())
            await refused(books.flush())

            assert keyring.find(token).user == "alice"
            await keyring.refresh()
            books.record(event())
            books.reserve(holder(), 10)
        await books.flush()

        assert await used_requests(books) == 2
        assert [user.name for user in await administration.users.list()] == ["alice"]


async def test_database_that_may_only_be_read_serves_on(tmp_path: Path) -> None:
    async with at_work(tmp_path) as (store, administration, keyring, books, token):
        await store.write(lambda connection: connection.exec_driver_sql("PRAGMA query_only = 1"))

        refusal = await refused(administration.users.create("bob", actor=ME))
        assert "may only be read" in refusal.message
        books.record(event())
        await refused(books.flush())
        await keyring.refresh()
        assert keyring.find(token).user == "alice"


async def test_full_disk_leaves_nothing_half_written(tmp_path: Path) -> None:
    async with at_work(tmp_path) as (store, administration, keyring, books, token):

        def no_more_pages(connection: Connection) -> None:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql("PRAGMA max_page_count = :pages".replace(":pages", str(int(pages))))

        await store.write(no_more_pages)
        names: list[str] = []

        async def fill() -> None:
            for number in range(2000):
                await administration.users.create(f"user{number}", actor=ME)
                names.append(f"user{number}")

        assert "no room" in (await refused(fill())).message
        books.record(event(model="m" * 500))
        with contextlib.suppress(Refusal):
            await books.flush()
        assert keyring.find(token).user == "alice"

        users = {user.name for user in await administration.users.list()}
        acts = [entry.subject for entry in await Audit(store).entries(limit=5000)]
        assert users == {"alice", *names}
        assert sorted(acts[: len(names)]) == sorted(names)


async def test_endless_work_is_ended_and_the_next_is_done(tmp_path: Path) -> None:
    async with await Store.open(DATABASE, tmp_path) as store:
        assert store.timeout_s == 0.25
        await refused(store.read(lambda connection: connection.execute(ENDLESS).all()))
        await refused(store.write(lambda connection: connection.execute(ENDLESS).all()))

        async with asyncio.timeout(GUARD_S):
            done = await store.write_patiently(
                lambda connection: connection.execute(sa.text("SELECT 1")).all()
            )
            assert len(done) == len(await store.read(read_users, timeout_s=GUARD_S)) + 1


def read_users(connection: Connection) -> list[object]:
    return list(connection.execute(sa.select(USERS)))


async def test_work_that_was_given_up_while_it_waited_for_its_connection_is_not_done(tmp_path: Path) -> None:
    waits, released = Signal(), threading.Event()
    done: list[str] = []

    def connect_slowly(*_: object) -> None:
        waits.set()
        released.wait(GUARD_S)

    async with opened(tmp_path) as store:
        sa.event.listen(store._writer._engine, "checkout", connect_slowly)
        late = store._writer.submit(lambda _: done.append("late"))
        await waits.reached()
        store._writer.give_up(late)
        released.set()
        await store.write(lambda _: done.append("next"))

    assert done == ["next"]


async def test_failure_of_work_whose_caller_has_gone_is_no_complaint(tmp_path: Path) -> None:
    begun, released = Signal(), threading.Event()
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))

    def fail(_: Connection) -> None:
        begun.set()
        released.wait(GUARD_S)
        raise Refusal(Reason.conflict, "no")

    async with opened(tmp_path) as store:
        waiting = asyncio.create_task(store.write_patiently(fail))
        await begun.reached()
        waiting.cancel()
        await asyncio.wait([waiting])
        released.set()
        await store.write(lambda _: None)
    del waiting
    gc.collect()

    assert complaints == []


async def test_requests_are_judged_while_the_database_hangs(tmp_path: Path) -> None:
    released = threading.Event()
    async with at_work(tmp_path) as (store, _administration, keyring, books, token):
        hanging = asyncio.create_task(store.write_patiently(lambda _: released.wait(GUARD_S)))
        try:
            await refused(store.read(lambda _: released.wait(GUARD_S), timeout_s=0.1))

            # None of these can wait for anything: they are no coroutines.
            assert keyring.find(token).user == "alice"
            books.reserve(holder(tokens_per_day=100), 10)
            books.record(event())
        finally:
            released.set()
            await hanging


async def test_work_for_a_hanging_database_is_bounded(tmp_path: Path) -> None:
    released = threading.Event()
    async with await Store.open(DATABASE, tmp_path) as store:
        try:
            with pytest.raises(Refusal, match="too much waits"):
                await asyncio.gather(*(store.write(lambda _: released.wait(GUARD_S)) for _ in range(1500)))
        finally:
            released.set()


async def test_keys_count_for_half_a_minute_when_the_database_is_gone_and_then_not_at_all(
    tmp_path: Path,
) -> None:
    clock = ManualClock()
    async with opened(tmp_path) as store, Keyring(store, CLASSES, clock=clock) as keyring:
        administration = KeyAdministration(store, applied=keyring.refresh)
        await administration.users.create("alice", actor=ME)
        token = (await administration.keys.create("alice", KeyGrant(), actor=ME)).token
        await store.write(lambda connection: connection.exec_driver_sql("ALTER TABLE state RENAME TO gone"))

        await refused(keyring.refresh())
        clock.advance(MAX_AGE_S - 0.001)
        assert keyring.find(token).user == "alice"
        clock.advance(0.001)
        for each in (token, "unknown"):
            with pytest.raises(Refusal) as caught:
                keyring.find(each)
            assert (caught.value.reason, caught.value.status) == (Reason.store_down, 503)

        await store.write(lambda connection: connection.exec_driver_sql("ALTER TABLE gone RENAME TO state"))
        await keyring.refresh()
        assert keyring.find(token).user == "alice"


async def test_usage_waits_in_bounded_memory(tmp_path: Path) -> None:
    async with at_work(tmp_path) as (_store, _administration, _keyring, books, _token):
        with locked(tmp_path):
            for number in range(books_module.MOST_CELLS + 5):
                books.record(event(model=f"model{number}"))
            books.record(event(model="model0"))
            assert books.lost_events == 5

            # What fails to be written goes back among what came meanwhile, and no more is kept for that.
            await refused(books.flush())
            books.record(event(model="one more"))
            assert books.lost_events == 6

        assert await used_requests(books) == books_module.MOST_CELLS + 1


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"This is a text and no database." * 500, "not a database"),
        (b"SQLite format 3\0" + b"\xff" * 8000, "damaged|not a database|failed"),
    ],
)
async def test_damaged_database_is_not_opened_and_not_changed(
    tmp_path: Path, content: bytes, told: str
) -> None:
    file = database_file(tmp_path)
    file.parent.mkdir()
    file.write_bytes(content)

    with pytest.raises(StoreError, match=told):
        await Store.open(DATABASE, tmp_path)
    assert file.read_bytes() == content


async def test_damage_found_while_serving_refuses_and_does_not_hang(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        administration = KeyAdministration(store)
        for number in range(200):
            await administration.users.create(f"user{number}", actor=ME)
    data = bytearray(database_file(tmp_path).read_bytes())
    data[8192:] = b"\xa5" * (len(data) - 8192)
    database_file(tmp_path).write_bytes(data)

    with pytest.raises((StoreError, Refusal)):
        async with await Store.open(DATABASE, tmp_path, timeout_s=5.0) as store:
            await KeyAdministration(store).users.list()


async def test_closing_ends_what_hangs(tmp_path: Path) -> None:
    store = await Store.open(DATABASE, tmp_path)
    task = asyncio.create_task(store.write_patiently(lambda connection: connection.execute(ENDLESS).all()))
    await asyncio.sleep(0)
    started = time.monotonic()

    await store.aclose(grace_s=0.1)

    assert time.monotonic() - started < GUARD_S
    with pytest.raises(Refusal):
        await task
    with pytest.raises(RuntimeError, match="closed"):
        await store.read(lambda _: None)
