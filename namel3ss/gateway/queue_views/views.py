"""The handlers of the queue's views, and of cancelling."""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from namel3ss.gateway.answering import EVENTS_TYPE, event, send_document, stream
from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.live import Stage
from namel3ss.gateway.principal import Scope
from namel3ss.gateway.queue_views.descriptions import described, queue_entry
from namel3ss.gateway.queue_views.head import SHOWN, waiting_of
from namel3ss.gateway.routes import Action

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from namel3ss.gateway.exchange import Exchange
    from namel3ss.gateway.live import LiveRequest, LiveRequests
    from namel3ss.gateway.queue_views.head import Head
    from namel3ss.scheduling import Scheduler

__all__ = ["QueueViews"]


class QueueViews:
    """Shows the requests under way, each to its user and all to operators.

    `status` makes the parts of `/api/status` that are not the queue's: the servers, what has ended lately. A watcher is
    told of a new position once in `tick_s` at most.
    """

    def __init__(
        self,
        live: LiveRequests,
        scheduler: Scheduler,
        head: Head,
        *,
        status: Callable[[], dict[str, Any]],
        watchers_per_user: int,
        tick_s: float = 1.0,
    ) -> None:
        self._live = live
        self._scheduler = scheduler
        self._head = head
        self._status = status
        self._watchers_per_user = watchers_per_user
        self._tick_s = tick_s
        self._watchers: Counter[str] = Counter()

    def handlers(self) -> dict[Action, Callable[[Exchange], Awaitable[None]]]:
        return {
            Action.STATUS: self.status,
            Action.QUEUE: self.queue,
            Action.LIST_REQUESTS: self.list_requests,
            Action.SHOW_REQUEST: self.show_request,
            Action.WATCH_REQUEST: self.watch_request,
            Action.CANCEL_REQUEST: self.cancel_request,
        }

    async def status(self, exchange: Exchange) -> None:
        """How the gateway is, in figures that say nothing of anybody."""
        waiting, running = await self._counts()
        parts = self._status()
        parts["queue_stats"] = {"queue_size": waiting, "active_requests": running} | parts["queue_stats"]
        await send_document(exchange, parts)

    async def queue(self, exchange: Exchange) -> None:
        """The whole queue, its first entries in the order in which they would start."""
        waiting, running = await self._counts()
        entries = [queue_entry(request, position, _now()) for request, position in await self._head.placed()]
        await send_document(
            exchange,
            {"queue_length": waiting, "processing": running > 0, "running": running, "entries": entries},
        )

    async def list_requests(self, exchange: Exchange) -> None:
        """The caller's requests, those that run first; an operator's list holds everybody's."""
        principal = exchange.caller
        sees_all = principal.may(Scope.OPERATOR)
        seen = list(self._live.seen_by(principal, all_users=sees_all))
        under_way = (request for request in seen if request.stage is not Stage.WAITING)
        running = heapq.nsmallest(SHOWN, under_way, key=attrgetter("arrived_at"))
        first = await (self._head.placed() if sees_all else self._head.first_of(waiting_of(seen)))
        told = [described(request, None, _now()) for request in running]
        told += [described(request, position, _now()) for request, position in first]
        await send_document(exchange, {"requests": told, "total": len(seen)})

    async def show_request(self, exchange: Exchange) -> None:
        """One request."""
        request = self._find(exchange)
        await send_document(exchange, await self._described(request))

    async def cancel_request(self, exchange: Exchange) -> None:
        """End a request wherever it stands. Its caller is told so."""
        request = self._find(exchange)
        by = "its user" if request.principal.user == exchange.caller.user else "an operator"
        request.interrupt(Refusal(Reason.cancelled, f"The request was cancelled by {by}."))
        await send_document(exchange, {"id": request.id, "cancelled": True})

    async def watch_request(self, exchange: Exchange) -> None:
        """Events until the request has ended: `position` at most once a second, `state` at each step, `end`."""
        request = self._find(exchange)
        user = exchange.caller.user
        if self._watchers[user] >= self._watchers_per_user:
            raise Refusal(
                Reason.too_many_streams,
                f"{user} watches {self._watchers_per_user} requests already.",
                suggestion="Close one of them, or ask GET /requests.",
                retry_after_s=1.0,
            )
        self._watchers[user] += 1
        try:
            await stream(exchange, EVENTS_TYPE, self._tell(exchange, request))
        finally:
            self._watchers[user] -= 1
            if not self._watchers[user]:
                del self._watchers[user]

    async def _tell(self, exchange: Exchange, request: LiveRequest) -> None:
        if request.news is None:
            request.news = asyncio.Event()
        news, stage, told = request.news, None, None
        while self._lives(request):
            description = await self._described(request)
            name = "position" if stage is request.stage is Stage.WAITING else "state"
            shown = {key: value for key, value in description.items() if not key.endswith("_time")}
            if shown != told:
                await exchange.send_piece(event(name, description))
            stage, told = request.stage, shown
            await _news_or_tick(news, self._tick_s)
        end = {"id": request.id, "outcome": request.outcome or None}
        await exchange.send_piece(event("end", end))

    def _lives(self, request: LiveRequest) -> bool:
        return self._live.by_id.get(request.id) is request

    def _find(self, exchange: Exchange) -> LiveRequest:
        """The request of the address. Another user's is as unknown as none, except to operators."""
        principal, wanted = exchange.caller, exchange.parameters["id"]
        request = self._live.by_id.get(wanted)
        if request is None or not (request.principal.user == principal.user or principal.may(Scope.OPERATOR)):
            raise Refusal(
                Reason.not_found,
                f"There is no request {wanted!r} under way.",
                suggestion="It may have ended. GET /requests lists yours.",
            )
        return request

    async def _described(self, request: LiveRequest) -> dict[str, object]:
        waits = request.stage is Stage.WAITING
        position = await self._scheduler.position(request.place_id) if waits else None
        return described(request, position, _now())

    async def _counts(self) -> tuple[int, int]:
        statistics = await self._scheduler.statistics()
        return statistics.waiting, statistics.running


async def _news_or_tick(news: asyncio.Event, tick_s: float) -> None:
    """Wait for news, or until it is time to look at the position again."""
    try:
        async with asyncio.timeout(tick_s):
            await news.wait()
    except TimeoutError:
        return
    news.clear()


def _now() -> float:
    return asyncio.get_running_loop().time()
