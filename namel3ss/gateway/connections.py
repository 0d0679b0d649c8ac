"""Connections to one server: HTTP/1.1 as far as passing bytes on needs it, parsed by llhttp.

A general client spends more on a request than everything else that the gateway does with it. This one knows one server,
fixed headers, and bodies that nobody looks into.

The rules:

* A connection serves one request at a time. It is kept for the next one only if its answer ended by its own framing, the
  request had been sent as a whole, and the server did not say otherwise.
* A request is never sent on a kept connection that the server has closed meanwhile: nobody could tell whether it ran.
* What breaks HTTP's rules ends the connection: two lengths, a length beside chunks, bytes that nobody asked for.
* A body that ends with its connection has ended well only if the server closed that connection properly.
"""

from __future__ import annotations

import asyncio
import base64
import errno
import os
import re
import select
import socket
import ssl
from collections import deque
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import unquote, urlsplit

import httptools

from namel3ss._version import __version__
from namel3ss.gateway.upstream_answer import UpstreamAnswer, UpstreamError
from namel3ss.providers.transport.failure_kinds import Failure

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Iterable

    from namel3ss.gateway.plan import BackendPlan

__all__ = ["Connections"]

# Long enough for the pauses of a conversation; servers drop idle connections later or not at all.
_KEEP_ALIVE_S: Final = 15.0
_MOST_IDLE: Final = 256
_MOST_HEADER_BYTES: Final = 32 * 1024
_MOST_INFORMATION: Final = 8
# Beyond this the server waits until the caller has read.
_BUFFER_BYTES: Final = 256 * 1024
_PIECE_BYTES: Final = 256 * 1024
_TARGET: Final = re.compile(r"/[!-~]*")
_NOTHING_LEFT: Final = {errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM}


class _Answer(UpstreamAnswer):
    """An answer that arrives on a connection."""

    __slots__ = (
        "_connection",
        "_ended",
        "_error",
        "_pieces",
        "_size",
        "_timeout_s",
        "_waiter",
    )

    def __init__(self, server: str, connection: _Connection, timeout_s: float | None) -> None:
        self.server = server
        self.status = 0
        self.content_type = b""
        self.retry_after = None
        self._connection: _Connection | None = connection
        self._timeout_s = timeout_s
        self._pieces: list[bytes] = []
        self._size = 0
        self._waiter: asyncio.Future[None] | None = None
        self._ended = False
        self._error: UpstreamError | None = None

    async def begun(self) -> None:
        """Wait for the status and the headers. Raises UpstreamError."""
        while not self.status:
            await self._wait(is_answering=False)

    async def read_piece(self) -> bytes:
        while not self._pieces:
            if self._ended:
                return b""
            await self._wait(is_answering=True)
        pieces = self._pieces
        piece = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._size = 0
        if self._connection is not None:
            self._connection.resume()
        return piece

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()

    async def _wait(self, *, is_answering: bool) -> None:
        if self._error is not None:
            raise self._error
        waiter = self._waiter = asyncio.get_running_loop().create_future()
        try:
            if self._timeout_s is None:
                await waiter
            else:
                async with asyncio.timeout(self._timeout_s):
                    await waiter
        except TimeoutError:
            raise UpstreamError(
                self.server, Failure.TIMEOUT, f"silent for {self._timeout_s:g} s", is_answering=is_answering
            ) from None
        finally:
            self._waiter = None

    # -- what the connection tells ------------------------------------------------------------------------------

    def begin(self, status: int) -> None:
        self.status = status
        self._wake()

    def take(self, piece: bytes) -> bool:
        """False where more should not come before somebody has read."""
        self._pieces.append(piece)
        self._size += len(piece)
        if len(self._pieces) == 1:  # else whoever reads has been woken
            self._wake()
        return self._size <= _BUFFER_BYTES

    def end(self) -> None:
        """It is whole, and the connection another's."""
        self._ended = True
        self._connection = None
        self._wake()

    def fail(self, kind: Failure, reason: str) -> None:
        if self._error is None and not self._ended:
            self._error = UpstreamError(self.server, kind, reason, is_answering=self.status != 0)
            self._connection = None
            self._wake()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


