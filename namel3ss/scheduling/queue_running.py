"""How the requests of a `RequestQueue` run: from the turn that their scheduler gives them to their end.

* A slot is given back when the sending task is over, however that ended, before its answer is handed out.
* A request whose server has certainly not begun goes to another one of its pool, if `queue_pools` says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from typing import TYPE_CHECKING, Any

from namel3ss.errors import N3Error, UsageError
from namel3ss.scheduling.errors import SchedulerClosedError, SchedulingError
from namel3ss.scheduling.queue_entries import Failure
from namel3ss.scheduling.queue_loop import CalledFunctionError, Started
from namel3ss.scheduling.queue_sending import Gathered
from namel3ss.scheduling.tickets import TicketState
from namel3ss.scheduling.values import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from namel3ss.scheduling.cores import Outcome
    from namel3ss.scheduling.queue_entries import Entry
    from namel3ss.scheduling.queue_pools import Pool
    from namel3ss.scheduling.queue_rooms import Room
    from namel3ss.scheduling.values import Lease

__all__ = ["Runner", "cancelled", "not_read", "queue_closed"]

# Where applications look for it, whichever file it is written in.
logger = logging.getLogger(__name__)


class Runner:
    """Runs the requests of one room. `top_priority` is for those that have had their turn before."""

    def __init__(self, room: Room, *, clock: Callable[[], float], top_priority: int) -> None:
        self.room = room
        self._clock = clock
        self._top_priority = top_priority

    def submit(self, entry: Entry, pool: Pool, request: Request) -> None:
        """Let a request wait for its turn. Raises SchedulingError."""
        pool.scheduler.submit(request, functools.partial(self._hear, entry, pool))

    def refuse(self, entry: Entry, error: N3Error) -> str:
        """Let a request end that cannot be sent; its id."""
        self.room.admit(entry)
        if entry.fail("error", _failure_of(error, entry)):
            self.room.ended(entry)
        return entry.id

    def end_early(
        self, entry: Entry, failure: Failure, *, timed_out: bool = False, only_waiting: bool = False
    ) -> bool:
        """End a request that still waits or, unless `only_waiting`, runs; False if it does not."""
        if not entry.fail("timeout" if timed_out else "cancelled", failure, only_waiting=only_waiting):
            return False
        self.room.ended(entry)
        self.room.pool_of(entry).scheduler.cancel(entry.id)
        return True

    def _hear(self, entry: Entry, pool: Pool, outcome: Outcome) -> None:
        """What becomes of a request at its scheduler. Must not block."""
        if outcome.state is TicketState.RUNNING and outcome.lease is not None:
            self._start(entry, pool, outcome.lease)
        elif outcome.state is TicketState.STOPPING:
            sending = entry.sending
            if sending is not None:
                self.room.loop.cancel(sending)
        elif outcome.state is TicketState.EXPIRED:
            waited = Failure(
                f"The request waited {outcome.waited_s:.1f} s in the queue without getting its turn.",
                "queue_timeout",
            )
            if entry.fail("timeout", waited):
                self.room.ended(entry)
        elif outcome.state is TicketState.CLOSED and entry.fail("cancelled", queue_closed(entry.id)):
            self.room.ended(entry)

    def _start(self, entry: Entry, pool: Pool, lease: Lease) -> None:
        sent = functools.partial(self._sent, entry, pool, lease)
        entry.sending = Started()
        try:
            self.room.loop.start(entry.sending, self._send(entry, pool, lease.server), sent)
        except RuntimeError:  # shut down at this very moment
            pool.scheduler.release(lease, tokens=0.0, completed=False)
            if entry.fail("cancelled", queue_closed(entry.id)):
                self.room.ended(entry)

    async def _send(self, entry: Entry, pool: Pool, server: str) -> tuple[dict[str, Any], float]:
        """The answer and how long it took."""
        request = pool.readdressed(entry.request, server)  # before `begin`: an ended one has no body any more
        entry.server = server
        entry.attempts += 1
        if not entry.begin():
            raise asyncio.CancelledError
        started_at = self._clock()
        if not request.is_streamed:
            answer = await self.room.sender.fetch(request)
            return answer, self._clock() - started_at
        gathered, last = Gathered(), dict[str, Any]()
        pieces = self.room.sender.stream(request)
        async with contextlib.aclosing(pieces):
            async for last in pieces:
                if not entry.has_pieces:
                    pool.answered(server)
                    entry.has_pieces = True
                gathered.add(last)
                await self._hand_out(entry, last)
        return gathered.answer(last), self._clock() - started_at

    async def _hand_out(self, entry: Entry, piece: dict[str, Any]) -> None:
        if entry.callback is not None:
            await self.room.loop.call(entry.callback, piece)
        elif not entry.add_piece(piece):
            raise _NotReadError

    def _sent(
        self, entry: Entry, pool: Pool, lease: Lease, task: asyncio.Task[tuple[dict[str, Any], float]]
    ) -> None:
        """The task is over: give the slot back, then tell."""
        entry.sending = None  # it would keep the task, and that what it worked on, as long as the result
        error = None if task.cancelled() else task.exception()
        if task.cancelled():
            pool.scheduler.release(lease, completed=False)
            has_ended = entry.fail("cancelled", cancelled())
        elif error is not None:
            pool.failed(lease.server, error, entry.request)
            is_another_asked = pool.may_ask_another(entry, error) and entry.back_in_line()
            pool.scheduler.release(lease, tokens=0.0, completed=False)
            pool.over(lease.server)
            if is_another_asked and self._ask_another(entry, pool):
                return
            has_ended = entry.fail("error", _failure_of(error, entry))
        else:
            answer, duration_s = task.result()
            pool.completed(lease.server)
            pool.scheduler.release(lease, tokens=_tokens_of(answer))
            self.room.completed(duration_s)
            has_ended = entry.complete(answer)
        if has_ended:
            self.room.ended(entry)

    def _ask_another(self, entry: Entry, pool: Pool) -> bool:
        """Put a request back in the line; False if that cannot be."""
        logger.info("Request %s goes to another server than %s.", entry.id, entry.server)
        again = Request(
            model=entry.request.model_key, user=entry.user, priority=self._top_priority, id=entry.id
        )
        try:
            self.submit(entry, pool, again)
        except SchedulingError:
            return False
        if entry.has_ended:  # cancelled while it was nowhere
            pool.scheduler.cancel(entry.id)
        return True


class _NotReadError(Exception):
    """Nobody reads the pieces."""


def _forget_frames(error: BaseException | None) -> None:
    """It is kept as long as the result, and its frames hold what was sent."""
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


def _failure_of(error: BaseException, entry: Entry) -> Failure:
    """What the caller is told. Whatever is no N3Error is a mistake in a program, and is logged with its place."""
    if isinstance(error, N3Error):
        _forget_frames(error)
        details: dict[str, object] = {"suggestion": error.suggestion} if error.suggestion else {}
        kind = getattr(error, "error_type", "bad_request" if isinstance(error, UsageError) else "error")
        return Failure(error.message, str(kind), error, details)
    if isinstance(error, _NotReadError):
        return not_read()
    if isinstance(error, CalledFunctionError):
        cause = error.__cause__
        logger.error("The callback of request %s failed.", entry.id, exc_info=cause)
        return Failure(f"The callback raised {type(cause).__name__}.", "callback")
    logger.error("Request %s failed unexpectedly.", entry.id, exc_info=error)
    return Failure(f"Sending the request raised {type(error).__name__}.", "internal")


def cancelled() -> Failure:
    """What a cancelled request has in place of an answer."""
    return Failure("The request was cancelled.", "cancelled")


def not_read() -> Failure:
    """What stands in place of pieces that nobody has read in time."""
    return Failure("Too many pieces of the answer were waiting to be read.", "not_read")


def queue_closed(request_id: str | None = None) -> Failure:
    """What a request has that was still there when its queue was shut down."""
    return Failure("The queue was shut down.", "queue_closed", SchedulerClosedError(request_id))


def _tokens_of(answer: Mapping[str, Any]) -> float | None:
    counts = [answer.get(name) for name in ("prompt_eval_count", "eval_count")]
    known = [count for count in counts if isinstance(count, int) and count >= 0]
    return float(sum(known)) if known else None
