"""One timer for many short waits.

`asyncio.timeout` arms and disarms a timer for each wait; a stream waits once a chunk, thousands of times, with a
deadline that almost never passes. A `Deadline` leaves its timer armed and moves it only when it fires early.
"""

from __future__ import annotations

import asyncio

__all__ = ["Deadline"]


class Deadline:
    """Cancels the task that waits between `start` and `stop` once the time given to `start` has come.

    Whoever catches the CancelledError asks `has_passed()`: True means that it was the deadline, and that the
    cancellation has been taken back. Belongs to one event loop; not for two waits at once.
    """

    __slots__ = ("_at", "_cancelling", "_fired", "_loop", "_task", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._at = 0.0
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._fired = False
        self._timer: asyncio.TimerHandle | None = None

    def start(self, at: float | None) -> None:
        """Begin a wait that ends at the loop's time `at`; None means no limit."""
        if at is None:
            return
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a request to Ollama must run inside an asyncio task")
        self._task = task
        self._cancelling = task.cancelling()
        self._at = at
        timer = self._timer
        if timer is None or timer.when() > at:
            if timer is not None:
                timer.cancel()
            self._timer = self._loop.call_at(at, self._check)

    def stop(self) -> None:
        """The wait is over, whatever it brought."""
        self._task = None

    def has_passed(self) -> bool:
        """Whether the CancelledError just caught was the deadline's and nobody else's."""
        if not self._fired or self._task is None:
            return False
        self._fired = False
        return self._task.uncancel() <= self._cancelling

    def close(self) -> None:
        """Forget the timer."""
        self._task = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check(self) -> None:
        self._timer = None
        if self._task is None:
            return  # nobody waits; the next wait arms it again
        if self._loop.time() < self._at:
            self._timer = self._loop.call_at(self._at, self._check)
            return
        self._fired = True
        self._task.cancel()
