"""Who is next: classes, ageing, and fairness between users by virtual time.

* A *line* is what one user waits for in one class for one model. It is first in, first out.
* A *tier* is everything that waits in one class. In it every user has one *account*. Its tag is the user's virtual
  time: the tokens that were charged. Who has the smallest tag is next; between equal tags the request that arrived
  first. Starting a request charges its estimate; its end replaces the estimate by the real count.
* A user who was idle starts at the tier's clock, the tag of the request that was last first in order. So nobody saves
  up credit by being idle, and nobody pays for having been alone: when nothing of a class waits or runs, its accounts
  are forgotten.
* A tier stands in a *rank*, 0 being the best: its class, improved by one for each `ageing_s` that its oldest request has
  waited. A request therefore always stands at least as well as its own time says, and whoever fairly goes before it
  in its class goes along: were it lifted alone, the backlog of one user would age past everybody of its class.
* Deadlines need no alarms: of the requests of one class and model that may wait equally long, the oldest is due first.
* Tiers in one rank share it as their users do: when a tier enters, its clock is set to the rank's, by an offset to its
  tags, and what its users owe each other stays as it was.
"""

from __future__ import annotations

import math
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from namel3ss.scheduling.roster import Roster
from namel3ss.scheduling.tickets import TicketState
from namel3ss.scheduling.tiers import Rank, Tier
from namel3ss.scheduling.timers import Timers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from namel3ss.scheduling.tickets import Ticket
    from namel3ss.scheduling.tiers import Account, Bucket, Entry, Line
    from namel3ss.scheduling.values import Policy

__all__ = ["FairQueue", "steps_aged"]

# Looked up once: on Python 3.11 finding a member of an enumeration takes longer than a call.
_WAITING = TicketState.WAITING
_RUNNING = TicketState.RUNNING
_NEVER = math.inf


