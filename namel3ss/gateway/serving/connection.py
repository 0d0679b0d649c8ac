"""One client's connection: uvicorn's protocol on httptools, with an end to everything that a client may draw out.

Beyond the limits, what differs from uvicorn's own: a client that leaves is noticed at once, also where it has sent the
next request already; trailers of a body never become headers; an answer that is given before the whole request was read
still arrives; a request that offers to change the protocol keeps its body; what is refused here is answered as the gateway
answers.
"""

from __future__ import annotations

import asyncio
import enum
import logging
from collections import deque
from typing import TYPE_CHECKING, Final, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.exchange import DEPARTURE
from namel3ss.gateway.serving.chunks import ChunkLines, behind_head
from namel3ss.gateway.serving.old_clients import without_chunks
from namel3ss.gateway.serving.outlet import Outlet
from namel3ss.gateway.serving.refusals import plain_answer, refuse_all

if TYPE_CHECKING:
    from collections.abc import Callable

    from uvicorn._types import ASGI3Application
    from uvicorn.config import Config
    from uvicorn.server import ServerState

    from namel3ss.gateway.serving.limits import ConnectionLimits

__all__ = ["Connection", "Room"]

# Not uvicorn's, whose warnings of malformed requests anybody could fill a disk with.
_logger: Final = logging.getLogger("namel3ss.gateway.http")
_logger.setLevel(logging.ERROR)

_CHUNKED: Final = b"transfer-encoding"
_FRAMING: Final = (b"content-length", _CHUNKED)
_NOT_HTTP: Final = Refusal(Reason.bad_framing, "The request is not HTTP/1.1 as it is defined.")
_BUSY: Final = refuse_all(
    Refusal(
        Reason.queue_full,
        "The gateway has as many connections as it can take.",
        suggestion="Try again in a second.",
        retry_after_s=1.0,
    )
)


# Of requests that come before the answer to the one before them none is kept, so that one empty queue does for all.
_NO_PIPELINE: Final[deque[tuple[RequestResponseCycle, ASGI3Application]]] = deque()


