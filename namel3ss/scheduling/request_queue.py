"""`RequestQueue`: many threads share Ollama servers in a fair order, and each can ask where it stands.

    queue = RequestQueue.get_instance()
    request_id = queue.add_request({"base_url": url, "body": {"model": "llama3:8b", "messages": messages}}, user="ada")
    print(queue.get_queue_position(request_id))
    answer = queue.get_result(request_id, timeout=120)

The order is the scheduler's (the rules stand at the head of `namel3ss.scheduling.core`), one scheduler for each server, or
for several that answer for one another (`queue_pools`). A request is sent by one private event loop when it gets its slot
(`queue_running`), so there are as many at work as the servers have slots, and threads only wait for events. The rules:

* A request ends once (`queue_entries`). It is found under its id until its answer is cleaned up (`queue_shelf`).
* The room's lock is never held while a scheduler, an entry's waiter or the loop is called.
* A forked child has an empty queue of its own, and says so when it first uses it.
"""

from __future__ import annotations

import functools
import logging
import os
import threading
import time
import uuid
import weakref
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from namel3ss.errors import N3Error, UsageError
from namel3ss.providers.call_parts import check_callable
from namel3ss.providers.local.ollama import resolve_address
from namel3ss.scheduling.queue_arguments import check_limits, check_servers, check_slots, instance_or_default
from namel3ss.scheduling.queue_entries import Entry, Failure, PiecesLostError, seconds_of
from namel3ss.scheduling.queue_requests import ChatRequest, is_foreign, nothing, outgoing
from namel3ss.scheduling.queue_rooms import Room
from namel3ss.scheduling.queue_running import Runner, cancelled, not_read, queue_closed
from namel3ss.scheduling.queue_sending import OllamaSender, Sender
from namel3ss.scheduling.queue_shelf import ShelfLimits
from namel3ss.scheduling.values import Policy, Request, Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from namel3ss.scheduling.queue_arguments import Slots
    from namel3ss.scheduling.queue_requests import Outgoing

__all__ = ["RequestQueue"]

logger = logging.getLogger(__name__)

_TIMED_OUT: Final = "Request timed out"
_DEFAULT_POLICY: Final = Policy(max_waiting=10_000, max_waiting_per_user=10_000, max_wait_s=1800.0)


