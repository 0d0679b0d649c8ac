"""One client's connection: uvicorn's protocol on httptools, with an end to everything that a client may draw out.

Beyond the limits, what differs from uvicorn's own: a client that leaves is noticed at once, also where it has sent the
next request already; trailers of a body never become headers; an answer that is given before the whole request was read
still arrives; a request that offers to change the protocol keeps its body; what is refused here is answered as the gateway
answers.
"""

from __future__ import annotations

import enum
import sys
from collections import deque
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.utils import get_local_addr, get_remote_addr

from namel3ss.gateway.exchange import DEPARTURE
from namel3ss.gateway.serving import refusals
from namel3ss.gateway.serving.chunks import ChunkLines, behind_head
from namel3ss.gateway.serving.cycle import Cycle, Flow
from namel3ss.gateway.serving.refusals import plain_answer, refuse_all

if TYPE_CHECKING:
    import asyncio

    from uvicorn.config import Config
    from uvicorn.server import ServerState

    from namel3ss.gateway.errors import Refusal
    from namel3ss.gateway.serving.room import Room

__all__ = ["Connection"]

_CHUNKED: Final = b"transfer-encoding"
_FRAMING: Final = (b"content-length", _CHUNKED)
_ASGI: Final = {"version": "3.0", "spec_version": "2.3"}
_BUSY: Final = refuse_all(refusals.NO_ROOM)

