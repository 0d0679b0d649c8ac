"""A gateway's data path on a real socket: front, forwarder, queue and servers as they are, with an open account."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from namel3ss.gateway.authority import Authority
from namel3ss.gateway.backends import Backends, Timing
from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.forwarding import Forwarder, ForwardingLimits
from namel3ss.gateway.forwarding.fallback import open_fallback
from namel3ss.gateway.front import Front
from namel3ss.gateway.live import LiveRequests
from namel3ss.gateway.metrics import GatewayMetrics
from namel3ss.gateway.principal import Principal, Scope
from namel3ss.gateway.routes import Action
from namel3ss.gateway.serving.limits import ConnectionLimits
from namel3ss.scheduling import Policy, Scheduler
from tests.gateway.front.door import PATIENCE_S, Answer, Handled, Keys, Wire, listening
from tests.gateway.plans import plan_of
from tests.support.scripted_server import ScriptedServer, document

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping

    from namel3ss.gateway.forwarding.overhearing import Transcripts
    from namel3ss.gateway.usage import Usage, UsageEvent

MODELS = ("tiny", "tiny-embed")


def key_of(user: str = "ann", *scopes: Scope, **more: Any) -> Principal:
    """A full-rights key, unless scopes are named."""
    values: dict[str, Any] = {"class_name": "default", "priority": 0, "key_id": f"key-{user}", **more}
    return Principal(user=user, scopes=frozenset(scopes or Scope), **values)


@dataclass
class Reserved:
    """One reservation, and what it came to."""

    principal: Principal
    tokens: int
    most: int = 10**9
    settled: list[Usage] = field(default_factory=list)

    def begin(self) -> None:
        pass

    def cover(self, tokens: int) -> int:
        """Up to `most`, as books with limits do."""
        if tokens > self.most:
            raise Refusal(Reason.over_budget, "There are no tokens left.")
        self.tokens = max(self.tokens, min(tokens + 10, self.most))
        return self.tokens

    def settle(self, usage: Usage) -> None:
        self.settled.append(usage)


@dataclass
class OpenBooks:
    """An account that shows all its entries; without limits, unless `most` tokens are what a request may use."""

    most: int = 10**9
    reservations: list[Reserved] = field(default_factory=list)
    events: list[UsageEvent] = field(default_factory=list)

    def reserve(self, principal: Principal, tokens: int) -> Reserved:
        self.reservations.append(Reserved(principal, tokens, self.most))
        return self.reservations[-1]

    def record(self, event: UsageEvent) -> None:
        self.events.append(event)


def _tagged(name: str) -> str:
    return name if ":" in name else f"{name}:latest"


def with_models(server: ScriptedServer, *models: str) -> ScriptedServer:
    """Have a scripted server answer the gateway's own questions as Ollama does."""
    listed = [
        {"name": _tagged(name), "model": _tagged(name), "digest": f"{number:064x}", "size": 1,
         "modified_at": "2026-01-01T00:00:00Z", "details": {"family": "llama", "families": ["llama"]}}
        for number, name in enumerate(models or MODELS)
    ]  # fmt: skip
    shown = {"capabilities": ["completion"], "details": {"family": "llama"}, "model_info": {}}
    server.on("/api/version", document({"version": "0.24.0"}))
    server.on("/api/tags", document({"models": listed}))
    loaded = [{**entry, "expires_at": "2999-01-01T00:00:00Z", "size_vram": 0} for entry in listed]
    server.on("/api/ps", document({"models": loaded}))
    server.on("/api/show", document(shown))
    return server


@dataclass
class Gateway:
    """A data path that is listening."""

    port: int
    front: Front
    forwarder: Forwarder
    scheduler: Scheduler
    backends: Backends
    books: OpenBooks
    live: LiveRequests
    keys: Keys
    metrics: GatewayMetrics

    def wire(self) -> contextlib.AbstractAsyncContextManager[Wire]:
        return Wire.to(self.port)

    async def ask(
        self,
        path: str,
        body: object,
        *,
        key: str = "secret",
        headers: Iterable[tuple[str, str]] = (),
    ) -> Answer:
        """One POST on a connection of its own."""
        async with self.wire() as wire:
            wire.send(request(path, body, key=key, headers=headers))
            answer = await wire.answer()
        assert answer is not None, f"no answer to {path}"
        return answer

    async def is_at_rest(self) -> bool:
        """Whether nothing is left of any request: no slot, no place, no entry, no account that is open."""
        statistics = await self.scheduler.statistics()
        return (
            (statistics.waiting, statistics.running) == (0, 0)
            and not self.live.by_id
            and not self.live.by_key
            and all(len(reserved.settled) == 1 for reserved in self.books.reservations)
            and len(self.books.events) == len(self.books.reservations)
        )


