"""The account of what is used: limits before a request, sums after it, both without waiting for the database.

Limits are judged from memory. A reservation is made before a request for the most it may use, and settled after it for what
it did use. Sums are written once a second at the latest; what a kill -9 takes with it is less than the last second.
While the database cannot be written, sums wait in memory, in at most `MOST_CELLS` rows.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Self

from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.store.meters import Meter
from namel3ss.gateway.store.tallies import Cell, Tally, cell_of, day_of, read_day, read_usage, write_usage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date
    from types import TracebackType

    from sqlalchemy.engine import Connection

    from namel3ss.gateway.principal import Principal
    from namel3ss.gateway.store.store import Store
    from namel3ss.gateway.store.tallies import Dimension, UsageRow
    from namel3ss.gateway.usage import Usage, UsageEvent

__all__ = ["MOST_CELLS", "Books", "Reservation"]

MOST_CELLS: Final = 10_000

_WRITE_EVERY_S: Final = 0.5
_RETRY_S: Final = 1.0
_LAST_WRITE_S: Final = 5.0
_SWEEP_EVERY: Final = 1024
_DAY_S: Final = 86_400.0

_logger = logging.getLogger(__name__)


class Reservation:
    """What one request may use up, from its arrival to its end: then it is settled, exactly once."""

    __slots__ = ("_books", "_is_receiving", "_meter", "_stamp", "_tokens", "is_settled", "principal")

    def __init__(
        self, books: Books, principal: Principal, meter: Meter | None, tokens: int, stamp: int
    ) -> None:
        self._books = books
        self.principal = principal
        self._meter = meter
        self._tokens = tokens
        self._stamp = stamp
        self._is_receiving = False
        self.is_settled = False

    def begin(self) -> None:
        """The answer begins: the request has a slot. Raises Refusal where its user or key receives too many at a time."""
        if not self._is_receiving and not self.is_settled:
            self._books._begin_stream(self.principal, self._meter)
            self._is_receiving = True

    def cover(self, tokens: int) -> int:
        """Put so many aside for it in all: its answer is longer than was thought. Returns how many are.

        Raises Refusal where its key has no more.
        """
        if self._meter is None:
            return sys.maxsize
        if tokens > self._tokens and not self.is_settled:
            self._tokens += self._books._extend(self._meter, self.principal, tokens - self._tokens)
        return self._tokens

    def settle(self, usage: Usage) -> None:
        """Count what was used in the place of what was reserved; a request that used nothing counts as none made."""
        if self.is_settled:
            raise RuntimeError("The reservation was settled before.")
        self.is_settled = True
        if self._is_receiving:
            self._books._end_stream(self.principal, self._meter)
        if self._meter is not None:
            self._books._settle(self._meter, self._tokens, usage.total_tokens, self._stamp)


class Books:
    """The books of one store, an async context manager: inside it what is recorded is written.

    Times for windows are of `clock`, which never goes back; days are those of `wall_clock`, in UTC. Limits of minutes are
    this process's own; of the day's tokens, what other processes wrote counts as well.
    """

    def __init__(
        self,
        store: Store,
        *,
        streams_per_user: int,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._streams_per_user = streams_per_user
        self._clock = clock
        self._wall_clock = wall_clock
        self._meters: dict[str, Meter] = {}
        self._receiving: Counter[str] = Counter()
        self._before: tuple[str, dict[str, int]] = ("", {})
        self._waiting: dict[Cell, Tally] = {}
        self._has_news = asyncio.Event()
        self._is_closing = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._reserved_count = 0
        self.lost_events = 0
        """Requests that could not be kept, because the database was away for long."""

    async def __aenter__(self) -> Self:
        day = day_of(self._wall_clock())
        self._before = (day, await self._store.read(lambda connection: read_day(connection, day)))
        self._task = asyncio.create_task(self._write_on(), name="gateway books")
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_closing.set()
        self._has_news.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=_LAST_WRITE_S)
        for task in (self._task, self._writing):
            if task is not None and not task.done():
                task.cancel()
                await asyncio.wait([task])
        if self._task is not None and not self._task.cancelled():
            self._task.result()
        if self._waiting:
            count = sum(tally.requests for tally in self._waiting.values())
            _logger.error("The usage of %d requests could not be written.", count)

    # -- limits ---------------------------------------------------------------------------------------------------

    def reserve(self, principal: Principal, tokens: int) -> Reservation:
        """Reserve the most that a request may use. Raises Refusal: over_limit, rate_limited, over_budget, too_many_streams."""
        limits = principal.limits
        meter = None
        self._check_streams(principal, self._meters.get(principal.key_id))
        stamp = 0
        if limits.requests_per_minute or limits.tokens_per_minute or limits.tokens_per_day or limits.streams:
            now, wall = self._clock(), self._wall_clock()
            meter = self._meter(principal.key_id, wall)
            meter.check(limits, tokens, now, _DAY_S - wall % _DAY_S)
            stamp = meter.reserve(tokens, now)
        return Reservation(self, principal, meter, tokens, stamp)

    def count(self, principal: Principal) -> None:
        """Count a request that no model answers. Raises Refusal: rate_limited."""
        if principal.limits.requests_per_minute is not None:
            self._meter(principal.key_id, self._wall_clock()).count(principal.limits, self._clock())

    def receiving(self, user: str) -> int:
        """How many answers a user receives right now."""
        return self._receiving[user]

    def _meter(self, key_id: str, wall: float) -> Meter:
        self._reserved_count += 1
        if self._reserved_count % _SWEEP_EVERY == 0:
            self._sweep(day_of(wall))
        meter = self._meters.get(key_id)
        if meter is None:
            meter = self._meters[key_id] = Meter()
        day = day_of(wall)
        if meter.day != day:
            meter.begin_day(day)
            if self._before[0] == day:
                meter.note_books(self._before[1].get(key_id, 0))
        return meter

    def _sweep(self, day: str) -> None:
        """Forget meters that say nothing, so that keys which come and go leave nothing behind."""
        now = self._clock()
        for key_id, meter in list(self._meters.items()):
            meter.begin_day(day)
            meter.forget_old(now)
            if meter.is_idle:
                del self._meters[key_id]

    def _extend(self, meter: Meter, principal: Principal, tokens: int) -> int:
        wall = self._wall_clock()
        meter.begin_day(day_of(wall))
        return meter.extend(principal.limits, tokens, self._clock(), _DAY_S - wall % _DAY_S)

    def _settle(self, meter: Meter, reserved: int, used: int, stamp: int) -> None:
        meter.begin_day(day_of(self._wall_clock()))
        meter.settle(reserved, used, stamp, self._clock())

    def _check_streams(self, principal: Principal, meter: Meter | None) -> None:
        most = self._streams_per_user
        if self._receiving[principal.user] >= most:
            raise _too_many(f"{principal.user} may receive {most} answers at a time, and does.")
        most_of_key = principal.limits.streams
        if most_of_key is not None and meter is not None and meter.receiving >= most_of_key:
            raise _too_many(f"This key may receive {most_of_key} answers at a time, and does.")

    def _begin_stream(self, principal: Principal, meter: Meter | None) -> None:
        self._check_streams(principal, meter)
        self._receiving[principal.user] += 1
        if meter is not None:
            meter.receiving += 1

    def _end_stream(self, principal: Principal, meter: Meter | None) -> None:
        self._receiving[principal.user] -= 1
        if not self._receiving[principal.user]:
            del self._receiving[principal.user]
        if meter is not None:
            meter.receiving -= 1

    # -- usage ----------------------------------------------------------------------------------------------------

    def record(self, event: UsageEvent) -> None:
        """Keep what a request used. Never waits; it is on the disk within a second."""
        cell = cell_of(event)
        tally = self._waiting.get(cell)
        if tally is None:
            if len(self._waiting) >= MOST_CELLS:
                self.lost_events += 1
                return
            tally = self._waiting[cell] = Tally()
        tally.add(event)
        self._has_news.set()

    async def flush(self) -> None:
        """Write what was recorded so far. Raises Refusal where the database does not take it; then it is kept."""
        # What is being written already may have been begun before the last was recorded.
        for _ in range(2):
            if self._writing is None or self._writing.done():
                if not self._waiting:
                    return
                self._writing = asyncio.create_task(self._write(), name="gateway books writing")
                self._writing.add_done_callback(_look_at)
            # Whoever waits may leave; what is being written is written, and known to be.
            await asyncio.shield(self._writing)

    async def usage(
        self,
        *,
        since: date,
        until: date,
        by: Sequence[Dimension],
        only: Mapping[Dimension, str] | None = None,
        limit: int = 10_000,
    ) -> tuple[UsageRow, ...]:
        """Sums of whole days, up to the last second. See `read_usage`. Raises Refusal."""
        with contextlib.suppress(Refusal, TimeoutError):
            async with asyncio.timeout(self._store.timeout_s):
                await self.flush()
        return await self._store.read(
            lambda connection: read_usage(
                connection, since=since, until=until, by=by, only=only or {}, limit=limit
            )
        )

    def today(self) -> date:
        """The day that is counted now."""
        return datetime.fromtimestamp(self._wall_clock(), UTC).date()

    async def _write(self) -> None:
        cells, self._waiting = self._waiting, {}
        day = day_of(self._wall_clock())
        metered = sorted({cell.key_id for cell in cells} & self._meters.keys())

        def write(connection: Connection) -> dict[str, int]:
            write_usage(connection, cells)
            return read_day(connection, day, metered) if metered else {}

        try:
            totals = await self._store.write_patiently(write)
        except Refusal:
            self._keep(cells)
            raise
        self._note_books(day, cells, totals)

    def _note_books(self, day: str, cells: Mapping[Cell, Tally], totals: Mapping[str, int]) -> None:
        for cell, tally in cells.items():
            meter = self._meters.get(cell.key_id)
            if meter is not None and meter.day == cell.day == day:
                meter.written_here += tally.prompt_tokens + tally.completion_tokens
        for key_id, total in totals.items():
            meter = self._meters.get(key_id)
            if meter is not None and meter.day == day:
                meter.note_books(total)

    def _keep(self, cells: dict[Cell, Tally]) -> None:
        """Take back what was not written, before what came since: what is too much is the newest."""
        newer, self._waiting = self._waiting, cells
        for cell, tally in newer.items():
            if (kept := cells.get(cell)) is not None:
                kept.merge(tally)
            elif len(cells) < MOST_CELLS:
                cells[cell] = tally
            else:
                self.lost_events += tally.requests
        self._has_news.set()

    async def _write_on(self) -> None:
        is_failing = is_last = False
        while not is_last:
            await self._has_news.wait()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_RETRY_S if is_failing else _WRITE_EVERY_S):
                    await self._is_closing.wait()
            is_last = self._is_closing.is_set()
            self._has_news.clear()
            try:
                await self.flush()
            except Refusal as refusal:
                if not is_failing:
                    _logger.warning("Usage is not written, and waits in memory: %s", refusal.message)
                is_failing = True
            else:
                if is_failing:
                    _logger.warning("Usage is written again.")
                is_failing = False


def _look_at(task: asyncio.Task[None]) -> None:
    """Whoever waited has been told of a failure; where nobody did any more, what was not written is kept all the same."""
    if not task.cancelled():
        task.exception()


def _too_many(message: str) -> Refusal:
    return Refusal(
        Reason.too_many_streams,
        message,
        suggestion="Wait for one of them to end.",
        retry_after_s=1.0,
    )
