"""A view of the queue that can be played forward without changing it: only what is touched is copied."""

from __future__ import annotations

import heapq
import math
from collections import deque
from typing import TYPE_CHECKING

from namel3ss.scheduling.fairness import steps_aged
from namel3ss.scheduling.tickets import TicketState

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from namel3ss.scheduling.fairness import FairQueue
    from namel3ss.scheduling.tickets import Ticket
    from namel3ss.scheduling.tiers import Account, Bucket, Entry, Line, Rank, Tier

__all__ = ["QueuePreview", "RankPreview"]

_WAITING = TicketState.WAITING


class _LinePreview:
    """How far a line has been played: its first request left, those behind it, and its place."""

    __slots__ = ("added", "entry", "first", "rest")

    def __init__(self, line: Line) -> None:
        self.rest: Iterator[Ticket] = iter(line.waiting)
        self.first: Ticket | None = next(self.rest, None)
        self.entry: Entry | None = line.entry
        self.added: deque[Ticket] = deque()

    def advance(self) -> Ticket:
        started = self.first
        assert started is not None  # a line without requests has no place, so nobody chooses it
        self.first = next((ticket for ticket in self.rest if ticket.state is _WAITING), None)
        if self.first is None and self.added:
            self.first = self.added.popleft()
        return started


class _BucketPreview:
    """One model's lines in one tier, and its requests by age."""

    __slots__ = ("_arrivals", "_oldest", "heap", "lines")

    def __init__(self, bucket: Bucket | None) -> None:
        self.heap: list[Entry] = [] if bucket is None else bucket.heap.copy()
        self.lines = 0 if bucket is None else bucket.lines
        self._arrivals: Iterator[Ticket] = iter(() if bucket is None else bucket.arrivals)
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
        self.lines = tier.lines
        self.oldest = tier.oldest
        self.due = tier.due
        self._line_previews = lines
        self._tags: dict[str, float] = {}
        self._live: dict[str, int] = {}
        self._buckets: dict[str, _BucketPreview] | None = None
        # Everything that runs is played as ended, so a tier in which nothing waits has come to rest.
        self._at_rest = not tier.lines
        self.started: set[int] = set()

    @property
    def buckets(self) -> dict[str, _BucketPreview]:
        if self._buckets is None:
            self._buckets = {model: _BucketPreview(bucket) for model, bucket in self.tier.buckets.items()}
        return self._buckets

    def top(self, bucket: _BucketPreview) -> Entry:
        """The first line's entry, as `Bucket.top` finds it."""
        heap, previews = bucket.heap, self._line_previews
        while True:
            entry = heap[0]
            tag, seq, line = entry
            preview = previews.get(line)
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
            now_tag = self._tags.get(line.account.user)
            if now_tag is None:
                now_tag = line.account.tag
            if tag == now_tag and seq == now_seq:
                return entry
            if preview is None:
                preview = previews[line] = _LinePreview(line)
            preview.entry = entry = (now_tag, now_seq, line)
            heapq.heapreplace(heap, entry)

    def charge(self, account: Account, cost: float) -> None:
        self._tags[account.user] = self._tags.get(account.user, account.tag) + cost

    def open(self, line: Line, preview: _LinePreview) -> None:
        """Give a line in which something waits again its place."""
        account, user = line.account, line.account.user
        live = self._live.get(user, account.live)
        tag = self._tags.get(user, account.tag)
        if not live:
            is_forgotten = user not in self._tags and (self._at_rest or account.epoch != self.tier.epoch)
            clock = self.rank.clock - self.offset
            if is_forgotten or tag < clock:
                tag = clock
        self._tags[user] = tag
        self._live[user] = live + 1
        bucket = self.buckets.get(line.bucket.model)
        if bucket is None:
            bucket = self.buckets[line.bucket.model] = _BucketPreview(None)
        bucket.lines += 1
        if not self.lines:
            self.rank.tiers.append(self)
        self.lines += 1
        assert preview.first is not None  # something waits in it
        preview.entry = entry = (tag, preview.first.seq, line)
        heapq.heappush(bucket.heap, entry)

    def close(self, line: Line, preview: _LinePreview) -> None:
        user = line.account.user
        self._live[user] = self._live.get(user, line.account.live) - 1
        preview.entry = None
        bucket = self.buckets[line.bucket.model]
        bucket.lines -= 1
        self.lines -= 1
        if not bucket.lines:
            del self.buckets[line.bucket.model]
        if not self.lines:
            self.rank.tiers.remove(self)
            self._at_rest = True
            self._tags.clear()
            self.oldest = None
            self.due = math.inf
            self.enter(self._home)

    def enter(self, rank: RankPreview) -> None:
        if self.lines:
            self.rank.tiers.remove(self)
            rank.tiers.append(self)
        self.offset += rank.clock - self.rank.clock
        self.rank = rank


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

    def wants(self, model: str) -> bool:
        return any(model in tier.buckets for tier in self.tiers)