class _Connection(asyncio.Protocol):
    """One connection. The methods that begin with `on_` are the parser's."""

    __slots__ = (
        "_answer",
        "_framed",
        "_header_bytes",
        "_information",
        "_is_head",
        "_is_paused",
        "_is_sent",
        "_parser",
        "_poll",
        "_pool",
        "_transport",
        "_writable",
        "idle_since",
    )

    def __init__(self, pool: Connections) -> None:
        self._pool = pool
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._answer: _Answer | None = None
        self._framed = False
        self._header_bytes = 0
        self._information = 0
        self._is_head = False
        self._is_paused = False
        self._is_sent = True
        self._writable: asyncio.Future[None] | None = None
        self._poll: Any = None  # select.poll() makes a type that has no name
        self.idle_since = 0.0

    # -- one request --------------------------------------------------------------------------------------------

    async def ask(
        self, method: str, head: bytes, body: bytes | AsyncIterable[bytes] | None, timeout_s: float | None
    ) -> UpstreamAnswer:
        transport = self._transport
        assert transport is not None  # it was connected before anybody got it
        answer = self._answer = _Answer(self._pool.name, self, timeout_s)
        self._framed = self._is_sent = False
        self._header_bytes = self._information = 0
        self._is_head = method == "HEAD"
        try:
            if body is None or (isinstance(body, bytes) and len(body) <= _PIECE_BYTES):
                self._is_sent = True
                transport.write(head + body if body else head)
            else:
                transport.write(head)
                await self._write_until_answered(transport, answer, body)
            await answer.begun()
        except BaseException:
            self.abort()
            raise
        return answer

    async def _write_until_answered(
        self, transport: asyncio.Transport, answer: _Answer, body: bytes | AsyncIterable[bytes]
    ) -> None:
        """Whoever brings the body may be waiting for the answer himself, so the one does not wait for the other."""
        loop = asyncio.get_running_loop()
        writing = loop.create_task(self._write(transport, answer, body))
        beginning = loop.create_task(answer.begun())
        both = (writing, beginning)
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            await asyncio.wait(both)
        if not beginning.cancelled():
            beginning.exception()  # said again by whoever waits next
        if not writing.cancelled():
            self._is_sent = writing.result()

    async def _write(
        self, transport: asyncio.Transport, answer: _Answer, body: bytes | AsyncIterable[bytes]
    ) -> bool:
        """A large body piece by piece, no faster than the server reads it; whether all of it was sent.

        A server that answers before wants no more of it.
        """
        if isinstance(body, bytes):
            for start in range(0, len(body), _PIECE_BYTES):
                if not await self._has_room(transport, answer):
                    return False
                transport.write(body[start : start + _PIECE_BYTES])
            return True
        async for piece in body:
            if not await self._has_room(transport, answer):
                return False
            if piece:
                transport.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        if answer.status or transport.is_closing():
            return False
        transport.write(b"0\r\n\r\n")
        return True

    async def _has_room(self, transport: asyncio.Transport, answer: _Answer) -> bool:
        if self._writable is not None and not answer.status:
            await self._writable
        return not answer.status and not transport.is_closing()

    def is_usable(self) -> bool:
        """Whether nothing has come, and no end, since the last answer. Asks the operating system."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        if self._poll is not None:
            return not self._poll.poll(0)
        return not select.select([transport.get_extra_info("socket")], [], [], 0)[0]  # Windows

    def abort(self) -> None:
        self._answer = None
        if self._transport is not None:
            self._transport.abort()

    def abort_with(self, kind: Failure, reason: str) -> None:
        """Drop it, and say so to whoever reads."""
        self._fail(kind, reason)
        self.abort()

    def resume(self) -> None:
        if self._is_paused and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()

    # -- the transport ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own do not derive from it
        if hasattr(select, "poll"):
            self._poll = select.poll()
            self._poll.register(transport.get_extra_info("socket"), select.POLLIN)
        self._pool.opened(self)

    def data_received(self, data: bytes) -> None:
        if self._answer is None:
            self.abort()  # nobody asked
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            # What the parser's callbacks raise comes as the cause of another error.
            reason = error.__context__ if isinstance(error.__context__, _NotAllowedError) else error
            self.abort_with(Failure.INVALID, " ".join(str(reason).split())[:200])

    def eof_received(self) -> bool:
        answer = self._answer
        if answer is not None and answer.status and not self._framed and not self._is_head:
            self._answer = None
            answer.end()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(Failure.DISCONNECTED, _reason(exc) if exc is not None else "connection closed")
        self._stop_waiting_for_room()
        self._pool.lost(self)

    def pause_writing(self) -> None:
        self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        self._stop_waiting_for_room()
        self._writable = None

    def _stop_waiting_for_room(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)

    def _fail(self, kind: Failure, reason: str) -> None:
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.fail(kind, reason)

    # -- the parser ---------------------------------------------------------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > _MOST_HEADER_BYTES:
            raise _NotAllowedError("headers of more than 32 KiB")
        answer = self._answer
        if answer is None or answer.status:
            return  # a trailer
        key = name.lower()
        if key == b"content-type":
            answer.content_type = value
        elif key in (b"content-length", b"transfer-encoding"):
            self._framed = key == b"content-length" or value.lower().endswith(b"chunked")
        elif key == b"retry-after":
            answer.retry_after = value.decode("latin-1")
        elif key == b"content-encoding" and value.lower() != b"identity":
            encoding = value.decode("latin-1")[:40]
            raise _NotAllowedError(f"encoded as {encoding!r}, which was not asked for")

    def on_headers_complete(self) -> None:
        answer, status = self._answer, self._parser.get_status_code()
        if answer is None:
            raise _NotAllowedError("an answer that nobody asked for")
        if self._parser.get_http_version() not in ("1.1", "1.0"):
            raise _NotAllowedError(f"HTTP {self._parser.get_http_version()}")
        if status == 101:
            raise _NotAllowedError("another protocol, which was not asked for")
        if status < 200:
            self._information += 1
            if self._information > _MOST_INFORMATION:
                raise _NotAllowedError("no answer after many announcements of one")
            self._framed = False
            return
        answer.begin(status)
        self._stop_waiting_for_room()
        if self._is_head:
            # The parser would wait for the body that its length announces.
            self._answer = None
            answer.end()
            self.abort()

    def on_body(self, body: bytes) -> None:
        answer = self._answer
        if answer is not None and not answer.take(body) and not self._is_paused:
            assert self._transport is not None  # it has just brought this
            self._is_paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        answer = self._answer
        if answer is None or not answer.status:
            return  # the end of an announcement
        self._answer = None
        answer.end()
        if self._is_sent and self._parser.should_keep_alive():
            self.resume()  # it may have been paused by what came last
            self._pool.keep(self)
        else:
            self.abort()


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
        self._connect_timeout_s = connect_timeout_s
        self._fixed = _fixed_headers(plan, place.netloc.rpartition("@"))
        self._idle: deque[_Connection] = deque()
        self._open: set[_Connection] = set()
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
    ) -> UpstreamAnswer:
        """See `Upstream.send`."""
        head = self._head(method, path, body, content_type)
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

    def opened(self, connection: _Connection) -> None:
        self._open.add(connection)

    def keep(self, connection: _Connection) -> None:
        if self._is_closed or len(self._idle) >= _MOST_IDLE:
            connection.abort()
            return
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._idle.append(connection)
        if self._sweeper is None:
            self._sweeper = loop.call_later(_KEEP_ALIVE_S, self._sweep)

    def lost(self, connection: _Connection) -> None:
        self._open.discard(connection)
        if self._all_lost is not None and not self._open and not self._all_lost.done():
            self._all_lost.set_result(None)

    # -- steps --------------------------------------------------------------------------------------------------

    def _kept(self) -> _Connection | None:
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

    async def _connect(self) -> _Connection:
        if self._is_closed:
            raise RuntimeError(f"The connections to {self.name} are closed.")
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                _, connection = await loop.create_connection(
                    lambda: _Connection(self), self._host, self._port, ssl=self._tls
                )
        except TimeoutError:
            raise self._failure(Failure.CONNECT_TIMEOUT, f"{self._connect_timeout_s:g} s") from None
        except socket.gaierror as error:
            raise self._failure(Failure.UNKNOWN_HOST, _reason(error)) from error
        except ssl.SSLError as error:
            raise self._failure(Failure.TLS, _reason(error)) from error
        except OSError as error:
            kind = Failure.NOTHING_LEFT if error.errno in _NOTHING_LEFT else Failure.REFUSED
            raise self._failure(kind, _reason(error)) from error
        return connection

    def _failure(self, kind: Failure, reason: str) -> UpstreamError:
        return UpstreamError(self.name, kind, reason, is_answering=False)

    def _head(
        self, method: str, path: str, body: bytes | AsyncIterable[bytes] | None, content_type: bytes | None
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
        return b"%s %s HTTP/1.1\r\n%s%s%s\r\n" % (
            method.encode(),
            target.encode(),
            self._fixed,
            kind,
            framing,
        )


class _NotAllowedError(Exception):
    """Something in an answer that HTTP allows and we do not."""


def _fixed_headers(plan: BackendPlan, netloc: tuple[str, str, str]) -> bytes:
    """What every request says besides its own."""
    user, _, host = netloc
    lines: Iterable[str] = (
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


def _one_line(value: bytes) -> bytes:
    if b"\r" in value or b"\n" in value:
        raise ValueError("a header's value has one line")
    return value


def _reason(error: BaseException) -> str:
    """The cause in a few words, as the operating system says it."""
    number = getattr(error, "errno", None)
    if isinstance(number, int) and number in errno.errorcode and not isinstance(error, socket.gaierror):
        return os.strerror(number).lower()
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(str(text).split())[:200]
