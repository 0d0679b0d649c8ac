"""The head of the queue: those who wait and would start first, with their positions.

A position costs some microseconds. Of a queue of thousands all of them are looked up, so that takes turns with everything
else that the event loop has to do, and is done once a second for all who look.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from typing import TYPE_CHECKING, Final, NamedTuple

from namel3ss.gateway.live import Stage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from namel3ss.gateway.live import LiveRequest, LiveRequests
    from namel3ss.scheduling import Position, Scheduler

__all__ = ["SHOWN", "Head", "Placed", "waiting_of"]

SHOWN: Final = 200
_AT_ONCE: Final = 100
_KEPT_S: Final = 1.0


class Placed(NamedTuple):
    """A request that waits, and where; None where it has just left the queue."""

    request: LiveRequest
    position: Position | None


class Head:
    """For one event loop."""

    def __init__(self, live: LiveRequests, scheduler: Scheduler, *, kept_s: float = _KEPT_S) -> None:
        self._live = live
        self._scheduler = scheduler
        self._kept_s = kept_s
        self._known: list[Placed] = []
        self._known_until = -math.inf
        self._looking = asyncio.Lock()

    async def placed(self) -> list[Placed]:
        """The first of all, in order. Those of a long queue are as they were up to a second ago."""
        waiting = waiting_of(self._live.by_id.values())
        if len(waiting) <= SHOWN:
            return await self.first_of(waiting)
        async with self._looking:
            if asyncio.get_running_loop().time() >= self._known_until:
                self._known = await self.first_of(waiting)
                self._known_until = asyncio.get_running_loop().time() + self._kept_s
            return [placed for placed in self._known if self._still_waits(placed.request)]

    def _still_waits(self, request: LiveRequest) -> bool:
        return request.stage is Stage.WAITING and self._live.by_id.get(request.id) is request

    async def first_of(self, waiting: list[LiveRequest]) -> list[Placed]:
        """The first of some, in order."""
        found: list[Placed] = []
        for number, request in enumerate(waiting, 1):
            found.append(Placed(request, await self._scheduler.position(request.place_id)))
            if not number % _AT_ONCE:
                await asyncio.sleep(0)
        return heapq.nsmallest(SHOWN, found, key=_place)


def waiting_of(requests: Iterable[LiveRequest]) -> list[LiveRequest]:
    """Those that have no slot yet."""
    return [request for request in requests if request.stage is Stage.WAITING]


def _place(placed: Placed) -> tuple[float, float]:
    position = placed.position
    return (math.inf if position is None else position.at_least, placed.request.arrived_at)
