"""The scheduler for asyncio: `async with scheduler.admit(model="llama3:8b", user="ada") as lease:`.

It adds to an engine what belongs to tasks: waiting without polling, cancellation at any point, and an owner's task
that ends when its request is cancelled by id or loses its lease.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, NamedTuple, Self

from namel3ss.scheduling.engine import Engine, MemoryEngine
from namel3ss.scheduling.errors import (
    DuplicateRequestError,
    LeaseLostError,
    RequestCancelledError,
    SchedulerClosedError,
    SchedulingError,
    WaitTimeoutError,
)
from namel3ss.scheduling.leases import HeldLease
from namel3ss.scheduling.tickets import TicketState
from namel3ss.scheduling.values import MoveReason, Policy, Position, Request, Server, reasons_for_move

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable
    from types import TracebackType

    from namel3ss.scheduling.cores import Outcome
    from namel3ss.scheduling.values import Lease, Statistics

__all__ = ["Admission", "Move", "Scheduler"]

_WATCH_INTERVAL_S = 1.0


class Move(NamedTuple):
    """What a watcher is told: the position, and why it moved back if it did."""

    position: Position
    reasons: frozenset[MoveReason]


class Scheduler:
    """Admits requests to slots. Lives inside `async with`, on one event loop.

    Without an `engine` the queue is this process's own.
    """

    def __init__(
        self, servers: Iterable[Server] = (), *, policy: Policy | None = None, engine: Engine | None = None
    ) -> None:
        self._engine = engine if engine is not None else MemoryEngine(policy or Policy(), servers)
        self._calls: dict[str, Admission] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._heartbeat: asyncio.Task[None] | None = None
        self._watchers = 0
        self._news = asyncio.Event()
        self._news_timer: asyncio.TimerHandle | None = None
        self._news_at = 0.0

    def __repr__(self) -> str:
        running = sum(call.lease is not None for call in self._calls.values())
        state = "closed" if self._closed else "open" if self._loop is not None else "not opened"
        return f"<Scheduler {state}, {running} running, {len(self._calls) - running} waiting>"

    async def __aenter__(self) -> Self:
        if self._loop is not None:
            raise RuntimeError("Cannot open a scheduler twice.")
        self._loop = asyncio.get_running_loop()
        await self._engine.open(self._hear, self._note_change)
        if self._engine.policy.lease_ttl_s is not None:
            self._heartbeat = asyncio.create_task(self._renew_leases(self._engine.policy.lease_ttl_s / 3))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Admit nothing more; those who wait get a SchedulerClosedError, those who run may finish."""
        if self._closed:
            return
        self._closed = True
        await self._engine.aclose()
        if self._news_timer is not None:
            self._news_timer.cancel()
        self._news.set()
        if self._heartbeat is not None:
            self._heartbeat.cancel()
            await asyncio.wait([self._heartbeat])

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
        on_wait: Callable[[], Awaitable[None]] | None = None,
    ) -> Admission:
        """A slot, as an asynchronous context manager; the parameters are those of `Request`, `request_id` being its `id`.
        `on_wait` is awaited once, before the wait, if there is no slot at once: the request has a position then.

        Entering waits for the slot and raises what `namel3ss.scheduling.errors` names. Leaving gives it back, however
        the block ends. A request cancelled by its id, or whose lease is lost, has its block cancelled, and the
        block then raises RequestCancelledError or LeaseLostError.
        """
        request = Request(
            model=model,
            user=user,
            priority=priority,
            cost=cost,
            max_wait_s=max_wait_s,
            id=request_id if request_id is not None else uuid.uuid4().hex,
            lane=lane,
        )
        return Admission(self, self._engine, request, on_wait)

    async def cancel(self, request_id: str) -> bool:
        """Cancel a request at any stage; False for an unknown id."""
        self._check_loop()
        return await self._engine.cancel(request_id)

    async def position(self, request_id: str) -> Position | None:
        """Where a waiting request stands and how long it may still wait; None for any other id."""
        self._check_loop()
        return await self._engine.position(request_id)

    async def watch(self, request_id: str) -> AsyncIterator[Move]:
        """The request's position now and after each change, at most once a second, until it no longer waits."""
        self._check_loop()
        told: Position | None = None
        self._watchers += 1
        try:
            while not self._closed:
                news = self._news
                position = await self._engine.position(request_id)
                if position is None:
                    return
                if told is None or _shown(position) != _shown(told):
                    reasons = frozenset[MoveReason]() if told is None else reasons_for_move(told, position)
                    told = position
                    yield Move(position, reasons)
                await news.wait()
        finally:
            self._watchers -= 1

    async def statistics(self, lane: str | None = None) -> Statistics:
        return await self._engine.statistics(lane)

    async def put_server(self, server: Server) -> None:
        """Add a server, or change the one of that name."""
        self._check_loop()
        await self._engine.put_server(server)

    async def drop_server(self, name: str) -> None:
        """Send nothing more to a server, and forget it once nothing runs there."""
        self._check_loop()
        await self._engine.drop_server(name)

    async def report_loaded(self, name: str, models: Collection[str]) -> None:
        """Correct what is taken to be loaded on a server by what it says."""
        self._check_loop()
        await self._engine.report_loaded(name, models)

    def _check_loop(self) -> None:
        if self._loop is None:
            raise RuntimeError("Open the scheduler first: async with Scheduler(…) as scheduler.")
        if self._loop is not asyncio.get_running_loop():
            raise RuntimeError("This scheduler belongs to another event loop; use SyncScheduler for threads.")
        if self._closed:
            raise SchedulerClosedError

    def _hear(self, outcome: Outcome) -> None:
        call = self._calls.get(outcome.request_id)
        if call is not None:
            call.hear(outcome)

    async def _renew_leases(self, interval_s: float) -> None:
        while True:
            await asyncio.sleep(interval_s)
            for call in list(self._calls.values()):
                if call.lease is not None and (renewed := await self._engine.renew(call.lease)) is not None:
                    call.lease = renewed

    def _note_change(self) -> None:
        """Wake the watchers, now or a second after they were last woken. Costs nothing while nobody watches."""
        if not self._watchers or self._news_timer is not None or self._loop is None or self._closed:
            return
        due = max(self._loop.time(), self._news_at + _WATCH_INTERVAL_S)
        self._news_timer = self._loop.call_at(due, self._wake_watchers)

    def _wake_watchers(self) -> None:
        self._news_timer = None
        if self._loop is not None:
            self._news_at = self._loop.time()
        self._news.set()
        self._news = asyncio.Event()


