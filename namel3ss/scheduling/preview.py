"""A view of the queue that can be played forward without changing it: only what is touched is copied."""

from __future__ import annotations

import heapq
import itertools
import math
from collections import deque
from typing import TYPE_CHECKING

from namel3ss.scheduling.fairness import Line
from namel3ss.scheduling.tickets import TicketState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from namel3ss.scheduling.fairness import Entry, FairQueue, Rank
    from namel3ss.scheduling.selection import Choice
    from namel3ss.scheduling.tickets import Ticket

__all__ = ["QueuePreview", "RankPreview"]


class _LinePreview:
    """How far a line has been played: where it stands, its first request left, and those behind it."""

    __slots__ = ("added", "due", "entry", "first", "rank", "rest")

    def __init__(self, line: Line) -> None:
        self.rest: Iterator[Ticket] = iter(line.waiting)
        self.first: Ticket | None = next(self.rest, None)
        self.entry: Entry | None = line.entry
        self.added: deque[Ticket] = deque()
        self.rank = line.rank
        self.due = line.due

    def advance(self) -> Ticket:
        started = self.first
        assert started is not None  # a line without requests has no entry, so nobody chooses it
        self.first = next((ticket for ticket in self.rest if ticket.state is TicketState.WAITING), None)
        if self.first is None and self.added:
            self.first = self.added.popleft()
        return started


class _AccountPreview:
    __slots__ = ("lines", "tag")

    def __init__(self, tag: float, lines: list[Line]) -> None:
        self.tag = tag
        self.lines = lines


class RankPreview:
    """One rank's view. Heaps are copied when they are first looked at."""

    def __init__(self, rank: Rank, entries: dict[Line, _LinePreview]) -> None:
        self._rank = rank
        self._entries = entries
        self.lines = rank.lines
        self.clock = rank.clock
        self._accounts: dict[str, _AccountPreview] = {}
        # None: still as in the rank.
        self._heaps: dict[tuple[str, bool], list[Entry]] | None = None
        self._counts: dict[tuple[str, bool], int] = {}
        # Everything that runs is played as ended, so a rank in which nothing waits has come to rest.
        self._at_rest = not rank.lines

    def tops(self) -> list[Entry]:
        found = []
        for heap in self._own_heaps().values():
            while not self._counts_still(heap[0]):
                heapq.heappop(heap)
            found.append(heap[0])
        found.sort()
        return found

    def wants(self, model: str) -> bool:
        heaps = self._own_heaps()
        return (model, False) in heaps or (model, True) in heaps

    def account(self, user: str) -> _AccountPreview:
        account = self._accounts.get(user)
        if account is None:
            known = None if self._at_rest else self._rank.accounts.get(user)
            if known is None:
                account = _AccountPreview(0.0 if self._at_rest else self.clock, [])
            else:
                account = _AccountPreview(known.tag, list(known.lines))
            self._accounts[user] = account
        return account

    def attach(self, line: Line, preview: _LinePreview) -> None:
        account = self.account(line.user)
        if not account.lines and account.tag < self.clock:
            account.tag = self.clock
        account.lines.append(line)
        key = (line.model, line.level == 0)
        self._own_heaps().setdefault(key, [])
        self._counts[key] = self._counts.get(key, 0) + 1
        self.lines += 1
        self.rekey(line, preview, account.tag)

    def detach(self, line: Line, preview: _LinePreview) -> None:
        self.account(line.user).lines.remove(line)
        preview.entry = None
        key = (line.model, line.level == 0)
        heaps = self._own_heaps()
        self._counts[key] -= 1
        if not self._counts[key]:
            del heaps[key]
        self.lines -= 1
        if not self.lines:
            self._at_rest = True
            self._accounts.clear()
            self.clock = 0.0

    def rekey(self, line: Line, preview: _LinePreview, tag: float) -> None:
        assert preview.first is not None  # only a line with requests has a place
        preview.entry = (tag, preview.first.seq, line)
        heapq.heappush(self._own_heaps()[(line.model, line.level == 0)], preview.entry)

    def _own_heaps(self) -> dict[tuple[str, bool], list[Entry]]:
        if self._heaps is None:
            self._heaps = {key: bucket.heap.copy() for key, bucket in self._rank.buckets.items()}
            self._counts = {key: bucket.lines for key, bucket in self._rank.buckets.items()}
        return self._heaps

    def _counts_still(self, entry: Entry) -> bool:
        preview = self._entries.get(entry[2])
        return (preview.entry if preview is not None else entry[2].entry) is entry