class FairQueue:
    """All waiting requests. `alarms` are told when one may reach its deadline, or a class improve."""

    __slots__ = (
        "_ages",
        "_alarms",
        "_early",
        "ageing_s",
        "moved",
        "promotions",
        "ranks",
        "roster",
        "settlements",
        "tiers",
    )

    def __init__(self, policy: Policy, alarms: Timers[Any]) -> None:
        self.ranks = [Rank(index) for index in range(len(policy.classes))]
        self.tiers = [
            Tier(level, rank, is_ordinary=bool(level and policy.reserve))
            for level, rank in enumerate(self.ranks)
        ]
        self.roster = Roster(self.tiers)
        self.ageing_s = policy.ageing_s
        self._ages = policy.ageing_s < math.inf
        self._alarms = alarms
        # Requests that are due before older ones of the same class and model.
        self._early: Timers[Ticket] = Timers(lambda _, ticket: ticket.state is _WAITING)
        # How often a class has changed its standing; how often an account was corrected, and how many waiting requests
        # stood in those.
        self.promotions = 0
        self.settlements = 0
        self.moved = 0

    @property
    def is_aged(self) -> bool:
        """Whether any class stands better than its own rank."""
        return any(tier.oldest is not None for tier in self.tiers)

    def arrivals_by_rank(self) -> list[int]:
        """How many requests have come to each rank."""
        arrivals = [rank.arrivals_before for rank in self.ranks]
        for tier in self.tiers:
            arrivals[tier.rank.index] += tier.arrived - tier.arrived_before
        return arrivals

    def wants(self, model: str) -> bool:
        """Whether a request for the model waits."""
        return any(model in tier.buckets for tier in self.tiers)

    def add(self, ticket: Ticket) -> None:
        """Let a request wait."""
        line = ticket.line
        account, bucket = line.account, line.bucket
        tier = account.tier
        tier.arrived += 1
        if not line.waiting:
            if not account.waiting:
                clock = tier.rank.clock - tier.offset
                if account.tag < clock or account.epoch != tier.epoch:
                    account.tag = clock
                    account.epoch = tier.epoch
            if not bucket.heap:
                self._begin(tier, bucket, ticket)
            line.entry = entry = (account.tag, ticket.seq, line)
            heappush(bucket.heap, entry)
        line.waiting.append(ticket)
        account.waiting += 1
        bucket.arrivals.append(ticket)
        if len(bucket.arrivals) > bucket.arrivals_limit:
            bucket.forget_departed()
        deadline = ticket.deadline
        if deadline >= bucket.latest:
            bucket.latest = deadline
        else:
            self._early.set(deadline, ticket)
            self._alarms.expect(deadline)

    def first(self) -> Entry | None:
        """The line that is first of all, whether it can start or not, by its rank's own count."""
        best: Entry | None = None
        for rank in self.ranks:
            for bucket in rank.buckets:
                entry = bucket.top()
                offset = bucket.tier.offset
                if offset:
                    entry = (entry[0] + offset, entry[1], entry[2])
                if best is None or entry < best:
                    best = entry
            if best is not None:
                return best
        return None

    def take(self, line: Line, clock: float, now: float) -> Ticket:
        """Start the first request of a line, which is the first for its model, and charge its estimate to its user.

        `clock` is the tag of the request that was first in order, which this one may have overtaken.
        """
        ticket = line.waiting.popleft()
        ticket.state = _RUNNING
        account = line.account
        account.tag += ticket.cost
        account.waiting -= 1
        tier = line.tier
        tier.started += 1
        rank = tier.rank
        if rank.clock < clock:
            rank.clock = clock
        if line.withdrawn:
            line.drop_withdrawn()
        if not line.waiting:
            bucket = line.bucket
            line.entry = None
            heappop(bucket.heap)
            if len(bucket.heap) == bucket.stale:
                self._end(tier, bucket)
        if ticket is tier.oldest:
            self._age(tier, now)
        return ticket

    def withdraw(self, ticket: Ticket, now: float) -> None:
        """Remove a waiting request wherever it stands; its state says already that it no longer waits."""
        line = ticket.line
        tier = line.tier
        line.withdrawn += 1
        line.account.waiting -= 1
        tier.withdrawn += 1
        line.drop_withdrawn()
        if not line.waiting:
            bucket = line.bucket
            line.entry = None
            bucket.leave_stale()
            if len(bucket.heap) == bucket.stale:
                self._end(tier, bucket)
        self.settlements += 1
        self.moved += sum(known.live for known in line.account.lines.values())
        if ticket is tier.oldest:
            self._age(tier, now)

    def settle(self, ticket: Ticket, cost: float) -> None:
        """Replace a running request's estimate by its cost."""
        account = ticket.line.account
        tier = account.tier
        tier.ended += 1
        if cost != ticket.cost:
            account.tag += cost - ticket.cost
            self.settlements += 1
            if account.waiting:
                self._move(account, is_forward=cost < ticket.cost)
        if not tier.buckets and tier.ended == tier.started:
            tier.epoch += 1

    def overdue(self, now: float) -> list[Ticket]:
        """The requests that have waited until their deadlines, in that order."""
        found: set[Ticket] = set()
        while (early := self._early.pop_due(now)) is not None:
            if early.state is _WAITING:
                found.add(early)
        for bucket in self._buckets():
            for ticket in bucket.arrivals:
                if ticket.deadline > now:
                    break  # behind it only early ones can be due
                if ticket.state is _WAITING:
                    found.add(ticket)
        return sorted(found, key=lambda ticket: (ticket.deadline, ticket.seq))

    def promote(self, now: float) -> None:
        """Let every class improve that is due, and see when that or a deadline is to be expected next."""
        for tier in self.tiers:
            if tier.due <= now:
                self._age(tier, now)
        oldest = (bucket.oldest() for bucket in self._buckets())
        self._alarms.expect(
            min(
                self._early.next_at,
                *(tier.due for tier in self.tiers),
                *(ticket.deadline for ticket in oldest if ticket is not None),
            )
        )

    def servers_changed(self, now: float) -> None:
        """Look again at which models age."""
        for tier in self.tiers:
            if tier.buckets and tier.level:
                self._age(tier, now)

    def _begin(self, tier: Tier, bucket: Bucket, ticket: Ticket) -> None:
        """Let a class wait for a model again, and foresee its ageing and the deadline."""
        if not tier.buckets:
            tier.rank.tiers.append(tier)
        tier.buckets[bucket.model.name] = bucket
        tier.rank.buckets.append(bucket)
        if tier.due == _NEVER and tier.rank.index and self._ages:
            tier.due = ticket.since + self.ageing_s
            self._alarms.expect(tier.due)
        self._alarms.expect(ticket.deadline)

    def _end(self, tier: Tier, bucket: Bucket) -> None:
        """Let a class no longer wait for a model."""
        bucket.heap.clear()
        bucket.stale = 0
        bucket.arrivals.clear()
        bucket.latest = -math.inf
        del tier.buckets[bucket.model.name]
        tier.rank.buckets.remove(bucket)
        if tier.buckets:
            return
        tier.rank.tiers.remove(tier)
        tier.oldest = None
        tier.due = _NEVER
        if tier.rank.index != tier.level:
            tier.enter(self.ranks[tier.level])
        if tier.ended == tier.started:
            tier.epoch += 1

    def _move(self, account: Account, *, is_forward: bool) -> None:
        """Let the lines of a user whose tag was corrected stand where it says."""
        for line in account.lines.values():
            if line.waiting:
                self.moved += line.live
                if is_forward:
                    line.bucket.advance(line)

    def _buckets(self) -> Iterator[Bucket]:
        return (bucket for tier in self.tiers for bucket in tier.buckets.values())

    def _age(self, tier: Tier, now: float) -> None:
        """Let a tier stand where its oldest request says."""
        oldest: Ticket | None = None
        for bucket in tier.buckets.values():
            if bucket.model.is_offered:
                first = bucket.oldest()
                if first is not None and (oldest is None or first.seq < oldest.seq):
                    oldest = first
        steps = 0 if oldest is None else min(tier.level, steps_aged(oldest.since, now, self.ageing_s))
        rank = self.ranks[tier.level - steps]
        if rank is not tier.rank:
            tier.enter(rank)
            self.promotions += 1
        elif steps:
            self.promotions += 1  # it keeps its rank, by a younger request than could be foreseen
        tier.oldest = oldest if steps else None
        is_on_top = oldest is None or not rank.index
        tier.due = _NEVER if oldest is None or is_on_top else oldest.since + (steps + 1) * self.ageing_s
        self._alarms.expect(tier.due)


def steps_aged(since: float, now: float, ageing_s: float) -> int:
    """How many whole times `ageing_s` fits between the two, by the same sums that set the alarms."""
    if since + ageing_s > now:
        return 0
    steps = int((now - since) / ageing_s)
    while since + (steps + 1) * ageing_s <= now:
        steps += 1
    while since + steps * ageing_s > now:
        steps -= 1
    return steps
