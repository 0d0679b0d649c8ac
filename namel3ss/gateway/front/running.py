"""The requests that are being answered, so that they can be waited for, and ended when their key is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from namel3ss.gateway.routes import Action

if TYPE_CHECKING:
    from namel3ss.gateway.errors import Refusal
    from namel3ss.gateway.exchange import Exchange
    from namel3ss.gateway.live import LiveRequests

__all__ = ["Running"]


class Running:
    """Each request with its task. Those that are in `live` know better how to end than by being cancelled."""

    def __init__(self, live: LiveRequests) -> None:
        self._live = live
        self._tasks: dict[Exchange, asyncio.Task[object] | None] = {}
        self._interrupted: dict[Exchange, Refusal] = {}
        self._ended = asyncio.Event()
        self._ended.set()

    def __len__(self) -> int:
        return len(self._tasks)

    def add(self, exchange: Exchange) -> None:
        """The current task begins to answer it."""
        self._tasks[exchange] = asyncio.current_task()
        self._ended.clear()

    def remove(self, exchange: Exchange) -> None:
        del self._tasks[exchange]
        self._interrupted.pop(exchange, None)
        if not self._tasks:
            self._ended.set()

    async def ended(self) -> None:
        """Returns once nothing is running."""
        await self._ended.wait()

    def interrupt(self, refusal: Refusal, key_id: str | None) -> None:
        """End everything, or everything of one key."""
        for request in list(self._live.by_id.values()):
            if key_id is None or request.principal.key_id == key_id:
                request.interrupt(refusal)
        for exchange, task in list(self._tasks.items()):
            principal = exchange.principal
            if task is None or exchange in self._interrupted or self._is_live(exchange):
                continue
            if key_id is None or (
                principal is not None and principal.key_id == key_id and not _ends_its_own(exchange)
            ):
                self._interrupted[exchange] = refusal
                task.cancel()

    def _is_live(self, exchange: Exchange) -> bool:
        """Whether it has a stream or a place in the queue to end by itself. Another may go by the same id."""
        live = self._live.by_id.get(exchange.id)
        return live is not None and exchange.route is not None and live.route == exchange.route.path

    def interruption(self, exchange: Exchange) -> Refusal | None:
        """Why a cancelled request was cancelled; None where it was not done here. Its task may go on."""
        refusal = self._interrupted.get(exchange)
        task = self._tasks.get(exchange)
        if refusal is not None and task is not None:
            task.uncancel()
        return refusal


def _ends_its_own(exchange: Exchange) -> bool:
    """Whether it is the request that ends its key, being a session: it may hear of that before it has answered."""
    return exchange.route is not None and exchange.route.action is Action.LOGOUT
