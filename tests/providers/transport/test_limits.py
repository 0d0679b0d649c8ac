from __future__ import annotations

import asyncio

import pytest

from namel3ss.providers.transport.limits import LimitPassedError, WaitLimits

FOREVER_S = 30.0


async def silence() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("limits", "name"),
    [
        ({"first_s": 0.01, "idle_s": FOREVER_S, "total_s": None}, "first"),
        ({"first_s": 0.01, "idle_s": None, "total_s": FOREVER_S}, "first"),
        ({"first_s": FOREVER_S, "idle_s": None, "total_s": 0.01}, "total"),
        ({"first_s": None, "idle_s": FOREVER_S, "total_s": 0.01}, "total"),
    ],
)
async def test_wait_before_the_first_line_ends_by_the_limit_that_comes_first(
    limits: dict[str, float | None], name: str
) -> None:
    waiting = WaitLimits(**limits)

    with pytest.raises(LimitPassedError) as raised, waiting:
        await silence()

    assert (raised.value.name, raised.value.limit_s) == (name, 0.01)
    waiting.close()


async def test_idle_limit_holds_after_the_first_line_only() -> None:
    waiting = WaitLimits(first_s=FOREVER_S, idle_s=0.01, total_s=None)

    waiting.piece_arrived()
    with pytest.raises(LimitPassedError) as raised, waiting:
        await silence()

    assert raised.value.name == "idle"
    waiting.close()


async def test_each_wait_has_the_whole_idle_limit_for_itself() -> None:
    loop = asyncio.get_running_loop()
    waiting = WaitLimits(first_s=None, idle_s=0.1, total_s=None)
    waiting.piece_arrived()
    with waiting:
        await asyncio.sleep(
            0.05
        )  # half of it, so that the timer of this wait fires in the middle of the next

    began = loop.time()
    with pytest.raises(LimitPassedError), waiting:
        await silence()

    assert loop.time() - began >= 0.09
    waiting.close()


async def test_time_between_waits_is_not_counted_against_the_idle_limit() -> None:
    waiting = WaitLimits(first_s=None, idle_s=0.02, total_s=None)
    waiting.piece_arrived()
    with waiting:
        await asyncio.sleep(0)

    await asyncio.sleep(0.05)  # the time that passes is the subject: the timer fires meanwhile

    with waiting:
        await asyncio.sleep(0)
    waiting.close()


async def test_cancelling_the_waiting_task_stays_a_cancellation() -> None:
    waiting = WaitLimits(first_s=FOREVER_S, idle_s=None, total_s=None)

    async def wait() -> None:
        with waiting:
            await silence()

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    waiting.close()


async def test_passed_limit_leaves_no_cancellation_behind() -> None:
    waiting = WaitLimits(first_s=0.001, idle_s=None, total_s=None)

    with pytest.raises(LimitPassedError), waiting:
        await silence()

    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(0)
    waiting.close()


async def test_limit_and_cancellation_at_once_stay_a_cancellation() -> None:
    waiting = WaitLimits(first_s=0.001, idle_s=None, total_s=None)

    async def wait() -> None:
        with waiting:
            try:
                await silence()
            except asyncio.CancelledError:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()  # somebody cancels while the limit's own cancellation is on its way
                raise

    task = asyncio.create_task(wait())

    with pytest.raises(asyncio.CancelledError):
        await task
    waiting.close()


async def test_error_of_the_waited_for_is_not_hidden_by_a_limit() -> None:
    waiting = WaitLimits(first_s=FOREVER_S, idle_s=None, total_s=None)

    with pytest.raises(ValueError, match="broken"), waiting:
        raise ValueError("broken")
    waiting.close()


async def test_no_limit_means_no_timer() -> None:
    waiting = WaitLimits(first_s=None, idle_s=None, total_s=None)

    with waiting:
        await asyncio.sleep(0)

    assert waiting._timer is None