class RequestQueue:
    """A queue of one's own; `get_instance()` is the one of the process. Lives until `shutdown()`; safe under threads.

    `slots`: requests in flight for one model on one server, for all servers or by address; None takes
    ``OLLAMA_NUM_PARALLEL`` for a server on this machine, else 1. `max_loaded_models`: the same for models at work at a
    time, and ``OLLAMA_MAX_LOADED_MODELS``. `servers`: addresses, or `Server` with weight and slots, that answer for one
    another; a request that names none, or any of them, goes to one of them. `look_every_s`: how often a server among
    several is asked how it is. `policy`: caps and ageing. `request_timeout` (seconds): the longest time for one answer,
    waiting not counted; None: no limit. `open_sender` makes what sends the requests.
    """

    _instance: ClassVar[RequestQueue | None] = None
    _instance_lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(
        self,
        *,
        slots: Slots = None,
        max_loaded_models: Slots = None,
        servers: Sequence[Server | str] | None = None,
        look_every_s: float = 5.0,
        policy: Policy | None = None,
        request_timeout: float | None = 600.0,
        limits: ShelfLimits | None = None,
        max_waiting_bytes: int = 512 * 1024 * 1024,
        open_sender: Callable[[], Sender] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._policy = instance_or_default(policy, Policy, "policy", _DEFAULT_POLICY)
        self._clock = clock
        check_limits(request_timeout, look_every_s, max_waiting_bytes)
        self._make_room = functools.partial(
            Room,
            policy=self._policy,
            slots=check_slots(slots, "slots"),
            max_loaded_models=check_slots(max_loaded_models, "max_loaded_models"),
            limits=instance_or_default(limits, ShelfLimits, "limits", ShelfLimits()),
            max_waiting_bytes=max_waiting_bytes,
            look_every_s=look_every_s,
            open_sender=open_sender or functools.partial(OllamaSender, total_timeout_s=request_timeout),
            clock=clock,
        )
        # Each group of servers that answer for one another.
        self._groups: list[list[Server | str]] = [check_servers(servers)] if servers else []
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
            RequestQueue._instance._here()  # says so if this process has forked
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
        on_end: Callable[[str], object] | None = None,
    ) -> str:
        """Put a request in the queue; its id. Raises UsageError for a wrong one, SchedulingError when the queue is full.
        A dict of something else entirely has an id as well, and ends at once with an error that says what it lacks.

        `priority`: a lower number goes first, 0 to 9 unless the policy says otherwise; what lies beyond counts as the
        nearest. Users share fairly. `callback` makes the request a streamed one, and gets its pieces in order, on a
        thread of the queue; while it works, no further piece is read. `on_end` gets the id once the request has ended,
        on whatever thread that happens; it must not block.
        """
        if isinstance(priority, bool) or not isinstance(priority, int):
            raise UsageError(f"priority must be a whole number, not {priority!r:.40}.")
        check_callable(callback, "callback")
        check_callable(on_end, "on_end")
        runner = self._here()
        try:
            request = self._outgoing(request_data, stream=callback is not None)
        except UsageError as error:
            if not is_foreign(request_data):
                raise
            return runner.refuse(Entry(str(uuid.uuid4()), self._addressed(nothing()), on_end=on_end), error)
        entry = Entry(str(uuid.uuid4()), request, callback, user=user or "", on_end=on_end)
        pool = runner.room.admit(entry)
        wanted = Request(
            model=request.model_key, user=entry.user, priority=self._class_of(priority), id=entry.id
        )
        try:
            runner.submit(entry, pool, wanted)
        except BaseException:
            runner.room.forget(entry)
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
        wait_s = seconds_of(timeout)
        runner = self._here()
        room = runner.room
        entry = room.find(request_id)
        if entry is None:
            return _unknown(request_id)
        if not entry.wait(wait_s):
            late = self._too_late(entry)
            if keep:
                return late.as_result(request_id)
            runner.end_early(entry, late, timed_out=True)
        room.delivered(entry)
        return entry.result()

    def iter_result(
        self, request_id: str, timeout: float | None = 120.0, *, keep: bool = False
    ) -> Iterator[dict[str, Any]]:
        """The pieces of a streamed request as they come, each handed out once; the whole answer in one where there are no
        pieces to hand out: the request is not streamed, or has a callback.

        `timeout` bounds the wait for each piece. A failure is the last piece, as `get_result` returns it. Leaving early
        (closing the generator) cancels the request, unless `keep`.
        """
        wait_s = seconds_of(timeout)
        runner = self._here()
        room = runner.room
        entry = room.find(request_id)
        if entry is None:
            yield _unknown(request_id)
            return
        is_left = not keep
        try:
            while (piece := self._next_piece(runner, entry, wait_s, keep=keep)) is not None:
                yield piece
            is_left = False
        except TimeoutError:
            yield self._too_late(entry).as_result(request_id)
            return
        except PiecesLostError:
            is_left = False  # somebody else waits for the whole
            yield not_read().as_result(request_id)
            return
        finally:
            if is_left:
                runner.end_early(entry, cancelled())
        room.delivered(entry)
        if entry.failure is not None or not entry.is_read_in_pieces:
            yield entry.result()

    def cancel_request(self, request_id: str, *, only_waiting: bool = False) -> bool:
        """End a request at any stage; False if there is none that still waits or runs.

        A running one loses its connection, which is what stops the server; with `only_waiting` it is left alone.
        """
        runner = self._here()
        entry = runner.room.find(request_id)
        return entry is not None and runner.end_early(entry, cancelled(), only_waiting=only_waiting)

    def wait_for_turn(self, request_id: str, timeout: float | None = 120.0) -> bool:
        """Wait until a request is at work or has ended; False if it still waits after `timeout` seconds."""
        wait_s = seconds_of(timeout)
        entry = self._here().room.find(request_id)
        return entry is None or entry.wait_for_turn(wait_s)

    def failure(self, request_id: str) -> N3Error | None:
        """The error that ended a request, for callers that would rather raise it; None where there was none."""
        entry = self._here().room.find(request_id)
        return entry.failure.error if entry is not None and entry.failure is not None else None

    # -- looking ------------------------------------------------------------------------------------------------

    def get_queue_position(self, request_id: str) -> dict[str, Any] | None:
        """Where a request stands; None for an unknown id.

        Waiting: ``position`` (how many go first; beyond the first 1,000 the most it can be), ``total`` waiting, and
        ``estimated_wait_s`` (learnt; None until there was something to learn from). At work: ``position`` is
        "processing". Ended: ``{"position": None, "status": …}``.
        """
        room = self._here().room
        entry = room.find(request_id)
        if entry is None:
            return None
        scheduler = room.pool_of(entry).scheduler
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
        return self._here().room.statistics()

    def server_of(self, request_id: str) -> str | None:
        """The address of the server that a request was sent to last; None before, and for an unknown id."""
        entry = self._here().room.find(request_id)
        return None if entry is None else entry.server

    def model_digest(self, request_data: Mapping[str, Any] | ChatRequest) -> str | None:
        """What the name of a request's model means now, as the servers tell; None where they do not, or not the same.

        They are asked at most every `look_every_s` seconds. Not to be called from a callback of the queue.
        """
        return self._here().room.digest(self._outgoing(request_data, stream=False))

    # -- servers ------------------------------------------------------------------------------------------------

    def add_servers(self, servers: Sequence[Server | str]) -> None:
        """Let these servers answer for one another, before the first request to any of them.

        Once more with the same addresses changes nothing. Raises UsageError where one is used already in another way.
        """
        group = check_servers(servers)
        if self._here().room.add_servers(group):
            self._groups.append(group)

    def servers(self) -> list[dict[str, Any]]:
        """Every server so far: ``address``, ``state`` ("up", "down", "busy" or "draining"), ``weight``, ``slots``,
        ``active_requests`` and ``loaded_models``.
        """
        return [found for pool in self._here().room.pools() for found in pool.snapshot()]

    def is_down(self, request_data: Mapping[str, Any] | ChatRequest) -> bool:
        """Whether every server that may answer such a request is known to be down: it failed lately, and has not answered
        since. Such a request may be sent all the same.
        """
        return self._here().room.is_down(self._outgoing(request_data, stream=False))

    def drain_server(self, base_url: str) -> None:
        """Send nothing more to a server; what runs there runs on."""
        self._here().room.pool_at(base_url).drain(resolve_address(base_url).url, is_draining=True)

    def resume_server(self, base_url: str) -> None:
        """Send to a drained server again."""
        self._here().room.pool_at(base_url).drain(resolve_address(base_url).url, is_draining=False)

    # -- the end ------------------------------------------------------------------------------------------------

    @property
    def is_closed(self) -> bool:
        return self._runner.room.is_closing

    def shutdown(self, drain: bool = False, timeout: float | None = None) -> None:
        """Take nothing more. With `drain` wait until all requests have ended, at most `timeout` seconds; cancel the rest.

        Answers can still be fetched afterwards. Idempotent. From a `callback` or an `on_end` it cannot `drain`: their own
        request is among those that have to end.
        """
        wait_s = seconds_of(timeout)
        runner = self._here()
        room = runner.room
        if drain and room.loop.is_here:
            raise UsageError(
                "A callback of the queue cannot wait until the queue has drained: its own request would never end.",
                suggestion="Call shutdown(drain=True) from another thread, or shutdown() here.",
            )
        room.close()
        if drain:
            room.wait_until_idle(wait_s)
        for pool in room.pools():
            pool.scheduler.close()
        for entry in room.living():
            runner.end_early(entry, queue_closed())
        room.loop.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()

    def __repr__(self) -> str:
        statistics = self._runner.room.statistics()
        state = "closed" if self.is_closed else "open"
        return f"<RequestQueue {state}, {statistics['active_requests']} running, {statistics['queue_size']} waiting>"

    # -- inside -------------------------------------------------------------------------------------------------

    def _outgoing(self, request_data: Mapping[str, Any] | ChatRequest, *, stream: bool) -> Outgoing:
        return self._addressed(outgoing(request_data, stream=stream))

    def _addressed(self, request: Outgoing) -> Outgoing:
        if request.base_url is None and len(self._groups) == 1:
            first = self._groups[0][0]
            address = first if isinstance(first, str) else first.name
            return request.at(resolve_address(address).url, address)
        return request

    def _next_piece(
        self, runner: Runner, entry: Entry, wait_s: float | None, *, keep: bool
    ) -> dict[str, Any] | None:
        """The next piece; None at the end. A wait that is too long is the end, and with `keep` a TimeoutError."""
        while True:
            try:
                return entry.next_piece(wait_s)
            except TimeoutError:
                if keep:
                    raise
                if runner.end_early(entry, self._too_late(entry), timed_out=True):
                    return None
                # It ended at this very moment, and what came of it is there.

    def _too_late(self, entry: Entry) -> Failure:
        where = self.get_queue_position(entry.id) or {}
        return Failure(_TIMED_OUT, "timeout", details={"position": where.get("position")})

    def _class_of(self, priority: int) -> int:
        """The policy's class that a priority belongs to."""
        classes = self._policy.classes
        return max((known for known in classes if known <= priority), default=classes[0])

    def _here(self) -> Runner:
        if self._has_forked:
            self._has_forked = False
            logger.warning(
                "This process was forked from one that used a request queue. It has an empty queue of its own: processes"
                " share no queue, and together they may send more than the server has slots. For several processes"
                " put one gateway before the server."
            )
        return self._runner

    def _settle_in(self) -> None:
        room = self._make_room()
        for servers in self._groups:
            room.add_servers(servers)
        self._runner = Runner(room, clock=self._clock, top_priority=self._policy.classes[0])
        # Runs when the queue is forgotten without shutdown, and at the end of the process.
        weakref.finalize(self, room.abandon)

    def _after_fork(self) -> None:
        _of_the_parent.append(self._runner.room)
        self._has_forked = True
        self._settle_in()


def _unknown(request_id: str) -> dict[str, Any]:
    message = "There is no such request, or its result has been cleaned up."
    return Failure(message, "unknown_request").as_result(request_id)


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
