"""Positions and waiting times, by playing the rules forward on a copy of what is known. Nothing here is changed.

The order is played with time standing still and every start ending at once, so that it depends on the rules alone
and moves only for a reason. The waiting times are played with learnt durations. Both are played no further than
somebody asks, and no further than `LIMIT` starts; what lies beyond gets bounds.
"""

from __future__ import annotations

import heapq
import itertools
import math
from typing import TYPE_CHECKING, NamedTuple

from namel3ss.scheduling.preview import QueuePreview
from namel3ss.scheduling.selection import choose, settle_in
from namel3ss.scheduling.values import WaitEstimate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from namel3ss.scheduling.fairness import FairQueue
    from namel3ss.scheduling.placement import Pool, Residency
    from namel3ss.scheduling.tickets import Ticket

__all__ = ["LIMIT", "Busy", "Forecast"]

LIMIT = 1000
# Eight waits in ten lie this many standard deviations around the expected one, if they are spread normally.
_EIGHT_IN_TEN = 1.28


class Busy(NamedTuple):
    """A slot that is taken: by a running request, or draining until a known time (`ticket` None)."""

    server: str
    model: str
    ordinary: bool
    ticket: Ticket | None
    until: float

    @classmethod
    def by_running(cls, ticket: Ticket) -> Busy:
        assert ticket.residency is not None  # a request that runs has a slot
        return cls(ticket.residency.server.spec.name, ticket.model, ticket.level > 0, ticket, math.inf)

    @classmethod
    def by_drain(cls, residency: Residency, ordinary: bool, until: float) -> Busy:
        return cls(residency.server.spec.name, residency.model.name, ordinary, None, until)


class _Start(NamedTuple):
    at_s: float
    variance: float


class Forecast:
    """What would happen from one moment on; good until `valid_until` if nothing happens before."""

    def __init__(
        self,
        queue: FairQueue,
        pool: Pool,
        busy: Iterable[Busy],
        waiting: int,
        now: float,
        batch_wait_s: float,
    ) -> None:
        self._queue = queue
        self._pool = pool
        self._busy = tuple(busy)
        self._waiting = waiting
        self._batch_wait_s = batch_wait_s
        self.valid_from = now
        overdue_at = (
            model.passed_at + batch_wait_s for model in pool.models.values() if model.passed_at is not None
        )
        self._overdue_at = min((when for when in overdue_at if when > now), default=math.inf)
        self._places: dict[str, int] = {}
        self._starts: dict[str, _Start] = {}
        self._ordered = QueuePreview(queue, now)
        self._order = self._play_order()
        self._schedule = self._play_schedule()

    @property
    def valid_until(self) -> float:
        """When time alone may change the order."""
        return min(self._overdue_at, self._ordered.good_until)

    def of(self, ticket: Ticket, now: float) -> tuple[int, int, WaitEstimate | None]:
        """At least and at most so many go first, and the estimated wait from `now` on."""
        place = self._place(ticket)
        start = self._start(ticket)
        elapsed = now - self.valid_from
        if place is not None:
            return place, place, _estimate(start, 1.0, elapsed)
        at_least, at_most = len(self._places), self._waiting - 1
        if start is None and len(self._starts) >= LIMIT:
            # Beyond the limit the queue is taken to go on at the pace of what was played.
            last = next(reversed(self._starts.values()))
            return at_least, at_most, _estimate(last, at_most / len(self._starts), elapsed)
        return at_least, at_most, _estimate(start, 1.0, elapsed)

    def _place(self, ticket: Ticket) -> int | None:
        while ticket.id not in self._places and len(self._places) < LIMIT:
            following = next(self._order, None)
            if following is None:
                break
            self._places[following.id] = len(self._places)
        return self._places.get(ticket.id)

    def _start(self, ticket: Ticket) -> _Start | None:
        while ticket.id not in self._starts and len(self._starts) < LIMIT:
            following = next(self._schedule, None)
            if following is None:
                break
            self._starts[following[0].id] = following[1]
        return self._starts.get(ticket.id)

    def _play_order(self) -> Iterator[Ticket]:
        queue = self._ordered
        pool = self._pool.idle_copy()
        while (choice := choose(queue.ranks, pool, self.valid_from, self._batch_wait_s)) is not None:
            residency = settle_in(choice, pool, self.valid_from)
            pool.touch(residency)
            yield queue.take(choice.line, choice.rank, choice.clock)

    def _play_schedule(self) -> Iterator[tuple[Ticket, _Start]]:
        """Starts in order of time; ends where something is to be started whose duration is unknown."""
        queue = QueuePreview(self._queue, self.valid_from)
        pool = self._pool.idle_copy()
        numbers = itertools.count()
        ends: list[tuple[float, int, float, str, str, bool]] = []
        for slot in self._busy:
            end = self._end_of(slot)
            if end is None:
                return
            pool.occupy(pool.servers[slot.server].residencies[slot.model], ordinary=slot.ordinary)
            heapq.heappush(
                ends, (end.at_s, next(numbers), end.variance, slot.server, slot.model, slot.ordinary)
            )
        time_s, variance = 0.0, 0.0
        while True:
            now = self.valid_from + time_s
            while (choice := choose(queue.ranks, pool, now, self._batch_wait_s)) is not None:
                cold = choice.residency is None
                residency = settle_in(choice, pool, now)
                ticket = queue.take(choice.line, choice.rank, choice.clock)
                pool.occupy(residency, ordinary=ticket.level > 0)
                yield ticket, _Start(time_s, variance)
                history = pool.models[ticket.model].history
                duration = history.duration(ticket.cost)
                if duration is None:
                    return
                end_s = time_s + duration.mean_s + (history.load_s if cold else 0.0)
                # Several slots even out: the ends of n of them vary less than one after the other would.
                spread = variance + duration.variance / residency.slots
                slot_of = (residency.server.spec.name, ticket.model, ticket.level > 0)
                heapq.heappush(ends, (end_s, next(numbers), spread, *slot_of))
            if not ends:
                return
            time_s, _, variance, server, model, ordinary = heapq.heappop(ends)
            pool.vacate(pool.servers[server].residencies[model], ordinary=ordinary)

    def _end_of(self, slot: Busy) -> _Start | None:
        ticket = slot.ticket
        if ticket is None or ticket.lease is None:
            return _Start(max(0.0, slot.until - self.valid_from), 0.0)
        elapsed_s = self.valid_from - ticket.lease.granted_at
        left = self._pool.models[slot.model].history.remaining(ticket.cost, elapsed_s)
        return None if left is None else _Start(left.mean_s, left.variance)


def _estimate(start: _Start | None, stretch: float, elapsed_s: float) -> WaitEstimate | None:
    if start is None:
        return None
    expected = start.at_s * stretch
    around = _EIGHT_IN_TEN * math.sqrt(start.variance) * stretch
    low, high = expected - around, expected + around
    return WaitEstimate(max(0.0, low - elapsed_s), max(0.0, expected - elapsed_s), max(0.0, high - elapsed_s))
