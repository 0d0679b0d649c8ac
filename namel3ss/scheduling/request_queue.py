"""`RequestQueue`: many threads share Ollama servers in a fair order, and each can ask where it stands.

    queue = RequestQueue.get_instance()
    request_id = queue.add_request({"base_url": url, "body": {"model": "llama3:8b", "messages": messages}}, user="ada")
    print(queue.get_queue_position(request_id))
    answer = queue.get_result(request_id, timeout=120)

The order is the scheduler's (the rules stand at the head of `namel3ss.scheduling.core`), one scheduler for each server. A
request is sent by one private event loop when it gets its slot, so there are as many at work as the servers have slots,
and threads only wait for events. The rules of this file:

* A request ends once (`queue_entries`). It is found under its id until its answer is cleaned up (`queue_shelf`).
* The room's lock is never held while a scheduler, an entry's waiter or the loop is called.
* A slot is given back when the sending task is over, however that ended, before its answer is handed out.
* A forked child has an empty queue of its own, and says so when it first uses it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import threading
import time
import uuid
import weakref
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from namel3ss.errors import N3Error, UsageError
from namel3ss.scheduling.errors import SchedulerClosedError
from namel3ss.scheduling.queue_entries import Entry, Failure
from namel3ss.scheduling.queue_requests import ChatRequest, outgoing
from namel3ss.scheduling.queue_rooms import Room, Slots
from namel3ss.scheduling.queue_sending import Gathered, OllamaSender, Sender
from namel3ss.scheduling.queue_shelf import ShelfLimits
from namel3ss.scheduling.tickets import TicketState
from namel3ss.scheduling.values import Policy, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from namel3ss.scheduling.cores import Outcome
    from namel3ss.scheduling.sync import SyncScheduler
    from namel3ss.scheduling.values import Lease

__all__ = ["RequestQueue"]

logger = logging.getLogger(__name__)

_TIMED_OUT: Final = "Request timed out"
_DEFAULT_POLICY: Final = Policy(max_waiting=10_000, max_waiting_per_user=10_000, max_wait_s=1800.0)


class RequestQueue:
    """A queue of one's own; `get_instance()` is the one of the process. Lives until `shutdown()`; safe under threads.

    `slots`: requests in flight for one model on one server, for all servers or by address; None takes
    ``OLLAMA_NUM_PARALLEL`` for a server on this machine, else 1. `max_loaded_models`: the same for models at work at a
    time, and ``OLLAMA_MAX_LOADED_MODELS``. `policy`: caps and ageing. `request_timeout` (seconds): the longest time for
    one answer, waiting not counted; None: no limit. `open_sender` makes what sends the requests.
    """

    _instance: ClassVar[RequestQueue | None] = None
    _instance_lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(
        self,
        *,
        slots: Slots = None,
        max_loaded_models: Slots = None,
        policy: Policy | None = None,
        request_timeout: float | None = 600.0,
        limits: ShelfLimits | None = None,
        max_waiting_bytes: int = 512 * 1024 * 1024,
        open_sender: Callable[[], Sender] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._policy = policy if policy is not None else _DEFAULT_POLICY
        self._clock = clock
        self._make_room = functools.partial(
            Room,
            policy=self._policy,
            slots=slots,
            max_loaded_models=max_loaded_models,
            limits=limits or ShelfLimits(),
            max_waiting_bytes=max_waiting_bytes,
            open_sender=open_sender or functools.partial(OllamaSender, total_timeout_s=request_timeout),
            clock=clock,
        )
        self._has_forked = False
        self._settle_in()
        _queues.add(self)

    # -- one for the process ------------------------------------------------------------------------------------

    @classmethod
    def get_instance(cls) -> RequestQueue:
        """The queue that everybody in this process shares; made at the first call, and again after its shutdown."""
        with RequestQueue._instance_lock:
            if RequestQueue._instance is None or RequestQueue._instance.is_closed:
                RequestQueue._instance = RequestQueue()
            return RequestQueue._instance

    @classmethod
    def reset_instance(cls) -> None:
        """Shut the shared queue down and forget it: for tests."""
        with RequestQueue._instance_lock:
            instance, RequestQueue._instance = RequestQueue._instance, None
        if instance is not None:
            instance.shutdown()

    # -- requests -----------------------------------------------------------------------------------------------

    def add_request(
        self,
        request_data: Mapping[str, Any] | ChatRequest,
        priority: int = 5,
        user: str | None = None,
        *,
        callback: Callable[[dict[str, Any]], object] | None = None,
    ) -> str:
        """Put a request in the queue; its id. Raises UsageError for a wrong one, SchedulingError when the queue is full.

        `priority`: a lower number goes first, 0 to 9 unless the policy says otherwise; what lies beyond counts as the
        nearest. Users share fairly. `callback` makes the request a streamed one, and gets its pieces in order, on a
        thread of the queue; while it works, no further piece is read.
        """
        if isinstance(priority, bool) or not isinstance(priority, int):
            raise UsageError(f"priority must be a whole number, not {priority!r:.40}.")
        request = outgoing(request_data, stream=callback is not None)
        room = self._room_here()
        entry = Entry(str(uuid.uuid4()), request, callback)
        scheduler = room.admit(entry)
        wanted = Request(
            model=request.model_key, user=user or "", priority=self._class_of(priority), id=entry.id
        )
        try:
            scheduler.submit(wanted, functools.partial(self._hear, room, entry, scheduler))
        except BaseException:
            room.forget(entry)
            raise
        logger.debug("Added request %s for %s.", entry.id, request.model)
        return entry.id

    def get_result(
        self, request_id: str, timeout: float | None = 120.0, *, keep: bool = False
    ) -> dict[str, Any]:
        """The answer, as Ollama gave it; of a streamed request what its pieces add up to. Waits at most `timeout` seconds.

        Never raises for a request that failed: it returns ``{"error", "kind", "request_id"}``, at once for an unknown id.
        A wait that is too long ends with the error "Request timed out" and cancels the request, for everybody who waits
        for it, unless `keep`: then it runs on, and may be asked for again.
        """
        room = self._room_here()
        entry = room.find(request_id)
        if entry is None:
            return _unknown(request_id)
        if not entry.wait(None if timeout is None else max(0.0, timeout)):
            late = self._too_late(entry)
            if keep:
                return late.as_result(request_id)
            self._end_early(room, entry, late, timed_out=True)
        room.delivered(entry)
        return entry.result()

    def iter_result(
        self, request_id: str, timeout: float | None = 120.0, *, keep: bool = False
    ) -> Iterator[dict[str, Any]]:
        """The pieces of a streamed request as they come, each handed out once; one whole answer for any other request.

        `timeout` bounds the wait for each piece. A failure is the last piece, as `get_result` returns it. Leaving early
        (closing the generator) cancels the request, unless `keep`.
        """
        room = self._room_here()
        entry = room.find(request_id)
        if entry is None:
            yield _unknown(request_id)
            return
        is_left = True
        try:
            while (piece := entry.next_piece(timeout)) is not None:
                yield piece
            is_left = False
        except TimeoutError:
            late = self._too_late(entry)
            if keep:
                yield late.as_result(request_id)
                return
            self._end_early(room, entry, late, timed_out=True)
        finally:
            if is_left and not keep:
                self._end_early(room, entry, _cancelled())
        room.delivered(entry)
        if entry.failure is not None or not entry.request.is_streamed:
            yield entry.result()

    def cancel_request(self, request_id: str) -> bool:
        """End a request at any stage; False if there is none that still waits or runs.

        A running one loses its connection, which is what stops the server.
        """
        room = self._room_here()
        entry = room.find(request_id)
        return entry is not None and self._end_early(room, entry, _cancelled())

    def failure(self, request_id: str) -> N3Error | None:
        """The error that ended a request, for callers that would rather raise it; None where there was none."""
        entry = self._room_here().find(request_id)
        return entry.failure.error if entry is not None and entry.failure is not None else None

    # -- looking ------------------------------------------------------------------------------------------------

    def get_queue_position(self, request_id: str) -> dict[str, Any] | None:
        """Where a request stands; None for an unknown id.

        Waiting: ``position`` (how many go first; beyond the first 1,000 the most it can be), ``total`` waiting, and
        ``estimated_wait_s`` (learnt; None until there was something to learn from). At work: ``position`` is
        "processing". Ended: ``{"position": None, "status": …}``.
        """
        room = self._room_here()
        entry = room.find(request_id)
        if entry is None:
            return None
        scheduler = room.scheduler_of(entry)
        position = scheduler.position(request_id)
        if entry.has_ended:
            return {"position": None, "status": entry.status}
        if position is None:
            return {
                "position": "processing",
                "total": scheduler.statistics().waiting,
                "estimated_wait_s": 0.0,
            }
        expected_s = None if position.wait is None else position.wait.expected_s
        return {"position": position.at_most, "total": position.total, "estimated_wait_s": expected_s}

    def get_queue_stats(self) -> dict[str, Any]:
        """``queue_size`` (waiting), ``active_requests`` (at work), and of the last five minutes ``recent_completions`` and
        ``avg_processing_time`` (seconds; None without any).
        """
        return self._room_here().statistics()

    # -- the end ------------------------------------------------------------------------------------------------

    @property
    def is_closed(self) -> bool:
        return self._room.is_closing

    def shutdown(self, drain: bool = False, timeout: float | None = None) -> None:
        """Take nothing more. With `drain` wait until all requests have ended, at most `timeout` seconds; cancel the rest.

        Answers can still be fetched afterwards. Idempotent. Not to be called from a `callback`.
        """
        room = self._room_here()
        room.close()
        if drain:
            room.wait_until_idle(timeout)
        for scheduler in room.schedulers():
            scheduler.close()
        closed = Failure("The queue was shut down.", "queue_closed", SchedulerClosedError())
        for entry in room.living():
            self._end_early(room, entry, closed)
        room.loop.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()

    def __repr__(self) -> str:
        statistics = self._room.statistics()
        state = "closed" if self.is_closed else "open"
        return f"<RequestQueue {state}, {statistics['active_requests']} running, {statistics['queue_size']} waiting>"

    # -- inside -------------------------------------------------------------------------------------------------

    def _hear(self, room: Room, entry: Entry, scheduler: SyncScheduler, outcome: Outcome) -> None:
        """What becomes of a request at its scheduler. Must not block."""
        if outcome.state is TicketState.RUNNING and outcome.lease is not None:
            self._start(room, entry, scheduler, outcome.lease)
        elif outcome.state is TicketState.STOPPING:
            if entry.sending is not None:
                room.loop.cancel(entry.sending)
        elif outcome.state is TicketState.EXPIRED:
            waited = Failure(
                f"The request waited {outcome.waited_s:.1f} s in the queue without getting its turn.",
                "queue_timeout",
            )
            if entry.fail("timeout", waited):
                room.ended(entry)
        elif outcome.state is TicketState.CLOSED:
            closed = Failure("The queue was shut down.", "queue_closed", SchedulerClosedError(entry.id))
            if entry.fail("cancelled", closed):
                room.ended(entry)

    def _start(self, room: Room, entry: Entry, scheduler: SyncScheduler, lease: Lease) -> None:
        sent = functools.partial(self._sent, room, entry, scheduler, lease)
        try:
            entry.sending = room.loop.start(self._send(room, entry), sent)
        except RuntimeError:  # shut down at this very moment
            scheduler.release(lease, tokens=0.0, completed=False)
            closed = Failure("The queue was shut down.", "queue_closed", SchedulerClosedError(entry.id))
            if entry.fail("cancelled", closed):
                room.ended(entry)

    async def _send(self, room: Room, entry: Entry) -> tuple[dict[str, Any], float]:
        """The answer and how long it took."""
        request = entry.request  # before `begin`: an ended one has no body any more
        if not entry.begin():
            raise asyncio.CancelledError
        started_at = self._clock()
        if not request.is_streamed:
            answer = await room.sender.fetch(request)
            return answer, self._clock() - started_at
        gathered, last = Gathered(), dict[str, Any]()
        pieces = room.sender.stream(request)
        async with contextlib.aclosing(pieces):
            async for last in pieces:
                gathered.add(last)
                await _hand_out(entry, last)
        return gathered.answer(last), self._clock() - started_at

    def _sent(
        self,
        room: Room,
        entry: Entry,
        scheduler: SyncScheduler,
        lease: Lease,
        task: asyncio.Task[tuple[dict[str, Any], float]],
    ) -> None:
        """The task is over: give the slot back, then tell."""
        error = None if task.cancelled() else task.exception()
        if task.cancelled():
            scheduler.release(lease, completed=False)
            has_ended = entry.fail("cancelled", _cancelled())
        elif error is not None:
            scheduler.release(lease, tokens=0.0, completed=False)
            has_ended = entry.fail("error", _failure_of(error, entry))
        else:
            answer, duration_s = task.result()
            scheduler.release(lease, tokens=_tokens_of(answer))
            room.completed(duration_s)
            has_ended = entry.complete(answer)
        if has_ended:
            room.ended(entry)

    def _end_early(self, room: Room, entry: Entry, failure: Failure, *, timed_out: bool = False) -> bool:
        """End a request that still waits or runs; False if it has ended."""
        if not entry.fail("timeout" if timed_out else "cancelled", failure):
            return False
        room.ended(entry)
        room.scheduler_of(entry).cancel(entry.id)
        return True

    def _too_late(self, entry: Entry) -> Failure:
        where = self.get_queue_position(entry.id) or {}
        return Failure(_TIMED_OUT, "timeout", details={"position": where.get("position")})

    def _class_of(self, priority: int) -> int:
        """The policy's class that a priority belongs to."""
        classes = self._policy.classes
        return max((known for known in classes if known <= priority), default=classes[0])

    def _room_here(self) -> Room:
        if self._has_forked:
            self._has_forked = False
            logger.warning(
                "This process was forked from one that used a request queue. It has an empty queue of its own: processes"
                " share no queue, and together they may send more than the server has slots. For several processes"
                " put one gateway before the server."
            )
        return self._room

    def _settle_in(self) -> None:
        self._room = self._make_room()
        # Runs when the queue is forgotten without shutdown, and at the end of the process.
        weakref.finalize(self, self._room.abandon)

    def _after_fork(self) -> None:
        _of_the_parent.append(self._room)
        self._has_forked = True
        self._settle_in()


