"""What decides who goes next: the contract of an engine, and the engine that lives in this process.

The scheduler's face (`namel3ss.scheduling.scheduler`) knows nothing but this contract. An engine whose state lives in
a store shared by several processes has to keep the same rules; `tests/scheduling/conformance.py` holds them.

What every engine promises:

* A submitted request is heard of exactly once as RUNNING or as ended, and a running one at most once as STOPPING and
  once as LOST. The listener is called in the order in which things happened to a request; it may be called before
  `submit` returns.
* A lease's token is larger than that of every earlier lease. `release` and `renew` of a lease that is not the
  request's present one change nothing and say so.
* A lease that is not renewed within the policy's time to live is lost: its slot is given to others, and its owner
  is told. So a process that dies gives back its slots within that time.
* `release` and `cancel` take effect even if whoever awaits them is cancelled. Everything that happened to a request
  before `cancel` took effect is told before it returns. A `submit` whose awaiting was cancelled takes effect before a
  later `cancel` of that request, or not at all.
* A ticket holds the request's id, class, user, model, estimate and deadline: never its prompt.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Protocol

from namel3ss.scheduling.cores import Cores, Outcome
from namel3ss.scheduling.errors import SchedulerClosedError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from namel3ss.scheduling.values import Lease, Policy, Position, Request, Server, Statistics

__all__ = ["Alarm", "Clock", "Engine", "LoopClock", "MemoryEngine"]


class Engine(Protocol):
    """One queue for everybody who shares it. See the head of this file for what it promises."""

    @property
    def policy(self) -> Policy: ...

    async def open(self, listener: Callable[[Outcome], None], changed: Callable[[], None]) -> None:
        """Begin. `changed` is called after anything that may have moved somebody's position."""

    async def submit(self, request: Request) -> None:
        """Let a request that has an id wait or start. Raises what `namel3ss.scheduling.errors` names."""

    async def release(
        self, lease: Lease, *, tokens: float | None = None, drain_s: float = 0.0, completed: bool = True
    ) -> bool:
        """Give a slot back, and replace the estimate by the real tokens; False if the lease held none."""

    async def renew(self, lease: Lease) -> Lease | None:
        """The lease with a later end, or None if it is lost."""

    async def cancel(self, request_id: str) -> bool:
        """End a waiting request, ask the owner of a running one to stop; False for an unknown id."""

    async def position(self, request_id: str) -> Position | None:
        """Where a waiting request stands; None for any other id."""

    async def statistics(self, lane: str | None = None) -> Statistics: ...

    async def put_server(self, server: Server) -> None: ...

    async def drop_server(self, name: str) -> None: ...

    async def report_loaded(self, name: str, models: Collection[str]) -> None: ...

    async def aclose(self) -> None:
        """Admit nothing more and end what waits; may be called again."""


class Alarm(Protocol):
    """A call that is still to come."""

    def cancel(self) -> None: ...


class Clock(Protocol):
    """Monotonic seconds, and somebody who calls at a time."""

    def now(self) -> float: ...

    def call_at(self, when: float, callback: Callable[[], None]) -> Alarm: ...


class LoopClock:
    """The running event loop's clock."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def now(self) -> float:
        return self._loop.time()

    def call_at(self, when: float, callback: Callable[[], None]) -> Alarm:
        return self._loop.call_at(when, callback)


class MemoryEngine:
    """The queue of one process and one event loop. Its methods never really wait, so nothing can interrupt them."""

    def __init__(self, policy: Policy, servers: Iterable[Server] = (), *, clock: Clock | None = None) -> None:
        self.policy = policy
        self._cores = Cores(policy, servers)
        self._clock = clock
        self._listener: Callable[[Outcome], None] | None = None
        self._changed: Callable[[], None] | None = None
        self._alarm: Alarm | None = None
        self._alarm_at = math.inf
        self._closed = False

    async def open(self, listener: Callable[[Outcome], None], changed: Callable[[], None]) -> None:
        self._listener, self._changed = listener, changed
        if self._clock is None:
            self._clock = LoopClock()

    async def submit(self, request: Request) -> None:
        self._cores.submit(request, self._now())
        self._tell()

    async def release(
        self, lease: Lease, *, tokens: float | None = None, drain_s: float = 0.0, completed: bool = True
    ) -> bool:
        released = self._cores.release(
            lease, self._now(), tokens=tokens, drain_s=drain_s, completed=completed
        )
        self._tell()
        return released

    async def renew(self, lease: Lease) -> Lease | None:
        renewed = self._cores.renew(lease, self._now())
        self._look_up()
        return renewed

    async def cancel(self, request_id: str) -> bool:
        known = self._cores.cancel(request_id, self._now())
        self._tell()
        return known

    async def position(self, request_id: str) -> Position | None:
        position = self._cores.position(request_id, self._now())
        self._look_up()
        return position

    async def statistics(self, lane: str | None = None) -> Statistics:
        return self._cores.statistics(lane)

    async def put_server(self, server: Server) -> None:
        self._cores.put_server(server, self._now())
        self._tell()

    async def drop_server(self, name: str) -> None:
        self._cores.drop_server(name, self._now())
        self._tell()

    async def report_loaded(self, name: str, models: Collection[str]) -> None:
        self._cores.report_loaded(name, models, self._now())
        self._tell()

    async def aclose(self) -> None:
        if self._closed or self._clock is None:
            return
        self._closed = True
        self._cores.close(self._now())
        self._tell()

    def _now(self) -> float:
        if self._clock is None:
            raise SchedulerClosedError
        return self._clock.now()

    def _tell(self) -> None:
        """Pass on what has happened, and have the clock call when the next thing is due."""
        assert self._changed is not None  # without open() there is no clock, and nothing comes this far
        self._pass_on()
        self._changed()

    def _look_up(self) -> None:
        """As `_tell`, after something that by itself moves nobody: a change is told only if time has made one."""
        if self._pass_on() and self._changed is not None:
            self._changed()

    def _pass_on(self) -> bool:
        assert self._listener is not None  # as above
        outcomes = self._cores.take_outcomes()
        for outcome in outcomes:
            self._listener(outcome)
        self._set_alarm()
        return bool(outcomes)

    def _set_alarm(self) -> None:
        # After closing leases end by their release; nothing is left that happens by itself.
        due = math.inf if self._closed else self._cores.next_alarm()
        if due < self._alarm_at or (due == math.inf and self._alarm is not None):
            if self._alarm is not None:
                self._alarm.cancel()
            self._alarm, self._alarm_at = None, math.inf
            if due < math.inf and self._clock is not None:
                self._alarm, self._alarm_at = self._clock.call_at(due, self._ring), due

    def _ring(self) -> None:
        self._alarm, self._alarm_at = None, math.inf
        self._cores.tick(self._now())
        self._tell()
