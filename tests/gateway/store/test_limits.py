"""Budgets of keys under any mixture of requests: never above the limit, never below nothing."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.principal import KeyLimits, Principal
from namel3ss.gateway.store.meters import Meter
from namel3ss.gateway.store.windows import WINDOW_S, MovingWindow
from tests.gateway.store.events import holder, used
from tests.gateway.store.test_books import books_of
from tests.support.clock import ManualClock

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.security(28)

LIMITS = KeyLimits(requests_per_minute=5, tokens_per_minute=100, tokens_per_day=300)
DAY_S = 86_400.0


class Traffic(RuleBasedStateMachine):
    """One key with limits, requests of any size that end in any way, and time that passes. The truth is kept beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.meter = Meter()
        self.meter.begin_day("1")
        self.now = 100.0
        self.day = 1
        self.open: list[tuple[int, int, float]] = []
        self.requests: list[float] = []
        self.tokens: list[tuple[float, int]] = []
        self.today = 0

    @rule(tokens=st.integers(0, 120))
    def ask(self, tokens: int) -> None:
        try:
            self.meter.check(LIMITS, tokens, self.now, DAY_S)
        except Refusal as refusal:
            self.refusals(refusal, tokens)
            return
        self.open.append((tokens, self.meter.reserve(tokens, self.now), self.now))
        self.requests.append(self.now)

    def refusals(self, refusal: Refusal, tokens: int) -> None:
        """A refusal has a reason that holds, and tells when to come again."""
        if refusal.reason is Reason.over_limit:
            assert tokens > 100
            assert refusal.retry_after_s is None
            return
        assert refusal.retry_after_s is not None
        assert 1.0 <= refusal.retry_after_s <= DAY_S
        reserved = sum(each[0] for each in self.open)
        # A window forgets up to a tenth of a second late, never early.
        late = self.now - WINDOW_S - 0.2
        assert (
            len([at for at in self.requests if at > late]) + 1 > 5
            or sum(count for at, count in self.tokens if at > late) + reserved + tokens > 100
            or self.today + reserved + tokens > 300
        )

    @precondition(lambda self: self.open)
    @rule(data=st.data(), tokens=st.integers(1, 120))
    def grow(self, data: st.DataObject, tokens: int) -> None:
        """An answer gets longer than was thought: it has at least what it needs put aside, or is told to end."""
        place = data.draw(st.integers(0, len(self.open) - 1))
        reserved, stamp, at = self.open[place]
        try:
            more = self.meter.extend(LIMITS, tokens, self.now, DAY_S)
        except Refusal as refusal:
            self.refusals(refusal, tokens)
            return
        assert more >= tokens
        self.open[place] = (reserved + more, stamp, at)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), share=st.floats(0, 1))
    def end(self, data: st.DataObject, share: float) -> None:
        """The answer is complete, cut off, or its reader is gone: what it took is charged."""
        reserved, stamp, at = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        taken = int(reserved * share)
        self.meter.settle(reserved, taken, stamp, self.now)
        if taken:
            self.tokens.append((self.now, taken))
            self.today += taken
        else:
            self.requests.remove(at)

    @rule(seconds=st.floats(0.0, 70.0))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def sleep(self) -> None:
        self.now += 1000.0
        self.day += 1
        self.meter.begin_day(str(self.day))
        self.today = 0

    @invariant()
    def is_never_above_a_limit_and_never_below_nothing(self) -> None:
        minute = self.now - WINDOW_S
        reserved = sum(each[0] for each in self.open)
        recent = sum(count for at, count in self.tokens if at > minute)
        assert len([at for at in self.requests if at > minute]) <= 5
        assert recent + reserved <= 100
        assert self.today + reserved <= 300
        self.meter.forget_old(self.now)
        assert self.meter.reserved == reserved
        assert self.meter.used_this_minute >= recent + reserved
        assert self.meter.requests_this_minute >= 0
        assert self.meter.used_today == self.today + reserved


TestTraffic = Traffic.TestCase
TestTraffic.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


@given(st.lists(st.tuples(st.floats(0.0, 20.0), st.integers(0, 50)), max_size=60))
def test_window_counts_everything_that_is_younger_than_a_minute(steps: list[tuple[float, int]]) -> None:
    window, now, added = MovingWindow(), 0.0, []
    for seconds, amount in steps:
        now += seconds
        window.forget_old(now)
        window.add(now, amount)
        added.append((now, amount))

        certain = sum(amount for at, amount in added if at > now - WINDOW_S)
        possible = sum(amount for at, amount in added if at > now - WINDOW_S - 0.11)
        assert certain <= window.total <= possible


