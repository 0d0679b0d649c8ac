"""What goes on now: the queue with everything that waits and runs, how the servers are, and cancelling."""

from __future__ import annotations

import asyncio
import heapq
import time
from typing import TYPE_CHECKING, Final

from namel3ss._version import __version__
from namel3ss.gateway.administration.activity_shapes import Overview, QueueEntry, QueueView
from namel3ss.gateway.administration.calls import AnyOperation, Call, Nothing, Operation
from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.live import Stage

if TYPE_CHECKING:
    from namel3ss.gateway.administration.servers import ServerOperations
    from namel3ss.gateway.live import LiveRequest, LiveRequests
    from namel3ss.gateway.plan import GatewayPlan
    from namel3ss.gateway.queue_views import Head
    from namel3ss.gateway.store import Audit
    from namel3ss.scheduling import Position, Scheduler

__all__ = ["ActivityOperations"]

_MOST_SHOWN: Final = 200


class ActivityOperations:
    """Shows requests under way, without their prompts, and ends one."""

    def __init__(
        self,
        plan: GatewayPlan,
        live: LiveRequests,
        scheduler: Scheduler,
        head: Head,
        servers: ServerOperations,
        audit: Audit,
    ) -> None:
        self._plan = plan
        self._live = live
        self._scheduler = scheduler
        self._head = head
        self._servers = servers
        self._audit = audit

    def operations(self) -> tuple[AnyOperation, ...]:
        return (
            Operation(
                method="GET",
                path="/api/overview",
                do=self.overview,
                takes=Nothing,
                answers=Overview,
                summary="The queue and the servers at one moment.",
            ),
            Operation(
                method="GET",
                path="/api/queue",
                do=self.queue,
                takes=Nothing,
                answers=QueueView,
                summary="The requests under way: those that run, then those that wait.",
            ),
            Operation(
                method="DELETE",
                path="/api/queue/{id}",
                do=self.cancel,
                takes=Nothing,
                answers=Nothing,
                status=204,
                summary="End a request wherever it stands; its caller is told so.",
                refusals=(Reason.not_found,),
            ),
        )

    async def overview(self, call: Call[Nothing]) -> Overview:
        return Overview(
            at=time.time(),
            version=__version__,
            gateway=self._plan.name,
            queue=await self.queue(call),
            servers=await self._servers.views(),
        )

    async def queue(self, call: Call[Nothing]) -> QueueView:
        now = asyncio.get_running_loop().time()
        statistics = await self._scheduler.statistics()
        requests = list(self._live.by_id.values())
        running = [request for request in requests if request.stage is not Stage.WAITING]
        shown = [
            _entry(request, None, now) for request in heapq.nsmallest(_MOST_SHOWN, running, key=_arrival)
        ]
        first = (await self._head.placed())[: _MOST_SHOWN - len(shown)]
        shown += [_entry(request, position, now) for request, position in first]
        return QueueView(
            queue_length=statistics.waiting,
            processing=statistics.running > 0,
            running=statistics.running,
            draining=statistics.draining,
            entries=shown,
            left_out=len(requests) - len(shown),
        )

    async def cancel(self, call: Call[Nothing]) -> Nothing:
        wanted = call.parameters["id"]
        request = self._live.by_id.get(wanted)
        if request is None:
            raise Refusal(
                Reason.not_found,
                f"There is no request {wanted[:100]!r} under way.",
                suggestion="It may have ended already.",
            )
        detail = {"user": request.principal.user, "model": request.model, "stage": request.stage.value}
        await self._audit.record(call.actor, "request.cancel", wanted, detail)
        request.interrupt(Refusal(Reason.cancelled, "The request was cancelled by an administrator."))
        return Nothing()


def _entry(request: LiveRequest, position: Position | None, now: float) -> QueueEntry:
    sent_at = request.started_at
    wait = None if position is None else position.wait
    return QueueEntry(
        id=request.id,
        source=request.source,
        priority=request.principal.priority,
        user=request.principal.user,
        model=request.model,
        client=request.client,
        route=request.route,
        stage=request.stage.value,
        server=request.server,
        wait_time=_seconds((now if sent_at is None else sent_at) - request.arrived_at),
        run_time=None if sent_at is None else _seconds(now - sent_at),
        position=None if position is None else position.at_least,
        eta=None if wait is None else _seconds(wait.expected_s),
        pieces=request.pieces,
    )


def _seconds(value: float) -> float:
    return round(max(value, 0.0), 3)


def _arrival(request: LiveRequest) -> float:
    return request.arrived_at
