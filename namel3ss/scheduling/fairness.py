"""Who is next for a model: classes, ageing, and fairness between users by virtual time.

* A *line* is what one user waits for in one class for one model. It is first in, first out.
* A line stands in a *rank*: its class, improved by one for each `ageing_s` that its first request has been first.
  Rank 0 is the best. It is being first that counts, not having arrived: else the backlog of one user would age past
  everybody of its own class.
* In each rank every user has one *account*. Its tag is the user's virtual time: the tokens that were charged.
  Who has the smallest tag is next; between equal tags the request that arrived first.
* Starting a request charges its estimate; its end replaces the estimate by the real count.
* A user who was idle starts at the rank's clock, the tag of the request that was last first in order. So
  nobody saves up credit by being idle, and nobody pays for having been alone: when a rank has nothing waiting
  and nothing running, its accounts are forgotten.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from typing import TYPE_CHECKING, TypeAlias

from namel3ss.scheduling.tickets import Ticket, TicketState
from namel3ss.scheduling.timers import Timers

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Account", "Bucket", "Entry", "FairQueue", "Line", "Rank", "steps_aged"]

# A line's place in its bucket: the user's tag, the arrival of its first request, the line. It counts only while it
# is the line's own `entry`; older ones are skipped when they come to the top. Arrivals are unique, so that
# comparing never reaches the line.
Entry: TypeAlias = "tuple[float, int, Line]"


# Looked up once: on Python 3.11 finding a member of an enumeration takes longer than a call.
_WAITING = TicketState.WAITING


class Line:
    """Requests of one user, class and model, in order of arrival. Lives while one of them waits."""

    __slots__ = (
        "account",
        "alarm",
        "bucket",
        "due",
        "entry",
        "level",
        "live",
        "model",
        "rank",
        "since",
        "user",
        "waiting",
    )

    def __init__(self, user: str, level: int, model: str) -> None:
        self.user = user
        self.level = level
        self.model = model
        # May hold withdrawn tickets behind the first; `live` counts the others.
        self.waiting: deque[Ticket] = deque()
        self.live = 0
        self.account: Account | None = None
        self.bucket: Bucket | None = None
        self.entry: Entry | None = None
        self.rank = level
        # Since when its first request has been first, when that ages into the next rank, and the earliest alarm set.
        self.since = 0.0
        self.due = math.inf
        self.alarm = math.inf

    @property
    def key(self) -> tuple[str, int, str]:
        return (self.user, self.level, self.model)


class Account:
    """One user's virtual time in one rank."""

    __slots__ = ("lines", "rank", "running", "tag")

    def __init__(self, rank: Rank, tag: float) -> None:
        self.rank = rank
        self.tag = tag
        self.lines: list[Line] = []
        self.running = 0


class Bucket:
    """The lines of one rank that wait for one model, those that may use the reserve apart from the others."""

    __slots__ = ("heap", "lines")

    def __init__(self) -> None:
        self.heap: list[Entry] = []
        self.lines = 0

    def push(self, entry: Entry) -> None:
        heap = self.heap
        heapq.heappush(heap, entry)
        if len(heap) > 2 * self.lines + 64:
            heap[:] = [known for known in heap if known[2].entry is known]
            heapq.heapify(heap)

    def top(self) -> Entry:
        """The first line's entry. A bucket that exists is never without one."""
        heap = self.heap
        while (entry := heap[0])[2].entry is not entry:
            heapq.heappop(heap)
        return entry


class Rank:
    """One class with what has aged into it."""

    __slots__ = ("accounts", "buckets", "clock", "lines", "running")

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        # By model, and whether its requests may use the reserve.
        self.buckets: dict[tuple[str, bool], Bucket] = {}
        self.clock = 0.0
        self.lines = 0
        self.running = 0

    def tops(self) -> list[Entry]:
        """The first entry of every bucket, in order."""
        found = [bucket.top() for bucket in self.buckets.values()]
        found.sort()
        return found

    def wants(self, model: str) -> bool:
        """Whether a request for the model waits in this rank."""
        return (model, False) in self.buckets or (model, True) in self.buckets

    def account(self, user: str) -> Account:
        account = self.accounts.get(user)
        if account is None:
            if len(self.accounts) > 2 * (self.lines + self.running) + 256:
                self._forget_settled()
            account = self.accounts[user] = Account(self, self.clock)
        return account

    def rest(self) -> None:
        """Forget the accounts when the rank has come to rest."""
        if not self.lines and not self.running:
            self.accounts.clear()
            self.clock = 0.0

    def _forget_settled(self) -> None:
        # An idle account at or below the clock says the same as no account.
        self.accounts = {
            user: account
            for user, account in self.accounts.items()
            if account.lines or account.running or account.tag > self.clock
        }