class Admission:
    """One request's way through the scheduler. Made by `Scheduler.admit`, entered once."""

    def __init__(
        self,
        scheduler: Scheduler,
        engine: Engine,
        request: Request,
        on_wait: Callable[[], Awaitable[None]] | None,
    ) -> None:
        assert request.id is not None  # the scheduler gives every request one
        self.id = request.id
        self.lease: Lease | None = None
        self._scheduler = scheduler
        self._engine = engine
        self._request = request
        self._on_wait = on_wait
        self._turn: asyncio.Future[Outcome] | None = None
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._stop: SchedulingError | None = None
        self._is_interrupted = False
        self._held: HeldLease | None = None

    async def __aenter__(self) -> HeldLease:
        scheduler = self._scheduler
        scheduler._check_loop()
        if self._turn is not None:
            raise RuntimeError("Cannot enter an admission twice; call admit() again.")
        if self.id in scheduler._calls:
            raise DuplicateRequestError(self.id)
        self._turn = asyncio.get_running_loop().create_future()
        scheduler._calls[self.id] = self
        try:
            await self._engine.submit(self._request)
        except asyncio.CancelledError:
            await self._give_up()
            raise
        except BaseException:
            del scheduler._calls[self.id]
            raise
        try:
            if self._on_wait is not None and not self._turn.done():
                await self._on_wait()
            outcome = await self._turn
        except BaseException:
            await self._give_up()
            raise
        if outcome.lease is None:
            del scheduler._calls[self.id]
            raise _why_not(outcome)
        self._task = asyncio.current_task()
        self._cancelling = self._task.cancelling() if self._task is not None else 0
        if self._stop is not None:
            # Cancelled between its start and now.
            await self._give_up()
            raise self._stop
        self._held = HeldLease(outcome.lease)
        return self._held

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        held, task, self._task = self._held, self._task, None
        assert held is not None  # entering succeeded
        lease = self.lease or held.lease
        completed = error is None and self._stop is None
        try:
            await self._engine.release(lease, tokens=held.tokens, drain_s=held.drain_s, completed=completed)
        finally:
            self._scheduler._calls.pop(self.id, None)
        if self._stop is None or task is None or not self._is_interrupted:
            return
        # As asyncio's timeouts do it: if somebody else cancelled the task as well, that goes on.
        if task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise self._stop from error

    def hear(self, outcome: Outcome) -> None:
        """Take in what the engine says about this request."""
        if outcome.state is TicketState.RUNNING:
            self.lease = outcome.lease
        elif outcome.state is TicketState.STOPPING:
            self._interrupt(RequestCancelledError(self.id))
        elif outcome.state is TicketState.LOST and outcome.lease is not None:
            self._interrupt(LeaseLostError(self.id, outcome.lease.server))
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(outcome)

    def _interrupt(self, reason: SchedulingError) -> None:
        if self._stop is not None:
            return
        self._stop = reason
        # A body that cancels its own request is not interrupted: it knows.
        if self._task is not None and self._task is not asyncio.current_task():
            self._is_interrupted = True
            self._task.cancel()

    async def _give_up(self) -> None:
        """Leave the queue; a slot that came at the same moment goes back untouched.

        An engine may take its time. Whoever is cancelled once more meanwhile asks again, until they know that nothing is
        left of the request, and passes the cancellation on then.
        """
        again: asyncio.CancelledError | None = None
        try:
            while True:
                try:
                    if self.lease is None:
                        await self._engine.cancel(self.id)
                    if self.lease is not None:
                        await self._engine.release(self.lease, tokens=0.0, completed=False)
                    break
                except asyncio.CancelledError as cancelled:
                    again = cancelled
        finally:
            self._scheduler._calls.pop(self.id, None)
        if again is not None:
            raise again


def _why_not(outcome: Outcome) -> SchedulingError:
    if outcome.state is TicketState.EXPIRED:
        return WaitTimeoutError(outcome.request_id, outcome.waited_s)
    if outcome.state is TicketState.CANCELLED:
        return RequestCancelledError(outcome.request_id)
    return SchedulerClosedError(outcome.request_id)


def _shown(position: Position) -> tuple[int, int, int]:
    return (position.at_least, position.at_most, position.total)
