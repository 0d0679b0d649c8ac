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


class Line:
    """Requests of one user, class and model, in order of arrival. Kept for a while when none is left: users come again."""

    __slots__ = ("account", "bucket", "entry", "live", "waiting")

    def __init__(self, account: Account, bucket: Bucket) -> None:
        self.account = account
        self.bucket = bucket
        # May hold withdrawn tickets behind the first; `live` counts the others.
        self.waiting: deque[Ticket] = deque()
        self.live = 0
        self.entry: Entry | None = None

    @property
    def level(self) -> int:
        return self.account.tier.level


class User:
    """One user over all classes."""

    __slots__ = ("name", "waiting")

    def __init__(self, name: str) -> None:
        self.name = name
        self.waiting = 0


class Account:
    """One user's virtual time in one class."""

    __slots__ = ("epoch", "lines", "live", "running", "tag", "tier", "user")

    def __init__(self, tier: Tier, user: User) -> None:
        self.tier = tier
        self.user = user
        self.tag = -math.inf
        # All its lines by model, and how many of them wait.
        self.lines: dict[str, Line] = {}
        self.live = 0
        self.running = 0
        # The tag counts only while this is the tier's.
        self.epoch = -1


class Bucket:
    """The lines of one class that wait for one model. `lines` counts them."""

    __slots__ = ("_arrivals_limit", "arrivals", "heap", "lines", "model")

    def __init__(self, model: Model) -> None:
        self.model = model
        self.heap: list[Entry] = []
        self.lines = 0
        # The requests in order of arrival, for ageing; may hold such as wait no more.
        self.arrivals: deque[Ticket] = deque()
        self._arrivals_limit = 256

    def push(self, entry: Entry) -> None:
        heap = self.heap
        heapq.heappush(heap, entry)
        if len(heap) > 2 * self.lines + 64:
            heap[:] = [known for known in heap if known[2].entry is known]
            heapq.heapify(heap)

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
            tag, seq, line = entry = heap[0]
        return entry

    def note_arrival(self, ticket: Ticket) -> None:
        arrivals = self.arrivals
        arrivals.append(ticket)
        if len(arrivals) > self._arrivals_limit:
            self.arrivals = arrivals = deque(known for known in arrivals if known.state is _WAITING)
            self._arrivals_limit = max(256, 2 * len(arrivals))

    def oldest(self) -> Ticket | None:
        arrivals = self.arrivals
        while arrivals and arrivals[0].state is not _WAITING:
            arrivals.popleft()
        return arrivals[0] if arrivals else None


class Tier:
    """Everything that waits in one class."""

    __slots__ = (
        "accounts",
        "buckets",
        "due",
        "epoch",
        "level",
        "offset",
        "oldest",
        "rank",
        "running",
        "waiting",
    )

    def __init__(self, level: int, rank: Rank) -> None:
        self.level = level
        self.rank = rank
        # What its tags are in the rank's own count: tag + offset.
        self.offset = 0.0
        self.accounts: dict[str, Account] = {}
        # Grows when the accounts are to be forgotten, which is faster than forgetting them.
        self.epoch = 0
        # Those in which something waits, by model.
        self.buckets: dict[str, Bucket] = {}
        self.waiting = 0
        self.running = 0
        # While it is aged: the request that it owes its rank to. And when it may next be due to improve.
        self.oldest: Ticket | None = None
        self.due = math.inf

    @property
    def clock(self) -> float:
        return self.rank.clock - self.offset

    def enter(self, rank: Rank) -> None:
        """Stand in another rank from now on, on a par with it."""
        if self.buckets:
            self.rank.tiers.remove(self)
            rank.tiers.append(self)
        self.offset += rank.clock - self.rank.clock
        self.rank = rank


class Rank:
    """The tiers that have the same standing now, of those in which something waits. `arrivals` counts all that came."""

    __slots__ = ("arrivals", "clock", "index", "tiers")

    def __init__(self, index: int) -> None:
        self.index = index
        self.arrivals = 0
        self.tiers: list[Tier] = []
        self.clock = 0.0

    def tops(self) -> list[Entry]:
        """The first entry of every model and tier, in order, by the rank's own count."""
        found = []
        for tier in self.tiers:
            offset = tier.offset
            for bucket in tier.buckets.values():
                tag, seq, line = bucket.top()
                found.append((tag + offset, seq, line))
        found.sort()
        return found

    def wants(self, model: str) -> bool:
        """Whether a request for the model waits in this rank."""
        return any(model in tier.buckets for tier in self.tiers)