class Room:
    """What the connections of one listener share: their limits, and who of them is idle, the longest first."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self.idle: dict[Connection, None] = {}
        self.is_empty = asyncio.Event()
        self.is_empty.set()

    def make_place(self) -> bool:
        """Close the connection that has been idle longest; False where none is idle."""
        for connection in self.idle:
            del self.idle[connection]
            connection.transport.close()
            return True
        return False


class _Stage(enum.Enum):
    """Where the reading of requests stands."""

    BETWEEN = enum.auto()
    HEAD = enum.auto()
    BODY = enum.auto()


class Connection(HttpToolsProtocol):
    """Lives as long as its TCP connection; the event loop and the parser call it."""

    # Thousands may wait at a time: slots for what is ours take a kilobyte less of each than a larger dictionary.
    __slots__ = (
        "_awaits_body",
        "_body_bytes",
        "_body_deadline",
        "_chunks",
        "_departure",
        "_end_deadline",
        "_found_no_room",
        "_head_bytes",
        "_head_deadline",
        "_head_end",
        "_is_deaf",
        "_outlet",
        "_refused",
        "_room",
        "_running",
        "_stage",
        "_was_sent_ahead",
    )

    def __init__(
        self, room: Room, config: Config, server_state: ServerState, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(config, server_state, {}, loop)
        self.logger = _logger
        # uvicorn's access log would hold the paths, and one form of them holds a key.
        self.access_log = False
        self.url = b""
        self.pipeline = _NO_PIPELINE
        self._room = room
        self._stage = _Stage.BETWEEN
        self._running: RequestResponseCycle | None = None
        self._found_no_room = False
        self._is_deaf = False
        """Whatever else comes is thrown away: the connection ends with the answer that is under way."""
        self._was_sent_ahead = False
        """A request came before the answer to the one before it, and is thrown away."""
        self._departure: Callable[[], None] | None = None
        self._refused: Refusal | None = None
        self._awaits_body = False
        """The request offered another protocol and has a body, which the parser has not come to."""
        self._chunks: ChunkLines | None = None
        self._head_end = b""
        """Of what has come of a head, so that its end is found in whatever pieces it comes."""
        self._head_bytes = 0
        self._body_bytes = 0
        self._head_deadline: asyncio.TimerHandle | None = None
        self._body_deadline: asyncio.TimerHandle | None = None
        self._end_deadline: asyncio.TimerHandle | None = None

    @property
    def _is_answering(self) -> bool:
        return self._running is not None and not self._running.response_complete

    # -- the transport's calls --------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn narrows it
        super().connection_made(transport)
        self._room.is_empty.clear()
        limits = self._room.limits
        self._outlet = cast("asyncio.Transport", Outlet(transport, self._close, self.loop))
        self._head_deadline = self.loop.call_later(limits.head_s, self._give_up_on_head)
        if len(self.connections) > limits.connections:
            self._found_no_room = not self._room.make_place()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._tell_of_departure()
        for deadline in (self._head_deadline, self._body_deadline, self._end_deadline):
            if deadline is not None:
                deadline.cancel()
        self._unset_keepalive_if_required()
        self._room.idle.pop(self, None)
        if not self.connections:
            self._room.is_empty.set()

    def data_received(self, data: bytes) -> None:
        if self._is_deaf:
            return
        before = self._stage
        self._unset_keepalive_if_required()
        self._room.idle.pop(self, None)
        self._parse(data)
        if self._chunks is not None:
            self._follow_chunks(data, before)
        if self._stage is _Stage.HEAD and not self._is_deaf:
            self._head_end = (self._head_end + data)[-3:]
            self._head_bytes += len(data) if before is not _Stage.BODY else 0
            if self._head_bytes > self._room.limits.head_bytes:
                self._refuse(self._too_much_head())
            elif self._head_deadline is None:
                self._head_deadline = self.loop.call_later(self._room.limits.head_s, self._give_up_on_head)
        elif self._stage is _Stage.BODY and self._body_deadline is None and not self._is_deaf:
            self._body_deadline = self.loop.call_later(self._room.limits.body_pace_s, self._look_at_body)

    def _parse(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._decline_upgrade(data[offer.args[0] :])
        except httptools.HttpParserError:
            if not self._is_deaf:
                self._refuse(self._refused or _NOT_HTTP)

    def _follow_chunks(self, data: bytes, before: _Stage) -> None:
        if self._is_deaf and not self._was_sent_ahead:
            return
        if before is not _Stage.BODY:
            # Empty lines may stand before a request.
            data = behind_head(data.lstrip() if before is _Stage.BETWEEN else self._head_end + data)
        if self._chunks is not None and not self._chunks.feed(data):
            self._refuse(_NOT_HTTP)

    def _decline_upgrade(self, rest: bytes) -> None:
        """Go on in HTTP/1.1, as a server may. The parser left off before the body; another one is put in front of it."""
        if not self._awaits_body:
            self.shutdown()
            return
        framing = [b"%b: %b\r\n" % header for header in self.headers if header[0] in _FRAMING]
        self.parser = httptools.HttpRequestParser(self)
        self._parse(b"".join([b"POST / HTTP/1.1\r\n", *framing, b"\r\n"]))
        self._awaits_body = False
        self._parse(rest)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._end_deadline is None:
            self._end_deadline = self.loop.call_later(self._room.limits.stuck_s, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._end_deadline is not None and not self._is_deaf:
            self._end_deadline.cancel()
            self._end_deadline = None

    # -- the parser's calls: what they raise ends its work, and `_parse` answers -------------------------------

    def on_message_begin(self) -> None:
        if self._awaits_body:
            return
        if self._is_answering:
            # Sent before the answer to the one before. That one is answered and the connection ends; its client may ask
            # again, as HTTP has it. Holding it back would hide from us that the client has left.
            self._was_sent_ahead = True
            self.shutdown()
            raise _StopReading
        super().on_message_begin()
        self._stage = _Stage.HEAD
        self._head_bytes = 0
        self._head_end = b""
        self._chunks = None

    def on_url(self, url: bytes) -> None:
        if not self._awaits_body:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._stage is not _Stage.HEAD:
            # A trailer. It comes when everything has been decided, or just in time to change it.
            return
        if len(self.headers) >= self._room.limits.header_count:
            raise self._refusing(
                Refusal(
                    Reason.headers_too_large,
                    f"The request has more than {self._room.limits.header_count} headers.",
                )
            )
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._awaits_body:
            return
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > self._room.limits.head_bytes:
            raise self._refusing(self._too_much_head())
        if b"#" in self.url:
            raise self._refusing(Refusal(Reason.bad_framing, "The request's target holds a `#`."))
        version = self.parser.get_http_version()
        is_chunked = any(name == _CHUNKED for name, _ in self.headers)
        if version != "1.1" and (version != "1.0" or is_chunked):
            # Before 1.1 there were no chunks: whoever stands between may have seen another end of the body.
            raise self._refusing(_NOT_HTTP)
        self._stage = _Stage.BODY
        self._body_bytes = 0
        self._chunks = ChunkLines() if is_chunked else None
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None
        super().on_headers_complete()
        self.cycle.transport = self._outlet
        self._departure = None
        cast("dict[str, object]", self.scope)[DEPARTURE] = self._call_on_departure
        # The parser takes what follows for the other protocol, and HTTP/1.1 is all that is spoken here.
        self._awaits_body = self.parser.should_upgrade() and any(
            name in _FRAMING and value.strip(b"0") for name, value in self.headers
        )

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._awaits_body:
            return
        self._stage = _Stage.BETWEEN
        if self._body_deadline is not None:
            self._body_deadline.cancel()
            self._body_deadline = None
        super().on_message_complete()

    # -- uvicorn's own ----------------------------------------------------------------------------------------

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        if self._found_no_room and len(self.connections) > self._room.limits.connections:
            cycle.keep_alive = False
            app = _BUSY
        if cycle.scope["http_version"] == "1.0":
            app = without_chunks(app, cycle)
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._is_deaf or self.transport.is_closing():
            return
        if self._stage is _Stage.BODY:
            # Answered before the body was complete: what is left of it is nobody's.
            self._close()
        else:
            self._room.idle[self] = None

    def shutdown(self) -> None:
        """No more requests on this connection: it ends now, or with the answer that is under way."""
        if self._running is not None and self._is_answering:
            self._running.keep_alive = False
            # The rest of a body that is being read still belongs to it.
            self._is_deaf = self._stage is not _Stage.BODY
        else:
            self.transport.close()

    # -- limits and the end -----------------------------------------------------------------------------------

    def _refusing(self, refusal: Refusal) -> Refusal:
        self._refused = refusal
        return refusal

    def _refuse(self, refusal: Refusal) -> None:
        """Answer and close; where an answer has begun already, only close."""
        if self._running is None or not self._running.response_started or self._running.response_complete:
            self.transport.write(plain_answer(refusal))
        self._tell_of_departure()
        self._close()

    def _tell_of_departure(self) -> None:
        """Tell the request that is being worked on; uvicorn tells only the one that was read last."""
        if self._running is not None and self._is_answering:
            self._running.disconnected = True
            self._running.waiting_for_100_continue = False
            self._running.message_event.set()
            if self._departure is not None:
                self.loop.call_soon(self._departure)

    def _call_on_departure(self, callback: Callable[[], None]) -> None:
        self._departure = callback
        if self._running is not None and self._running.disconnected:
            self.loop.call_soon(callback)

    def _close(self) -> None:
        """End the connection so that the client can read its answer: unread data would have it reset instead."""
        self._unset_keepalive_if_required()
        nothing_is_unread = self._stage is _Stage.BETWEEN and not self._was_sent_ahead
        if nothing_is_unread or not self.transport.can_write_eof():
            self.transport.close()
            return
        self._is_deaf = True
        self.flow.resume_reading()
        self.transport.write_eof()
        for deadline in (self._head_deadline, self._body_deadline, self._end_deadline):
            if deadline is not None:
                deadline.cancel()
        self._end_deadline = self.loop.call_later(self._room.limits.linger_s, self.transport.abort)

    def _too_much_head(self) -> Refusal:
        return Refusal(
            Reason.headers_too_large,
            f"The request's headers take more than {self._room.limits.head_bytes} bytes.",
        )

    def _give_up_on_head(self) -> None:
        self._head_deadline = None
        if self._head_bytes:
            seconds = f"{self._room.limits.head_s:g}"
            self._refuse(
                Refusal(
                    Reason.header_timeout, f"The request's headers were not complete after {seconds} seconds."
                )
            )
        else:
            self.transport.close()

    def _look_at_body(self) -> None:
        limits = self._room.limits
        self._body_deadline = None
        if self._body_bytes < limits.body_pace_bytes and not self.flow.read_paused:
            self._refuse(
                Refusal(
                    Reason.body_timeout,
                    f"Less than {limits.body_pace_bytes} bytes of the request's body came in "
                    f"{limits.body_pace_s:g} seconds.",
                )
            )
            return
        self._body_bytes = 0
        self._body_deadline = self.loop.call_later(limits.body_pace_s, self._look_at_body)


class _StopReading(Exception):  # noqa: N818 - no error: nothing more is read
    """Ends the parser's work within what it was given."""