def test_window_is_bounded_and_tells_when_it_will_have_fallen() -> None:
    window = MovingWindow()
    for step in range(100_000):
        window.forget_old(step / 1000)
        window.add(step / 1000, 1)
    assert len(window._pieces) <= 602

    window = MovingWindow()
    window.add(10.0, 3)
    window.add(20.0, 4)
    assert window.until_less_by(1, 30.0) == pytest.approx(40.0)
    assert window.until_less_by(4, 30.0) == pytest.approx(50.0)
    assert window.until_less_by(8, 30.0) == WINDOW_S


async def turns(count: int) -> None:
    """Let the others go on for some steps."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_many_requests_at_once_share_one_budget(tmp_path: Path) -> None:
    """Tasks that reserve, wait and settle in any order: the sum of what runs is never above the limit."""
    limited = holder(tokens_per_minute=1000, tokens_per_day=5000)
    chance = random.Random(1)
    clock = ManualClock()
    spent: list[int] = []
    running = 0
    refused = 0
    async with books_of(tmp_path, clock=clock) as books:

        async def request() -> None:
            nonlocal running, refused
            tokens = chance.randint(1, 300)
            await turns(chance.randint(0, 200))
            try:
                reservation = books.reserve(limited, tokens)
            except Refusal:
                refused += 1
                return
            running += tokens
            assert sum(spent) + running <= 1000
            await turns(chance.randint(0, 5))
            running -= tokens
            # Some fail, some readers leave in the middle, some use all of it.
            count = chance.choice((0, tokens // 2, tokens))
            spent.append(count)
            reservation.settle(used(count, 0))

        await asyncio.gather(*(request() for _ in range(300)))

    assert refused
    assert 700 <= sum(spent) <= 1000


async def test_keys_that_come_and_go_leave_nothing_behind(tmp_path: Path) -> None:
    clock = ManualClock()
    async with books_of(tmp_path, clock=clock) as books:
        for number in range(5000):
            clock.advance(1.0)
            books.reserve(holder(f"key{number}", requests_per_minute=1), 10).settle(used(0, 0))

        assert len(books._meters) <= 1024


async def test_answer_that_grows_gets_all_that_is_left_and_then_no_more(tmp_path: Path) -> None:
    async with books_of(tmp_path) as books:
        limited = limited_to({"tokens_per_day": 1000})
        other = books.reserve(limited, 500)
        growing = books.reserve(limited, 100)

        assert growing.cover(50) == 100
        assert 101 <= growing.cover(101) < 500
        assert growing.cover(500) == 500
        with pytest.raises(Refusal) as caught:
            growing.cover(501)
        assert caught.value.reason is Reason.over_budget

        other.settle(used(10, 0))
        assert growing.cover(501) > 501
        assert books.reserve(holder(), 10).cover(10**9) >= 10**9


async def test_requests_that_no_model_answers_are_counted_beside_the_others(tmp_path: Path) -> None:
    async with books_of(tmp_path) as books:
        limited = limited_to({"requests_per_minute": 2})
        for _ in range(2):
            books.count(limited)
            books.reserve(limited, 1)
        for ask in (lambda: books.count(limited), lambda: books.reserve(limited, 1)):
            with pytest.raises(Refusal) as caught:
                ask()
            assert caught.value.reason is Reason.rate_limited
        for _ in range(5):
            books.count(holder())


def limited_to(limits: dict[str, int]) -> Principal:
    return replace(holder(), limits=KeyLimits(**limits))


@pytest.mark.parametrize(("tokens", "limit"), [(100, 99), (10**9, 1)])
async def test_request_larger_than_a_whole_budget_is_told_so(tmp_path: Path, tokens: int, limit: int) -> None:
    async with books_of(tmp_path) as books:
        for limits in ({"tokens_per_minute": limit}, {"tokens_per_day": limit}):
            with pytest.raises(Refusal) as caught:
                books.reserve(limited_to(limits), tokens)
            assert (caught.value.reason, caught.value.retry_after_s) == (Reason.over_limit, None)


@pytest.mark.security(27)
@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"requests_per_minute": 3}, Reason.rate_limited),
        ({"tokens_per_minute": 30}, Reason.rate_limited),
        ({"tokens_per_day": 30}, Reason.over_budget),
    ],
)
async def test_limit_holds_one_below_at_and_one_above(
    tmp_path: Path, limits: dict[str, int], reason: Reason
) -> None:
    async with books_of(tmp_path) as books:
        for _ in range(3):
            books.reserve(limited_to(limits), 10)
        with pytest.raises(Refusal) as caught:
            books.reserve(limited_to(limits), 10)
    assert caught.value.reason is reason
    assert caught.value.status == 429
    assert caught.value.retry_after_s is not None