async def _hand_out(entry: Entry, piece: dict[str, Any]) -> None:
    if entry.callback is not None:
        try:
            await asyncio.to_thread(entry.callback, piece)
        except Exception as error:
            raise _CallbackError from error
    elif not entry.add_piece(piece):
        raise _NotReadError


class _CallbackError(Exception):
    """The caller's function raised; it is the cause."""


class _NotReadError(Exception):
    """Nobody reads the pieces."""


def _failure_of(error: BaseException, entry: Entry) -> Failure:
    """What the caller is told. Whatever is no N3Error is a mistake in a program, and is logged with its place."""
    if isinstance(error, N3Error):
        details: dict[str, object] = {"suggestion": error.suggestion} if error.suggestion else {}
        kind = getattr(error, "error_type", "bad_request" if isinstance(error, UsageError) else "error")
        return Failure(error.message, str(kind), error, details)
    if isinstance(error, _NotReadError):
        return Failure("Too many pieces of the answer were waiting to be read.", "not_read")
    if isinstance(error, _CallbackError):
        cause = error.__cause__
        logger.error("The callback of request %s failed.", entry.id, exc_info=cause)
        return Failure(f"The callback raised {type(cause).__name__}.", "callback")
    logger.error("Request %s failed unexpectedly.", entry.id, exc_info=error)
    return Failure(f"Sending the request raised {type(error).__name__}.", "internal")


def _cancelled() -> Failure:
    return Failure("The request was cancelled.", "cancelled")


def _unknown(request_id: str) -> dict[str, Any]:
    message = "There is no such request, or its result has been cleaned up."
    return Failure(message, "unknown_request").as_result(request_id)


def _tokens_of(answer: Mapping[str, Any]) -> float | None:
    counts = [answer.get(name) for name in ("prompt_eval_count", "eval_count")]
    known = [count for count in counts if isinstance(count, int) and count >= 0]
    return float(sum(known)) if known else None


# Every queue of this process, for the moment after a fork; and what a child has inherited, kept for ever, because
# letting go of it would disturb the parent's event loop.
_queues: weakref.WeakSet[RequestQueue] = weakref.WeakSet()
_of_the_parent: list[Room] = []


def _begin_afresh() -> None:
    RequestQueue._instance_lock = threading.Lock()  # another thread of the parent may have held it
    for queue in list(_queues):
        queue._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_afresh)
