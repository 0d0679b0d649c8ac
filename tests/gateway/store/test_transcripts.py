"""Stored prompts and answers: bounded, until their end, and gone when they are deleted."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from typing import TYPE_CHECKING, Any

from namel3ss.gateway.overheard import Overheard
from namel3ss.gateway.store import Audit, KeyAdministration, Store, TranscriptWriter
from namel3ss.gateway.store.transcripts import LONGEST_TEXT
from tests.gateway.store.events import NOON
from tests.gateway.store.places import DATABASE, database_file, opened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from namel3ss.gateway.store import Transcripts

DAY_S = 86_400.0


def heard(prompt: str = "Why?", answer: str = "So.", **changes: Any) -> Overheard:
    values: dict[str, Any] = {
        "at": NOON,
        "request_id": "r1",
        "user": "alice",
        "key_id": "key1",
        "class_name": "chat",
        "model": "llama3:8b",
        "route": "/api/generate",
        "status": 200,
        "request": json.dumps({"prompt": prompt}).encode(),
        "answer": json.dumps({"response": answer, "done": True}).encode(),
        "is_cut": False,
    }
    return Overheard(**values | changes)


class Clock:
    """Seconds since the epoch, as told."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


@contextlib.asynccontextmanager
async def writing(store: Store, clock: Clock, **more: Any) -> AsyncIterator[TranscriptWriter]:
    async with TranscriptWriter(store, keep_s=DAY_S, clock=clock, **more) as writer:
        yield writer


def reading(store: Store, clock: Clock) -> Transcripts:
    return KeyAdministration(store, clock=clock).transcripts


async def test_what_was_heard_is_written_at_the_latest_when_the_gateway_ends(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path) as store:
        async with writing(store, clock) as writer:
            writer.keep(heard("one"))
            writer.keep(heard("two", user="bob", status=503))
        found = await reading(store, clock).read(actor="root")
        of_bob = await reading(store, clock).read(actor="root", user="bob")
        older = await reading(store, clock).read(actor="root", before_id=found[0].id, limit=1)

    assert [(each.user_name, each.prompt, each.answer) for each in found] == [
        ("bob", "two", "So."),
        ("alice", "one", "So."),
    ]
    assert [(each.status, each.expires_at) for each in of_bob] == [(503, NOON + DAY_S)]
    assert [each.prompt for each in older] == ["one"]
    assert "two" not in repr(found)


async def test_long_texts_are_cut_and_say_so(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path) as store:
        async with writing(store, clock) as writer:
            writer.keep(heard("é" * LONGEST_TEXT, "a\0b"))
            writer.keep(heard("é" * (LONGEST_TEXT + 1)))
            writer.keep(heard("x", is_cut=True))
        found = await reading(store, clock).read(actor="root")

    assert [(len(each.prompt), each.is_cut) for each in reversed(found)] == [
        (LONGEST_TEXT, False),
        (LONGEST_TEXT, True),
        (1, True),
    ]


async def test_each_goes_at_the_end_that_was_said_when_it_was_written(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path) as store:
        async with writing(store, clock) as writer:
            writer.keep(heard("old"))
        clock.now += DAY_S - 1
        before = await reading(store, clock).read(actor="root")
        async with TranscriptWriter(store, keep_s=30 * DAY_S, clock=clock) as writer:
            writer.keep(heard("new", at=clock.now))
        clock.now += 2
        after = await reading(store, clock).read(actor="root")
        async with writing(store, clock):
            pass  # each gateway that starts deletes what has reached its end, storing or not

    assert [each.prompt for each in before] == ["old"]
    assert [each.prompt for each in after] == ["new"]
    with contextlib.closing(sqlite3.connect(database_file(tmp_path))) as connection:
        assert connection.execute("SELECT prompt FROM transcripts").fetchall() == [("new",)]


async def test_of_too_many_the_oldest_go(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path) as store:
        async with writing(store, clock, most_rows=3) as writer:
            for number in range(5):
                writer.keep(heard(str(number)))
        found = await reading(store, clock).read(actor="root")

    assert [each.prompt for each in found] == ["4", "3", "2"]


async def test_what_is_deleted_is_not_in_the_file_any_more_and_reading_is_noted(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path) as store:
        administration = KeyAdministration(store, clock=clock)
        await administration.users.create("alice", actor="root")
        async with writing(store, clock) as writer:
            for user in ("alice", "bob", "carol"):
                writer.keep(heard(f"canary of {user}", user=user))
        await administration.transcripts.read(actor="root", user="bob")
        deleted = await administration.transcripts.delete(actor="root", user="bob")
        await administration.users.remove("alice", actor="root")
        left = await administration.transcripts.read(actor="root")
        await administration.transcripts.delete(actor="root")
        acts = [(entry.action, entry.subject) for entry in await Audit(store).entries()]

    assert deleted == 1
    assert [each.user_name for each in left] == ["carol"]
    assert acts[::-1] == [
        ("user.create", "alice"),
        ("transcript.read", "bob"),
        ("transcript.delete", "bob"),
        ("user.remove", "alice"),
        ("transcript.read", "everybody"),
        ("transcript.delete", "everybody"),
    ]
    assert b"canary" not in database_file(tmp_path).read_bytes()


async def test_database_that_does_not_take_them_costs_them_and_no_memory(tmp_path: Path) -> None:
    clock = Clock()
    async with await Store.open(DATABASE, tmp_path, timeout_s=0.1) as store:
        with contextlib.closing(sqlite3.connect(database_file(tmp_path), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            async with writing(store, clock) as writer:
                large = heard(answer="x" * 1_000_000)
                for _ in range(100):
                    writer.keep(large)
                at_once = writer.lost
        assert 0 < at_once < 100
        assert writer.lost == 100