def request(
    path: str, body: object, *, key: str = "secret", headers: Iterable[tuple[str, str]] = ()
) -> bytes:
    """A POST as bytes."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bearer {key}",
        "Content-Type: application/json",
        f"Content-Length: {len(data)}",
        *(f"{name}: {value}" for name, value in headers),
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + data


@contextlib.asynccontextmanager
async def open_gateway(
    *servers: str | ScriptedServer,
    settings: str = "",
    models: str | None = None,
    slots: int = 1,
    server_settings: str = "",
    keys: Mapping[str, Principal] | None = None,
    limits: ForwardingLimits | None = None,
    connections: ConnectionLimits | None = None,
    policy: Policy | None = None,
    timing: Timing | None = None,
    environ: Mapping[str, str] | None = None,
    transcripts: Transcripts | None = None,
) -> AsyncIterator[Gateway]:
    """A gateway in front of these servers, by their URLs. Scripted ones are taught what Ollama says of itself."""
    urls = [with_models(server).url if isinstance(server, ScriptedServer) else server for server in servers]
    text = models or "".join(
        f'ai model {name.replace("-", "_")}_model {{ provider: ollama  model: "{name}" }}\n'
        for name in MODELS
    )
    for number, url in enumerate(urls, start=1):
        text += f'server gpu{number} {{ base_url: "{url}"  slots: {slots}  {server_settings} }}\n'
    plan = plan_of(f"{text}gateway team {{ {settings} }}\n", environ)
    queue = plan.settings.queue
    policy = policy or Policy(
        max_waiting=queue.max_waiting,
        max_waiting_per_user=queue.max_waiting_per_user,
        max_wait_s=queue.max_wait,
    )
    known = Keys(dict(keys) if keys is not None else {"secret": key_of()})
    books, live, metrics = (
        OpenBooks(),
        LiveRequests(),
        GatewayMetrics([served.model for served in plan.models]),
    )
    fallback = open_fallback(plan, {})
    async with (
        Scheduler(policy=policy) as scheduler,
        Backends(plan, scheduler, metrics, timing=timing) as backends,
        fallback or contextlib.nullcontext(),
    ):
        forwarder = Forwarder(
            plan,
            Authority(plan),
            scheduler,
            backends,
            books,
            live,
            metrics,
            limits=limits,
            fallback=fallback,
            transcripts=transcripts,
        )
        inference = (Action.CHAT, Action.GENERATE, Action.EMBED)
        handlers = Handled().handlers() | dict.fromkeys(inference, forwarder)
        front = Front(plan, known, handlers, live=live, metrics=metrics)
        async with listening(front, connections or ConnectionLimits()) as port:
            yield Gateway(port, front, forwarder, scheduler, backends, books, live, known, metrics)
            front.begin_shutdown()
            await front.drained()


class Client:
    """A caller that reads as it likes and leaves when it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.received = b""

    async def until(self, text: bytes) -> bytes:
        """Read until these bytes have come; everything so far."""
        async with asyncio.timeout(PATIENCE_S):
            while text not in self.received:
                piece = await self.reader.read(65536)
                assert piece, self.received
                self.received += piece
        return self.received

    async def to_the_end(self) -> bytes:
        """Read until the connection ends."""
        async with asyncio.timeout(PATIENCE_S):
            with contextlib.suppress(ConnectionError):
                while piece := await self.reader.read(65536):
                    self.received += piece
        return self.received

    async def leave(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()

    def leave_at_once(self) -> None:
        """With RST."""
        connection = self.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@contextlib.asynccontextmanager
async def calling(
    gateway: Gateway,
    path: str,
    body: object,
    *,
    key: str = "secret",
    headers: Iterable[tuple[str, str]] = (),
) -> AsyncIterator[Client]:
    """A caller that has sent its request."""
    client = Client(*await asyncio.open_connection("127.0.0.1", gateway.port))
    client.writer.write(request(path, body, key=key, headers=headers))
    try:
        yield client
    finally:
        await client.leave()


async def eventually(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    """Wait until something holds that the test has caused."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            held = condition()
            if held if isinstance(held, bool) else await held:
                return
            await asyncio.sleep(0.005)
