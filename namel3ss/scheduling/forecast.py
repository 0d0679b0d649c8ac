"""Positions and waiting times, by playing the rules forward on a copy of what is known. Nothing here is changed.

The order is played with time standing still and every start ending at once, so that it depends on the rules alone
and moves only for a reason. The waiting times are played with learnt durations. Neither is played further than
somebody asks; beyond the first `LIMIT` a position has bounds. In a long queue the order of a moment ago stands in for one
that would be played anew, and positions have bounds as well.
"""

from __future__ import annotations

import heapq
import itertools
import math
from typing import TYPE_CHECKING, NamedTuple

from namel3ss.scheduling.preview import QueuePreview
from namel3ss.scheduling.recent_order import RecentOrder
from namel3ss.scheduling.selection import choose, passed_over, settle_in
from namel3ss.scheduling.tickets import new_ticket
from namel3ss.scheduling.values import WaitEstimate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from namel3ss.scheduling.fairness import FairQueue
    from namel3ss.scheduling.placement import Pool, Residency
    from namel3ss.scheduling.preview import RankPreview
    from namel3ss.scheduling.recent_order import Happenings, Key
    from namel3ss.scheduling.tickets import Ticket
    from namel3ss.scheduling.tiers import Line

__all__ = ["LIMIT", "Busy", "Order", "Outlook", "Schedule", "Sums"]

LIMIT = 1000
# The waiting times are played for so many starts; beyond, the queue is taken to go on at the pace of those.
_TIMED = 150
# How far they are played at most, in ends and expected arrivals.
_STEPS = 10 * _TIMED
# Arrivals of the last ten minutes are expected to go on, if there were enough to tell.
_LATELY_S = 600.0
_ENOUGH = 8
# One that took more steps than this is kept for so long.
_LONG = 50
_KEPT_S = 0.5
# An order of more than so many stands in for later ones: for a millisecond for each of them, which is a hundred times
# what playing them takes.
_SHORT = 200
_KEPT_S_EACH = 0.001
_LONGEST_KEPT_S = 1.0
_LATER = 1 << 60
# Eight waits in ten lie this many standard deviations around the middle, if their logarithms are spread normally.
_EIGHT_IN_TEN = 1.28


class Busy(NamedTuple):
    """A slot that is taken: by a running request, or draining until a known time (`ticket` None)."""

    server: str
    model: str
    is_ordinary: bool
    ticket: Ticket | None
    until: float

    @classmethod
    def by_running(cls, ticket: Ticket) -> Busy:
        assert ticket.residency is not None  # a request that runs has a slot
        return cls(ticket.residency.server.spec.name, ticket.model, ticket.is_ordinary, ticket, math.inf)

    @classmethod
    def by_drain(cls, residency: Residency, is_ordinary: bool, until: float) -> Busy:
        return cls(residency.server.spec.name, residency.model.name, is_ordinary, None, until)


class Sums(NamedTuple):
    """How much of each kind had happened at one moment. `arrivals`: up to each rank."""

    arrivals: tuple[int, ...]
    settlements: int
    loads: int
    overtakings: int
    overdue: frozenset[str]
    promotions: tuple[int, float | None]
    servers: int


class Start(NamedTuple):
    """Seconds from now, and how uncertain they are."""

    at_s: float
    variance: float


class Outlook:
    """What positions and waits are played from: everything that is known at one moment."""

    __slots__ = ("batch_wait_s", "now", "pool", "queue")

    def __init__(self, queue: FairQueue, pool: Pool, now: float, batch_wait_s: float) -> None:
        self.queue = queue
        self.pool = pool
        self.now = now
        self.batch_wait_s = batch_wait_s

    @property
    def ranks(self) -> tuple[int, ...]:
        """Where each class stands."""
        return tuple(tier.rank.index for tier in self.queue.tiers)

    @property
    def ends_at(self) -> float:
        """When it changes by itself, ageing left aside: somebody has been passed over long enough."""
        known = (model.passed_at for model in self.pool.models.values() if model.passed_at is not None)
        overdue_at = (passed_at + self.batch_wait_s for passed_at in known)
        return min((when for when in overdue_at if when > self.now), default=math.inf)


