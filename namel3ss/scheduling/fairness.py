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
* Tiers in one rank share it as their users do: when a tier enters, its clock is set to the rank's, by an offset to its
  tags, and what its users owe each other stays as it was.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from typing import TYPE_CHECKING

from namel3ss.scheduling.roster import Roster
from namel3ss.scheduling.tickets import Ticket, TicketState
from namel3ss.scheduling.tiers import Rank, Tier

if TYPE_CHECKING:
    from namel3ss.scheduling.tiers import Entry, Line

__all__ = ["FairQueue", "steps_aged"]

# Looked up once: on Python 3.11 finding a member of an enumeration takes longer than a call.
_WAITING = TicketState.WAITING
_RUNNING = TicketState.RUNNING


class FairQueue:
    """All waiting requests."""

    __slots__ = (
        "_ages",
        "ageing_s",
        "moved",
        "next_due",
        "promotions",
        "ranks",
        "roster",
        "settlements",
        "tiers",
    )

    def __init__(self, classes: int, ageing_s: float) -> None:
        self.ranks = [Rank(index) for index in range(classes)]
        self.tiers = [Tier(level, rank) for level, rank in enumerate(self.ranks)]
        self.roster = Roster(self.tiers)
        self.ageing_s = ageing_s
        self._ages = ageing_s < math.inf
        # When a tier may be due to improve; never later than it is.
        self.next_due = math.inf
        # How often a class has changed its standing; how often an account was corrected, and how many waiting requests
        # stood in those.
        self.promotions = 0
        self.settlements = 0
        self.moved = 0

    @property
    def is_aged(self) -> bool:
        """Whether any class stands better than its own rank."""
        return any(tier.oldest is not None for tier in self.tiers)

    def wants(self, model: str) -> bool:
        """Whether a request for the model waits."""
        return any(model in tier.buckets for tier in self.tiers)

    def add(self, ticket: Ticket) -> None:
        """Let a request wait."""
        line = ticket.line
        account = line.account
        tier = account.tier
        line.waiting.append(ticket)
        line.live += 1
        account.user.waiting += 1
        tier.waiting += 1
        tier.rank.arrivals += 1
        if tier.level and self._ages:
            line.bucket.note_arrival(ticket)
        if line.live == 1:
            self._open(line, ticket)

    def first(self) -> tuple[Line, float] | None:
        """The line that is first of all, whether it can start or not, with its tag by its rank's own count."""
        for rank in self.ranks:
            if not rank.tiers:
                continue
            best: Entry | None = None
            for tier in rank.tiers:
                offset = tier.offset
                for bucket in tier.buckets.values():
                    entry = bucket.top()
                    if offset:
                        entry = (entry[0] + offset, entry[1], entry[2])
                    if best is None or entry < best:
                        best = entry
            if best is not None:
                return best[2], best[0]
        return None

    def take(self, line: Line, clock: float, now: float) -> Ticket:
        """Start the first request of a line, which is the first for its model, and charge its estimate to its user.

        `clock` is the tag of the request that was first in order, which this one may have overtaken.
        """
        ticket = line.waiting.popleft()
        ticket.state = _RUNNING
        account = line.account
        tier = account.tier
        line.live -= 1
        account.user.waiting -= 1
        tier.waiting -= 1
        if tier.rank.clock < clock:
            tier.rank.clock = clock
        account.tag += ticket.cost
        account.running += 1
        tier.running += 1
        if line.live:
            _drop_withdrawn(line.waiting)
        else:
            heapq.heappop(line.bucket.heap)
            self._close(line)
        if ticket is tier.oldest:
            self._age(tier, now)
        return ticket

    def withdraw(self, ticket: Ticket, now: float) -> None:
        """Remove a waiting request wherever it stands; its state says already that it no longer waits."""
        line = ticket.line
        account = line.account
        tier = account.tier
        line.live -= 1
        account.user.waiting -= 1
        tier.waiting -= 1
        if not line.live:
            self._close(line)
        else:
            _drop_withdrawn(line.waiting)
            if len(line.waiting) > 2 * line.live + 32:
                line.waiting = deque(known for known in line.waiting if known.state is _WAITING)
        self.settlements += 1
        self.moved += sum(known.live for known in account.lines.values())
        if ticket is tier.oldest:
            self._age(tier, now)

    def settle(self, ticket: Ticket, cost: float) -> None:
        """Replace a running request's estimate by its cost."""
        account = ticket.line.account
        tier = account.tier
        account.running -= 1
        tier.running -= 1
        if cost != ticket.cost:
            account.tag += cost - ticket.cost
            self.settlements += 1
            for line in account.lines.values():
                if line.live:
                    self.moved += line.live
                    if cost < ticket.cost:
                        # An entry may say too little, never too much.
                        line.entry = entry = (account.tag, line.waiting[0].seq, line)
                        line.bucket.push(entry)
        if not tier.running and not tier.waiting:
            tier.epoch += 1

    def promote(self, now: float) -> None:
        """Let every class improve that is due."""
        for tier in self.tiers:
            if tier.due <= now:
                self._age(tier, now)
        # A class at rest may have been due first.
        self.next_due = min(tier.due for tier in self.tiers)

    def servers_changed(self, now: float) -> None:
        """Look again at which models age."""
        for tier in self.tiers:
            if tier.buckets and tier.level:
                self._age(tier, now)

    def _open(self, line: Line, ticket: Ticket) -> None:
        """Give a line in which something waits again its place."""
        account, bucket = line.account, line.bucket
        tier = account.tier
        if not account.live:
            clock = tier.rank.clock - tier.offset
            if account.tag < clock or account.epoch != tier.epoch:
                account.tag = clock
                account.epoch = tier.epoch
        account.live += 1
        if not bucket.lines:
            if not tier.buckets:
                tier.rank.tiers.append(tier)
            tier.buckets[bucket.model.name] = bucket
        bucket.lines += 1
        line.entry = entry = (account.tag, ticket.seq, line)
        bucket.push(entry)
        if tier.due == math.inf and tier.rank.index and self._ages:
            tier.due = ticket.since + self.ageing_s
            if tier.due < self.next_due:
                self.next_due = tier.due

    def _close(self, line: Line) -> None:
        """Take a line in which nothing waits any more from its place."""
        account, bucket = line.account, line.bucket
        line.entry = None
        account.live -= 1
        bucket.lines -= 1
        if line.waiting:
            line.waiting.clear()  # of withdrawn ones
        if not bucket.lines:
            tier = account.tier
            del tier.buckets[bucket.model.name]
            bucket.heap.clear()
            bucket.arrivals.clear()
            if not tier.buckets:
                self._come_to_rest(tier)

    def _come_to_rest(self, tier: Tier) -> None:
        tier.rank.tiers.remove(tier)
        tier.oldest = None
        home = self.ranks[tier.level]
        if tier.rank is not home:
            tier.enter(home)
        tier.due = math.inf
        if not tier.running:
            tier.epoch += 1

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
        tier.due = math.inf if oldest is None or is_on_top else oldest.since + (steps + 1) * self.ageing_s
        self.next_due = min(known.due for known in self.tiers)


def _drop_withdrawn(waiting: deque[Ticket]) -> None:
    """Let a line in which something waits begin with such as waits."""
    while waiting[0].state is not _WAITING:
        waiting.popleft()


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
