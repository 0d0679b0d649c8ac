"""The scheduler for threads: `with scheduler.admit(model="llama3:8b", user="ada") as lease:`.

The same rules over the same core, behind one lock. Whoever does something tells the others what came of it, after the
lock is free again; a thread for what happens by itself lives only while something is due.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Self

from namel3ss.scheduling.cores import Cores, Outcome
from namel3ss.scheduling.errors import (
    LeaseLostError,
    RequestCancelledError,
    SchedulerClosedError,
    SchedulingError,
    WaitTimeoutError,
)
from namel3ss.scheduling.leases import HeldLease
from namel3ss.scheduling.tickets import TicketState
from namel3ss.scheduling.values import Policy, Position, Request, Server

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from namel3ss.scheduling.values import Lease, Statistics

__all__ = ["SyncScheduler"]


class SyncScheduler:
    """Admits requests of many threads to slots. Lives until `close()`, which its `with` block calls."""

    def __init__(
        self,
        servers: Iterable[Server] = (),
        *,
        policy: Policy | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        # Guards the cores, the listeners and the timer's thread.
        self._lock = threading.Lock()
        # Finding a position may take long: of those who look only one at a time stands in the way of the others.
        self._looking = threading.Lock()
        self._cores = Cores(policy if policy is not None else Policy(), servers)
        self._listeners: dict[str, Callable[[Outcome], None]] = {}
        self._closed = False
        self._timer: threading.Thread | None = None
        self._timer_due = math.inf
        self._earlier = threading.Condition(self._lock)
        # What has happened and was not told yet; one thread at a time tells, so that the order holds.
        self._untold: deque[tuple[Callable[[Outcome], None], Outcome]] = deque()
        self._telling = threading.Lock()

    def __repr__(self) -> str:
        statistics = self.statistics()
        state = "closed" if self._closed else "open"
        return f"<SyncScheduler {state}, {statistics.running} running, {statistics.waiting} waiting>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Admit nothing more; those who wait get a SchedulerClosedError, those who run may finish."""
        with self._changing():
            self._closed = True
            self._cores.close(self._clock())
            timer = self._timer
            self._earlier.notify()
        if timer is not None and timer is not threading.current_thread():
            timer.join()

    def submit(self, request: Request, listener: Callable[[Outcome], None]) -> str:
        """Let a request wait or start without waiting for it; its id. Raises what `errors` names.

        The listener is called for everything that becomes of the request, in order, on the thread that caused it
        and possibly before this returns. It must not block; it may call the scheduler.
        """
        with self._changing():
            now = self._clock()
            request_id = self._cores.submit(request, now)
            self._listeners[request_id] = listener
        return request_id

    def release(
        self, lease: Lease, *, tokens: float | None = None, drain_s: float = 0.0, completed: bool = True
    ) -> bool:
        """Give a slot back, and replace the estimate by the real tokens; False if the lease held none."""
        with self._changing():
            released = self._cores.release(
                lease, self._clock(), tokens=tokens, drain_s=drain_s, completed=completed
            )
            if released:
                self._listeners.pop(lease.request_id, None)
        return released

    def renew(self, lease: Lease) -> Lease | None:
        """The lease with a later end, or None if it is lost."""
        with self._changing():
            return self._cores.renew(lease, self._clock())

    def cancel(self, request_id: str) -> bool:
        """Cancel a request at any stage; False for an unknown id.

        A thread cannot be interrupted: the owner of a running request hears of it by its listener, or sees it in
        `state`, and is expected to end its call.
        """
        with self._changing():
            return self._cores.cancel(request_id, self._clock())

    @contextlib.contextmanager
    def admit(
        self,
        *,
        model: str,
        user: str = "",
        priority: int | None = None,
        cost: float | None = None,
        max_wait_s: float | None = None,
        request_id: str | None = None,
        lane: str | None = None,
    ) -> Iterator[HeldLease]:
        """A slot, as a context manager; the parameters are those of `Request`, `request_id` being its `id`.

        Entering waits for the slot and raises what `namel3ss.scheduling.errors` names. Leaving gives it back, however
        the block ends, and raises RequestCancelledError or LeaseLostError if that happened meanwhile.
        """
        request = Request(
            model=model,
            user=user,
            priority=priority,
            cost=cost,
            max_wait_s=max_wait_s,
            id=request_id,
            lane=lane,
        )
        turn = _Turn()
        request_id = self.submit(request, turn.hear)
        try:
            # Bounded by the request's own deadline, which the scheduler keeps.
            turn.decided.wait()
        except BaseException:
            self._give_up(request_id, turn)
            raise
        if turn.lease is None:
            raise turn.why_not(request_id)
        held = HeldLease(turn.lease)
        completed = False
        try:
            yield held
            completed = turn.stopped is None
        finally:
            self.release(held.lease, tokens=held.tokens, drain_s=held.drain_s, completed=completed)
        if turn.stopped is TicketState.STOPPING:
            raise RequestCancelledError(request_id)
        if turn.stopped is TicketState.LOST:
            raise LeaseLostError(request_id, held.server)

    def state(self, request_id: str) -> TicketState | None:
        """Whether a request waits, runs or is asked to stop; None once it has ended."""
        with self._changing():
            return self._cores.state(request_id)

    def position(self, request_id: str) -> Position | None:
        """Where a waiting request stands and how long it may still wait; None for any other id."""
        try:
            with self._looking, self._holding():
                return self._cores.position(request_id, self._clock())
        finally:
            self._tell()

    def statistics(self, lane: str | None = None) -> Statistics:
        with self._lock:
            return self._cores.statistics(lane)

    def put_server(self, server: Server) -> None:
        """Add a server, or change the one of that name."""
        with self._changing():
            self._cores.put_server(server, self._clock())

    def drop_server(self, name: str) -> None:
        """Send nothing more to a server, and forget it once nothing runs there."""
        with self._changing():
            self._cores.drop_server(name, self._clock())

    def report_loaded(self, name: str, models: Collection[str]) -> None:
        """Correct what is taken to be loaded on a server by what it says."""
        with self._changing():
            self._cores.report_loaded(name, models, self._clock())

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Hold the lock; afterwards see to the timer and tell what has happened."""
        try:
            with self._holding():
                yield
        finally:
            self._tell()

    @contextlib.contextmanager
    def _holding(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            finally:
                self._collect()
                self._set_timer()

    def _collect(self) -> None:
        for outcome in self._cores.take_outcomes():
            listener = self._listeners.get(outcome.request_id)
            if listener is not None:
                self._untold.append((listener, outcome))
                if outcome.state not in (TicketState.RUNNING, TicketState.STOPPING):
                    del self._listeners[outcome.request_id]

    def _tell(self) -> None:
        # Another thread that is telling takes ours along: it looks again after letting go of the lock.
        while self._untold and self._telling.acquire(blocking=False):
            try:
                while self._untold:
                    listener, outcome = self._untold.popleft()
                    listener(outcome)
            finally:
                self._telling.release()

    def _set_timer(self) -> None:
        if self._closed:
            return
        due = self._cores.next_alarm()
        if due == math.inf:
            return
        if self._timer is None:
            self._timer_due = due
            self._timer = threading.Thread(target=self._keep_time, name="namel3ss-scheduler", daemon=True)
            self._timer.start()
        elif due < self._timer_due:
            self._timer_due = due
            self._earlier.notify()

    def _keep_time(self) -> None:
        """Tick when something is due; end when nothing is."""
        while True:
            with self._changing():
                self._cores.tick(self._clock())
            with self._lock:
                due = self._timer_due = self._cores.next_alarm()
                if self._closed or due == math.inf:
                    self._timer = None
                    return
                self._earlier.wait(timeout=min(max(0.0, due - self._clock()), threading.TIMEOUT_MAX))

    def _give_up(self, request_id: str, turn: _Turn) -> None:
        """Leave the queue; a slot that came at the same moment goes back untouched."""
        with self._changing():
            if self._cores.state(request_id) is TicketState.WAITING:
                self._cores.cancel(request_id, self._clock())
                return
        if turn.decided.wait() and turn.lease is not None:
            self.release(turn.lease, tokens=0.0, completed=False)


class _Turn:
    """What a waiting thread hears."""

    def __init__(self) -> None:
        self.decided = threading.Event()
        self.lease: Lease | None = None
        self.stopped: TicketState | None = None
        self._ended: Outcome | None = None

    def hear(self, outcome: Outcome) -> None:
        if outcome.state is TicketState.RUNNING:
            self.lease = outcome.lease
        elif self.lease is not None:
            self.stopped = outcome.state
        else:
            self._ended = outcome
        self.decided.set()

    def why_not(self, request_id: str) -> SchedulingError:
        ended = self._ended
        if ended is not None and ended.state is TicketState.EXPIRED:
            return WaitTimeoutError(request_id, ended.waited_s)
        if ended is not None and ended.state is TicketState.CANCELLED:
            return RequestCancelledError(request_id)
        return SchedulerClosedError(request_id)
