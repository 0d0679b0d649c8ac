"""What waits, by class, user and model: lines, the accounts of users, and tiers. The rules stand in `fairness`."""

from __future__ import annotations

import heapq
import math
from collections import deque
from typing import TYPE_CHECKING, TypeAlias

from namel3ss.scheduling.tickets import Ticket, TicketState

if TYPE_CHECKING:
    from namel3ss.scheduling.placement import Model

__all__ = ["Account", "Bucket", "Entry", "Line", "Rank", "Tier", "User"]

# A line's place: the user's tag, the arrival of its first request, the line. Tags and arrivals only grow while a line
# waits, but for corrections, so an entry may say too little: it is brought up to date when it comes to the top. It
# counts only while it is the line's own `entry`. Arrivals are unique, so that comparing never reaches the line.
Entry: TypeAlias = "tuple[float, int, Line]"

# Looked up once: on Python 3.11 finding a member of an enumeration takes longer than a call.
_WAITING = TicketState.WAITING
# A bucket may keep so many entries that count no more, and so many arrivals, before it is looked which can go.
_STALE_KEPT = 64
_ARRIVALS_KEPT = 256


class Line:
    """Requests of one user, class and model, in order of arrival. Kept for a while when none is left: users come again."""

    __slots__ = ("account", "bucket", "entry", "is_ordinary", "model", "tier", "waiting", "withdrawn")

    def __init__(self, account: Account, bucket: Bucket) -> None:
        self.account = account
        self.tier = account.tier
        self.is_ordinary = account.tier.is_ordinary
        self.bucket = bucket
        self.model = bucket.model
        # May hold withdrawn tickets, so many, behind the first, which waits.
        self.waiting: deque[Ticket] = deque()
        self.withdrawn = 0
        self.entry: Entry | None = None

    @property
    def live(self) -> int:
        """How many wait."""
        return len(self.waiting) - self.withdrawn

    def drop_withdrawn(self) -> None:
        """Let the line begin with a request that waits again, if there is one. Those behind it may take their time."""
        waiting = self.waiting
        while waiting and waiting[0].state is not _WAITING:
            waiting.popleft()
            self.withdrawn -= 1
        if self.withdrawn > len(waiting) // 2 + 16:
            self.waiting = deque(known for known in waiting if known.state is _WAITING)
            self.withdrawn = 0


