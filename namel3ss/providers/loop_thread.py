"""Asynchronous code for callers without asyncio: one private event loop on a thread of its own.

The rules of this file. The loop is made at the first call and lives until `close()`, so that connections are reused.
Its thread runs only while calls are under way, and a moment longer: a program that forgets `close()` still ends. The
thread is no daemon; `close()` joins it. State changes under `_lock`; the loop's thread takes the lock only to decide
that it is idle, so a caller that holds the lock may join a thread that has so decided.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import os
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar

from namel3ss.providers.base import ProviderChunk, ProviderResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import TracebackType

__all__ = ["BlockingStream", "LoopThread", "SyncStream", "finish_everything"]

T = TypeVar("T")
ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")
ItemT_co = TypeVar("ItemT_co", covariant=True)
ResultT_co = TypeVar("ResultT_co", covariant=True)

# How long an idle thread waits for the next call: longer than the pause between two pieces of an answer, short
# enough not to be noticed at the end of a program.
_LINGER_S = 0.1


class LoopThread:
    """Runs coroutines for blocking callers, from any thread, also from inside another running loop.

    Lives as long as its owner, which closes it. Using it after `close()`, from one of its own coroutines, or in a
    process forked since its first use is a RuntimeError that says so.
    """

    def __init__(self, name: str = "namel3ss-sync") -> None:
        self._name = name
        # Reentrant: a finaliser may call `run_soon` on the thread that is just changing the state.
        self._lock = threading.RLock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._process_id = 0
        self._running_calls = 0
        self._is_idle = True  # the thread, if there is one, has decided to end
        self._is_closed = False

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The coroutine's result.

        Ctrl-C cancels the coroutine, waits until it has cleaned up, and is raised again.
        """
        try:
            self._check_usable()
        except RuntimeError:
            coroutine.close()
            raise
        call = self._submit(coroutine)
        try:
            return call.outcome.result()
        except (KeyboardInterrupt, SystemExit):
            if not call.outcome.done() and self._loop is not None:
                self._loop.call_soon_threadsafe(call.cancel)
                concurrent.futures.wait([call.outcome])
            raise
        except asyncio.CancelledError:
            if self._is_closed:
                raise RuntimeError(f"{self._name} was closed while a call was running.") from None
            raise

    def run_soon(self, coroutine: Coroutine[Any, Any, object]) -> None:
        """Start the coroutine without waiting for it: for finalisers, which may run on any thread.

        Does nothing where the loop has never run or is closed: there is then nothing left to finish.
        """
        if self._loop is None or self._is_closed or self._process_id != os.getpid():
            coroutine.close()
        elif threading.current_thread() is self._thread:
            _Call(coroutine).start(self._loop)
        else:
            self._submit(coroutine, waits=False)

    def close(self) -> None:
        """Cancel what still runs, close the loop and join the thread. Idempotent."""
        if self._loop is not None and self._process_id != os.getpid():
            # The thread and its connections belong to the parent process, and so does the lock: the parent's thread
            # may have held it at the moment of the fork, and nobody would ever release it here.
            self._is_closed = True
            return
        if threading.current_thread() is self._thread and not self._is_closed:
            raise RuntimeError(f"{self._name} cannot be closed from its own thread.")
        with self._lock:
            loop = self._loop
            if self._is_closed or loop is None:
                self._is_closed = True
                return
            call = self._submit(finish_everything(), closing=True)
        call.outcome.result()
        # Without the lock, which the thread takes once more when the last call ends: nobody else gets in any more.
        loop.call_soon_threadsafe(loop.stop)
        if self._thread is not None:
            self._thread.join()
        loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else f"{self._running_calls} running"
        return f"<LoopThread {self._name} {state}>"

    def _check_usable(self) -> None:
        if self._is_closed:
            raise RuntimeError(f"{self._name} is closed.")
        if self._loop is not None and self._process_id != os.getpid():
            raise RuntimeError(
                f"{self._name} was used before this process was forked; open the program again in the child."
            )
        if self._thread is not None and threading.current_thread() is self._thread:
            raise RuntimeError(
                f"{self._name} was called from one of its own coroutines; await the asynchronous form instead."
            )

    def _submit(
        self, coroutine: Coroutine[Any, Any, T], *, closing: bool = False, waits: bool = True
    ) -> _Call[T]:
        call = _Call(coroutine)
        with self._lock:
            if self._is_closed:
                coroutine.close()
                raise RuntimeError(f"{self._name} is closed.")
            self._is_closed = closing
            loop = self._loop or self._new_loop()
            try:
                self._wake(loop)
            except RuntimeError:
                # At the very end of a process no thread can be started. Who waits for the call can serve it himself.
                if not waits or _is_in_loop():
                    coroutine.close()
                    raise
                call.run(loop)
                return call
            self._running_calls += 1
            call.outcome.add_done_callback(self._call_ended)
            # Under the lock, so that every call comes before the one that closes, and is ended by it.
            loop.call_soon_threadsafe(call.start, loop)
        return call

    def _wake(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have a thread that serves the loop; the caller holds the lock."""
        if not self._is_idle:
            return
        self._is_idle = False  # first: a finaliser on this thread may come back in here
        if self._thread is not None:
            self._thread.join()
        self._thread = threading.Thread(target=self._serve, args=(loop,), name=self._name, daemon=False)
        try:
            self._thread.start()
        except RuntimeError:
            self._thread, self._is_idle = None, True
            raise

    def _new_loop(self) -> asyncio.AbstractEventLoop:
        self._loop = asyncio.new_event_loop()
        self._process_id = os.getpid()
        return self._loop

    # -- on the loop's thread ---------------------------------------------------------------------------------

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        while True:
            # A coroutine that raises KeyboardInterrupt or SystemExit stops the loop; its caller gets the exception
            # once the loop goes on.
            with contextlib.suppress(KeyboardInterrupt, SystemExit):
                loop.run_forever()
                return

    def _call_ended(self, _outcome: concurrent.futures.Future[Any]) -> None:
        with self._lock:
            self._running_calls -= 1
            if self._running_calls == 0 and not self._is_idle and self._loop is not None:
                self._loop.call_later(_LINGER_S, self._stop_if_idle)

    def _stop_if_idle(self) -> None:
        with self._lock:
            if self._running_calls == 0 and not self._is_idle and self._loop is not None:
                self._is_idle = True
                self._loop.stop()


class _Call(Generic[T]):
    """One coroutine on its way through the loop, in the context of its caller."""

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self.outcome: concurrent.futures.Future[T] = concurrent.futures.Future()
        self._coroutine = coroutine
        self._context = contextvars.copy_context()
        self._task: asyncio.Task[T] | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._task = loop.create_task(self._coroutine, context=self._context)
        self._task.add_done_callback(self._settle)

    def run(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start it in a loop that nobody serves, and serve that until it has ended."""
        self.start(loop)
        self.outcome.add_done_callback(lambda _outcome: loop.stop())
        loop.run_forever()

    def cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _settle(self, task: asyncio.Task[T]) -> None:
        if task.cancelled():
            self.outcome.set_exception(asyncio.CancelledError())
        elif (error := task.exception()) is not None:
            self.outcome.set_exception(error)
        else:
            self.outcome.set_result(task.result())


def _is_in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def finish_everything() -> None:
    """What `asyncio.run` does at its end: cancel, wait, shut down generators and the executor.

    Also once the interpreter is ending, when Python begins no thread that could wait for the executor's.
    """
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    loop = asyncio.get_running_loop()
    await loop.shutdown_asyncgens()
    with contextlib.suppress(RuntimeError):
        await loop.shutdown_default_executor()


class _Stream(Protocol[ItemT_co, ResultT_co]):
    """What a stream has, whatever its pieces are."""

    async def __anext__(self) -> ItemT_co: ...
    async def cancel(self) -> None: ...
    async def result(self) -> ResultT_co: ...


class BlockingStream(Iterator[ItemT], Generic[ItemT, ResultT]):
    """A stream for a plain `for` loop: an iterator of its pieces and a context manager.

    Leaving the context, `cancel()` and dropping an unfinished stream close its connection at once.
    """

    _is_finished = True  # nothing to clean up while opening may still fail

    def __init__(self, thread: LoopThread, open_stream: Callable[[], _Stream[ItemT, ResultT]]) -> None:
        self._thread = thread
        self._stream = thread.run(_call(open_stream))
        self._is_finished = False

    def __next__(self) -> ItemT:
        try:
            item = self._thread.run(_next(self._stream))
        except BaseException:
            self.cancel()
            raise
        if item is None:
            self._is_finished = True
            raise StopIteration
        return item[0]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._stream!r}>"

    def cancel(self) -> None:
        """Stop the answer and close its connection. Idempotent; a finished stream is left as it is."""
        if not self._is_finished:
            self._is_finished = True
            if not self._thread.is_closed:  # closing it has cancelled everything
                self._thread.run(self._stream.cancel())

    def close(self) -> None:
        """`cancel`, by the name that `contextlib.closing` and code written for generators use."""
        self.cancel()

    def result(self) -> ResultT:
        """The whole answer: reads what is left, then returns everything received so far as one."""
        response = self._thread.run(self._stream.result())
        self._is_finished = True
        return response

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.cancel()

    def __del__(self) -> None:
        if not self._is_finished:
            # At the very end of a process no thread can be started; the operating system then closes the connection.
            with contextlib.suppress(RuntimeError):
                self._thread.run_soon(self._stream.cancel())


class SyncStream(BlockingStream[ProviderChunk, ProviderResponse]):
    """A `ProviderStream` without asyncio: its pieces are chunks."""


async def _call(function: Callable[[], T]) -> T:
    return function()


async def _next(stream: _Stream[ItemT, Any]) -> tuple[ItemT] | None:
    # A StopAsyncIteration cannot travel through a future; None can.
    try:
        return (await stream.__anext__(),)
    except StopAsyncIteration:
        return None
