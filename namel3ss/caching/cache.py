"""`ResponseCache`: the answers that are kept, and the requests that are under way.

Of equal requests one is sent; whoever asks meanwhile joins it, and whoever asks afterwards gets the kept answer, with
the same pieces. Only whole answers are kept. One who leaves changes nothing for the others.
"""

from __future__ import annotations

import enum
import os
import threading
import time
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from namel3ss.caching.flights import AsyncSeat, Flight, Seat
from namel3ss.caching.store import Store
from namel3ss.errors import UsageError
from namel3ss.observability.metrics import record_metric

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CacheStatistics", "Outcome", "ResponseCache", "Taken"]

# Of one answer on its way: more is not kept for later readers.
_MAX_FLIGHT_BYTES: Final = 16 * 1024 * 1024

_SeatT = TypeVar("_SeatT", Seat, AsyncSeat)


class Outcome(enum.Enum):
    """How a request was met. Of a MISS the caller has to send it and to feed the flight."""

    HIT = "hit"
    JOINED = "joined"
    MISS = "miss"


@dataclass(frozen=True, slots=True)
class Taken(Generic[_SeatT]):
    """A seat, and how it came about."""

    outcome: Outcome
    seat: _SeatT


@dataclass(frozen=True, slots=True)
class CacheStatistics:
    """Sums since the start, and what is kept now."""

    hits: int
    joined: int
    misses: int
    entries: int
    size_bytes: int


class ResponseCache:
    """Safe under threads and in event loops; holds nothing that must be closed.

    `ttl_s`: how long an answer is kept. `max_bytes`: how much all of them may take; the least recently used goes first.
    A forked child begins with an empty one.
    """

    def __init__(
        self,
        *,
        ttl_s: float = 600.0,
        max_bytes: int = 100_000_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not _is_positive(ttl_s):
            raise UsageError(f"ttl_s must be more than 0 seconds, not {ttl_s!r:.40}.")
        if not _is_positive(max_bytes):
            raise UsageError(f"max_bytes must be more than 0, not {max_bytes!r:.40}.")
        self._ttl_s = ttl_s
        self._max_bytes = max_bytes
        self._clock = clock
        self._begin()
        _caches.add(self)

    def take(self, key: bytes) -> Taken[Seat]:
        """A thread's seat for the answer of that key."""
        return self._take(key, Flight.seat)

    def take_async(self, key: bytes) -> Taken[AsyncSeat]:
        """A coroutine's seat for the answer of that key."""
        return self._take(key, Flight.async_seat)

    def __repr__(self) -> str:
        now = self.statistics()
        return f"<ResponseCache {now.entries} answers, {now.size_bytes} bytes>"

    def statistics(self) -> CacheStatistics:
        with self._lock:
            return CacheStatistics(
                hits=self._counts[Outcome.HIT],
                joined=self._counts[Outcome.JOINED],
                misses=self._counts[Outcome.MISS],
                entries=len(self._store),
                size_bytes=self._store.size_bytes,
            )

    def clear(self) -> None:
        """Forget every answer. What is on its way arrives, and is kept."""
        with self._lock:
            self._store.clear()
        record_metric("namel3ss.cache.size", 0)

    def _take(self, key: bytes, sit: Callable[[Flight], _SeatT | None]) -> Taken[_SeatT]:
        with self._lock:
            taken = self._kept(key, sit) or self._under_way(key, sit) or self._new(key, sit)
            self._counts[taken.outcome] += 1
        record_metric("namel3ss.cache.requests", 1, {"outcome": taken.outcome.value})
        return taken

    def _kept(self, key: bytes, sit: Callable[[Flight], _SeatT | None]) -> Taken[_SeatT] | None:
        answer = self._store.get(key, self._clock())
        seat = None if answer is None else sit(Flight.landed(answer))
        return None if seat is None else Taken(Outcome.HIT, seat)

    def _under_way(self, key: bytes, sit: Callable[[Flight], _SeatT | None]) -> Taken[_SeatT] | None:
        flight = self._flights.get(key)
        seat = None if flight is None else sit(flight)
        return None if seat is None else Taken(Outcome.JOINED, seat)

    def _new(self, key: bytes, sit: Callable[[Flight], _SeatT | None]) -> Taken[_SeatT]:
        flight = Flight(_MAX_FLIGHT_BYTES, lambda flight: self._ended(key, flight))
        seat = sit(flight)
        assert seat is not None  # nobody else knows this flight yet
        self._flights[key] = flight
        return Taken(Outcome.MISS, seat)

    def _ended(self, key: bytes, flight: Flight) -> None:
        whole = flight.whole
        with self._lock:
            if self._flights.get(key) is flight:
                del self._flights[key]
            if whole is None:
                return
            self._store.put(key, whole, self._clock())
            size_bytes = self._store.size_bytes
        record_metric("namel3ss.cache.size", size_bytes)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._store = Store(ttl_s=self._ttl_s, max_bytes=self._max_bytes)
        self._flights: dict[bytes, Flight] = {}
        self._counts = dict.fromkeys(Outcome, 0)


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


# Every cache of this process, for the moment after a fork: another thread of the parent may have held a lock, and what
# was on its way arrives there.
_caches: weakref.WeakSet[ResponseCache] = weakref.WeakSet()


def _begin_afresh() -> None:
    for cache in list(_caches):
        cache._begin()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_afresh)
