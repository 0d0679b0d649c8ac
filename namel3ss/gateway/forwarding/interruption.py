"""Ending a request from outside its task, with a reason: its caller left, its key was revoked, the server is silent."""

from __future__ import annotations

import asyncio

__all__ = ["Interruption"]


class Interruption:
    """Made inside the task that it may interrupt. Works as asyncio's timeouts do: it cancels, and takes that back.

    try:
        ...
    except asyncio.CancelledError:
        interruption.explain()  # raises the reason, if it was us
        raise
    """

    __slots__ = ("_cancelling", "_task", "reason")

    def __init__(self) -> None:
        task = asyncio.current_task()
        assert task is not None  # a coroutine of asyncio runs in one
        self._task: asyncio.Task[object] | None = task
        self._cancelling = task.cancelling()
        self.reason: BaseException | None = None

    def interrupt(self, reason: Exception) -> None:
        """The first reason counts; after `end` none does."""
        if self._task is not None and self.reason is None:
            self.reason = reason
            self._task.cancel()

    def explain(self) -> None:
        """Raise the reason, unless somebody else cancelled the task as well: that goes on."""
        reason = self.reason
        if reason is not None and self._task is not None and self._task.uncancel() <= self._cancelling:
            self.reason = None
            raise reason from None

    def end(self) -> None:
        """From now on nothing is interrupted."""
        self._task = None
