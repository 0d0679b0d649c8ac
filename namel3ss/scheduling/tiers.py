"""What waits, by class, user and model: lines, the accounts of users, and tiers. The rules stand in `fairness`."""

from __future__ import annotations

import heapq
import math
from collections import deque
from typing import TypeAlias

from namel3ss.scheduling.tickets import Ticket, TicketState

__all__ = ["Account", "Bucket", "Entry", "Line", "Rank", "Tier"]

# A line's place: the user's tag, the arrival of its first request, the line. Tags and arrivals only grow while a line
# waits, but for corrections, so an entry may say too little: it is brought up to date when it comes to the top. It
# counts only while it is the line's own `entry`. Arrivals are unique, so that comparing never reaches the line.
Entry: TypeAlias = "tuple[float, int, Line]"

# Looked up once: on Python 3.11 finding a member of an enumeration takes longer than a call.
_WAITING = TicketState.WAITING
# Of each class so many idle lines may be kept beside as many as wait, and so many idle accounts.
_IDLE_KEPT = 256
_AHEAD_KEPT = 4096


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
    def model(self) -> str:
        return self.bucket.model

    @property
    def level(self) -> int:
        return self.account.tier.level


class Account:
    """One user's virtual time in one class."""

    __slots__ = ("epoch", "lines", "live", "running", "tag", "tier", "user")

    def __init__(self, tier: Tier, user: str) -> None:
        self.tier = tier
        self.user = user
        self.tag = -math.inf
        # All its lines by model, and how many of them wait.
        self.lines: dict[str, Line] = {}
        self.live = 0
        self.running = 0
        # The tag counts only while this is the tier's.
        self.epoch = -1

    @property
    def waiting(self) -> int:
        """How many of the user's requests wait in this class."""
        return sum(line.live for line in self.lines.values())


class Bucket:
    """The lines of one class that wait for one model. `lines` counts them."""

    __slots__ = ("_arrivals_limit", "arrivals", "heap", "lines", "model")

    def __init__(self, model: str) -> None:
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
        while True:
            entry = heap[0]
            tag, seq, line = entry
            if line.entry is not entry:
                heapq.heappop(heap)
                continue
            now_tag, now_seq = line.account.tag, line.waiting[0].seq
            if tag == now_tag and seq == now_seq:
                return entry
            line.entry = entry = (now_tag, now_seq, line)
            heapq.heapreplace(heap, entry)

    def note_arrival(self, ticket: Ticket) -> None:
        arrivals = self.arrivals
        if len(arrivals) >= self._arrivals_limit:
            self.arrivals = arrivals = deque(known for known in arrivals if known.state is _WAITING)
            self._arrivals_limit = max(256, 2 * len(arrivals))
        arrivals.append(ticket)

    def oldest(self) -> Ticket | None:
        arrivals = self.arrivals
        while arrivals and arrivals[0].state is not _WAITING:
            arrivals.popleft()
        return arrivals[0] if arrivals else None


class Tier:
    """Everything that waits in one class."""

    __slots__ = (
        "_all_buckets",
        "_known_lines",
        "_tidy_at",
        "accounts",
        "buckets",
        "due",
        "epoch",
        "level",
        "lines",
        "offset",
        "oldest",
        "rank",
        "running",
    )

    def __init__(self, level: int, rank: Rank) -> None:
        self.level = level
        self.rank = rank
        # What its tags are in the rank's own count: tag + offset.
        self.offset = 0.0
        self.accounts: dict[str, Account] = {}
        # Grows when the accounts are to be forgotten, which is faster than forgetting them.
        self.epoch = 0
        # Those in which something waits, by model; and the count of their lines.
        self.buckets: dict[str, Bucket] = {}
        self.lines = 0
        self.running = 0
        # While it is aged: the request that it owes its rank to. And when it may next be due to improve.
        self.oldest: Ticket | None = None
        self.due = math.inf
        self._all_buckets: dict[str, Bucket] = {}
        self._known_lines = 0
        self._tidy_at = _IDLE_KEPT

    @property
    def clock(self) -> float:
        return self.rank.clock - self.offset

    def enter(self, rank: Rank) -> None:
        """Stand in another rank from now on, on a par with it."""
        if self.lines:
            self.rank.tiers.remove(self)
            rank.tiers.append(self)
        self.offset += rank.clock - self.rank.clock
        self.rank = rank

    def line(self, user: str, model: str) -> Line:
        """A user's line for a model; made if there is none."""
        account = self.accounts.get(user)
        if account is None:
            account = self.accounts[user] = Account(self, user)
        line = account.lines.get(model)
        if line is None:
            self._known_lines += 1
            if self._known_lines > self._tidy_at:
                self._forget_idle()
                self.accounts[user] = account
            bucket = self._all_buckets.get(model)
            if bucket is None:
                bucket = self._all_buckets[model] = Bucket(model)
            line = account.lines[model] = Line(account, bucket)
        return line

    def _forget_idle(self) -> None:
        # An idle account at or below the clock says the same as no account. Of the others those that are furthest ahead
        # are kept: forgetting one forgives what it was charged.
        clock, epoch = self.clock, self.epoch
        busy = {user: known for user, known in self.accounts.items() if known.live or known.running}
        ahead = [
            known
            for known in self.accounts.values()
            if not (known.live or known.running) and known.epoch == epoch and known.tag > clock
        ]
        ahead.sort(key=lambda known: known.tag)
        self.accounts = busy | {known.user: known for known in ahead[-_AHEAD_KEPT:]}
        for account in self.accounts.values():
            account.lines = {model: line for model, line in account.lines.items() if line.live}
        self._all_buckets = dict(self.buckets)
        self._known_lines = self.lines
        self._tidy_at = _IDLE_KEPT + self.lines + len(self.accounts)


class Rank:
    """The tiers that have the same standing now, of those in which something waits."""

    __slots__ = ("clock", "index", "tiers")

    def __init__(self, index: int) -> None:
        self.index = index
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
