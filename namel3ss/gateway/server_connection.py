"""One connection to a server: HTTP/1.1 as far as passing bytes on needs it, parsed by llhttp.

The rules:

* A connection serves one request at a time. It is kept for the next one only if its answer ended by its own framing, the
  request had been sent as a whole, and the server did not say otherwise.
* What breaks HTTP's rules ends the connection: two lengths, a length beside chunks, bytes that nobody asked for.
* A body that ends with its connection has ended well only if the server closed that connection properly.
"""

from __future__ import annotations

import asyncio
import errno
import os
import select
import socket
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import httptools

from namel3ss.gateway.arriving_answer import ArrivingAnswer
from namel3ss.gateway.upstream_answer import UpstreamError
from namel3ss.providers.transport.failure_kinds import Failure

if TYPE_CHECKING:
    from collections.abc import AsyncIterable

    from namel3ss.gateway.upstream_answer import UpstreamAnswer

__all__ = ["Pool", "ServerConnection", "reason_of"]

_MOST_HEADER_BYTES: Final = 32 * 1024
_MOST_INFORMATION: Final = 8
_PIECE_BYTES: Final = 256 * 1024


class Pool(Protocol):
    """Whoever keeps connections, as they see it."""

    @property
    def name(self) -> str:
        """The server's name, for errors."""

    def keep(self, connection: ServerConnection) -> None:
        """Its answer has ended, and it may serve another request."""

    def lost(self, connection: ServerConnection) -> None:
        """It has ended, perhaps before anybody was given it."""


class ServerConnection(asyncio.Protocol):
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
        "is_lost",
    )

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._answer: ArrivingAnswer | None = None
        self._framed = False
        self._header_bytes = 0
        self._information = 0
        self._is_head = False
        self._is_paused = False
        self._is_sent = True
        self._writable: asyncio.Future[None] | None = None
        self._poll: Any = None  # select.poll() makes a type that has no name
        self.idle_since = 0.0
        self.is_lost = False

    # -- one request --------------------------------------------------------------------------------------------

    async def ask(
        self, method: str, head: bytes, body: bytes | AsyncIterable[bytes] | None, timeout_s: float | None
    ) -> UpstreamAnswer:
        transport = self._transport
        assert transport is not None  # it was connected before anybody got it
        if self.is_lost:
            raise UpstreamError(
                self._pool.name, Failure.DISCONNECTED, "connection closed", is_answering=False
            )
        answer = self._answer = ArrivingAnswer(self._pool.name, self, timeout_s)
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
            # Not the connection itself: the answer may be whole by now, and the connection already another's.
            answer.close()
            raise
        return answer

    async def _write_until_answered(
        self, transport: asyncio.Transport, answer: ArrivingAnswer, body: bytes | AsyncIterable[bytes]
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
            writing.result()

    async def _write(
        self, transport: asyncio.Transport, answer: ArrivingAnswer, body: bytes | AsyncIterable[bytes]
    ) -> None:
        """A large body piece by piece, no faster than the server reads it.

        A server that answers before wants no more of it. That all of it was sent is noted at once: the whole answer may
        come before anybody has waited for this.
        """
        if isinstance(body, bytes):
            for start in range(0, len(body), _PIECE_BYTES):
                if not await self._has_room(transport, answer):
                    return
                transport.write(body[start : start + _PIECE_BYTES])
        else:
            async for piece in body:
                if not await self._has_room(transport, answer):
                    return
                if piece:
                    transport.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            if answer.status or transport.is_closing():
                return
            transport.write(b"0\r\n\r\n")
        self._is_sent = True

    async def _has_room(self, transport: asyncio.Transport, answer: ArrivingAnswer) -> bool:
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
        self._fail(Failure.DISCONNECTED, reason_of(exc) if exc is not None else "connection closed")
        self._stop_waiting_for_room()
        self.is_lost = True
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


class _NotAllowedError(Exception):
    """Something in an answer that HTTP allows and we do not."""


def reason_of(error: BaseException) -> str:
    """The cause in a few words, as the operating system says it."""
    number = getattr(error, "errno", None)
    if isinstance(number, int) and number in errno.errorcode and not isinstance(error, socket.gaierror):
        return os.strerror(number).lower()
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(str(text).split())[:200]
