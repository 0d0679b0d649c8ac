"""The asyncio face: waiting, cancellation at any point, watching, closing."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from namel3ss.scheduling import (
    DuplicateRequestError,
    LeaseLostError,
    MemoryEngine,
    MoveReason,
    Policy,
    QueueFullError,
    RequestCancelledError,
    Scheduler,
    SchedulerClosedError,
    Server,
    WaitTimeoutError,
)
from tests.scheduling.clocks import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from namel3ss.scheduling import HeldLease, Position

ONE_SLOT = Server(name="gpu1")


async def settle() -> None:
    """Let every task go as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


def use(
    scheduler: Scheduler, log: list[str], **request: object
) -> Callable[[], Coroutine[object, object, None]]:
    """A request that notes when it starts and ends, and runs until its `gate` opens."""
    name = str(request.get("request_id"))

    async def run() -> None:
        async with scheduler.admit(model="m", **request):  # type: ignore[arg-type]  # by name
            log.append(f"+{name}")
            await asyncio.sleep(0)
            log.append(f"-{name}")

    return run


async def at_rest(scheduler: Scheduler) -> bool:
    statistics = await scheduler.statistics()
    return (statistics.waiting, statistics.running, statistics.draining) == (0, 0, 0)


async def test_waiting_requests_run_one_after_the_other_in_one_slot() -> None:
    log: list[str] = []
    async with Scheduler([ONE_SLOT]) as scheduler, asyncio.TaskGroup() as tasks:
        for name in "abc":
            tasks.create_task(use(scheduler, log, request_id=name)())

    assert log == ["+a", "-a", "+b", "-b", "+c", "-c"]


async def test_lease_says_where_to_go_and_takes_what_it_cost() -> None:
    async with Scheduler([ONE_SLOT]) as scheduler:
        async with scheduler.admit(model="m", user="ada", request_id="a") as lease:
            assert (lease.id, lease.server, lease.model, lease.cold) == ("a", "gpu1", "m", True)
            lease.settle(120)
        assert await at_rest(scheduler)
        assert (await scheduler.statistics()).finished == 1


async def test_error_in_the_block_gives_the_slot_back() -> None:
    async with Scheduler([ONE_SLOT]) as scheduler:
        with pytest.raises(KeyError):
            async with scheduler.admit(model="m"):
                raise KeyError("model")

        assert await at_rest(scheduler)


async def test_request_that_must_wait_hears_of_it_first_and_has_a_position_then() -> None:
    heard: list[tuple[str, Position | None]] = []
    async with Scheduler([ONE_SLOT]) as scheduler:

        async def look(name: str) -> None:
            heard.append((name, await scheduler.position(name)))

        async with scheduler.admit(model="m", request_id="a", on_wait=lambda: look("a")):
            waiting = asyncio.create_task(use(scheduler, [], request_id="b", on_wait=lambda: look("b"))())
            await settle()
        await waiting

        [(name, position)] = heard
        assert name == "b"
        assert position is not None
        assert position.at_least == 0
        assert await at_rest(scheduler)


async def test_request_whose_hearing_fails_leaves_the_queue() -> None:
    async with Scheduler([ONE_SLOT]) as scheduler:

        async def fail() -> None:
            raise ConnectionError("nobody listens any more")

        async with scheduler.admit(model="m", request_id="a"):
            with pytest.raises(ConnectionError):
                async with scheduler.admit(model="m", request_id="b", on_wait=fail):
                    pass
            assert (await scheduler.statistics()).waiting == 0

        assert await at_rest(scheduler)


async def test_drained_slot_is_free_after_its_time() -> None:
    async with Scheduler([ONE_SLOT]) as scheduler:
        async with scheduler.admit(model="m") as lease:
            lease.drain(0.02)
        assert (await scheduler.statistics()).draining == 1

        async with scheduler.admit(model="m") as lease:
            assert lease.waited_s >= 0.019


async def test_cancellation_at_every_step_leaves_nothing_behind() -> None:
    """However far a caller has come when it is cancelled, its place or slot is free and the others go on."""
    for steps in range(12):
        log: list[str] = []
        async with Scheduler([ONE_SLOT]) as scheduler:
            first = asyncio.create_task(use(scheduler, log, request_id="first")())
            victim = asyncio.create_task(use(scheduler, log, request_id="victim")())
            last = asyncio.create_task(use(scheduler, log, request_id="last")())
            for _ in range(steps):
                await asyncio.sleep(0)
            finished = victim.done()
            victim.cancel()
            await asyncio.wait([first, victim, last])

            assert victim.cancelled() or finished, steps
            assert first.exception() is None
            assert last.exception() is None
            assert log[-1] == "-last"
            assert await at_rest(scheduler)
            assert repr(scheduler) == "<Scheduler open, 0 running, 0 waiting>"


