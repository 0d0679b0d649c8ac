"""When a streamed answer arrived, although it is only looked at when the consumer asks for more.

A consumer that keeps a chunk for a second and then asks may find that the next has been lying there, or have to wait
for it. Only the second case says when the chunk arrived. So:

* a read that had to wait ends at the moment of arrival, whatever the consumer did before;
* a read that found its bytes waiting proves only that they came after the read before it, because that one took all
  there was. The true moment lies between the two; the server's own total, when it sent one, says where.

An answer of five seconds is therefore five seconds for a slow consumer too, and never less than the server worked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Arrivals"]

# Less than this is no waiting: bytes that are there already are handed over in tens of microseconds.
_AT_ONCE_S = 0.0003


class Arrivals:
    """The clock of one request. Read twice for each network read, never for a chunk. All times are `clock`'s."""

    __slots__ = ("_earliest", "_latest", "_read_began", "chunks", "clock", "consumer_s", "first", "started")

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.started = clock()
        self.first: float | None = None
        self.chunks = 0
        self.consumer_s = 0.0
        self._read_began: float | None = None
        # The last read's bytes arrived between these two.
        self._earliest: float | None = None
        self._latest: float | None = None

    def reading(self) -> None:
        """About to wait for bytes: the time since the last ones came was the consumer's."""
        now = self.clock()
        if self._latest is not None:
            self.consumer_s += now - self._latest
        self._read_began = now

    def received(self, chunks: int) -> None:
        """They are here, and hold this many chunks."""
        now = self.clock()
        found_waiting = self._read_began is not None and now - self._read_began < _AT_ONCE_S
        self._earliest = self._latest if found_waiting and self._latest is not None else now
        self._latest = now
        self._read_began = None
        self.chunks += chunks
        if self.first is None:
            self.first = now

    def latest(self) -> float:
        """When the bytes at hand were taken in; now, if there were none."""
        return self.clock() if self._latest is None else self._latest

    def settle(self) -> None:
        """The request is over: what has passed since the last bytes, and not in a read, was the consumer's too."""
        if self._latest is not None and self._read_began is None:
            self.consumer_s += self.clock() - self._latest

    def complete_at(self, server_total_s: float | None) -> float:
        """When the whole answer was there."""
        if self._earliest is None or self._latest is None:
            return self.clock()
        if server_total_s is None:
            return self._earliest
        return min(max(self.started + server_total_s, self._earliest), self._latest)

    def failed_at(self) -> float:
        """When the failure that is being handled happened: now, unless it had been waiting for the consumer."""
        now = self.clock()
        if self._latest is None:
            return now
        was_waiting = self._read_began is not None and now - self._read_began >= _AT_ONCE_S
        return now if was_waiting else self._latest

    def mean_gap_s(self, end: float) -> float | None:
        """The mean time from one chunk to the next; None below two chunks."""
        if self.first is None or self.chunks < 2:
            return None
        return max(end - self.first, 0.0) / (self.chunks - 1)
