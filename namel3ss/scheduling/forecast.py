"""Positions and waiting times, by playing the rules forward on a copy of what is known. Nothing here is changed.

The order is played with time standing still and every start ending at once, so that it depends on the rules alone
and moves only for a reason. The waiting times are played with learnt durations. Neither is played further than
somebody asks; beyond the first `LIMIT` a position has bounds.
"""

from __future__ import annotations

import heapq
import itertools
import math
from typing import TYPE_CHECKING, NamedTuple

from namel3ss.scheduling.preview import QueuePreview
from namel3ss.scheduling.selection import choose, settle_in
from namel3ss.scheduling.tickets import Ticket
from namel3ss.scheduling.values import WaitEstimate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from namel3ss.scheduling.fairness import FairQueue
    from namel3ss.scheduling.placement import Pool, Residency

__all__ = ["LIMIT", "Busy", "Forecast"]

LIMIT = 1000
# The waiting times are played for so many starts; beyond, the queue is taken to go on at the pace of those.
_TIMED = 150
# How far they are played at most, in ends and expected arrivals.
_STEPS = 10 * _TIMED
# Arrivals of the last ten minutes are expected to go on, if there were enough to tell.
_LATELY_S = 600.0
_ENOUGH = 8
_LATER = 1 << 60
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
    """What would happen from one moment on; good until `valid_until` if nothing happens before, ageing included."""

    def __init__(
        self,
        queue: FairQueue,
        pool: Pool,
        busy: Iterable[Busy],
        recent: Iterable[Ticket],
        waiting: int,
        now: float,
        batch_wait_s: float,
    ) -> None:
        self._queue = queue
        self._pool = pool
        self._busy = tuple(busy)
        self._recent = tuple(recent)
        self._waiting = waiting
        self._batch_wait_s = batch_wait_s
        self.valid_from = now
        overdue_at = (
            model.passed_at + batch_wait_s for model in pool.models.values() if model.passed_at is not None
        )
        self.valid_until = min((when for when in overdue_at if when > now), default=math.inf)
        self._places: dict[str, int] = {}
        self._starts: dict[str, _Start] = {}
        self._order = self._play_order()
        self._schedule = self._play_schedule()

    def of(self, ticket: Ticket, now: float) -> tuple[int, int, WaitEstimate | None]:
        """At least and at most so many go first, and the estimated wait from `now` on."""
        place = self._place(ticket)
        start = self._start(ticket)
        elapsed = now - self.valid_from
        at_least, at_most = (place, place) if place is not None else (len(self._places), self._waiting - 1)
        if start is not None or len(self._starts) < _TIMED:
            return at_least, at_most, _estimate(start, 1.0, elapsed)
        last = next(reversed(self._starts.values()))
        return at_least, at_most, _estimate(last, (at_least + at_most) / 2 / len(self._starts), elapsed)

    def _place(self, ticket: Ticket) -> int | None:
        while ticket.id not in self._places and len(self._places) < LIMIT:
            following = next(self._order, None)
            if following is None:
                break
            self._places[following.id] = len(self._places)
        return self._places.get(ticket.id)

    def _start(self, ticket: Ticket) -> _Start | None:
        while ticket.id not in self._starts and len(self._starts) < _TIMED:
            following = next(self._schedule, None)
            if following is None:
                break
            self._starts[following[0].id] = following[1]
        return self._starts.get(ticket.id)

    def _play_order(self) -> Iterator[Ticket]:
        queue = QueuePreview(self._queue, ages=False)
        pool = self._pool.idle_copy()
        while (choice := choose(queue.ranks, pool, self.valid_from, self._batch_wait_s)) is not None:
            residency = settle_in(choice, pool, self.valid_from)
            pool.touch(residency)
            yield queue.take(choice, self.valid_from)

    def _play_schedule(self) -> Iterator[tuple[Ticket, _Start]]:
        """Starts in order of time; ends where something is to be started whose duration is unknown.

        New requests are played to come in as they did lately: some of them go first, and those who wait ask for how
        long they will wait, not how long they would.
        """
        queue = QueuePreview(self._queue, ages=True)
        pool = self._pool.idle_copy()
        numbers = itertools.count()
        ends: list[tuple[float, int, float, Residency, bool]] = []
        for slot in self._busy:
            end = self._end_of(slot)
            if end is None:
                return
            residency = pool.servers[slot.server].residencies[slot.model]
            pool.occupy(residency, ordinary=slot.ordinary)
            heapq.heappush(ends, (end.at_s, next(numbers), end.variance, residency, slot.ordinary))
        arrivals = self._repeat(self._recent)
        arrival = next(arrivals, None)
        left, time_s, variance = self._waiting, 0.0, 0.0
        for _ in range(_STEPS):
            now = self.valid_from + time_s
            queue.promote(now)
            while (
                pool.openings and (choice := choose(queue.ranks, pool, now, self._batch_wait_s)) is not None
            ):
                cold = choice.residency is None
                residency = settle_in(choice, pool, now)
                ticket = queue.take(choice, now)
                pool.occupy(residency, ordinary=ticket.level > 0)
                if ticket.id:
                    left -= 1
                    yield ticket, _Start(time_s, variance)
                history = residency.model.usage.known_on(residency.server.spec.name)
                duration = history.duration(ticket.cost)
                if duration is None or not left:
                    return
                end_s = time_s + duration.mean_s + (history.load_s if cold else 0.0)
                # Several slots even out: the ends of n of them vary less than one after the other would.
                spread = variance + duration.variance / residency.slots
                heapq.heappush(ends, (end_s, next(numbers), spread, residency, ticket.level > 0))
            if arrival is not None and (not ends or arrival[0] < ends[0][0]):
                time_s = arrival[0]
                pool.model(arrival[1].model).waiting += 1
                queue.add(arrival[1], self.valid_from + time_s)
                arrival = next(arrivals, None)
            elif ends:
                time_s, _, variance, residency, ordinary = heapq.heappop(ends)
                pool.vacate(residency, ordinary=ordinary)
            else:
                return

    def _repeat(self, recent: Sequence[Ticket]) -> Iterator[tuple[float, Ticket]]:
        """The arrivals of the last while, again and again."""
        known = [arrived for arrived in recent if arrived.since > self.valid_from - _LATELY_S]
        if len(known) < _ENOUGH:
            return
        first = known[0].since
        period = self.valid_from - first + (self.valid_from - first) / len(known)
        if period <= 0:
            return
        for turn in itertools.count():
            for number, arrived in enumerate(known):
                at_s = arrived.since - first + period * (turn + 0.5 / len(known))
                # Without an id, and younger than anybody who is really there.
                seq = _LATER + turn * len(known) + number
                cost = arrived.cost
                yield (
                    at_s,
                    Ticket(seq, "", arrived.user, arrived.level, arrived.model, cost, self.valid_from, None),
                )

    def _end_of(self, slot: Busy) -> _Start | None:
        ticket = slot.ticket
        if ticket is None or ticket.lease is None:
            return _Start(max(0.0, slot.until - self.valid_from), 0.0)
        elapsed_s = self.valid_from - ticket.lease.granted_at
        left = self._pool.models[slot.model].usage.known_on(slot.server).remaining(ticket.cost, elapsed_s)
        return None if left is None else _Start(left.mean_s, left.variance)


def _estimate(start: _Start | None, stretch: float, elapsed_s: float) -> WaitEstimate | None:
    if start is None:
        return None
    expected = start.at_s * stretch
    around = _EIGHT_IN_TEN * math.sqrt(start.variance) * stretch
    low, high = expected - around, expected + around
    return WaitEstimate(max(0.0, low - elapsed_s), max(0.0, expected - elapsed_s), max(0.0, high - elapsed_s))
