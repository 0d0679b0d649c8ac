"""An address that is listened on: its socket, bound before anything else is started, and later its connections."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from email.utils import formatdate
from typing import TYPE_CHECKING, Final

import uvicorn
from uvicorn.server import ServerState

from namel3ss.errors import UsageError
from namel3ss.gateway.serving.connection import Connection
from namel3ss.gateway.serving.room import Room

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, MutableMapping
    from typing import Any, TypeAlias

    from namel3ss.declarations.gateway_values import Listener
    from namel3ss.gateway.exchange import Receive, Send
    from namel3ss.gateway.serving.limits import ConnectionLimits

    Application: TypeAlias = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

__all__ = ["Endpoint", "bind"]

_logger: Final = logging.getLogger("namel3ss.gateway")

_YEAR_S: Final = 31_536_000
_CLOSING_S: Final = 5.0


def bind(listener: Listener, setting: str) -> socket.socket:
    """A listening socket; nothing is accepted yet. Raises UsageError naming the `setting` and what is in the way."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            listener.host, listener.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise UsageError(
            f"The gateway cannot listen on {listener}: {error.strerror}.",
            suggestion=f"Write an address of this machine in {setting}.",
        ) from None
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # A client whose machine vanishes while it waits is noticed within a minute.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_KEEPIDLE"):
            bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30)
            bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10)
            bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
        bound.bind(address)
        bound.setblocking(False)
    except OSError as error:
        bound.close()
        raise UsageError(
            f"The gateway cannot listen on {listener}: {error.strerror}.",
            suggestion=_way_out(error.errno, listener, setting),
        ) from None
    return bound


def _way_out(number: int | None, listener: Listener, setting: str) -> str:
    if number == errno.EADDRINUSE:
        return f"Another program listens there (`ss -ltnp 'sport = :{listener.port}'` names it): end it, or change {setting}."
    if number == errno.EACCES:
        return f"Ports below 1024 are kept for the system: change {setting}, and put a proxy in front."
    return f"Write an address of this machine in {setting}."


class Endpoint:
    """One application on one bound socket. `start` accepts connections; the three ways to end are called in order."""

    def __init__(
        self,
        application: Application,
        bound: socket.socket,
        limits: ConnectionLimits,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._socket = bound
        self._tls = tls
        self._limits = limits
        self._config = uvicorn.Config(
            application,
            http=Connection,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
        )
        self._state = ServerState()
        self._room = Room(limits)
        self._server: asyncio.Server | None = None
        self._clock: asyncio.TimerHandle | None = None

    @property
    def url(self) -> str:
        """The address to give to clients; the machine's own where every address is listened on."""
        host, port = self._socket.getsockname()[:2]
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        return f"{'https' if self._tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"

    @property
    def connections(self) -> int:
        return len(self._state.connections)

    async def start(self) -> None:
        self._config.load()
        loop = asyncio.get_running_loop()
        self._tell_time(loop)
        self._server = await loop.create_server(
            lambda: Connection(self._room, self._config, self._state, loop),
            sock=self._socket,
            ssl=self._tls,
            backlog=self._limits.backlog,
            ssl_handshake_timeout=self._limits.head_s if self._tls else None,
        )

    def stop_accepting(self) -> None:
        """New connections are refused by the system; idle ones end, and the others with their answers."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._state.connections):
            connection.shutdown()

    async def wait_until_empty(self) -> None:
        """Returns once there is no connection left."""
        await self._room.is_empty.wait()

    async def aclose(self) -> None:
        """Cut what is left, and wait until each request has noticed: for a while, since a process must be able to end."""
        self.stop_accepting()
        self._room.is_closed = True
        try:
            async with asyncio.timeout(_CLOSING_S):
                await self._cut()
        except TimeoutError:
            _logger.error(
                "%d connections and %d requests did not end", self.connections, len(self._state.tasks)
            )
        if self._clock is not None:
            self._clock.cancel()
        self._socket.close()

    async def _cut(self) -> None:
        # A connection that was accepted a moment ago appears on the loop's next turns.
        for _ in range(3):
            for connection in list(self._state.connections):
                connection.transport.abort()
            await self.wait_until_empty()
            await asyncio.sleep(0)
        if self._state.tasks:
            await asyncio.wait(self._state.tasks)
        if self._server is not None:
            await self._server.wait_closed()

    def _tell_time(self, loop: asyncio.AbstractEventLoop) -> None:
        """The headers of every answer: the date, which HTTP asks for, and for TLS that it stays so."""
        headers = b"date: %b\r\n" % formatdate(usegmt=True).encode()
        if self._tls is not None:
            headers += b"strict-transport-security: max-age=%d\r\n" % _YEAR_S
        self._room.fixed_headers = headers
        self._clock = loop.call_later(1.0, self._tell_time, loop)