# Of requests that come before the answer to the one before them none is kept, so that one empty queue does for all.
_NO_PIPELINE: Final[deque[Any]] = deque()


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
        "_cycle",
        "_end_deadline",
        "_found_no_room",
        "_head_bytes",
        "_head_deadline",
        "_head_end",
        "_is_deaf",
        "_parser",
        "_refused",
        "_room",
        "_stage",
        "_was_sent_ahead",
        "way",
    )

    def __init__(
        self, room: Room, config: Config, server_state: ServerState, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(config, server_state, {}, loop)
        self.pipeline = _NO_PIPELINE
        self._parser: httptools.HttpRequestParser | None = self.parser
        self.parser = None  # type: ignore[assignment]  # as uvicorn does when it has ended
        self.url = b""
        self._room = room
        self._stage = _Stage.BETWEEN
        self._cycle: Cycle | None = None
        """Of the request that is not answered yet."""
        self._found_no_room = False
        self._is_deaf = False
        """Whatever else comes is thrown away: the connection ends with the answer that is under way."""
        self._was_sent_ahead = False
        """A request came before the answer to the one before it, and is thrown away."""
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
    def fixed_headers(self) -> bytes:
        return self._room.fixed_headers

    # -- the transport's calls --------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn narrows it
        self.transport = transport
        self.way = Flow(transport)
        local, peer = get_local_addr(transport), get_remote_addr(transport)
        # Addresses are few and connections many.
        self.server = None if local is None else self._room.local.setdefault(local, local)
        self.client = None if peer is None else (sys.intern(peer[0]), peer[1])
        self.scheme = "https" if transport.get_extra_info("sslcontext") else "http"
        self.connections.add(self)
        self._room.is_empty.clear()
        limits = self._room.limits
        self._head_deadline = self.loop.call_later(limits.head_s, self._give_up_on_head)
        if self._room.is_closed:
            transport.abort()
        elif len(self.connections) > limits.connections:
            self._found_no_room = not self._room.make_place()

    def connection_lost(self, exc: Exception | None) -> None:
        self.connections.discard(self)
        self._room.wake(self)
        self.way.resume_writing()
        self._tell_of_departure()
        self._cycle = None
        # These know the way back to this: what is in no circle is gone without a search for garbage.
        self._parser = self._refused = None
        for deadline in (self._head_deadline, self._body_deadline, self._end_deadline):
            if deadline is not None:
                deadline.cancel()
        if not self.connections:
            self._room.empty()

    def data_received(self, data: bytes) -> None:
        if self._is_deaf:
            return
        before = self._stage
        if before is _Stage.BETWEEN and self._cycle is None:
            self._room.wake(self)
        self._parse(data)
        if self._chunks is not None:
            self._follow_chunks(data, before)
        if self._stage is _Stage.HEAD and not self._is_deaf:
            self._head_end = (self._head_end + data)[-3:]
            self._head_bytes += len(data) if before is not _Stage.BODY else 0
            if self._head_bytes > self._room.limits.head_bytes:
                self._refuse(refusals.too_large_head(self._room.limits))
            elif self._head_deadline is None:
                self._head_deadline = self.loop.call_later(self._room.limits.head_s, self._give_up_on_head)
        elif self._stage is _Stage.BODY and self._body_deadline is None and not self._is_deaf:
            self._body_deadline = self.loop.call_later(self._room.limits.body_pace_s, self._look_at_body)

    def _parse(self, data: bytes) -> None:
        parser = self._parser or self._new_parser()
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._decline_upgrade(data[offer.args[0] :])
        except httptools.HttpParserError:
            if not self._is_deaf:
                self._refuse(self._refused or refusals.not_http())
        if self._stage is _Stage.BETWEEN:
            # It knows nothing any more, and its callbacks are as large as all else of a connection.
            self._parser = None

    def _new_parser(self) -> httptools.HttpRequestParser:
        parser = self._parser = httptools.HttpRequestParser(self)
        # What follows a request with `Connection: close` is thrown away, and that request is answered.
        parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return parser

    def _follow_chunks(self, data: bytes, before: _Stage) -> None:
        if self._is_deaf and not self._was_sent_ahead:
            return
        if before is not _Stage.BODY:
            # Empty lines may stand before a request.
            data = behind_head(data.lstrip() if before is _Stage.BETWEEN else self._head_end + data)
        if self._chunks is not None and not self._chunks.feed(data):
            self._refuse(refusals.not_http())

    def _decline_upgrade(self, rest: bytes) -> None:
        """Go on in HTTP/1.1, as a server may. The parser left off before the body; another one is put in front of it."""
        if not self._awaits_body:
            self.shutdown()
            return
        framing = [b"%b: %b\r\n" % header for header in self.headers if header[0] in _FRAMING]
        self._parser = None
        self._parse(b"".join([b"POST / HTTP/1.1\r\n", *framing, b"\r\n"]))
        self._awaits_body = False
        self._parse(rest)

    def eof_received(self) -> None:
        """Whoever sends no more has left: the transport closes itself."""
        self._tell_of_departure()
        self._limit_sending()

    def pause_writing(self) -> None:
        self.way.pause_writing()
        self._limit_sending()

    def resume_writing(self) -> None:
        self.way.resume_writing()
        if self._end_deadline is not None and not self._is_deaf:
            self._end_deadline.cancel()
            self._end_deadline = None
            if self.transport.is_closing():
                self._limit_sending()

    # -- the parser's calls: what they raise ends its work, and `_parse` answers -------------------------------

    def on_message_begin(self) -> None:
        if self._awaits_body:
            return
        if self._cycle is not None:
            # Sent before the answer to the one before. That one is answered and the connection ends; its client may ask
            # again, as HTTP has it. Holding it back would hide from us that the client has left.
            self._was_sent_ahead = True
            self.shutdown()
            raise _StopReading
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._stage = _Stage.HEAD
        self._head_bytes = 0
        self._head_end = b""
        self._chunks = None

    def on_url(self, url: bytes) -> None:
        if not self._awaits_body:
            self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._stage is not _Stage.HEAD:
            # A trailer. It comes when everything has been decided, or just in time to change it.
            return
        if len(self.headers) >= self._room.limits.header_count:
            raise self._refusing(refusals.too_many_headers(self._room.limits))
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self._awaits_body:
            return
        size = len(self.url) + sum([len(name) + len(value) for name, value in self.headers])
        if size > self._room.limits.head_bytes:
            raise self._refusing(refusals.too_large_head(self._room.limits))
        if b"#" in self.url:
            raise self._refusing(refusals.fragment())
        parser = self._parser
        assert parser is not None  # it calls this
        version = parser.get_http_version()
        is_chunked = any(name == _CHUNKED for name, _ in self.headers)
        if version != "1.1" and (version != "1.0" or is_chunked):
            # Before 1.1 there were no chunks: whoever stands between may have seen another end of the body.
            raise self._refusing(refusals.not_http())
        self._stage = _Stage.BODY
        self._body_bytes = 0
        self._chunks = ChunkLines() if is_chunked else None
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None
        self._begin_cycle(parser, version)
        # The parser takes what follows for the other protocol, and HTTP/1.1 is all that is spoken here.
        self._awaits_body = parser.should_upgrade() and any(
            name in _FRAMING and value.strip(b"0") for name, value in self.headers
        )

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._cycle is not None:
            self._cycle.feed(body)

    def on_message_complete(self) -> None:
        if self._awaits_body:
            return
        self._stage = _Stage.BETWEEN
        if self._body_deadline is not None:
            self._body_deadline.cancel()
            self._body_deadline = None
        if self._cycle is not None:
            self._cycle.read()

    # -- one request ------------------------------------------------------------------------------------------

    def _begin_cycle(self, parser: httptools.HttpRequestParser, version: str) -> None:
        method = parser.get_method().decode("ascii")
        target = httptools.parse_url(self.url)
        path = target.path.decode("ascii")
        app = self.app
        keep_alive = version == "1.1" and parser.should_keep_alive()
        if self._found_no_room and len(self.connections) > self._room.limits.connections:
            keep_alive = False
            app = _BUSY
        cycle = self._cycle = Cycle(
            self,
            head_only=method == "HEAD",
            keep_alive=keep_alive,
            knows_chunks=version == "1.1",
            wants_continue=self.expect_100_continue,
        )
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": _ASGI,
            "http_version": version,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "method": method,
            "path": unquote(path) if "%" in path else path,
            "raw_path": target.path,
            "query_string": target.query or b"",
            "headers": self.headers,
            DEPARTURE: cycle.call_on_departure,
        }
        # No coroutine of ours around the application's: of each that waits there would be one.
        task = self.loop.create_task(app(scope, cycle.receive, cycle.send))
        self.tasks.add(task)
        task.add_done_callback(cycle.returned)

    def answered(self) -> None:
        """The answer to the request is complete."""
        self._cycle = None
        if self._is_deaf or self.transport.is_closing():
            return
        if self._stage is _Stage.BODY:
            # Answered before the body was complete: what is left of it is nobody's.
            self.end()
        else:
            self.way.resume_reading()
            self._room.rest(self)

    def shutdown(self) -> None:
        """No more requests on this connection: it ends now, or with the answer that is under way."""
        if self._cycle is not None:
            self._cycle.keep_alive = False
            # The rest of a body that is being read still belongs to it.
            self._is_deaf = self._stage is not _Stage.BODY
        else:
            self.close()

    # -- limits and the end -----------------------------------------------------------------------------------

    def _refusing(self, refusal: Refusal) -> Refusal:
        self._refused = refusal
        return refusal

    def _refuse(self, refusal: Refusal) -> None:
        """Answer and close; where an answer has begun already, only close."""
        if self._cycle is None or not self._cycle.is_started:
            self.transport.write(plain_answer(refusal))
        self._tell_of_departure()
        self.end()

    def _tell_of_departure(self) -> None:
        if self._cycle is not None:
            self._cycle.leave()

    def close(self) -> None:
        """Close it when the client has read what was sent, or has had the time for it."""
        self._limit_sending()
        self.transport.close()

    def _limit_sending(self) -> None:
        """What is still to be sent keeps even a closed connection open."""
        if self._end_deadline is None:
            self._end_deadline = self.loop.call_later(self._room.limits.stuck_s, self.transport.abort)

    def end(self) -> None:
        """Close it so that the client can read its answer: unread data would have it reset instead."""
        nothing_is_unread = self._stage is _Stage.BETWEEN and not self._was_sent_ahead
        if nothing_is_unread or not self.transport.can_write_eof():
            self.close()
            return
        self._is_deaf = True
        self.way.resume_reading()
        self.transport.write_eof()
        for deadline in (self._head_deadline, self._body_deadline, self._end_deadline):
            if deadline is not None:
                deadline.cancel()
        self._end_deadline = self.loop.call_later(self._room.limits.linger_s, self.transport.abort)

    def _give_up_on_head(self) -> None:
        self._head_deadline = None
        if self._head_bytes:
            self._refuse(refusals.late_head(self._room.limits))
        else:
            self.close()

    def _look_at_body(self) -> None:
        limits = self._room.limits
        self._body_deadline = None
        if self._body_bytes < limits.body_pace_bytes and not self.way.read_paused:
            self._refuse(refusals.slow_body(limits))
            return
        self._body_bytes = 0
        self._body_deadline = self.loop.call_later(limits.body_pace_s, self._look_at_body)


class _StopReading(Exception):  # noqa: N818 - no error: nothing more is read
    """Ends the parser's work within what it was given."""
