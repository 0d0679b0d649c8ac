"""All of management in one: its handlers, and what lives as long as the gateway."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from namel3ss.gateway.management import changes, pulls
from namel3ss.gateway.management.changes import Changes
from namel3ss.gateway.management.health import Health
from namel3ss.gateway.management.known_models import KnownModels
from namel3ss.gateway.management.model_views import ModelViews, cloud_status
from namel3ss.gateway.management.pull_views import PullViews
from namel3ss.gateway.management.pulls import Events, PullLog, Pulls
from namel3ss.gateway.management.updates import Updates

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from namel3ss.gateway.authority import Authority
    from namel3ss.gateway.exchange import Exchange
    from namel3ss.gateway.management.audit import AuditLog
    from namel3ss.gateway.management.fleet import Fleet
    from namel3ss.gateway.metrics.recent import RecentCompletions
    from namel3ss.gateway.plan import GatewayPlan
    from namel3ss.gateway.routes import Action
    from namel3ss.providers.local.ollama import PullPolicy
    from namel3ss.scheduling import Scheduler

__all__ = ["LANES", "Management"]

LANES: Final[Mapping[str, int]] = {**pulls.LANES, **changes.LANES}
"""The lanes that the queue's policy must have, with how many run in each at a time."""


class Counted(Events, Protocol):
    """Where what happens is counted, and what has been."""

    @property
    def recent(self) -> RecentCompletions: ...


class Management:
    """An asynchronous context manager, within the scheduler's and the servers': leaving it ends what it has under way.

    `is_stopping` says whether the gateway is about to end.
    """

    def __init__(
        self,
        plan: GatewayPlan,
        authority: Authority,
        fleet: Fleet,
        scheduler: Scheduler,
        *,
        audit: AuditLog,
        pull_log: PullLog,
        events: Counted,
        is_stopping: Callable[[], bool],
        pull_policy: PullPolicy | None = None,
    ) -> None:
        self._plan = plan
        self._fleet = fleet
        self._events = events
        self._known = KnownModels(plan, authority, fleet)
        self._pulls = Pulls(fleet, scheduler, events, pull_log, policy=pull_policy)
        self._updates = Updates(plan, self._known, self._pulls, audit)
        self._rooms = (
            Health(fleet, is_stopping),
            ModelViews(plan, self._known, fleet),
            PullViews(plan, fleet, self._pulls, audit),
            self._updates,
            Changes(plan, self._known, fleet, scheduler, audit),
        )
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._stack.push_async_callback(self._known.aclose)
        self._stack.push_async_callback(self._pulls.aclose)
        await self._pulls.recall()
        await self._stack.enter_async_context(self._updates)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def pull_declared(self, server: str, models: Iterable[str]) -> None:
        """Have a server get models that the file wants it to have, and what a restart interrupted, in the background."""
        self._pulls.resume(server)
        for model in models:
            self._pulls.start([server], model, user="")

    def handlers(self) -> dict[Action, Callable[[Exchange], Awaitable[None]]]:
        handlers: dict[Action, Callable[[Exchange], Awaitable[None]]] = {}
        for room in self._rooms:
            handlers |= room.handlers()
        return handlers

    def status(self) -> dict[str, Any]:
        """The gateway's own part of `/api/status`."""
        recent = self._events.recent.now()
        servers = [
            {
                "name": server,
                "status": self._fleet.status(server).state,
                "version": self._fleet.version(server),
            }
            for server in self._fleet.names
        ]
        return {
            "status": "ok" if any(map(self._fleet.is_usable, self._fleet.names)) else "error",
            "provider": "ollama",
            "queue_stats": {
                "avg_processing_time": recent.average_s,
                "recent_completions": recent.number,
            },
            "servers": servers,
            "cloud": cloud_status(self._plan),
        }
