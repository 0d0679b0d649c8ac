"""A view of the queue that can be played forward without changing it: only what is touched is copied."""

from __future__ import annotations

import heapq
import math
from collections import deque
from typing import TYPE_CHECKING

from namel3ss.scheduling.fairness import steps_aged
from namel3ss.scheduling.tickets import TicketState
from namel3ss.scheduling.tiers import Bucket

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from namel3ss.scheduling.fairness import FairQueue
    from namel3ss.scheduling.placement import Model
    from namel3ss.scheduling.tickets import Ticket
    from namel3ss.scheduling.tiers import Account, Entry, Line, Rank, Tier

__all__ = ["QueuePreview", "RankPreview"]

_WAITING = TicketState.WAITING


class _LinePreview:
    """How far a line has been played: its first request left, the one behind it, all others, and its place."""

    __slots__ = ("_added", "_rest", "entry", "first", "second")

    def __init__(self, line: Line) -> None:
        self._rest: Iterator[Ticket] = iter(line.waiting)
        self._added: deque[Ticket] = deque()
        self.entry: Entry | None = line.entry
        self.first = self._next()
        self.second = self._next()

    def advance(self) -> Ticket:
        started = self.first
        assert started is not None  # a line without requests has no place, so nobody chooses it
        self.first, self.second = self.second, self._next()
        return started

    def add(self, ticket: Ticket) -> None:
        if self.first is None:
            self.first = ticket
        elif self.second is None:
            self.second = ticket
        else:
            self._added.append(ticket)

    def _next(self) -> Ticket | None:
        for ticket in self._rest:
            if ticket.state is _WAITING:
                return ticket
        return self._added.popleft() if self._added else None


class _BucketPreview:
    """One model's lines in one tier, and its requests by age."""

    __slots__ = ("_arrivals", "_oldest", "heap", "lines", "model")

    def __init__(self, bucket: Bucket) -> None:
        self.model: Model = bucket.model
        # Of a bucket in which nothing waits these are empty.
        self.heap: list[Entry] = bucket.heap.copy()
        self.lines = bucket.lines
        self._arrivals: Iterator[Ticket] = iter(bucket.arrivals)
        self._oldest: Ticket | None = None

    def oldest(self, started: set[int]) -> Ticket | None:
        """The oldest request that has not been played as started; arrivals that are only played do not age."""
        while self._oldest is None or self._oldest.seq in started or self._oldest.state is not _WAITING:
            self._oldest = next(self._arrivals, None)
            if self._oldest is None:
                return None
        return self._oldest


class TierPreview:
    """One tier's view. Heaps are copied when they are first looked at."""

    def __init__(
        self, tier: Tier, rank: RankPreview, home: RankPreview, lines: dict[Line, _LinePreview]
    ) -> None:
        self.tier = tier
        self.rank = rank
        self._home = home
        self.offset = tier.offset
        self.oldest = tier.oldest
        self.due = tier.due
        self._lines = lines
        self._tags: dict[Account, float] = {}
        self._live: dict[Account, int] = {}
        self._buckets: dict[str, _BucketPreview] | None = None
        # Everything that runs is played as ended, so a tier in which nothing waits has come to rest.
        self._at_rest = not tier.buckets
        self.started: set[int] = set()

    @property
    def buckets(self) -> dict[str, _BucketPreview]:
        if self._buckets is None:
            self._buckets = {model: _BucketPreview(bucket) for model, bucket in self.tier.buckets.items()}
        return self._buckets

    def top(self, bucket: _BucketPreview) -> Entry:
        """The first line's entry, as `Bucket.top` finds it."""
        heap, lines, tags = bucket.heap, self._lines, self._tags
        while True:
            tag, seq, line = entry = heap[0]
            account = line.account
            now_tag = tags.get(account)
            if now_tag is None:
                now_tag = account.tag
            preview = lines.get(line)
            if preview is None:
                if line.entry is not entry:
                    heapq.heappop(heap)
                    continue
                now_seq = line.waiting[0].seq
            else:
                if preview.entry is not entry:
                    heapq.heappop(heap)
                    continue
                assert preview.first is not None  # it has a place
                now_seq = preview.first.seq
            if tag == now_tag and seq == now_seq:
                return entry
            if preview is None:
                preview = lines[line] = _LinePreview(line)
            preview.entry = entry = (now_tag, now_seq, line)
            heapq.heapreplace(heap, entry)

    def preview_of(self, line: Line) -> _LinePreview:
        preview = self._lines.get(line)
        if preview is None:
            preview = self._lines[line] = _LinePreview(line)
        return preview

    def start(self, line: Line) -> Ticket:
        """Play that the first request of a line starts, which is the first for its model."""
        preview, account = self.preview_of(line), line.account
        ticket = preview.advance()
        self.started.add(ticket.seq)
        tag = self._tags[account] = self._tags.get(account, account.tag) + ticket.cost
        if preview.first is None:
            self._close(line, preview)
        else:
            preview.entry = entry = (tag, preview.first.seq, line)
            heapq.heapreplace(self.buckets[line.model.name].heap, entry)
        return ticket

    def is_turning_point(self, line: Line) -> bool:
        """Whether the start of a line's first request leaves nothing for its model or takes what the tier is aged by."""
        preview = self.preview_of(line)
        is_last = preview.second is None and self.buckets[line.model.name].lines == 1
        return is_last or preview.first is self.oldest

    def add(self, ticket: Ticket) -> None:
        """Play that a request arrives."""
        line = ticket.line
        preview = self.preview_of(line)
        preview.add(ticket)
        if preview.first is ticket:
            self._open(line, preview, ticket)

    def enter(self, rank: RankPreview) -> None:
        if self.buckets:
            self.rank.tiers.remove(self)
            rank.tiers.append(self)
        self.offset += rank.clock - self.rank.clock
        self.rank = rank

    def _open(self, line: Line, preview: _LinePreview, first: Ticket) -> None:
        account, model = line.account, line.model.name
        live = self._live.get(account, account.live)
        tag = self._tags.get(account, account.tag)
        if not live:
            is_forgotten = account not in self._tags and (self._at_rest or account.epoch != self.tier.epoch)
            clock = self.rank.clock - self.offset
            if is_forgotten or tag < clock:
                tag = clock
        self._tags[account] = tag
        self._live[account] = live + 1
        if not self.buckets:
            self.rank.tiers.append(self)
        bucket = self.buckets.get(model)
        if bucket is None:
            bucket = self.buckets[model] = _BucketPreview(Bucket(self.tier, line.model))
        bucket.lines += 1
        preview.entry = entry = (tag, first.seq, line)
        heapq.heappush(bucket.heap, entry)

    def _close(self, line: Line, preview: _LinePreview) -> None:
        account, model = line.account, line.model.name
        self._live[account] = self._live.get(account, account.live) - 1
        preview.entry = None
        bucket = self.buckets[model]
        heapq.heappop(bucket.heap)
        bucket.lines -= 1
        if not bucket.lines:
            del self.buckets[model]
            if not self.buckets:
                self.rank.tiers.remove(self)
                self._at_rest = True
                self._tags.clear()
                self.oldest = None
                self.due = math.inf
                self.enter(self._home)


