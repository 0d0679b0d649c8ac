"""What happens by itself at a certain time: a heap of alarms. It keeps no clock and wakes nobody."""

from __future__ import annotations

import heapq
import itertools
import math
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Timers"]

T = TypeVar("T")


class Timers(Generic[T]):
    """Alarms, earliest first. An alarm that is no longer wanted stays until it rings or until tidying.

    Whoever hears an alarm decides whether it still means anything. Those that `wanted` denies are dropped once
    the heap has doubled, which costs each alarm a constant share.
    """

    def __init__(self, wanted: Callable[[float, T], bool]) -> None:
        self._wanted = wanted
        self._heap: list[tuple[float, int, T]] = []
        self._numbers = itertools.count()
        self._limit = 256
        self.next_at = math.inf

    def __len__(self) -> int:
        return len(self._heap)

    def set(self, when: float, item: T) -> None:
        heap = self._heap
        if len(heap) >= self._limit:
            heap[:] = [alarm for alarm in heap if self._wanted(alarm[0], alarm[2])]
            heapq.heapify(heap)
            self._limit = max(256, 2 * len(heap))
        heapq.heappush(heap, (when, next(self._numbers), item))
        self.next_at = heap[0][0]

    def pop_due(self, now: float) -> T | None:
        """The earliest alarm at or before `now`, or None."""
        if self.next_at > now:
            return None
        item = heapq.heappop(self._heap)[2]
        self.next_at = self._heap[0][0] if self._heap else math.inf
        return item
