"""The event loop on which a `RequestQueue` talks to servers: one daemon thread, made at the first request."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING, TypeVar

from namel3ss.providers.loop_thread import finish_everything

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

__all__ = ["CalledFunctionError", "QueueLoop", "Started"]

T = TypeVar("T")


class CalledFunctionError(Exception):
    """A function of somebody else's raised; that is the cause."""


class QueueLoop:
    """Runs coroutines that other threads start. `at_end` is awaited in the loop before it is closed.

    A daemon, unlike the provider's `LoopThread`: what still waits when a program ends has nobody to answer to, and
    must not keep the program from ending. `stop()` cancels what runs and joins the thread.
    """

    def __init__(self, at_end: Callable[[], Awaitable[None]]) -> None:
        self._at_end = at_end
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._end: asyncio.Event | None = None
        self._tasks: set[asyncio.Task[object]] = set()
        self._is_stopped = False
        self._process_id = os.getpid()
        self._mine = threading.local()

    @property
    def is_here(self) -> bool:
        """Whether the calling thread is the loop's own, or one of those on which the loop calls other people's functions."""
        return getattr(self._mine, "is_here", False)

    async def call(self, function: Callable[[T], object], argument: T) -> None:
        """Call a function that may block, on another thread. CalledFunctionError if it raises."""
        try:
            await asyncio.to_thread(self._call, function, argument)
        except RuntimeError as ending:  # the program ends, and has no other threads any more
            raise asyncio.CancelledError from ending

    def _call(self, function: Callable[[T], object], argument: T) -> None:
        self._mine.is_here = True
        try:
            function(argument)
        except Exception as error:
            raise CalledFunctionError from error
        finally:
            self._mine.is_here = False

    def start(
        self,
        started: Started,
        coroutine: Coroutine[object, object, T],
        ended: Callable[[asyncio.Task[T]], None],
    ) -> None:
        """Begin a coroutine soon, without waiting. `ended` is called in the loop when it is over, however it ends, also
        when it is cancelled before its first step; that may be before this returns. RuntimeError after `stop()`.
        """

        def begin() -> None:
            task = started.task = loop.create_task(coroutine)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            task.add_done_callback(ended)

        with self._lock:
            if self._is_stopped:
                coroutine.close()
                raise RuntimeError("The queue's event loop has been stopped.")
            loop = self._loop or self._begin()
            loop.call_soon_threadsafe(begin)

    def cancel(self, started: Started) -> None:
        """Cancel what `start` began, soon. Nothing happens if it is over."""

        def end() -> None:
            if started.task is not None:
                started.task.cancel()

        with self._lock:
            if self._loop is not None and not self._is_stopped:
                # After the callback that makes the task: the loop keeps their order.
                self._loop.call_soon_threadsafe(end)

    def stop(self) -> None:
        """Cancel everything, close the loop and join its thread. Idempotent; whom the loop waits for does not join.

        Does nothing in a forked child: the thread and its connections are the parent's.
        """
        if self._process_id != os.getpid():
            return
        is_here = self.is_here
        with self._lock:
            self._is_stopped = True
            thread, loop, end = self._thread, self._loop, self._end
            self._thread = None
        if thread is None or loop is None or end is None:
            return
        loop.call_soon_threadsafe(end.set)
        if not is_here:
            thread.join()

    def _begin(self) -> asyncio.AbstractEventLoop:
        """Have a thread and a loop; the caller holds the lock."""
        ready = threading.Event()
        self._thread = threading.Thread(
            target=self._serve, args=(ready,), name="namel3ss-request-queue", daemon=True
        )
        self._thread.start()
        ready.wait()  # a moment: the thread only makes its loop
        assert self._loop is not None  # set before `ready`
        return self._loop

    def _serve(self, ready: threading.Event) -> None:
        self._mine.is_here = True
        loop = asyncio.new_event_loop()
        try:
            loop.run_until_complete(self._until_stopped(ready))
        finally:
            loop.run_until_complete(finish_everything())
            loop.close()

    async def _until_stopped(self, ready: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        ready.set()
        await self._end.wait()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._at_end()


class Started:
    """A coroutine that was handed to the loop. `task` is set and read in the loop only."""

    __slots__ = ("task",)

    def __init__(self) -> None:
        self.task: asyncio.Task[object] | None = None
