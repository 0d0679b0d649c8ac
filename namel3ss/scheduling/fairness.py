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

import math
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from namel3ss.scheduling.tickets import Ticket, TicketState
from namel3ss.scheduling.tiers import Account, Bucket, Line, Rank, Tier

if TYPE_CHECKING:
    from collections.abc import Callable

    from namel3ss.scheduling.tiers import Entry

__all__ = ["FairQueue", "First", "steps_aged"]

# Looked up once: on Python 3.11 finding a member of an enumeration takes longer than a call.
_WAITING = TicketState.WAITING


class First(NamedTuple):
    """The request that is first of all, with its tag by its rank's own count."""

    line: Line
    clock: float
    rank: Rank


class FairQueue:
    """All waiting requests. `is_served` tells whether any server offers a model: what none offers does not age."""

    def __init__(self, classes: int, ageing_s: float, is_served: Callable[[str], bool]) -> None:
        self.ranks = [Rank(index) for index in range(classes)]
        self.tiers = [Tier(level, rank) for level, rank in enumerate(self.ranks)]
        self.promotions = 0
        self.ageing_s = ageing_s
        self.is_served = is_served
        self._ages = ageing_s < math.inf
        # When a tier may be due to improve; never later than it is.
        self.next_due = math.inf

    @property
    def is_aged(self) -> bool:
        """Whether any class stands better than its own rank."""
        return any(tier.oldest is not None for tier in self.tiers)

    def add(self, ticket: Ticket) -> bool:
        """Let a request wait; whether that changed who is first for its model."""
        tier = self.tiers[ticket.level]
        account = tier.accounts.get(ticket.user)
        line = account.lines.get(ticket.model) if account is not None else None
        if line is None:
            line = tier.line(ticket.user, ticket.model)
        ticket.account = line.account
        line.waiting.append(ticket)
        line.live += 1
        if tier.level and self._ages:
            line.bucket.note_arrival(ticket)
        return line.live == 1 and self._open(line, ticket)

    def line(self, key: tuple[str, int, str]) -> Line | None:
        """The line of a user, level and model, if it is known."""
        user, level, model = key
        account = self.tiers[level].accounts.get(user)
        return None if account is None else account.lines.get(model)

    def new_line(self, key: tuple[str, int, str]) -> Line:
        """A line that is not among those of the queue, for playing."""
        user, level, model = key
        tier = self.tiers[level]
        return Line(tier.accounts.get(user) or Account(tier, user), Bucket(model))

    def first(self) -> First | None:
        """The first request of the best rank, whether it can start or not; None if nothing waits."""
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
                return First(best[2], best[0], rank)
        return None

    def take(self, line: Line, clock: float, now: float) -> Ticket:
        """Remove a line's first request, whose state says already that it starts, and charge its estimate to its user.

        `clock` is the tag of the request that was first in order, which this one may have overtaken.
        """
        waiting = line.waiting
        ticket = waiting.popleft()
        line.live -= 1
        account = line.account
        tier = account.tier
        if tier.rank.clock < clock:
            tier.rank.clock = clock
        account.tag += ticket.cost
        account.running += 1
        tier.running += 1
        if not line.live:
            self._close(line)
        else:
            while waiting[0].state is not _WAITING:
                waiting.popleft()
        if ticket is tier.oldest:
            self._age(tier, now)
        return ticket

    def withdraw(self, ticket: Ticket, now: float) -> None:
        """Remove a waiting request wherever it stands; its state says already that it no longer waits."""
        account = ticket.account
        tier = account.tier
        line = account.lines[ticket.model]
        line.live -= 1
        waiting = line.waiting
        if not line.live:
            self._close(line)
        elif waiting[0] is ticket:
            while waiting[0].state is not _WAITING:
                waiting.popleft()
        elif len(waiting) > 2 * line.live + 32:
            line.waiting = deque(known for known in waiting if known.state is _WAITING)
        if ticket is tier.oldest:
            self._age(tier, now)

    def settle(self, ticket: Ticket, cost: float) -> bool:
        """Replace a running request's estimate by its cost; whether that changed its user's account."""
        account = ticket.account
        account.running -= 1
        tier = account.tier
        tier.running -= 1
        changed = cost != ticket.cost
        if changed:
            account.tag += cost - ticket.cost
            if cost < ticket.cost:
                # An entry may say too little, never too much.
                for line in account.lines.values():
                    if line.live:
                        line.entry = entry = (account.tag, line.waiting[0].seq, line)
                        line.bucket.push(entry)
        if not tier.running and not tier.lines:
            tier.epoch += 1
        return changed

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
            if tier.lines and tier.level:
                self._age(tier, now)

    def _open(self, line: Line, ticket: Ticket) -> bool:
        """Give a line in which something waits again its place; whether it is the first for its model."""
        account, bucket = line.account, line.bucket
        tier = account.tier
        if not account.live:
            clock = tier.rank.clock - tier.offset
            if account.tag < clock or account.epoch != tier.epoch:
                account.tag = clock
            account.epoch = tier.epoch
        account.live += 1
        if not bucket.lines:
            tier.buckets[bucket.model] = bucket
            if not tier.lines:
                tier.rank.tiers.append(tier)
        bucket.lines += 1
        tier.lines += 1
        line.entry = entry = (account.tag, ticket.seq, line)
        bucket.push(entry)
        if tier.due == math.inf and tier.rank.index and self._ages:
            tier.due = ticket.since + self.ageing_s
            self.next_due = min(self.next_due, tier.due)
        return bucket.heap[0] is entry or bucket.top() is entry

    def _close(self, line: Line) -> None:
        """Take a line in which nothing waits any more from its place."""
        account, bucket = line.account, line.bucket
        tier = account.tier
        line.entry = None
        line.waiting.clear()  # of withdrawn ones
        account.live -= 1
        bucket.lines -= 1
        tier.lines -= 1
        if not bucket.lines:
            del tier.buckets[bucket.model]
            bucket.heap.clear()
            bucket.arrivals.clear()
            if not tier.lines:
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
            first = bucket.oldest()
            if (
                first is not None
                and (oldest is None or first.seq < oldest.seq)
                and self.is_served(first.model)
            ):
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