async def test_cancelled_just_when_its_turn_came_passes_the_slot_on() -> None:
    async with Scheduler([ONE_SLOT]) as scheduler:
        async with scheduler.admit(model="m"):
            waiting = asyncio.create_task(scheduler.admit(model="m", request_id="w").__aenter__())
            await settle()
        # The slot is the waiting request's, whose task has not run since.
        assert (await scheduler.statistics()).running == 1
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting

        assert waiting.cancelled()
        assert await at_rest(scheduler)


async def test_request_cancelled_by_id_while_waiting_raises() -> None:
    async with Scheduler([ONE_SLOT]) as scheduler, scheduler.admit(model="m"):
        waiting = asyncio.create_task(scheduler.admit(model="m", request_id="w").__aenter__())
        await settle()

        assert await scheduler.cancel("w")
        assert not await scheduler.cancel("unknown")

        with pytest.raises(RequestCancelledError, match="'w' was cancelled"):
            await waiting


async def test_request_cancelled_by_id_while_running_ends_its_block() -> None:
    async with Scheduler([ONE_SLOT]) as scheduler:
        inside = asyncio.Event()

        async def run() -> None:
            async with scheduler.admit(model="m", request_id="r"):
                inside.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(run())
        await inside.wait()
        assert await scheduler.cancel("r")

        with pytest.raises(RequestCancelledError):
            await task
        assert task.cancelling() == 0
        assert await at_rest(scheduler)


async def test_caller_s_own_cancellation_wins_over_a_cancel_by_id() -> None:
    async with Scheduler([ONE_SLOT]) as scheduler:
        inside = asyncio.Event()

        async def run() -> None:
            async with scheduler.admit(model="m", request_id="r"):
                inside.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(run())
        await inside.wait()
        await scheduler.cancel("r")
        task.cancel()

        with pytest.raises(asyncio.CancelledError):
            await task
        assert await at_rest(scheduler)


async def test_block_that_cancels_its_own_request_is_not_interrupted() -> None:
    async with Scheduler([ONE_SLOT]) as scheduler:
        async with scheduler.admit(model="m", request_id="r"):
            await scheduler.cancel("r")
            await asyncio.sleep(0)

        assert await at_rest(scheduler)


async def test_block_that_cancels_its_own_request_can_still_be_cancelled() -> None:
    async with Scheduler([ONE_SLOT]) as scheduler:
        inside = asyncio.Event()

        async def run() -> None:
            async with scheduler.admit(model="m", request_id="r"):
                await scheduler.cancel("r")
                inside.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(run())
        await inside.wait()
        task.cancel()

        with pytest.raises(asyncio.CancelledError):
            await task
        assert await at_rest(scheduler)


async def test_block_that_ends_in_its_own_way_when_its_request_is_cancelled_leaves_its_task_as_it_was() -> (
    None
):
    async with Scheduler([ONE_SLOT]) as scheduler:
        inside = asyncio.Event()

        async def run() -> None:
            async with scheduler.admit(model="m", request_id="r"):
                inside.set()
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    raise ValueError("mine") from None

        task = asyncio.create_task(run())
        await inside.wait()
        await scheduler.cancel("r")

        with pytest.raises(ValueError, match="mine"):
            await task
        assert task.cancelling() == 0
        assert await at_rest(scheduler)


async def test_wait_ends_at_its_deadline() -> None:
    async with Scheduler([ONE_SLOT]) as scheduler, scheduler.admit(model="m"):
        with pytest.raises(WaitTimeoutError, match=r"waited 0\.\d s") as caught:
            async with scheduler.admit(model="m", max_wait_s=0.01):
                raise AssertionError("there was no slot")

        assert isinstance(caught.value, TimeoutError)
        assert caught.value.waited_s >= 0.009


