"""One run of a piece of work, shared by everybody who asks for it meanwhile."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Hashable

__all__ = ["SingleFlight"]

Result = TypeVar("Result")


class _Flight(Generic[Result]):
    def __init__(self, task: asyncio.Task[Result]) -> None:
        self.task = task
        self.waiting = 0


class SingleFlight(Generic[Result]):
    """Runs the work for a key once at a time in each event loop; later callers join the run under way.

    A caller that is cancelled leaves the others alone; when the last one leaves, the work is cancelled and has
    ended before that caller goes on. A failure reaches everybody who waited and is not remembered.
    """

    def __init__(self) -> None:
        self._flights: dict[tuple[asyncio.AbstractEventLoop, Hashable], _Flight[Result]] = {}

    async def run(self, key: Hashable, work: Callable[[], Coroutine[object, object, Result]]) -> Result:
        """The result of `work()`, started unless a run for `key` is under way."""
        flight = self._join(key, work)
        flight.waiting += 1
        try:
            # Unlike awaiting the task, this does not cancel it together with the caller.
            await asyncio.wait({flight.task})
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.task.done():
                self._flights.pop((flight.task.get_loop(), key), None)
                flight.task.cancel()
                await asyncio.wait({flight.task})
        return flight.task.result()

    def _join(self, key: Hashable, work: Callable[[], Coroutine[object, object, Result]]) -> _Flight[Result]:
        loop = asyncio.get_running_loop()
        flight = self._flights.get((loop, key))
        if flight is None:
            flight = _Flight(loop.create_task(work()))
            self._flights[loop, key] = flight
            flight.task.add_done_callback(lambda task: self._landed(key, task))
        return flight

    def _landed(self, key: Hashable, task: asyncio.Task[Result]) -> None:
        place = (task.get_loop(), key)
        if place in self._flights and self._flights[place].task is task:
            del self._flights[place]
        if not task.cancelled():
            task.exception()  # seen, also when everybody left before it failed
