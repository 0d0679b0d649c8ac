"""The connections to one server.

A general client spends more on a request than everything else that the gateway does with it. This one knows one server,
fixed headers, and bodies that nobody looks into. A request is never sent on a kept connection that the server has closed
meanwhile: nobody could tell whether it ran.
"""

from __future__ import annotations

import asyncio
import base64
import errno
import re
import socket
import ssl
from collections import deque
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from namel3ss._version import __version__
from namel3ss.gateway.kept_back import is_kept_back
from namel3ss.gateway.server_connection import ServerConnection, reason_of
from namel3ss.gateway.upstream_answer import UpstreamError
from namel3ss.providers.transport.failure_kinds import Failure

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Mapping

    from namel3ss.gateway.plan import BackendPlan
    from namel3ss.gateway.upstream_answer import UpstreamAnswer

__all__ = ["Connections"]

# Long enough for the pauses of a conversation; servers drop idle connections later or not at all.
_KEEP_ALIVE_S: Final = 15.0
_MOST_IDLE: Final = 256
_TARGET: Final = re.compile(r"/[!-~]*")
_NOTHING_LEFT: Final = {errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM}


class Connections:
    """The connections to one server, for one event loop. `aclose` them.

    There is no limit on their number: waiting for one would look like a server that does not answer, and how many
    requests a server gets is the queue's business.
    """

    def __init__(self, plan: BackendPlan, *, connect_timeout_s: float) -> None:
        self.name = plan.name
        place = urlsplit(plan.base_url)
        self._host = place.hostname or ""
        self._tls = ssl.create_default_context() if place.scheme == "https" else None
        self._port = place.port or (443 if self._tls is not None else 80)
        self._prefix = place.path.rstrip("/")
        self._is_guarded = plan.is_guarded
        self._connect_timeout_s = connect_timeout_s
        self._fixed = _fixed_headers(plan, place.netloc.rpartition("@"))
        self._idle: deque[ServerConnection] = deque()
        self._open: set[ServerConnection] = set()
        self._all_lost: asyncio.Future[None] | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._is_closed = False

    async def send(
        self,
        method: str,
        path: str,
        body: bytes | AsyncIterable[bytes] | None,
        *,
        content_type: bytes | None,
        read_timeout_s: float | None,
        trace: Mapping[str, str] | None = None,
    ) -> UpstreamAnswer:
        """See `Upstream.send`."""
        head = self._head(method, path, body, content_type, trace)
        connection = self._kept() or await self._connect()
        return await connection.ask(method, head, body, read_timeout_s)

    async def aclose(self) -> None:
        """Close every connection. Answers that are still being read break off."""
        self._is_closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._idle.clear()
        for connection in list(self._open):
            connection.abort_with(Failure.DISCONNECTED, "the gateway closed the connection")
        if self._open:
            self._all_lost = asyncio.get_running_loop().create_future()
            await self._all_lost

    # -- what connections tell ----------------------------------------------------------------------------------

    def keep(self, connection: ServerConnection) -> None:
        if self._is_closed or len(self._idle) >= _MOST_IDLE:
            connection.abort()
            return
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._idle.append(connection)
        if self._sweeper is None:
            self._sweeper = loop.call_later(_KEEP_ALIVE_S, self._sweep)

    def lost(self, connection: ServerConnection) -> None:
        self._open.discard(connection)
        if self._all_lost is not None and not self._open and not self._all_lost.done():
            self._all_lost.set_result(None)

    # -- steps --------------------------------------------------------------------------------------------------

    def _kept(self) -> ServerConnection | None:
        """The connection used last, so that what a quiet time needs no more is let go of."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable():
                return connection
            connection.abort()
        return None

    def _sweep(self) -> None:
        self._sweeper = None
        loop = asyncio.get_running_loop()
        latest = loop.time() - _KEEP_ALIVE_S
        while self._idle and self._idle[0].idle_since <= latest:
            self._idle.popleft().abort()
        if self._idle:
            due = self._idle[0].idle_since + _KEEP_ALIVE_S
            self._sweeper = loop.call_at(due, self._sweep)

    async def _connect(self) -> ServerConnection:
        if self._is_closed:
            raise RuntimeError(f"The connections to {self.name} are closed.")
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                if self._is_guarded:
                    connection = await self._connect_guarded(loop)
                else:
                    _, connection = await loop.create_connection(
                        lambda: ServerConnection(self), self._host, self._port, ssl=self._tls
                    )
        except TimeoutError:
            raise self._failure(Failure.CONNECT_TIMEOUT, f"{self._connect_timeout_s:g} s") from None
        except socket.gaierror as error:
            raise self._failure(Failure.UNKNOWN_HOST, reason_of(error)) from error
        except ssl.SSLError as error:
            raise self._failure(Failure.TLS, reason_of(error)) from error
        except OSError as error:
            kind = Failure.NOTHING_LEFT if error.errno in _NOTHING_LEFT else Failure.REFUSED
            raise self._failure(kind, reason_of(error)) from error
        self._adopt(connection)
        return connection

    def _adopt(self, connection: ServerConnection) -> None:
        """Not before it was handed over: uvloop tells nobody of the end of a connection whose maker was cancelled."""
        if self._is_closed:
            connection.abort()
        elif not connection.is_lost:
            self._open.add(connection)

    async def _connect_guarded(self, loop: asyncio.AbstractEventLoop) -> ServerConnection:
        """Resolve, look, and connect to exactly what was looked at: a name may lead elsewhere a moment later."""
        found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(place[0]) for *_, place in found))
        allowed = [address for address in addresses if not is_kept_back(address)]
        if not allowed:
            raise self._failure(
                Failure.REFUSED, "its name leads to an address that machines keep for themselves"
            )
        for address in allowed:
            try:
                _, connection = await loop.create_connection(
                    lambda: ServerConnection(self),
                    address,
                    self._port,
                    ssl=self._tls,
                    server_hostname=self._host if self._tls is not None else None,
                )
            except OSError:
                if address == allowed[-1]:
                    raise
            else:
                return connection
        raise AssertionError("the last address connects or raises")

    def _failure(self, kind: Failure, reason: str) -> UpstreamError:
        return UpstreamError(self.name, kind, reason, is_answering=False)

    def _head(
        self,
        method: str,
        path: str,
        body: bytes | AsyncIterable[bytes] | None,
        content_type: bytes | None,
        trace: Mapping[str, str] | None,
    ) -> bytes:
        target = self._prefix + path
        if not _TARGET.fullmatch(target):
            raise ValueError(f"not the path of a request: {target[:80]!r}")
        framing = b""
        if isinstance(body, bytes):
            framing = b"content-length: %d\r\n" % len(body)
        elif body is not None:
            framing = b"transfer-encoding: chunked\r\n"
        elif method in ("POST", "PUT"):
            framing = b"content-length: 0\r\n"
        kind = b"" if content_type is None else b"content-type: %s\r\n" % _one_line(content_type)
        return b"%s %s HTTP/1.1\r\n%s%s%s%s\r\n" % (
            method.encode(),
            target.encode(),
            self._fixed,
            kind,
            framing,
            b"" if trace is None else b"".join(map(_line, trace.items())),
        )


def _fixed_headers(plan: BackendPlan, netloc: tuple[str, str, str]) -> bytes:
    """What every request says besides its own."""
    user, _, host = netloc
    lines = (
        f"host: {host}",
        f"user-agent: namel3ss/{__version__}",
        "accept: */*",
        "accept-encoding: identity",
    )
    text = "".join(f"{line}\r\n" for line in lines)
    if plan.api_key is not None:
        text += f"authorization: Bearer {plan.api_key.get_secret_value()}\r\n"
    elif user:
        word = base64.b64encode(unquote(user).encode()).decode()
        text += f"authorization: Basic {word}\r\n"
    return text.encode("latin-1")


def _line(header: tuple[str, str]) -> bytes:
    name, value = header
    return b"%s: %s\r\n" % (name.encode("latin-1"), _one_line(value.encode("latin-1")))


def _one_line(value: bytes) -> bytes:
    if b"\r" in value or b"\n" in value:
        raise ValueError("a header's value has one line")
    return value