class Order:
    """Who goes before whom at one moment. `sums` and `before`: what had happened by then."""

    def __init__(self, outlook: Outlook, version: int, sums: Sums, before: Happenings) -> None:
        self.sums = sums
        self._version = version
        self._valid_until = outlook.ends_at
        self._outlook = outlook
        self._before = before
        self._ranks = outlook.ranks
        self._queue = QueuePreview(outlook.queue)
        self._places: dict[str, int] = {}
        self._played: list[Ticket] = []
        self._keys: list[Key] = []
        # Whether nobody overtakes: only the queue decides, and not what is loaded.
        self._is_plain = False
        self._play = self._in_order()
        self._recent: RecentOrder | None = None

    def holds(self, now: float, version: int) -> bool:
        """Whether it is still so: nothing has happened, and nobody's age has changed what was played."""
        return version == self._version and now < self._valid_until and now < self._queue.changes_at

    def may_stand_in(self, outlook: Outlook, sums: Sums) -> bool:
        """Whether it need not be played anew for a look: it is long and of a moment ago, and what has happened since
        moved only some. A change of the servers, of what they have loaded, or of a class's rank moves many; where models
        take turns on a server, one arrival can move all for its model.
        """
        played = len(self._played)
        return (
            self._is_plain
            and played > _SHORT
            and outlook.now < self._outlook.now + min(_LONGEST_KEPT_S, played * _KEPT_S_EACH)
            and (sums.servers, sums.loads) == (self.sums.servers, self.sums.loads)
            and outlook.ranks == self._ranks
        )

    def place(self, ticket: Ticket, waiting: int) -> tuple[int, int]:
        """At least and at most so many of those who wait go first."""
        places = self._places
        # A long queue is played at once as far as it ever is: later it may stand in for one that was not played.
        while (waiting > _SHORT or ticket.id not in places) and len(places) < LIMIT:
            following = next(self._play, None)
            if following is None:
                break
            places[following.id] = len(places)
            self._played.append(following)
        place = places.get(ticket.id)
        return (place, place) if place is not None else (len(places), waiting - 1)

    def recent_place(self, ticket: Ticket, waiting: int, now: Happenings) -> tuple[int, int]:
        """The same some time later. The order itself is played no further."""
        if self._recent is None:
            self._recent = RecentOrder(
                self._played,
                self._keys,
                self._places,
                before=self._before,
                is_cut=len(self._played) >= LIMIT,
            )
        return self._recent.place(ticket, waiting, now)

    def _in_order(self) -> Iterator[Ticket]:
        outlook = self._outlook
        now, queue = outlook.now, self._queue
        if (unserved := self._never_in_the_way()) is not None:
            self._is_plain = True
            for rank in queue.ranks:
                while (first := rank.first(unserved)) is not None:
                    yield self._take(first[2], first[0])
            return
        pool = outlook.pool.idle_copy()
        while (choice := choose(queue.ranks, pool, now, outlook.batch_wait_s)) is not None:
            rank = queue.tier_of(choice.line).rank
            pool.touch(settle_in(choice, pool, now))
            yield self._take(choice.line, choice.clock)
            yield from self._batch(rank, pool)

    def _batch(self, rank: RankPreview, pool: Pool) -> Iterator[Ticket]:
        """What a rank starts on the models that are loaded, as far as nothing has to be decided anew.

        Its clock is left as it is: it is brought up to date by the start that ends the batch, and nobody asks before.
        """
        outlook, queue = self._outlook, self._queue
        others = (
            passed_over(rank, pool, outlook.now - outlook.batch_wait_s) if outlook.batch_wait_s > 0 else None
        )
        if others is None:
            return
        while (first := rank.first(others)) is not None:
            line = first[2]
            loaded = pool.models[line.model.name].residencies
            if len(loaded) > 1 or queue.tier_of(line).is_turning_point(line):
                return
            pool.touch(loaded[0])
            yield self._take(line, rank.clock)

    def _take(self, line: Line, clock: float) -> Ticket:
        rank = self._queue.tier_of(line).rank.index
        ticket = self._queue.take(line, clock, self._outlook.now)
        self._keys.append((rank, clock, ticket.seq))
        return ticket

    def _never_in_the_way(self) -> set[str] | None:
        """The models that nobody serves, if all others can start in order: they are loaded, or there is but one.

        Then only the queue decides. None if it depends on the servers as well.
        """
        waiting = {model for tier in self._outlook.queue.tiers for model in tier.buckets}
        unserved = {model for model in waiting if not self._outlook.pool.models[model].is_offered}
        served = waiting - unserved
        if len(served) > 1 and not all(self._outlook.pool.models[model].residencies for model in served):
            return None
        return unserved


