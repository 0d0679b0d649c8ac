"""The place of one request in the queue, as its caller is told of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from namel3ss.gateway.forwarding.refusals import LATER_S, too_long
from namel3ss.gateway.forwarding.waiting import WaitNews, headers_at_arrival

if TYPE_CHECKING:
    from namel3ss.gateway.exchange import Exchange
    from namel3ss.gateway.forwarding.forwarder import Forwarder
    from namel3ss.gateway.forwarding.job import Job

__all__ = ["Place"]

_WANTS_EVENTS: Final = b"1"


class Place:
    """Made for a request that found no slot. Its attempts share it: what is told is the place at arrival."""

    __slots__ = ("_exchange", "_forwarder", "_job", "_news", "expected_s", "headers")

    def __init__(self, forwarder: Forwarder, exchange: Exchange, job: Job) -> None:
        self._forwarder = forwarder
        self._exchange = exchange
        self._job = job
        self._news: WaitNews | None = None
        self.headers: tuple[tuple[bytes, bytes], ...] | None = None
        """None where its slot came before anybody could look."""
        self.expected_s = LATER_S
        """The wait that was foreseen."""

    async def look(self) -> None:
        """See where it stands, and tell whoever asked for news. Raises Refusal for one that would rather not wait."""
        if self.headers is not None:
            return
        async with self._forwarder.looking:
            position = await self._forwarder.scheduler.position(self._exchange.id)
            # One look in each turn of the event loop, because hundreds may arrive in one.
            await asyncio.sleep(0)
        if position is None:
            return  # its slot has come meanwhile
        self.headers = headers_at_arrival(position)
        if position.wait is not None:
            self.expected_s = max(1.0, position.wait.expected_s)
            if self._job.leaves_for(position.wait.expected_s):
                raise too_long(position.wait.expected_s)
        if self._job.shows_events and self._exchange.headers.get(b"x-queue-events") == _WANTS_EVENTS:
            self._news = WaitNews(self._exchange, self._forwarder.scheduler, self.headers)
            await self._news.begin()

    async def leave(self) -> None:
        """The wait is over. No news go out after this."""
        if self._news is not None:
            await self._news.end()