class QueuePreview:
    """All ranks' views. Good only while the queue itself does not change.

    With `ages`, time may be played as well: call `promote` with times that do not go back.
    """

    def __init__(self, queue: FairQueue, *, ages: bool) -> None:
        self._queue = queue
        self._lines: dict[Line, _LinePreview] = {}
        self._new_lines: dict[tuple[str, int, str], Line] = {}
        self.ranks = [RankPreview(rank, self._lines) for rank in queue.ranks]
        self._ages = ages
        self._numbers = itertools.count()
        self._dues: list[tuple[float, int, Line]] = []
        if ages:
            self._dues = [
                (line.due, next(self._numbers), line) for line in queue.lines() if line.due < math.inf
            ]
            heapq.heapify(self._dues)

    def take(self, choice: Choice, now: float) -> Ticket:
        """Play that a line's first request starts."""
        line = choice.line
        rank = self.ranks[choice.rank]
        rank.clock = max(rank.clock, choice.clock)
        preview = self._preview(line)
        account = rank.account(line.user)
        ticket = preview.advance()
        account.tag += ticket.cost
        for sibling in account.lines:
            if sibling is not line:
                rank.rekey(sibling, self._preview(sibling), account.tag)
        if preview.first is None:
            rank.detach(line, preview)
        elif line.level == choice.rank:
            rank.rekey(line, preview, account.tag)
            self._begin_ageing(line, preview, now)
        else:
            rank.detach(line, preview)
            self._enter(line, preview, now)
        return ticket

    def add(self, ticket: Ticket, now: float) -> None:
        """Play that a request arrives."""
        key = (ticket.user, ticket.level, ticket.model)
        line = self._queue.line(key) or self._new_lines.get(key)
        if line is None:
            line = self._new_lines[key] = Line(*key)
        preview = self._preview(line)
        if preview.first is not None:
            preview.added.append(ticket)
        else:
            preview.first = ticket
            self._enter(line, preview, now)

    def promote(self, now: float) -> None:
        """Play ageing up to now."""
        while self._dues and self._dues[0][0] <= now:
            due, _, line = heapq.heappop(self._dues)
            preview = self._preview(line)
            if preview.first is None or preview.due != due:
                continue
            self.ranks[preview.rank].detach(line, preview)
            preview.rank -= 1
            self.ranks[preview.rank].attach(line, preview)
            self._set_due(line, preview, due + self._queue.ageing_s)

    def _enter(self, line: Line, preview: _LinePreview, now: float) -> None:
        preview.rank = line.level
        self.ranks[line.level].attach(line, preview)
        self._begin_ageing(line, preview, now)

    def _begin_ageing(self, line: Line, preview: _LinePreview, now: float) -> None:
        self._set_due(line, preview, now + self._queue.ageing_s)

    def _set_due(self, line: Line, preview: _LinePreview, due: float) -> None:
        preview.due = due if self._ages and preview.rank else math.inf
        if preview.due < math.inf:
            heapq.heappush(self._dues, (preview.due, next(self._numbers), line))

    def _preview(self, line: Line) -> _LinePreview:
        preview = self._lines.get(line)
        if preview is None:
            preview = self._lines[line] = _LinePreview(line)
        return preview
