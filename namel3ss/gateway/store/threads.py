"""Slow work on a thread of its own, for what is rare: the event loop's own threads would outlive it."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["in_thread"]

ResultT = TypeVar("ResultT")


async def in_thread(work: Callable[[], ResultT], name: str) -> ResultT:
    """What `work` returns or raises. A caller that is cancelled leaves it to end by itself."""
    future: Future[ResultT] = Future()

    def run() -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001  # it belongs to whoever waits
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=run, name=f"namel3ss {name}", daemon=True).start()
    return await asyncio.wrap_future(future)
