"""All of management in one: its handlers, and what lives as long as the gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from namel3ss.gateway.management.health import Health
from namel3ss.gateway.management.known_models import KnownModels
from namel3ss.gateway.management.model_views import ModelViews, cloud_status

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from namel3ss.gateway.authority import Authority
    from namel3ss.gateway.exchange import Exchange
    from namel3ss.gateway.management.fleet import Fleet
    from namel3ss.gateway.plan import GatewayPlan
    from namel3ss.gateway.routes import Action

__all__ = ["Management"]


class Management:
    """An asynchronous context manager: leaving it ends what it has under way.

    `is_stopping` says whether the gateway is about to end.
    """

    def __init__(
        self, plan: GatewayPlan, authority: Authority, fleet: Fleet, *, is_stopping: Callable[[], bool]
    ) -> None:
        self._plan = plan
        self._fleet = fleet
        self._known = KnownModels(authority, fleet)
        self._rooms = (Health(fleet, is_stopping), ModelViews(plan, self._known, fleet))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._known.aclose()

    def handlers(self) -> dict[Action, Callable[[Exchange], Awaitable[None]]]:
        handlers: dict[Action, Callable[[Exchange], Awaitable[None]]] = {}
        for room in self._rooms:
            handlers |= room.handlers()
        return handlers

    def status(self) -> dict[str, Any]:
        """The gateway's own part of `/api/status`."""
        servers = [
            {
                "name": server,
                "status": "up" if self._fleet.is_usable(server) else "down",
                "version": self._fleet.version(server),
            }
            for server in self._fleet.names
        ]
        is_well = any(server["status"] == "up" for server in servers)
        return {
            "status": "ok" if is_well else "error",
            "provider": "ollama",
            "queue_stats": {},
            "servers": servers,
            "cloud": cloud_status(self._plan),
        }
