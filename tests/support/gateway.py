"""A whole gateway on an event loop and thread of its own, as `namel3ss serve` runs it, with keys at hand.

    with ScriptedServer() as upstream, running_gateway(tmp_path, {"gpu1": upstream.url}) as gateway:
        answer = gateway.post("/api/chat", {"model": "tiny", "messages": []}, key=gateway.key("ada"))

Everything it keeps is in the folder that is given.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
from typing import TYPE_CHECKING, Any, Final, TypeVar

import httpx
import uvloop

from namel3ss.declarations import read_program
from namel3ss.gateway.plan import plan_gateway
from namel3ss.gateway.principal import Scope
from namel3ss.gateway.serving.gateway import open_gateway
from namel3ss.gateway.store import KeyGrant

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator, Mapping
    from pathlib import Path

    from namel3ss.gateway.serving.gateway import Gateway
    from namel3ss.gateway.serving.limits import ConnectionLimits
    from namel3ss.gateway.store.records import NewKey

__all__ = ["ALL_SCOPES", "ONE_MODEL", "RunningGateway", "running_gateway", "write_gateway"]

ResultT = TypeVar("ResultT")

# The first of uvloop's event loops opens a pipe that stays with the process; no test is to be blamed for it.
uvloop.new_event_loop().close()

PATIENCE_S: Final = 30.0
ALL_SCOPES: Final = frozenset(Scope)
ONE_MODEL: Final = 'ai model chat_model { provider: ollama  model: "tiny" }\n'


def write_gateway(
    folder: Path,
    servers: Mapping[str, str],
    *,
    settings: str = "",
    models: str = ONE_MODEL,
    server_settings: str = "",
) -> Path:
    """A file with one gateway, `team`, on free ports, in front of these servers."""
    declared = "".join(
        f'server {name} {{ base_url: "{url}"  {server_settings} }}\n' for name, url in servers.items()
    )
    listen = 'listen: "127.0.0.1:0"  admin_listen: "127.0.0.1:0"'
    path = folder / "team.ai"
    path.write_text(f"{models}{declared}gateway team {{ {listen}  {settings} }}\n", encoding="utf-8")
    return path


class RunningGateway:
    """A gateway that serves, for tests on other threads. `first_key` is the administrator's of a new database."""

    def __init__(self, gateway: Gateway, loop: asyncio.AbstractEventLoop, first_key: str | None) -> None:
        self.gateway = gateway
        self.url = gateway.url
        self.admin_url = gateway.admin_url
        self.first_key = first_key
        self._loop = loop
        self._client = httpx.Client(base_url=self.url, timeout=PATIENCE_S, trust_env=False)

    def run(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Run a coroutine on the gateway's event loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)

    def key(self, user: str, *scopes: Scope, grant: KeyGrant | None = None, **granted: Any) -> str:
        """A new key of that user, who is made if need be; `granted` are fields of a KeyGrant."""
        return self.run(
            self._make_key(user, grant or KeyGrant(scopes=frozenset(scopes or {Scope.USE}), **granted))
        ).token

    def full_key(self, user: str = "root") -> str:
        """A key with every right."""
        return self.key(user, *ALL_SCOPES, allows_cloud=True, allows_fallback=True)

    async def _make_key(self, user: str, grant: KeyGrant) -> NewKey:
        administration = self.gateway.administration
        if user not in {known.name for known in await administration.users.list()}:
            await administration.users.create(user, actor="test")
        return await administration.keys.create(user, grant, actor="test")

    def request(
        self,
        method: str,
        path: str,
        document: object = None,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """One request and its whole answer."""
        return self._client.request(method, path, json=document, headers=_headers(key, headers))

    def get(
        self, path: str, *, key: str | None = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        return self.request("GET", path, key=key, headers=headers)

    def post(
        self, path: str, document: object, *, key: str | None = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        return self.request("POST", path, document, key=key, headers=headers)

    @contextlib.contextmanager
    def stream(
        self, path: str, document: object, *, key: str | None = None, headers: Mapping[str, str] | None = None
    ) -> Iterator[httpx.Response]:
        """A request whose answer is read in pieces, on a connection of its own."""
        with (
            httpx.Client(base_url=self.url, timeout=PATIENCE_S, trust_env=False) as client,
            client.stream("POST", path, json=document, headers=_headers(key, headers)) as answer,
        ):
            yield answer

    def close(self) -> None:
        self._client.close()


def _headers(key: str | None, headers: Mapping[str, str] | None) -> dict[str, str]:
    authorization = {"Authorization": f"Bearer {key}"} if key is not None else {}
    return {**authorization, **(headers or {})}


@contextlib.contextmanager
def running_gateway(
    folder: Path,
    servers: Mapping[str, str],
    *,
    settings: str = "",
    models: str = ONE_MODEL,
    server_settings: str = "",
    program: Path | None = None,
    limits: ConnectionLimits | None = None,
) -> Iterator[RunningGateway]:
    """Serve a gateway with these settings, or the one of the file `program`, while inside."""
    path = program or write_gateway(
        folder, servers, settings=settings, models=models, server_settings=server_settings
    )
    plan = plan_gateway(read_program(path, environ={}), None, {})
    ready: concurrent.futures.Future[RunningGateway] = concurrent.futures.Future()
    ending: concurrent.futures.Future[None] = concurrent.futures.Future()
    made: list[str] = []

    async def serve() -> None:
        async with open_gateway(
            plan,
            deliver_first_key=lambda key, _folder: made.append(key.token),
            limits=limits,
            # Longer than a busy machine holds anything up.
            store_timeout_s=10.0,
        ) as gateway:
            loop = asyncio.get_running_loop()
            ready.set_result(RunningGateway(gateway, loop, made[0] if made else None))
            await asyncio.wrap_future(ending)

    def run() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            try:
                runner.run(serve())
            except BaseException as error:
                if ready.done():
                    raise
                ready.set_exception(error)

    thread = threading.Thread(target=run, name="gateway")
    thread.start()
    running: RunningGateway | None = None
    try:
        running = ready.result(PATIENCE_S)
        yield running
    finally:
        ending.set_result(None)
        thread.join()
        if running is not None:
            running.close()
