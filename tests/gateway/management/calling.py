"""Calling handlers as the front does, and servers to manage."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from pydantic import SecretStr

from namel3ss.gateway.authority import Authority
from namel3ss.gateway.backends import ServerStatus
from namel3ss.gateway.backends.asking import Answer, ask
from namel3ss.gateway.backends.catalogue import Installed, UnreadableAnswerError, read_listing
from namel3ss.gateway.errors import Refusal
from namel3ss.gateway.exchange import Exchange
from namel3ss.gateway.management import LANES, Management
from namel3ss.gateway.metrics.recent import RecentCompletions
from namel3ss.gateway.plan import BackendPlan
from namel3ss.gateway.principal import Principal, Scope
from namel3ss.gateway.routes import find_route
from namel3ss.gateway.upstream import Upstream, UpstreamError
from namel3ss.providers.local.ollama import PullPolicy
from namel3ss.scheduling import Policy, Scheduler
from tests.gateway.plans import plan_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping

    from namel3ss.gateway.routes import Action
    from namel3ss.gateway.store.records import StoredPull

    Handlers = Mapping[Action, Callable[[Exchange], Awaitable[None]]]

PATIENCE_S = 10.0


def principal(
    *scopes: Scope, user: str = "ada", models: tuple[str, ...] | None = None, allows_cloud: bool = False
) -> Principal:
    """Somebody who may use models, and what else `scopes` says."""
    return Principal(
        user=user,
        key_id=f"key-of-{user}",
        class_name="chat",
        priority=5,
        scopes=frozenset({Scope.USE, *scopes}),
        models=models,
        allows_cloud=allows_cloud,
    )


USER = principal()
OPERATOR = principal(Scope.OPERATOR, user="olga")
WRITER = principal(Scope.OPERATOR, Scope.MODELS_WRITE, user="wim")


@dataclass
class Call:
    """One request to a handler, and what it has been answered so far."""

    exchange: Exchange
    task: asyncio.Task[None]
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    pieces: list[bytes] = field(default_factory=list)
    ended: bool = False
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _gone: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(each) for each in self.body.splitlines()]

    @property
    def events(self) -> list[tuple[str, Any]]:
        """Server-sent events, by name."""
        found = []
        for text in self.body.decode().split("\n\n")[:-1]:
            name, data = text.split("\n")
            found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
        return found

    def leave(self) -> None:
        """The caller is gone."""
        self._gone.set()

    async def answered(self) -> Self:
        """The whole answer. Raises the Refusal that the handler raised."""
        async with asyncio.timeout(PATIENCE_S):
            await self.task
        return self

    async def until(self, holds: Callable[[Self], bool]) -> Self:
        """Wait until something holds of what has been answered."""
        async with asyncio.timeout(PATIENCE_S):
            while not holds(self):
                self._news.clear()
                await self._news.wait()
        return self


def start_call(
    handlers: Handlers,
    method: str,
    path: str,
    body: object = None,
    *,
    by: Principal | None = USER,
    headers: Mapping[str, str] | None = None,
    body_goes_on: bool = False,
) -> Call:
    """Call the handler that the route table has for a path. A body that is not bytes is sent as JSON.

    With `body_goes_on` it is the beginning, and nothing more comes.
    """
    found = find_route(path)
    route = found.methods[method]
    content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    incoming: list[dict[str, object]] = [{"type": "http.request", "body": content, "more_body": body_goes_on}]

    async def receive() -> MutableMapping[str, Any]:
        if incoming:
            return incoming.pop()
        await made._gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            made.status = message["status"]
            made.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            if message.get("body"):
                made.pieces.append(message["body"])
            made.ended = not message.get("more_body", False)
        made._news.set()

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": [
            (b"transfer-encoding", b"chunked") if body_goes_on else (b"content-length", b"%d" % len(content)),
            *((name.lower().encode(), value.encode()) for name, value in (headers or {}).items()),
        ],
    }
    exchange = Exchange(scope, receive, send, request_id="r1", client="127.0.0.1")
    exchange.principal, exchange.route, exchange.parameters = by, route, found.parameters

    async def handle() -> None:
        await handlers[route.action](exchange)

    made = Call(exchange, asyncio.create_task(handle()))
    return made


async def call(
    handlers: Handlers,
    method: str,
    path: str,
    body: object = None,
    *,
    by: Principal | None = USER,
    headers: Mapping[str, str] | None = None,
) -> Call:
    """The whole answer. Raises the Refusal that the handler raised."""
    return await start_call(handlers, method, path, body, by=by, headers=headers).answered()


async def refused(called: Awaitable[Call]) -> Refusal:
    """The refusal of a call that must be refused."""
    try:
        answered = await called
    except Refusal as refusal:
        return refusal
    raise AssertionError(f"it was answered: {answered.status} {answered.body!r}")


class Servers:
    """Servers at known addresses, in the shape that management asks for; nobody watches them."""

    def __init__(self, addresses: Mapping[str, str], *, api_key: str | None = None) -> None:
        secret = None if api_key is None else SecretStr(api_key)
        self._upstreams = {
            name: Upstream(BackendPlan(name=name, base_url=url, api_key=secret))
            for name, url in addresses.items()
        }
        self._listed: dict[str, tuple[Installed, ...]] = {}
        self.names = tuple(addresses)
        self.down: set[str] = set()
        self.versions: dict[str, str] = dict.fromkeys(addresses, "0.24.0")
        self.refreshed: list[str] = []
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for upstream in self._upstreams.values():
            await self._stack.enter_async_context(upstream)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def upstream(self, server: str) -> Upstream:
        return self._upstreams[server]

    def is_usable(self, server: str) -> bool:
        return server not in self.down

    def version(self, server: str) -> str | None:
        return self.versions.get(server)

    async def refresh(self, server: str) -> None:
        self.refreshed.append(server)
        with suppress(UpstreamError, UnreadableAnswerError):
            self._listed[server] = read_listing((await self.ask(server, "GET", "/api/tags")).body)

    def installed(self, server: str) -> tuple[Installed, ...] | None:
        return self._listed.get(server)

    async def ask(
        self,
        server: str,
        method: str,
        path: str,
        body: Mapping[str, object] | bytes | None = None,
        *,
        timeout_s: float | None = None,
    ) -> Answer:
        return await ask(self._upstreams[server], method, path, body, timeout_s=timeout_s or PATIENCE_S)

    def status(self, server: str) -> ServerStatus:
        is_down = server in self.down
        return ServerStatus(
            name=server,
            base_url=self._upstreams[server].plan.base_url,
            state="down" if is_down else "up",
            reason="the connection was refused" if is_down else "",
            since_s=0.0,
            checked_s=0.0,
            version=self.version(server),
            warning=None,
            slots=1,
            in_flight=0,
            installed=self.installed(server),
            loaded=(),
            loading=(),
            declared_at=None,
        )


class OpenPullLog:
    """Keeps pulls as a database does, in the open."""

    def __init__(self) -> None:
        self.pulls: dict[str, StoredPull] = {}

    async def add(self, pull: StoredPull) -> None:
        self.pulls[pull.id] = pull

    async def remove(self, pull_id: str) -> None:
        self.pulls.pop(pull_id, None)

    async def all(self) -> list[StoredPull]:
        return list(self.pulls.values())


class Ledger:
    """Keeps what is noted and counted."""

    def __init__(self) -> None:
        self.acts: list[tuple[str, str, str, dict[str, Any]]] = []
        self.counted: list[tuple[str, dict[str, str]]] = []
        self.recent = RecentCompletions()

    async def record(
        self,
        actor: str,
        action: str,
        subject: str,
        detail: Mapping[str, Any] | None = None,
        *,
        patiently: bool = False,
    ) -> None:
        self.acts.append((actor, action, subject, dict(detail or {})))

    def event(self, name: str, **labels: str) -> None:
        self.counted.append((name, labels))


@dataclass
class Managed:
    """Management of some servers, by a program."""

    handlers: Handlers
    servers: Servers
    ledger: Ledger
    management: Management
    scheduler: Scheduler


@asynccontextmanager
async def managing(
    program: str,
    addresses: Mapping[str, str],
    *,
    is_stopping: bool = False,
    lanes: Mapping[str, int] = LANES,
    api_key: str | None = None,
    stall_limit_s: float = 120.0,
    pull_log: OpenPullLog | None = None,
) -> AsyncIterator[Managed]:
    """Everything of management, open, with a queue of its own."""
    plan = plan_of(program)
    ledger = Ledger()
    async with (
        Servers(addresses, api_key=api_key) as servers,
        Scheduler(policy=Policy(lanes=lanes)) as scheduler,
        Management(
            plan,
            Authority(plan),
            servers,
            scheduler,
            audit=ledger,
            pull_log=pull_log or OpenPullLog(),
            events=ledger,
            is_stopping=lambda: is_stopping,
            pull_policy=PullPolicy(first_pause_s=0.001, stall_limit_s=stall_limit_s),
        ) as management,
    ):
        yield Managed(management.handlers(), servers, ledger, management, scheduler)
    # The first connection of a process loads its library on a thread, which would only end with the loop.
    await asyncio.get_running_loop().shutdown_default_executor()
