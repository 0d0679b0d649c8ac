"""A progress bar of the editor."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Final

from lsprotocol import types

if TYPE_CHECKING:
    from concurrent.futures import Future

    from namel3ss.language_server.server import Server

__all__ = ["Bar"]

_NUMBERS: Final = itertools.count(1)


class Bar:
    """One bar. Where the editor shows none, it only can be asked whether it was cancelled, which it is not then."""

    def __init__(self, server: Server, *, is_shown: bool) -> None:
        self.cancelled = asyncio.Event()
        self._server = server
        self._is_shown = is_shown
        self._token = f"namel3ss-{next(_NUMBERS)}"

    async def begin(self, title: str) -> None:
        if not self._is_shown:
            return
        bars = self._server.work_done_progress
        await bars.create_async(self._token)
        loop = asyncio.get_running_loop()

        def ended(future: Future[object]) -> None:
            if future.cancelled():
                loop.call_soon_threadsafe(self.cancelled.set)

        bars.tokens[self._token].add_done_callback(ended)
        bars.begin(self._token, types.WorkDoneProgressBegin(title, cancellable=True, percentage=0))

    def report(self, message: str, percentage: int | None) -> None:
        if self._is_shown:
            report = types.WorkDoneProgressReport(message=message, percentage=percentage, cancellable=True)
            self._server.work_done_progress.report(self._token, report)

    def end(self, message: str) -> None:
        if self._is_shown:
            self._server.work_done_progress.end(self._token, types.WorkDoneProgressEnd(message=message))
            self._server.work_done_progress.tokens.pop(self._token, None)
