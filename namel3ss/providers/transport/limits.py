"""How long the pieces of an answer may be waited for, with one timer for thousands of waits.

`asyncio.timeout` arms and disarms a timer for each wait; a stream waits once a chunk, with a limit that almost never
passes. `WaitLimits` leaves its timer armed and moves it only when it fires early.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["LimitName", "LimitPassedError", "WaitLimits"]

LimitName: TypeAlias = Literal["first", "idle", "total"]


class LimitPassedError(Exception):
    """A wait took too long. `name` says which limit it was, `limit_s` how long that is."""

    def __init__(self, name: LimitName, limit_s: float) -> None:
        super().__init__(f"{name} limit of {limit_s:g} s")
        self.name = name
        self.limit_s = limit_s


class WaitLimits:
    """Entered around each wait; raises LimitPassedError out of one that takes too long.

    `first_s` counts from the making of this object until `piece_arrived` is first called, `idle_s` is for each wait
    after that, `total_s` counts from the making to the end. None means no limit. Only a wait can end by a limit: a
    consumer that is slow between two waits is not punished.

    Works like `asyncio.timeout`: it cancels the waiting task and takes that back. One wait at a time, one event loop.
    """

    __slots__ = (
        "_at",
        "_cancelling",
        "_first_s",
        "_has_fired",
        "_idle_s",
        "_loop",
        "_name",
        "_started_at",
        "_task",
        "_timer",
        "_total_s",
    )

    def __init__(self, *, first_s: float | None, idle_s: float | None, total_s: float | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._started_at = self._loop.time()
        self._first_s, self._idle_s, self._total_s = first_s, idle_s, total_s
        self._name: LimitName = "first"
        self._at: float | None = None
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._has_fired = False
        self._timer: asyncio.TimerHandle | None = None

    def piece_arrived(self) -> None:
        """The first piece is there; from now on the idle limit holds."""
        self._name = "idle"

    def close(self) -> None:
        """Disarm the timer. No wait may follow."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def __enter__(self) -> None:
        at = self._at = self._wait_ends_at()
        if at is None:
            return
        task = self._task = asyncio.current_task()
        self._cancelling = task.cancelling() if task is not None else 0
        timer = self._timer
        if timer is None or timer.when() > at:
            self.close()
            self._timer = self._loop.call_at(at, self._check)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        task, self._task = self._task, None
        if not self._has_fired or task is None:
            return
        self._has_fired = False
        if task.uncancel() <= self._cancelling and exc_type is asyncio.CancelledError:
            raise self._passed() from exc

    def _wait_ends_at(self) -> float | None:
        """The loop's time at which the wait that begins now has taken too long."""
        at = None
        if self._name == "idle":
            if self._idle_s is not None:
                at = self._loop.time() + self._idle_s
        elif self._first_s is not None:
            at = self._started_at + self._first_s
        if self._total_s is not None:
            ends_at = self._started_at + self._total_s
            if at is None or ends_at < at:
                return ends_at
        return at

    def _passed(self) -> LimitPassedError:
        if self._total_s is not None and self._loop.time() >= self._started_at + self._total_s:
            return LimitPassedError("total", self._total_s)
        limit_s = self._idle_s if self._name == "idle" else self._first_s
        return LimitPassedError(self._name, limit_s or 0.0)

    def _check(self) -> None:
        self._timer = None
        if self._task is None or self._at is None:
            return  # nobody waits; the next wait arms it again
        if self._loop.time() < self._at:
            self._timer = self._loop.call_at(self._at, self._check)
            return
        self._has_fired = True
        self._task.cancel()