async def test_lost_lease_ends_the_block() -> None:
    clock = ManualClock()
    engine = MemoryEngine(Policy(lease_ttl_s=30.0), [ONE_SLOT], clock=clock)
    async with Scheduler(engine=engine) as scheduler:
        inside = asyncio.Event()

        async def run() -> None:
            async with scheduler.admit(model="m", request_id="r"):
                inside.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(run())
        await inside.wait()
        clock.advance(30.0)

        with pytest.raises(LeaseLostError, match="'r' lost its slot on 'gpu1'"):
            await task
        assert await at_rest(scheduler)


async def test_leases_are_renewed_while_their_blocks_run() -> None:
    async with Scheduler([ONE_SLOT], policy=Policy(lease_ttl_s=0.06)) as scheduler:
        async with scheduler.admit(model="m") as lease:
            await asyncio.sleep(0.15)

            assert (await scheduler.statistics()).running == 1
        assert (await scheduler.statistics()).lost == 0
        assert lease.server == "gpu1"


async def test_full_queue_and_used_id_are_refused() -> None:
    policy = Policy(max_waiting=0)
    async with Scheduler([ONE_SLOT], policy=policy) as scheduler, scheduler.admit(model="m", request_id="r"):
        with pytest.raises(QueueFullError):
            await scheduler.admit(model="m").__aenter__()
        with pytest.raises(DuplicateRequestError):
            await scheduler.admit(model="m", request_id="r").__aenter__()

        assert (await scheduler.statistics()).running == 1


async def test_closing_refuses_those_who_wait_and_lets_run_those_who_run() -> None:
    scheduler = Scheduler([ONE_SLOT])
    async with scheduler:
        running = scheduler.admit(model="m")
        await running.__aenter__()
        waiting = asyncio.create_task(scheduler.admit(model="m").__aenter__())
        await settle()

    with pytest.raises(SchedulerClosedError):
        await waiting
    with pytest.raises(SchedulerClosedError):
        await scheduler.admit(model="m").__aenter__()
    await running.__aexit__(None, None, None)
    await scheduler.aclose()
    assert repr(scheduler) == "<Scheduler closed, 0 running, 0 waiting>"


async def test_scheduler_says_how_to_open_it_and_where_it_belongs() -> None:
    scheduler = Scheduler([ONE_SLOT])
    with pytest.raises(RuntimeError, match="Open the scheduler first"):
        await scheduler.cancel("x")
    async with scheduler:
        found: list[str] = []

        def elsewhere() -> None:
            try:
                asyncio.run(scheduler.admit(model="m").__aenter__())
            except RuntimeError as error:
                found.append(str(error))

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()  # it needs nothing of this loop
        assert found == ["This scheduler belongs to another event loop; use SyncScheduler for threads."]
        with pytest.raises(RuntimeError, match="twice"):
            await scheduler.__aenter__()
        admission = scheduler.admit(model="m")
        async with admission:
            with pytest.raises(RuntimeError, match="twice"):
                await admission.__aenter__()


async def test_watcher_hears_each_change_with_its_reason_until_the_request_starts() -> None:
    policy = Policy(classes=(0, 5))
    async with Scheduler([ONE_SLOT], policy=policy) as scheduler:
        running = scheduler.admit(model="m", request_id="running")
        await running.__aenter__()
        low = asyncio.create_task(scheduler.admit(model="m", priority=5, request_id="low").__aenter__())
        await settle()
        moves = scheduler.watch("low")

        first = await anext(moves)
        high = asyncio.create_task(scheduler.admit(model="m", priority=0, request_id="high").__aenter__())
        second = await anext(moves)
        await scheduler.cancel("high")
        third = await anext(moves)
        await running.__aexit__(None, None, None)

        assert [move.position.at_least for move in (first, second, third)] == [0, 1, 0]
        assert [move.reasons for move in (first, second, third)] == [
            frozenset(),
            frozenset({MoveReason.ARRIVAL}),
            frozenset(),
        ]
        assert [move async for move in moves] == []
        with pytest.raises(RequestCancelledError):
            await high
        held: HeldLease = await low
        assert held.id == "low"


async def test_watcher_that_leaves_is_forgotten() -> None:
    async with Scheduler([ONE_SLOT]) as scheduler, scheduler.admit(model="m"):
        waiting = asyncio.create_task(scheduler.admit(model="m", request_id="w").__aenter__())
        await settle()

        async for move in scheduler.watch("w"):
            assert move.position.exact
            break
        await scheduler.cancel("w")

        with pytest.raises(RequestCancelledError):
            await waiting