class QueuePreview:
    """All ranks' views. Good only while the queue itself does not change.

    Times given must not go back.
    """

    def __init__(self, queue: FairQueue) -> None:
        self._queue = queue
        self._lines: dict[Line, _LinePreview] = {}
        self._new_lines: dict[tuple[str, int, str], Line] = {}
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

    def first(self, unserved: Collection[str]) -> tuple[Line, float] | None:
        """The first request in order whose model is served, with its tag by its rank's count."""
        for rank in self.ranks:
            best: Entry | None = None
            for tier in rank.tiers:
                offset = tier.offset
                for model, bucket in tier.buckets.items():
                    if model in unserved:
                        continue
                    entry = tier.top(bucket)
                    if offset:
                        entry = (entry[0] + offset, entry[1], entry[2])
                    if best is None or entry < best:
                        best = entry
            if best is not None:
                return best[2], best[0]
        return None

    def rank_of(self, line: Line) -> int:
        """The rank in which a line stands as far as was played."""
        return self._tiers[line.account.tier.level].rank.index

    def take(self, line: Line, clock: float, now: float) -> Ticket:
        """Play that a line's first request starts."""
        tier = self._tiers[line.account.tier.level]
        tier.rank.clock = max(tier.rank.clock, clock)
        preview = self._preview(line)
        ticket = preview.advance()
        tier.started.add(ticket.seq)
        tier.charge(line.account, ticket.cost)
        if preview.first is None:
            tier.close(line, preview)
        if ticket is tier.oldest:
            self._age(tier, now)
        return ticket

    def add(self, ticket: Ticket) -> None:
        """Play that a request arrives."""
        key = (ticket.user, ticket.level, ticket.model)
        line = self._queue.line(key) or self._new_lines.get(key)
        if line is None:
            line = self._new_lines[key] = self._queue.new_line(key)
        preview = self._preview(line)
        if preview.first is not None:
            preview.added.append(ticket)
        else:
            preview.first = ticket
            self._tiers[ticket.level].open(line, preview)

    def promote(self, now: float) -> None:
        """Play ageing up to now."""
        if self._next_due > now:
            return
        for tier in self._tiers:
            if tier.due <= now and tier.lines:
                self._age(tier, now)
        self._next_due = min(tier.due if tier.due > now else math.inf for tier in self._tiers)

    def _age(self, tier: TierPreview, now: float) -> None:
        level, ageing_s = tier.tier.level, self._queue.ageing_s
        oldest: Ticket | None = None
        for model, bucket in tier.buckets.items():
            first = bucket.oldest(tier.started)
            if (
                first is not None
                and (oldest is None or first.seq < oldest.seq)
                and self._queue.is_served(model)
            ):
                oldest = first
        steps = 0 if oldest is None else min(level, steps_aged(oldest.since, now, ageing_s))
        rank = self.ranks[level - steps]
        if rank is not tier.rank:
            tier.enter(rank)
        tier.oldest = oldest if steps else None
        tier.due = math.inf
        if oldest is not None and rank.index:
            tier.due = oldest.since + (steps + 1) * ageing_s
            self.changes_at = min(self.changes_at, tier.due)
        self._next_due = min(self._next_due, tier.due)

    def _preview(self, line: Line) -> _LinePreview:
        preview = self._lines.get(line)
        if preview is None:
            preview = self._lines[line] = _LinePreview(line)
        return preview
