"""One request and its answer on a connection, as ASGI has them.

uvicorn's own hold kilobytes while their requests wait: events that nobody waits for, a frame, dictionaries. Thousands may wait
at a time, so these hold little, and make what is waited for when somebody waits. The head of an answer goes out together
with its first piece, as ASGI asks for: two writes cost the machine twice as much.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final, Protocol

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, MutableMapping
    from typing import TypeAlias

    Message: TypeAlias = MutableMapping[str, Any]

__all__ = ["Cycle", "Flow", "Wire"]

_logger: Final = logging.getLogger("namel3ss.gateway.http")

# Of a body that nobody reads yet. Beyond it the connection is not read from either.
_HELD_BYTES: Final = 65_536
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_LAST_CHUNK: Final = b"0\r\n\r\n"
_FAILED: Final = b"Internal Server Error"
_BODILESS: Final = frozenset({204, 304})


class Flow:
    """Whether a connection is read from, and whether it takes more."""

    __slots__ = ("_room", "_transport", "read_paused")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._room: asyncio.Event | None = None
        self.read_paused = False

    @property
    def write_paused(self) -> bool:
        return self._room is not None

    async def drain(self) -> None:
        """Wait until the connection takes more."""
        while self._room is not None:
            await self._room.wait()

    def pause_reading(self) -> None:
        if not self.read_paused:
            self.read_paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if self.read_paused:
            self.read_paused = False
            self._transport.resume_reading()

    def pause_writing(self) -> None:
        if self._room is None:
            self._room = asyncio.Event()

    def resume_writing(self) -> None:
        room, self._room = self._room, None
        if room is not None:
            room.set()


class Wire(Protocol):
    """The connection, as its cycles see it."""

    transport: asyncio.Transport
    tasks: set[asyncio.Task[None]]

    @property
    def fixed_headers(self) -> bytes:
        """The lines that every answer has."""

    @property
    def way(self) -> Flow: ...

    def close(self) -> None:
        """Close it, whatever the client has still to say."""

    def end(self) -> None:
        """Close it so that the client can read its answer."""

    def answered(self) -> None:
        """The answer is complete."""


class Cycle:
    """Lives until the application has returned. `receive` and `send` are ASGI's."""

    __slots__ = (
        "_body",
        "_departure",
        "_head",
        "_is_chunked",
        "_is_end_told",
        "_is_head_only",
        "_knows_chunks",
        "_left",
        "_news",
        "_wants_continue",
        "_wire",
        "is_complete",
        "is_gone",
        "is_read",
        "is_started",
        "keep_alive",
    )

    def __init__(
        self, wire: Wire, *, head_only: bool, keep_alive: bool, knows_chunks: bool, wants_continue: bool
    ) -> None:
        self._wire = wire
        self._knows_chunks = knows_chunks
        self._is_head_only = head_only
        self._wants_continue = wants_continue
        self._body: bytes | bytearray = b""
        self._is_end_told = False
        self._news: asyncio.Event | None = None
        """Set and forgotten when there is something to be told to whoever waits in `receive`."""
        self._departure: Callable[[], None] | None = None
        self._head = b""
        """Of the answer; it waits for the first piece."""
        self._is_chunked = False
        self._left: int | None = None
        """Of the length that the answer has announced."""
        self.keep_alive = keep_alive
        self.is_read = False
        """The whole request has come."""
        self.is_gone = False
        """Nobody reads the answer any more."""
        self.is_started = False
        self.is_complete = False

    # -- what the connection tells ------------------------------------------------------------------------------

    def feed(self, body: bytes) -> None:
        """More of the body has come."""
        if not self._body:
            self._body = body
        else:
            if isinstance(self._body, bytes):
                self._body = bytearray(self._body)
            self._body += body
        if len(self._body) > _HELD_BYTES:
            self._wire.way.pause_reading()
        self._tell()

    def read(self) -> None:
        """The whole request has come."""
        self.is_read = True
        self._tell()

    def leave(self) -> None:
        """The client is gone, or has been told otherwise: nothing that is sent matters any more."""
        if self.is_complete or self.is_gone:
            return
        self.is_gone = True
        self._wants_continue = False
        self._tell()
        if self._departure is not None:
            asyncio.get_running_loop().call_soon(self._departure)

    def call_on_departure(self, callback: Callable[[], None]) -> None:
        """See `exchange.DEPARTURE`."""
        self._departure = callback
        if self.is_gone:
            asyncio.get_running_loop().call_soon(callback)

    def returned(self, task: asyncio.Task[None]) -> None:
        """The application has done its part."""
        self._wire.tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _logger.error("The application failed", exc_info=error)
        if self.is_complete or self.is_gone:
            return
        if self.is_started and not self._head:
            self._wire.close()
            return
        self._begin(500, [(b"content-length", b"%d" % len(_FAILED)), (b"connection", b"close")])
        self._write(_FAILED, more=False)

    # -- what the application calls -----------------------------------------------------------------------------

    async def receive(self) -> Message:
        """What has come of the body, or that the client is gone."""
        if self._wants_continue:
            self._wants_continue = False
            self._wire.transport.write(_CONTINUE)
        while not (
            self.is_gone or self.is_complete or self._body or (self.is_read and not self._is_end_told)
        ):
            if self._news is None:
                self._news = asyncio.Event()
            await self._news.wait()
        if self.is_gone or self.is_complete:
            return {"type": "http.disconnect"}
        body, self._body = self._body, b""
        self._is_end_told = self.is_read
        self._wire.way.resume_reading()
        return {"type": "http.request", "body": bytes(body), "more_body": not self.is_read}

    async def send(self, message: Message) -> None:
        """Raises RuntimeError for what is no answer."""
        if self._wire.way.write_paused and not self.is_gone:
            await self._wire.way.drain()
        if self.is_gone:
            return
        kind = message["type"]
        if self.is_complete or kind != ("http.response.body" if self.is_started else "http.response.start"):
            raise RuntimeError(f"a message of the type {kind!r} is not expected now")
        if self.is_started:
            self._write(message.get("body", b""), more=message.get("more_body", False))
        else:
            self._begin(message["status"], message.get("headers", ()))

    # -- steps --------------------------------------------------------------------------------------------------

    def _tell(self) -> None:
        news, self._news = self._news, None
        if news is not None:
            news.set()

    def _begin(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        # What is left of a request is not read any more. Its client may have sent all of it, and be about to ask again.
        self.keep_alive = self.keep_alive and self.is_read
        lines: list[bytes] = []
        length: int | None = None
        is_chunked = False
        for name, value in headers:
            if name == b"connection":
                self.keep_alive = self.keep_alive and value.lower() != b"close"
            elif name != b"transfer-encoding":  # which is our business
                if name == b"content-length":
                    length = int(value)
                lines.append(b"%b: %b\r\n" % (name, value))
        if length is None and status in _BODILESS:
            length = 0
        elif length is None and not self._is_head_only and self._knows_chunks:
            is_chunked = True
            lines.append(b"transfer-encoding: chunked\r\n")
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
        told = b"".join(lines)
        if not told.count(b"\n") == told.count(b"\r") == len(lines) or b"\0" in told:
            raise RuntimeError("a header of the answer has more than one line")
        self.is_started = True
        self._wants_continue = False
        self._left, self._is_chunked = length, is_chunked
        self._head = b"%b%b%b\r\n" % (STATUS_LINE[status], self._wire.fixed_headers, told)

    def _write(self, body: bytes, *, more: bool) -> None:
        if self._is_head_only:
            body = b""
        elif self._is_chunked:
            if body:
                body = b"%x\r\n%b\r\n" % (len(body), body)
            if not more:
                body += _LAST_CHUNK
        elif self._left is not None:
            self._left -= len(body)
            if self._left < 0 or (self._left and not more):
                raise RuntimeError("the answer is longer or shorter than it has announced")
        if self._head:
            body, self._head = self._head + body, b""
        if body:
            self._wire.transport.write(body)
        if not more:
            self._complete()

    def _complete(self) -> None:
        self.is_complete = True
        self._departure = None  # it knows the way back to this
        self._tell()
        if not self.keep_alive:
            self._wire.end()
        self._wire.answered()
