"""A front on a real socket, with handlers that say what was asked of them, and a client that sends bytes as they are."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from namel3ss.declarations.gateway_values import Listener
from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.front import Front
from namel3ss.gateway.live import LiveRequests
from namel3ss.gateway.principal import Principal, Scope
from namel3ss.gateway.routes import Action
from namel3ss.gateway.serving.limits import ConnectionLimits
from namel3ss.gateway.serving.listening import Endpoint, bind
from tests.gateway.plans import plan_with

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from namel3ss.gateway.exchange import Exchange
    from namel3ss.gateway.front import Handler, StoredNetworks

PATIENCE_S = 10.0

ALL_SCOPES = frozenset(Scope)


def holder(*scopes: Scope, user: str = "ann", **more: Any) -> Principal:
    """A principal of the only class of `plan_with()`; with the scope `use` where none is named."""
    values = {"class_name": "default", "priority": 0, "key_id": f"key-{user}", **more}
    return Principal(user=user, scopes=frozenset(scopes or {Scope.USE}), **values)


@dataclass
class Keys:
    """A source of keys that holds them in the open, and counts how often it was asked."""

    holders: dict[str, Principal] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def find(self, token: str) -> Principal:
        self.asked.append(token)
        if token not in self.holders:
            raise Refusal(Reason.bad_key, "This key is not known.")
        return self.holders[token]


@dataclass
class Handled:
    """What came through to the handlers."""

    exchanges: list[Exchange] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    async def echo(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)
        assert exchange.route is not None
        takes_body = exchange.method in ("POST", "DELETE") and exchange.has_unread_body
        self.bodies.append(await exchange.read_body(1_000_000) if takes_body else b"")
        said = {
            "action": exchange.route.action.value,
            "path": exchange.path,
            "parameters": exchange.parameters,
            "user": exchange.principal.user if exchange.principal else None,
            "client": exchange.client,
        }
        await exchange.reply(200, json.dumps(said).encode())

    def handlers(self, **others: Handler) -> dict[Action, Handler]:
        return dict.fromkeys(Action, self.echo) | {Action[name]: other for name, other in others.items()}


class Refusals(list[Reason]):
    """Counts refusals as the metrics do."""

    def refused(self, reason: Reason) -> None:
        self.append(reason)


@dataclass
class Answer:
    """One answer as it came over the wire."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        found = [value for known, value in self.headers if known.lower() == name.lower()]
        assert len(found) <= 1, f"{name} came {len(found)} times"
        return found[0] if found else None

    @property
    def reason(self) -> str | None:
        return self.header("x-namel3ss-error")

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """One connection, on which bytes are sent as they are and answers are read."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.was_reset = False

    @classmethod
    @contextlib.asynccontextmanager
    async def to(cls, port: int, host: str = "127.0.0.1") -> AsyncIterator[Self]:
        reader, writer = await asyncio.open_connection(host, port)
        try:
            yield cls(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    @property
    def port(self) -> int:
        """Ours."""
        port: int = self._writer.get_extra_info("sockname")[1]
        return port

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    def half_close(self) -> None:
        # The other side may have closed already.
        with contextlib.suppress(OSError):
            self._writer.write_eof()

    def reset(self) -> None:
        self._writer.transport.abort()

    async def ask(self, method: str, target: str, **parts: Any) -> Answer:
        """One request, and its answer."""
        self.send(request(method, target, **parts))
        answer = await self.answer(to_head=method == "HEAD")
        assert answer is not None, f"no answer to {method} {target}"
        return answer

    async def answer(self, *, to_head: bool = False) -> Answer | None:
        """The next answer; None where the connection ended before it was complete."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                status_line, *lines = head.strip("\r\n").split("\r\n")
                headers = [
                    (name, value.strip()) for name, _, value in (line.partition(":") for line in lines)
                ]
                answer = Answer(int(status_line.split(" ")[1]), headers, b"")
                if not to_head and answer.status not in (204, 304):
                    answer.body = await self._body(answer)
                return answer
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def _body(self, answer: Answer) -> bytes:
        if answer.header("transfer-encoding") is None:
            return await self._reader.readexactly(int(answer.header("content-length") or "0"))
        pieces = []
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            pieces.append(await self._reader.readexactly(size))
            await self._reader.readexactly(2)
        await self._reader.readexactly(2)
        return b"".join(pieces)

    async def rest(self) -> bytes:
        """Everything until the connection ends."""
        pieces = []
        async with asyncio.timeout(PATIENCE_S):
            try:
                while piece := await self._reader.read(65_536):
                    pieces.append(piece)
            except ConnectionError:
                self.was_reset = True
        return b"".join(pieces)


def request(
    method: str,
    target: str,
    *,
    key: str | None = "secret",
    host: str | None = "localhost",
    headers: Iterable[tuple[str, str]] = (),
    body: bytes | None = None,
) -> bytes:
    """A request as it goes over the wire."""
    lines = [f"{method} {target} HTTP/1.1"]
    lines += [f"Host: {host}"] if host is not None else []
    lines += [f"Authorization: Bearer {key}"] if key is not None else []
    lines += [f"{name}: {value}" for name, value in headers]
    lines += [f"Content-Length: {len(body)}"] if body is not None else []
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


@dataclass
class Door:
    """A front that is listening."""

    port: int
    front: Front
    keys: Keys
    handled: Handled
    refusals: Refusals
    live: LiveRequests

    def wire(self) -> contextlib.AbstractAsyncContextManager[Wire]:
        return Wire.to(self.port)

    async def ask(self, method: str, target: str, **parts: Any) -> Answer:
        """One request on a connection of its own."""
        async with self.wire() as wire:
            return await wire.ask(method, target, **parts)


@contextlib.asynccontextmanager
async def open_door(
    settings: str = "",
    *,
    models: str | None = None,
    keys: dict[str, Principal] | None = None,
    limits: ConnectionLimits | None = None,
    stored: StoredNetworks | None = None,
    count: Callable[[Principal], None] | None = None,
    **handlers: Handler,
) -> AsyncIterator[Door]:
    """A front under the gateway's own connections, on a port of its own. `handlers` are named after their actions."""
    plan = plan_with(settings) if models is None else plan_with(settings, models)
    handled, refusals, live = Handled(), Refusals(), LiveRequests()
    known = Keys({"secret": holder(*ALL_SCOPES)} if keys is None else keys)
    front = Front(
        plan, known, handled.handlers(**handlers), live=live, metrics=refusals, stored=stored, count=count
    )
    async with listening(front, limits or ConnectionLimits()) as port:
        yield Door(port, front, known, handled, refusals, live)


@contextlib.asynccontextmanager
async def listening(front: Front, limits: ConnectionLimits) -> AsyncIterator[int]:
    """The port on which the front is served by the gateway's own connections."""
    endpoint = Endpoint(front, bind(Listener("127.0.0.1", 0), "listen"), limits)
    await endpoint.start()
    try:
        yield int(endpoint.url.rpartition(":")[2])
    finally:
        await endpoint.aclose()
