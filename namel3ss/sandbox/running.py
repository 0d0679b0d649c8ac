"""The part of the server that needs uvicorn; imported when a sandbox is started."""

from __future__ import annotations

import asyncio
import functools
import logging
import socket
import struct
import threading
from typing import TYPE_CHECKING, cast

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from namel3ss.sandbox.app import SandboxApp
from namel3ss.sandbox.clock import Clock
from namel3ss.sandbox.http import DROP
from namel3ss.sandbox.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable

    from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope

    from namel3ss.sandbox.options import SandboxOptions

__all__ = ["Running"]


class _Protocol(H11Protocol):
    """uvicorn's protocol with a logger of our own: a connection that ends early is none of the user's business."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn narrows it
        super().connection_made(transport)
        self.logger = logging.getLogger("namel3ss.sandbox")
        self.app = _with_drop(self.app, functools.partial(_drop, transport))


def _with_drop(app: ASGI3Application, drop: Callable[[bool], None]) -> ASGI3Application:
    """The application, which also learns how to end this connection."""

    async def called(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        cast("dict[str, object]", scope)[DROP] = drop
        await app(scope, receive, send)

    return called


def _drop(transport: asyncio.Transport, reset: bool) -> None:
    if reset:
        # Closing a socket that does not linger resets its connection.
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    else:
        transport.close()


class _Server(uvicorn.Server):
    """Waits for an event where uvicorn looks at a flag ten times a second, and cuts connections where it is patient:
    a test or a command that is done wants its sandbox gone at once.
    """

    def __init__(self, config: uvicorn.Config, started: threading.Event) -> None:
        super().__init__(config)
        self._started = started
        self.end = asyncio.Event()

    async def main_loop(self) -> None:
        self._started.set()
        await self.end.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        ours = asyncio.current_task()
        self._cut_connections()
        # Every request notices by itself that its client is gone. A connection that is only being accepted is a task
        # too; asyncio would lose it if its server were closed meanwhile.
        while others := asyncio.all_tasks() - {ours}:
            await asyncio.wait(others, return_when=asyncio.FIRST_COMPLETED)
            self._cut_connections()
        for server in self.servers:
            server.close()
        # On its next turn the loop tells connections that had no request.
        await asyncio.sleep(0)
        for server in self.servers:
            await server.wait_closed()

    def _cut_connections(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()


class Running:
    """A sandbox while it runs. `run` belongs to the server's thread, everything else to whoever started it."""

    def __init__(self, options: SandboxOptions, clock: Clock | None) -> None:
        self.app = SandboxApp(Service(options, clock or Clock()))
        self.started = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: _Server | None = None

    def run(self, listener: socket.socket) -> None:
        try:
            asyncio.run(self._serve(listener))
        finally:
            self.started.set()

    async def _serve(self, listener: socket.socket) -> None:
        config = uvicorn.Config(
            self.app,
            http=_Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=75,
        )
        self._server = _Server(config, self.started)
        self._loop = asyncio.get_running_loop()
        await self._server.serve(sockets=[listener])

    def stop(self) -> None:
        """Ends the server; returns at once, the thread ends soon after."""
        self.started.wait()
        if self._loop is None or self._server is None or self._loop.is_closed():
            return
        self._loop.call_soon_threadsafe(self._server.end.set)
