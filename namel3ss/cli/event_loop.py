"""The event loop of a command: Ctrl-C and SIGTERM end what runs in order, so that connections close and servers stop.

Both cancel the coroutine, its clean-up runs, and only then are they raised. A second Ctrl-C does not wait for the
clean-up.
"""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any, Self, TypeVar

from namel3ss.cli.interruption import Terminated

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from types import FrameType, TracebackType

__all__ = ["EventLoop"]

ResultT = TypeVar("ResultT")


class EventLoop:
    """One event loop for a synchronous command; connections stay open from one `run` to the next.

    A context manager; leaving it cancels what is left and closes the loop.
    """

    def __init__(self) -> None:
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        self._runner.__enter__()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._runner.__exit__(exc_type, exc, traceback)

    def run(self, main: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Run to the end. Raises KeyboardInterrupt or Terminated once the cancelled coroutine has cleaned up."""
        terminated = False

        async def supervised() -> ResultT:
            task = asyncio.current_task()
            loop = asyncio.get_running_loop()

            def terminate(_number: int, _frame: FrameType | None) -> None:
                nonlocal terminated
                terminated = True
                if task is not None:
                    task.cancel()
                # The loop may be asleep in the kernel; a signal handler alone does not wake it.
                loop.call_soon_threadsafe(lambda: None)

            previous = signal.signal(signal.SIGTERM, terminate)
            try:
                return await main
            finally:
                signal.signal(signal.SIGTERM, previous)

        try:
            return self._runner.run(supervised())
        except asyncio.CancelledError:
            if terminated:
                raise Terminated from None
            raise
