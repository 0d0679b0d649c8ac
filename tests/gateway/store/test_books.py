"""What is used, on its way into the books and out of them again."""

from __future__ import annotations

import contextlib
from datetime import date
from typing import TYPE_CHECKING

import pytest

from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.store import Books, UsageRow
from namel3ss.gateway.usage import Usage
from tests.gateway.store.events import NOON, TODAY, event, holder, used
from tests.gateway.store.places import opened
from tests.support.clock import ManualClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

DAY = date.fromisoformat(TODAY)


@contextlib.asynccontextmanager
async def books_of(
    folder: Path, clock: ManualClock | None = None, wall_clock: ManualClock | None = None, streams: int = 8
) -> AsyncIterator[Books]:
    async with (
        opened(folder) as store,
        Books(
            store,
            streams_per_user=streams,
            clock=clock or ManualClock(),
            wall_clock=wall_clock or ManualClock(NOON),
        ) as books,
    ):
        yield books


async def test_usage_is_summed_by_what_is_asked_for(tmp_path: Path) -> None:
    async with books_of(tmp_path) as books:
        books.record(event())
        books.record(event(usage=Usage(1, 2, estimated=True), outcome="interrupted"))
        books.record(event(model="tiny", server=None, outcome="cancelled"))
        books.record(event(user="bob", key_id="key2", at=NOON - 86_400))

        by_user = await books.usage(since=DAY, until=DAY, by=("user", "model"))
        of_bob = await books.usage(since=date(2026, 1, 1), until=DAY, by=("day",), only={"user": "bob"})

    assert by_user == (
        UsageRow(
            day=None,
            user="alice",
            key=None,
            class_name=None,
            model="llama3:8b",
            server=None,
            requests=2,
            failed=1,
            estimated=1,
            prompt_tokens=11,
            completion_tokens=7,
            wait_s=1.0,
            duration_s=4.0,
        ),
        UsageRow(
            day=None,
            user="alice",
            key=None,
            class_name=None,
            model="tiny",
            server=None,
            requests=1,
            failed=0,
            estimated=0,
            prompt_tokens=10,
            completion_tokens=5,
            wait_s=0.5,
            duration_s=2.0,
        ),
    )
    assert [(row.day, row.requests) for row in of_bob] == [("2026-11-20", 1)]


async def test_what_was_recorded_last_is_written_at_the_end(tmp_path: Path) -> None:
    async with books_of(tmp_path) as books:
        books.record(event())
    async with books_of(tmp_path) as books:
        rows = await books.usage(since=DAY, until=DAY, by=())

    assert [row.requests for row in rows] == [1]


@pytest.mark.security(28)
async def test_budget_of_the_day_outlives_the_process_and_ends_with_the_day(tmp_path: Path) -> None:
    wall_clock = ManualClock(NOON)
    limited = holder(tokens_per_day=100)
    async with books_of(tmp_path, wall_clock=wall_clock) as books:
        books.reserve(limited, 60).settle(used(30, 30))
        books.record(event(usage=used(30, 30)))

    async with books_of(tmp_path, wall_clock=wall_clock) as books:
        with pytest.raises(Refusal, match="60 of them are used") as caught:
            books.reserve(limited, 41)
        assert caught.value.reason is Reason.over_budget
        assert caught.value.retry_after_s == pytest.approx(43_200)
        books.reserve(limited, 40).settle(used(0, 0))

        wall_clock.advance(43_200)
        books.reserve(limited, 100).settle(used(50, 50))


@pytest.mark.security(28)
async def test_what_another_process_wrote_counts_for_the_day(tmp_path: Path) -> None:
    limited = holder(tokens_per_day=100)
    async with books_of(tmp_path) as first, books_of(tmp_path) as second:
        second.reserve(limited, 10).settle(used(5, 5))
        second.record(event(usage=used(5, 5)))
        first.reserve(limited, 50).settle(used(25, 25))
        first.record(event(usage=used(25, 25)))
        await first.flush()
        await second.flush()

        with pytest.raises(Refusal, match="60 of them are used"):
            second.reserve(limited, 41)
        second.reserve(limited, 40)


@pytest.mark.fault(72)
@pytest.mark.parametrize("jump", [-7200.0, 7200.0])
async def test_minutes_do_not_follow_a_wall_clock_that_jumps(tmp_path: Path, jump: float) -> None:
    clock, wall_clock = ManualClock(), ManualClock(NOON)
    limited = holder(tokens_per_minute=100, tokens_per_day=200)
    async with books_of(tmp_path, clock=clock, wall_clock=wall_clock) as books:
        books.reserve(limited, 100).settle(used(100, 0))

        wall_clock.advance(jump)
        with pytest.raises(Refusal, match="a minute"):
            books.reserve(limited, 1)
        clock.advance(61.0)
        books.reserve(limited, 100).settle(used(100, 0))
        clock.advance(61.0)
        with pytest.raises(Refusal, match="a day"):
            books.reserve(limited, 1)


@pytest.mark.security(27)
async def test_user_receives_as_many_answers_as_it_may_and_not_one_more(tmp_path: Path) -> None:
    async with books_of(tmp_path, streams=2) as books:
        running = [books.reserve(holder(), 1) for _ in range(3)]
        running[0].begin()
        running[0].begin()
        running[1].begin()
        assert books.receiving("alice") == 2

        with pytest.raises(Refusal) as caught:
            running[2].begin()
        assert caught.value.reason is Reason.too_many_streams
        with pytest.raises(Refusal):
            books.reserve(holder("another key"), 1)
        books.reserve(holder(user="bob"), 1).begin()

        running[0].settle(used(1, 1))
        running[2].begin()


@pytest.mark.security(27)
async def test_key_receives_as_many_answers_as_it_may_and_not_one_more(tmp_path: Path) -> None:
    async with books_of(tmp_path) as books:
        books.reserve(holder(streams=1), 1).begin()

        with pytest.raises(Refusal) as caught:
            books.reserve(holder(streams=1), 1)
        assert caught.value.reason is Reason.too_many_streams
        books.reserve(holder("key2", streams=1), 1).begin()


async def test_reservation_is_settled_once(tmp_path: Path) -> None:
    async with books_of(tmp_path) as books:
        reservation = books.reserve(holder(), 1)
        reservation.settle(used(1, 0))

        with pytest.raises(RuntimeError, match="settled before"):
            reservation.settle(used(1, 0))
