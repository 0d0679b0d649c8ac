"""Cancelling a coroutine at an exact step: what "at every await point" means when it is tested."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine, Generator

__all__ = ["CancelledAt", "cancel_after", "is_cancelled_at"]

T = TypeVar("T")


class CancelledAt(Generic[T]):
    """Awaits `inner`, and cancels the current task each time it suspends for one of the numbered times.

    Steps count from 1. `steps` tells afterwards how often it suspended.
    """

    def __init__(self, inner: Awaitable[T], *at_steps: int) -> None:
        self._inner = inner
        self._at_steps = at_steps
        self.steps = 0

    def __await__(self) -> Generator[Any, Any, T]:
        generator = self._inner.__await__()
        task = asyncio.current_task()
        assert task is not None
        send: Any = None
        error: BaseException | None = None
        while True:
            try:
                waited_for = generator.throw(error) if error is not None else generator.send(send)
            except StopIteration as end:
                result: T = end.value
                return result
            self.steps += 1
            if self.steps in self._at_steps:
                task.cancel()
            send = error = None
            try:
                send = yield waited_for
            except BaseException as raised:  # noqa: BLE001 - handed on to the coroutine, as `await` does
                error = raised


async def is_cancelled_at(call: Awaitable[object], *steps: int) -> bool:
    """Run a call that is cancelled at these steps; whether it ended as cancelled, and not before."""
    cancelled_at: CancelledAt[object] = CancelledAt(call, *steps)

    async def run() -> object:
        return await cancelled_at

    try:
        await asyncio.create_task(run())
    except asyncio.CancelledError:
        return True
    return cancelled_at.steps < min(steps)


async def cancel_after(turns: int, call: Coroutine[Any, Any, object]) -> None:
    """Run a call that is cancelled after so many turns of the event loop, unless it has ended by then."""
    task = asyncio.create_task(call)
    for _ in range(turns):
        await asyncio.sleep(0)
    was_cancelled = task.cancel()
    _, waiting = await asyncio.wait([task], timeout=2)
    assert not waiting, "the call goes on although it was cancelled"
    assert task.cancelled() or not was_cancelled
