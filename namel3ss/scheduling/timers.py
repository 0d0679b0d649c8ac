"""What happens by itself at a certain time. It keeps no clock and wakes nobody."""

from __future__ import annotations

import heapq
import itertools
import math
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Timers"]

T = TypeVar("T")

_FIRST_LIMIT = 256


class Timers(Generic[T]):
    """Alarms, earliest first. An alarm that is no longer wanted stays until it rings or until tidying.

    Most alarms are set for later than all before, because they are the same time away: those stand in a plain line, only
    the others in a heap. Whoever hears an alarm decides whether it still means anything. Those that `wanted` denies
    are dropped once either has doubled, which costs each alarm a constant share.

    `next_at` is when something may be due: never later than the first alarm, or than what is expected without one.
    """

    __slots__ = ("_heap", "_heap_limit", "_last", "_line", "_line_limit", "_numbers", "_wanted", "next_at")

    def __init__(self, wanted: Callable[[float, T], bool]) -> None:
        self._wanted = wanted
        self._line: deque[tuple[float, T]] = deque()
        self._heap: list[tuple[float, int, T]] = []
        self._numbers = itertools.count()
        # The latest that was put into the line.
        self._last = -math.inf
        self._line_limit = self._heap_limit = _FIRST_LIMIT
        self.next_at = math.inf

    def __len__(self) -> int:
        return len(self._line) + len(self._heap)

    def set(self, when: float, item: T) -> None:
        if when >= self._last:
            self._last = when
            self._line.append((when, item))
            if len(self._line) > self._line_limit:
                self._line = line = deque(alarm for alarm in self._line if self._wanted(*alarm))
                self._line_limit = max(_FIRST_LIMIT, 2 * len(line))
        else:
            heap = self._heap
            if len(heap) >= self._heap_limit:
                heap[:] = [alarm for alarm in heap if self._wanted(alarm[0], alarm[2])]
                heapq.heapify(heap)
                self._heap_limit = max(_FIRST_LIMIT, 2 * len(heap))
            heapq.heappush(heap, (when, next(self._numbers), item))
        if when < self.next_at:
            self.next_at = when

    def expect(self, when: float) -> None:
        """Be due then, with no alarm of its own. Holds until the next time that something is due."""
        if when < self.next_at:
            self.next_at = when

    def pop_due(self, now: float) -> T | None:
        """The earliest alarm at or before `now`; None when no other is, and what was expected by then is forgotten."""
        if self.next_at > now:
            return None
        line, heap = self._line, self._heap
        in_line = line[0][0] if line else math.inf
        in_heap = heap[0][0] if heap else math.inf
        if not (line or heap) or min(in_line, in_heap) > now:
            self.next_at = min(in_line, in_heap)
            return None
        return line.popleft()[1] if in_line <= in_heap else heapq.heappop(heap)[2]
