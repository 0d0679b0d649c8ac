"""What a `RequestQueue` remembers of ended requests, and for how long. Not thread-safe; the time is given.

An answer is kept for `after_delivery_s` once somebody has fetched it, and for `after_end_s` in any case. When there are
too many, or they take too much memory, the delivered ones go first, the longest delivered first, then the oldest.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from namel3ss.scheduling.queue_entries import Entry

__all__ = ["Completions", "Shelf", "ShelfLimits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShelfLimits:
    """How long and how much."""

    after_delivery_s: float = 300.0
    after_end_s: float = 1800.0
    max_results: int = 10_000
    max_bytes: int = 256 * 1024 * 1024


class Shelf:
    """Ended requests by id, in the order in which they ended."""

    def __init__(self, limits: ShelfLimits) -> None:
        self._limits = limits
        # When it ended, and what it took in memory then; what is read of it later only makes it less.
        self._ended: OrderedDict[str, tuple[float, Entry, int]] = OrderedDict()
        self._delivered: OrderedDict[str, float] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._ended)

    def put(self, entry: Entry, now: float) -> None:
        """Keep an ended request, and drop what is too old or too much."""
        size_bytes = entry.size_bytes
        self._ended[entry.id] = (now, entry, size_bytes)
        self._bytes += size_bytes
        self.clean(now)

    def get(self, request_id: str) -> Entry | None:
        kept = self._ended.get(request_id)
        return None if kept is None else kept[1]

    def delivered(self, request_id: str, now: float) -> None:
        """Somebody has fetched it; the first time counts."""
        if request_id in self._ended:
            self._delivered.setdefault(request_id, now)

    def clean(self, now: float) -> None:
        """Drop what is too old or too much."""
        limits = self._limits
        while self._delivered and now - next(iter(self._delivered.values())) > limits.after_delivery_s:
            self._drop(next(iter(self._delivered)))
        while self._ended and now - next(iter(self._ended.values()))[0] > limits.after_end_s:
            self._drop(next(iter(self._ended)))
        while len(self._ended) > limits.max_results or (self._bytes > limits.max_bytes and self._ended):
            self._drop(next(iter(self._delivered or self._ended)))

    def _drop(self, request_id: str) -> None:
        _, _, size_bytes = self._ended.pop(request_id)
        self._delivered.pop(request_id, None)
        self._bytes -= size_bytes


class Completions:
    """How many requests were completed lately and how long they took: exact to the second, in bounded memory."""

    def __init__(self, window_s: float = 300.0) -> None:
        self._window_s = window_s
        self._seconds: deque[tuple[float, int, float]] = deque()

    def add(self, duration_s: float, now: float) -> None:
        second = float(int(now))
        count, total = 1, duration_s
        if self._seconds and self._seconds[-1][0] == second:
            _, before, sum_before = self._seconds.pop()
            count, total = count + before, total + sum_before
        self._seconds.append((second, count, total))
        self._forget(now)

    def count_and_mean(self, now: float) -> tuple[int, float | None]:
        """The number of them, and the mean duration in seconds, None without any."""
        self._forget(now)
        count = sum(second[1] for second in self._seconds)
        return count, sum(second[2] for second in self._seconds) / count if count else None

    def _forget(self, now: float) -> None:
        while self._seconds and now - self._seconds[0][0] > self._window_s:
            self._seconds.popleft()