class User:
    """One user over all classes."""

    __slots__ = ("accounts", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        # One for each class at most.
        self.accounts: list[Account] = []

    @property
    def waiting(self) -> int:
        """How many of its requests wait."""
        return sum(account.waiting for account in self.accounts)


class Account:
    """One user's virtual time in one class."""

    __slots__ = ("epoch", "lines", "tag", "tier", "user", "waiting")

    def __init__(self, tier: Tier, user: User) -> None:
        self.tier = tier
        self.user = user
        self.tag = -math.inf
        # All its lines by model, and how many requests wait in them.
        self.lines: dict[str, Line] = {}
        self.waiting = 0
        # The tag counts only while this is the tier's.
        self.epoch = -1
        user.accounts.append(self)

    @property
    def live(self) -> int:
        """In how many of its lines something waits."""
        return sum(1 for line in self.lines.values() if line.live)


class Bucket:
    """The lines of one class that wait for one model."""

    __slots__ = ("arrivals", "arrivals_limit", "heap", "latest", "model", "stale", "tier")

    def __init__(self, tier: Tier, model: Model) -> None:
        self.tier = tier
        self.model = model
        # An entry for each line, and so many that count no more.
        self.heap: list[Entry] = []
        self.stale = 0
        # The requests in order of arrival, for ageing and deadlines; may hold such as wait no more.
        self.arrivals: deque[Ticket] = deque()
        self.arrivals_limit = _ARRIVALS_KEPT
        # The latest deadline among them.
        self.latest = -math.inf

    @property
    def lines(self) -> int:
        """How many wait."""
        return len(self.heap) - self.stale

    def advance(self, line: Line) -> None:
        """Give a line whose tag has become smaller a new place: an entry may say too little, never too much."""
        line.entry = entry = (line.account.tag, line.waiting[0].seq, line)
        heapq.heappush(self.heap, entry)
        self.leave_stale()

    def leave_stale(self) -> None:
        """Count an entry that counts no more. Such are dropped once they are the greater part."""
        self.stale += 1
        heap = self.heap
        if self.stale > _STALE_KEPT and 2 * self.stale > len(heap):
            heap[:] = [known for known in heap if known[2].entry is known]
            heapq.heapify(heap)
            self.stale = 0

    def top(self) -> Entry:
        """The first line's entry. A bucket that exists is never without one."""
        heap = self.heap
        tag, seq, line = entry = heap[0]
        while line.entry is not entry or tag != line.account.tag or seq != line.waiting[0].seq:
            if line.entry is entry:
                line.entry = entry = (line.account.tag, line.waiting[0].seq, line)
                heapq.heapreplace(heap, entry)
            else:
                heapq.heappop(heap)
                self.stale -= 1
            tag, seq, line = entry = heap[0]
        return entry

    def forget_departed(self) -> None:
        """Keep of the arrivals those that wait, and say when to do that again."""
        self.arrivals = kept = deque([known for known in self.arrivals if known.state is _WAITING])
        self.arrivals_limit = max(_ARRIVALS_KEPT, 2 * len(kept))

    def oldest(self) -> Ticket | None:
        arrivals = self.arrivals
        while arrivals and arrivals[0].state is not _WAITING:
            arrivals.popleft()
        return arrivals[0] if arrivals else None


class Tier:
    """Everything that waits in one class."""

    __slots__ = (
        "accounts",
        "arrived",
        "arrived_before",
        "buckets",
        "due",
        "ended",
        "epoch",
        "is_ordinary",
        "level",
        "offset",
        "oldest",
        "rank",
        "started",
        "withdrawn",
    )

    def __init__(self, level: int, rank: Rank, *, is_ordinary: bool) -> None:
        self.level = level
        # Whether there are reserved slots that it may not have.
        self.is_ordinary = is_ordinary
        self.rank = rank
        # What its tags are in the rank's own count: tag + offset.
        self.offset = 0.0
        self.accounts: dict[str, Account] = {}
        # Grows when the accounts are to be forgotten, which is faster than forgetting them.
        self.epoch = 0
        # Those in which something waits, by model.
        self.buckets: dict[str, Bucket] = {}
        # Requests that came, started, ended after that, and ended before it.
        self.arrived = self.started = self.ended = self.withdrawn = 0
        # Of those that came: while it stood in other ranks than now.
        self.arrived_before = 0
        # While it is aged: the request that it owes its rank to. And when it may next be due to improve.
        self.oldest: Ticket | None = None
        self.due = math.inf

    @property
    def waiting(self) -> int:
        return self.arrived - self.started - self.withdrawn

    @property
    def clock(self) -> float:
        return self.rank.clock - self.offset

    def enter(self, rank: Rank) -> None:
        """Stand in another rank from now on, on a par with it."""
        self.rank.arrivals_before += self.arrived - self.arrived_before
        self.arrived_before = self.arrived
        if self.buckets:
            self.rank.tiers.remove(self)
            rank.tiers.append(self)
            for bucket in self.buckets.values():
                self.rank.buckets.remove(bucket)
                rank.buckets.append(bucket)
        self.offset += rank.clock - self.rank.clock
        self.rank = rank


class Rank:
    """The tiers that have the same standing now, of those in which something waits, and their buckets."""

    __slots__ = ("arrivals_before", "buckets", "clock", "index", "tiers")

    def __init__(self, index: int) -> None:
        self.index = index
        # Requests that came to tiers while these stood here, and stand here no more.
        self.arrivals_before = 0
        self.tiers: list[Tier] = []
        self.buckets: list[Bucket] = []
        self.clock = 0.0

    def tops(self) -> list[Entry]:
        """The first entry of every model and tier, in order, by the rank's own count."""
        found = []
        for bucket in self.buckets:
            tag, seq, line = bucket.top()
            found.append((tag + bucket.tier.offset, seq, line))
        found.sort()
        return found

    def wants(self, model: str) -> bool:
        """Whether a request for the model waits in this rank."""
        return any(model in tier.buckets for tier in self.tiers)