class RankPreview:
    """One rank's view."""

    def __init__(self, rank: Rank) -> None:
        self.index = rank.index
        self.clock = rank.clock
        self.tiers: list[TierPreview] = []

    def tops(self) -> list[Entry]:
        found = []
        for tier in self.tiers:
            offset = tier.offset
            for bucket in tier.buckets.values():
                tag, seq, line = tier.top(bucket)
                found.append((tag + offset, seq, line))
        found.sort()
        return found

    def models(self) -> set[str]:
        """Those for which a request waits in this rank."""
        return {model for tier in self.tiers for model in tier.buckets}

    def wants(self, model: str) -> bool:
        return any(model in tier.buckets for tier in self.tiers)

    def first(self, passed_over: Collection[str]) -> Entry | None:
        """The first request in order for any other model."""
        best: Entry | None = None
        for tier in self.tiers:
            offset = tier.offset
            for model, bucket in tier.buckets.items():
                if model in passed_over:
                    continue
                entry = tier.top(bucket)
                if offset:
                    entry = (entry[0] + offset, entry[1], entry[2])
                if best is None or entry < best:
                    best = entry
        return best


class QueuePreview:
    """All ranks' views. Good only while the queue itself does not change.

    Times given must not go back.
    """

    def __init__(self, queue: FairQueue) -> None:
        self._ageing_s = queue.ageing_s
        self._lines: dict[Line, _LinePreview] = {}
        self.ranks = [RankPreview(rank) for rank in queue.ranks]
        self._tiers = [
            TierPreview(tier, self.ranks[tier.rank.index], self.ranks[tier.level], self._lines)
            for tier in queue.tiers
        ]
        for rank, known in zip(self.ranks, queue.ranks, strict=True):
            rank.tiers = [self._tiers[tier.level] for tier in known.tiers]
        self._next_due = min(tier.due for tier in self._tiers)
        # From when on what was played would have gone otherwise, had it been played then.
        self.changes_at = math.inf

    def tier_of(self, line: Line) -> TierPreview:
        return self._tiers[line.account.tier.level]

    def take(self, line: Line, clock: float, now: float) -> Ticket:
        """Play that a line's first request starts."""
        tier = self._tiers[line.account.tier.level]
        if tier.rank.clock < clock:
            tier.rank.clock = clock
        ticket = tier.start(line)
        if ticket is tier.oldest:
            self._age(tier, now)
        return ticket

    def add(self, ticket: Ticket) -> None:
        """Play that a request arrives."""
        self.tier_of(ticket.line).add(ticket)

    def promote(self, now: float) -> None:
        """Play ageing up to now."""
        if self._next_due > now:
            return
        for tier in self._tiers:
            if tier.due <= now and tier.buckets:
                self._age(tier, now)
        self._next_due = min(tier.due if tier.due > now else math.inf for tier in self._tiers)

    def _age(self, tier: TierPreview, now: float) -> None:
        level = tier.tier.level
        oldest: Ticket | None = None
        for bucket in tier.buckets.values():
            if bucket.model.is_offered:
                first = bucket.oldest(tier.started)
                if first is not None and (oldest is None or first.seq < oldest.seq):
                    oldest = first
        steps = 0 if oldest is None else min(level, steps_aged(oldest.since, now, self._ageing_s))
        rank = self.ranks[level - steps]
        if rank is not tier.rank:
            tier.enter(rank)
        tier.oldest = oldest if steps else None
        tier.due = math.inf
        if oldest is not None and rank.index:
            tier.due = oldest.since + (steps + 1) * self._ageing_s
            self.changes_at = min(self.changes_at, tier.due)
        self._next_due = min(self._next_due, tier.due)
