"""A second engine, one that takes its time, passes the suite unchanged, and the scheduler on it loses nothing."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from namel3ss.scheduling import (
    Engine,
    Policy,
    RequestCancelledError,
    Scheduler,
    SchedulerClosedError,
    Server,
)
from tests.faults.stepping import CancelledAt
from tests.scheduling.clocks import ManualClock
from tests.scheduling.conformance import EngineConformance, Harness
from tests.scheduling.late_engine import LateEngine

MOST_STEPS = 60


class LateHarness(Harness):
    def __init__(self, policy: Policy, servers: tuple[Server, ...]) -> None:
        super().__init__()
        self.clock = ManualClock()
        self._engine = LateEngine(policy, servers, clock=self.clock)

    @property
    def engine(self) -> Engine:
        return self._engine

    async def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)


class TestLateEngine(EngineConformance):
    async def open(self, policy: Policy, *servers: Server) -> LateHarness:
        harness = LateHarness(policy, servers)
        await harness.engine.open(harness.outcomes.append, harness.note_change)
        return harness


def scheduler() -> Scheduler:
    return Scheduler(engine=LateEngine(Policy(), [Server(name="gpu1")]))


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def work(scheduler: Scheduler, request_id: str) -> None:
    async with scheduler.admit(model="m", request_id=request_id) as lease:
        await turns(2)
        lease.settle(5)


async def nothing_is_left(scheduler: Scheduler, *request_ids: str) -> None:
    """No slot is taken, nobody waits, and every id may be used again."""
    statistics = await scheduler.statistics()
    assert (statistics.waiting, statistics.running) == (0, 0)
    for request_id in request_ids:
        await work(scheduler, request_id)


@pytest.mark.fault(44, 45)
@pytest.mark.parametrize("again_after", [None, 1, 2, 4], ids=["once", "twice", "twice-2", "twice-4"])
@pytest.mark.parametrize("must_wait", [False, True])
async def test_cancellation_at_every_step_leaves_nothing_behind(
    must_wait: bool, again_after: int | None
) -> None:
    for step in range(1, MOST_STEPS):
        async with scheduler() as queue:
            finish = asyncio.Event()

            async def hold(queue: Scheduler = queue, finish: asyncio.Event = finish) -> None:
                async with queue.admit(model="m", request_id="holds"):
                    await finish.wait()

            holding = asyncio.create_task(hold()) if must_wait else None
            await turns(10)
            stepped = CancelledAt(work(queue, "x"), step, *([step + again_after] if again_after else []))
            task = asyncio.ensure_future(_await(stepped))
            await turns(12)
            finish.set()
            with suppress(asyncio.CancelledError):
                await task
            if holding is not None:
                await holding
            await turns(10)

            await nothing_is_left(queue, "x")
            if stepped.steps < step:
                return
    raise AssertionError("it never came to its end")


async def _await(stepped: CancelledAt[None]) -> None:
    await stepped


async def test_cancel_by_id_at_every_turn_leaves_nothing_behind() -> None:
    for count in range(40):
        async with scheduler() as queue:
            task = asyncio.create_task(work(queue, "x"))
            await turns(count)
            await queue.cancel("x")
            with suppress(RequestCancelledError):
                await task

            await nothing_is_left(queue, "x")


async def test_closing_at_every_turn_ends_everybody() -> None:
    for count in range(40):
        queue = await scheduler().__aenter__()
        tasks = [asyncio.create_task(work(queue, name)) for name in "abc"]
        await turns(count)
        await queue.aclose()
        ended = await asyncio.gather(*tasks, return_exceptions=True)

        assert all(end is None or isinstance(end, SchedulerClosedError) for end in ended)