class Schedule:
    """When those who wait will start, by learnt durations, as seen at one moment."""

    def __init__(
        self,
        outlook: Outlook,
        busy: Sequence[Busy],
        recent: Sequence[Ticket],
        waiting: int,
        version: int,
        admitted: int,
    ) -> None:
        self._outlook = outlook
        self._busy = busy
        self._recent = recent
        self._waiting = waiting
        self._version = version
        self._admitted = admitted
        self._steps = 0
        self._starts: dict[str, Start] = {}
        self._play = self._in_time()
        self._is_over = False

    def covers(self, place: tuple[int, int], now: float, version: int, admitted: int) -> bool:
        """Whether it need not be made anew. A long one is kept for a moment though something has happened since; then
        it cannot be played further.
        """
        if version == self._version:
            return True
        if self._steps <= _LONG or now - self._outlook.now >= _KEPT_S:
            return False
        return self._is_over or len(self._starts) >= min(_TIMED, self._index(place, admitted) + 1)

    def wait(
        self, ticket: Ticket, place: tuple[int, int], now: float, version: int, admitted: int
    ) -> WaitEstimate | None:
        """The wait from `now` on of a request in that place; None where a duration is unknown."""
        elapsed_s = now - self._outlook.now
        if version == self._version:
            start = self._start(ticket)
            if start is not None:
                return _estimate(start, 1.0, elapsed_s)
            if len(self._starts) < _TIMED:
                return None
        # Not played as far, or not with this request: whoever stands there takes as long.
        index, starts = self._index(place, admitted), list(self._starts.values())
        if index < len(starts):
            return _estimate(starts[index], 1.0, elapsed_s)
        return _estimate(starts[-1], (index + 1) / len(starts), elapsed_s) if starts else None

    def _index(self, place: tuple[int, int], admitted: int) -> int:
        return (place[0] + place[1]) // 2 + max(0, admitted - self._admitted)

    def _start(self, ticket: Ticket) -> Start | None:
        while ticket.id not in self._starts and not self._is_over and len(self._starts) < _TIMED:
            self._advance()
        return self._starts.get(ticket.id)

    def _advance(self) -> None:
        following = next(self._play, None)
        if following is None:
            self._is_over = True
        else:
            self._starts[following[0].id] = following[1]

    def _in_time(self) -> Iterator[tuple[Ticket, Start]]:
        """Starts in order of time; ends where something is to be started whose duration is unknown.

        New requests are played to come in as they did lately: some of them go first, and those who wait ask for how
        long they will wait, not how long they would.
        """
        queue = QueuePreview(self._outlook.queue)
        pool = self._outlook.pool.idle_copy()
        numbers = itertools.count()
        ends: list[tuple[float, int, float, Residency, bool]] = []
        for slot in self._busy:
            end = self._end_of(slot)
            if end is None:
                return
            residency = pool.servers[slot.server].residencies[slot.model]
            pool.touch(residency)
            pool.occupy(residency, slot.is_ordinary)
            heapq.heappush(ends, (end.at_s, next(numbers), end.variance, residency, slot.is_ordinary))
        arrivals = self._repeat(self._recent)
        arrival = next(arrivals, None)
        left, time_s, variance = self._waiting, 0.0, 0.0
        for _ in range(_STEPS):
            self._steps += 1
            now = self._outlook.now + time_s
            queue.promote(now)
            while (
                pool.openings
                and (choice := choose(queue.ranks, pool, now, self._outlook.batch_wait_s)) is not None
            ):
                cold = choice.residency is None
                residency = settle_in(choice, pool, now)
                ticket = queue.take(choice.line, choice.clock, now)
                pool.touch(residency)
                pool.occupy(residency, ticket.is_ordinary)
                if ticket.id:
                    left -= 1
                    yield ticket, Start(time_s, variance)
                history = residency.model.usage.known_on(residency.server.spec.name)
                duration = history.duration(ticket.cost)
                if duration is None or not left:
                    return
                end_s = time_s + duration.mean_s + (history.load_s if cold else 0.0)
                # Several slots even out: the ends of n of them vary less than one after the other would.
                spread = variance + duration.variance / residency.slots
                heapq.heappush(ends, (end_s, next(numbers), spread, residency, ticket.is_ordinary))
            if arrival is not None and (not ends or arrival[0] < ends[0][0]):
                time_s = arrival[0]
                queue.add(arrival[1])
                arrival = next(arrivals, None)
            elif ends:
                time_s, _, variance, residency, is_ordinary = heapq.heappop(ends)
                pool.vacate(residency, is_ordinary)
            else:
                return

    def _repeat(self, recent: Sequence[Ticket]) -> Iterator[tuple[float, Ticket]]:
        """The arrivals of the last while, again and again."""
        known = [arrived for arrived in recent if arrived.since > self._outlook.now - _LATELY_S]
        if len(known) < _ENOUGH:
            return
        first = known[0].since
        period = self._outlook.now - first + (self._outlook.now - first) / len(known)
        if period <= 0:
            return
        for turn in itertools.count():
            for number, arrived in enumerate(known):
                at_s = arrived.since - first + period * (turn + 0.5 / len(known))
                # Without an id, and younger than anybody who is really there.
                seq = _LATER + turn * len(known) + number
                yield at_s, new_ticket(seq, "", arrived.line, arrived.cost, self._outlook.now, math.inf)

    def _end_of(self, slot: Busy) -> Start | None:
        ticket = slot.ticket
        if ticket is None or ticket.lease is None:
            return Start(max(0.0, slot.until - self._outlook.now), 0.0)
        elapsed_s = self._outlook.now - ticket.lease.granted_at
        history = self._outlook.pool.models[slot.model].usage.known_on(slot.server)
        loading_s = max(0.0, history.load_s - elapsed_s) if ticket.lease.cold else 0.0
        answered_s = max(0.0, elapsed_s - history.load_s) if ticket.lease.cold else elapsed_s
        left = history.remaining(ticket.cost, answered_s)
        return None if left is None else Start(loading_s + left.mean_s, left.variance)


def _estimate(start: Start | None, stretch: float, elapsed_s: float) -> WaitEstimate | None:
    if start is None:
        return None
    mean = start.at_s * stretch
    # Durations have long tails: taken as log-normal, whose middle lies below the mean.
    skew = 1 + start.variance * (stretch / mean) ** 2 if mean > 0 else 1.0
    expected = mean / math.sqrt(skew)
    around = math.exp(_EIGHT_IN_TEN * math.sqrt(math.log(skew)))
    low, high = expected / around, expected * around
    return WaitEstimate(max(0.0, low - elapsed_s), max(0.0, expected - elapsed_s), max(0.0, high - elapsed_s))
