"""Servers to look after: what a scripted one says of itself, and backends in front of some."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from namel3ss.gateway.backends import Backends, Timing
from namel3ss.gateway.plan import BackendPlan, GatewayPlan
from namel3ss.scheduling import Scheduler
from tests.gateway.plans import plan_of
from tests.support.scripted_server import ScriptedServer, document

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from namel3ss.gateway.metrics.families import EventName
    from namel3ss.scheduling import Server
    from tests.scheduling.clocks import ManualClock
    from tests.support.scripted_server import Script

PATIENCE_S = 10.0
QUICK = Timing(probe_s=5.0, question_s=5.0)


def listed(name: str, *, digest: str | None = None, family: str = "llama") -> dict[str, Any]:
    """A model in a list."""
    name = name if ":" in name else f"{name}:latest"
    return {"name": name, "digest": digest or f"digest-of-{name}", "details": {"family": family}}


def listing(*models: dict[str, Any] | str) -> Script:
    return document({"models": [listed(model) if isinstance(model, str) else model for model in models]})


def shown(*capabilities: str, blob: str | None = None) -> Script:
    modelfile = "" if blob is None else f"# FROM x\nFROM /models/blobs/sha256-{blob * 64}\nSYSTEM Hi.\n"
    return document({"modelfile": modelfile, "capabilities": list(capabilities or ("completion",))})


def well(server: ScriptedServer, *models: dict[str, Any] | str, version: str = "0.24.0") -> ScriptedServer:
    """A server that is well and has some models."""
    return (
        server.on("/api/version", document({"version": version}))
        .on("/api/tags", listing(*models))
        .on("/api/ps", listing())
        .on("/api/show", shown())
    )


def plan(
    *servers: ScriptedServer | str, models: tuple[str, ...] = ("tiny",), settings: str = ""
) -> GatewayPlan:
    """A gateway in front of servers called gpu1, gpu2, …"""
    urls = [server if isinstance(server, str) else server.url for server in servers]
    return plan_of(
        "".join(f'ai model m{n} {{ provider: ollama  model: "{name}" }}\n' for n, name in enumerate(models))
        + "".join(f'server gpu{n} {{ base_url: "{url}"  slots: 4 }}\n' for n, url in enumerate(urls, 1))
        + f"gateway team {{ {settings} }}\n"
    )


def another(name: str, server: ScriptedServer) -> BackendPlan:
    return BackendPlan(name=name, base_url=server.url, slots=4)


@dataclass
class Counted:
    """What was counted."""

    events: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def event(self, name: EventName, **labels: str) -> None:
        self.events.append((name, labels))

    def of(self, name: EventName) -> list[dict[str, str]]:
        return [labels for known, labels in self.events if known == name]


class Queue(Scheduler):
    """A scheduler that remembers what it was told of the servers."""

    def __init__(self) -> None:
        super().__init__()
        self.servers: dict[str, Server] = {}
        self.loaded: dict[str, set[str]] = {}

    async def put_server(self, server: Server) -> None:
        self.servers[server.name] = server
        await super().put_server(server)

    async def drop_server(self, name: str) -> None:
        del self.servers[name]
        await super().drop_server(name)

    async def report_loaded(self, name: str, models: Any) -> None:
        self.loaded[name] = set(models)
        await super().report_loaded(name, models)

    @property
    def accepting(self) -> set[str]:
        return {name for name, server in self.servers.items() if server.accepting}


@dataclass
class Fleet:
    """Backends that are open, and what they talk to."""

    backends: Backends
    queue: Queue
    counted: Counted
    clock: ManualClock


@asynccontextmanager
async def looked_after(
    plan: GatewayPlan, clock: ManualClock, *, timing: Timing = QUICK, draw: Callable[[], float] = lambda: 0.5
) -> AsyncIterator[Fleet]:
    counted = Counted()
    async with Queue() as queue:
        async with Backends(plan, queue, counted, clock=clock, timing=timing, draw=draw) as backends:
            yield Fleet(backends, queue, counted, clock)
        assert not clock.pending, "an alarm was left behind"