class FairQueue:
    """All waiting requests, by rank, user and model."""

    def __init__(self, classes: int, ageing_s: float) -> None:
        self.ranks = [Rank() for _ in range(classes)]
        self.promotions = 0
        self.ageing_s = ageing_s
        self._lines: dict[tuple[str, int, str], Line] = {}
        self.alarms: Timers[Line] = Timers(_is_wanted)

    def add(self, ticket: Ticket) -> bool:
        """Let a request that arrives now wait; whether that changed who is first for its model."""
        key = (ticket.user, ticket.level, ticket.model)
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = Line(*key)
        line.waiting.append(ticket)
        line.live += 1
        if line.entry is not None:
            return False
        line.since = ticket.since
        self._attach(line, ticket.level)
        assert line.bucket is not None  # _attach has just set it
        return line.bucket.top()[2] is line

    def line(self, key: tuple[str, int, str]) -> Line | None:
        """The line of a user, level and model, if anything waits in it."""
        return self._lines.get(key)

    def lines(self) -> Iterable[Line]:
        return self._lines.values()

    def take(self, line: Line, clock: float, now: float) -> Ticket:
        """Remove a line's first request, which starts now, and charge its estimate to its user.

        `clock` is the tag of the request that was first in order, which this one may have overtaken.
        """
        ticket = line.waiting.popleft()
        line.live -= 1
        account = line.account
        assert account is not None  # only a line that waits can be taken from
        rank = account.rank
        if rank.clock < clock:
            rank.clock = clock
        account.tag += ticket.cost
        account.running += 1
        rank.running += 1
        ticket.account = account
        self._advance(line, now)
        for sibling in account.lines:
            if sibling is not line:
                self._rekey(sibling)
        return ticket

    def withdraw(self, ticket: Ticket, now: float) -> None:
        """Remove a waiting request wherever it stands; its state says already that it no longer waits."""
        line = self._lines[(ticket.user, ticket.level, ticket.model)]
        line.live -= 1
        if line.waiting[0] is ticket:
            self._advance(line, now)
        elif len(line.waiting) > 2 * line.live + 32:
            line.waiting = deque(known for known in line.waiting if known.state is _WAITING)

    def settle(self, ticket: Ticket, cost: float) -> bool:
        """Replace a running request's estimate by its cost; whether that changed its user's account."""
        account = ticket.account
        assert account is not None  # only what was taken can be settled
        ticket.account = None
        account.running -= 1
        rank = account.rank
        rank.running -= 1
        changed = cost != ticket.cost
        if changed:
            account.tag += cost - ticket.cost
            for line in account.lines:
                self._rekey(line)
        if not rank.running:
            rank.rest()
        return changed

    def promote(self, now: float) -> None:
        """Move every line whose first request has aged into its better rank, the oldest request first."""
        due: list[tuple[int, Line]] = []
        while (line := self.alarms.pop_due(now)) is not None:
            if line.alarm > now:
                continue  # an earlier alarm of this line has been heard since
            line.alarm = math.inf
            if line.entry is None:
                continue
            if line.due <= now:
                due.append((line.waiting[0].seq, line))
            else:
                self._set_alarm(line)
        for _, line in sorted(due):
            self._detach(line)
            self._attach(line, max(0, line.level - steps_aged(line.since, now, self.ageing_s)))
            self.promotions += 1

    def _advance(self, line: Line, now: float) -> None:
        """Put a line whose first request has left where its next one belongs."""
        waiting = line.waiting
        while waiting and waiting[0].state is not _WAITING:
            waiting.popleft()
        if not waiting:
            self._detach(line)
            del self._lines[line.key]
            return
        line.since = now
        if line.account is not None and line.account.rank is self.ranks[line.level]:
            self._rekey(line)
            self._set_due(line, line.level)
        else:
            self._detach(line)
            self._attach(line, line.level)

    def _attach(self, line: Line, rank_index: int) -> None:
        rank = self.ranks[rank_index]
        account = rank.account(line.user)
        if not account.lines and account.tag < rank.clock:
            account.tag = rank.clock
        account.lines.append(line)
        key = (line.model, line.level == 0)
        bucket = rank.buckets.get(key)
        if bucket is None:
            bucket = rank.buckets[key] = Bucket()
        bucket.lines += 1
        rank.lines += 1
        line.rank = rank_index
        line.account = account
        line.bucket = bucket
        line.entry = (account.tag, line.waiting[0].seq, line)
        bucket.push(line.entry)
        self._set_due(line, rank_index)

    def _detach(self, line: Line) -> None:
        account, bucket = line.account, line.bucket
        assert account is not None  # both are set from _attach on
        assert bucket is not None
        rank = account.rank
        account.lines.remove(line)
        line.entry = line.account = line.bucket = None
        bucket.lines -= 1
        rank.lines -= 1
        if not bucket.lines:
            del rank.buckets[(line.model, line.level == 0)]
            rank.rest()

    def _rekey(self, line: Line) -> None:
        """Give a line the entry that its user's tag and its first request now ask for."""
        account, bucket = line.account, line.bucket
        assert account is not None  # both are set while the line waits
        assert bucket is not None
        old = line.entry
        line.entry = entry = (account.tag, line.waiting[0].seq, line)
        if bucket.heap[0] is old:
            heapq.heapreplace(bucket.heap, entry)
        else:
            bucket.push(entry)

    def _set_due(self, line: Line, rank: int) -> None:
        line.due = line.since + (line.level - rank + 1) * self.ageing_s if rank else math.inf
        if line.due < line.alarm:
            self._set_alarm(line)

    def _set_alarm(self, line: Line) -> None:
        if line.due == math.inf:
            return
        line.alarm = line.due
        self.alarms.set(line.due, line)


def _is_wanted(when: float, line: Line) -> bool:
    return line.entry is not None and line.alarm == when


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
