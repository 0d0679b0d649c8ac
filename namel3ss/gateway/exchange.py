"""One request and its answer, between the server's three ASGI values and the handlers.

A handler answers with `reply`, or with `start`, `send_piece` and `finish`. One that raises a Refusal leaves the answer
to the front, which knows the shape of each dialect.
"""

from __future__ import annotations

import asyncio
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeAlias

from namel3ss.gateway.errors import Reason, Refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
    from typing import Any

    from namel3ss.gateway.principal import Principal
    from namel3ss.gateway.routes import Route

    Message: TypeAlias = MutableMapping[str, Any]
    Receive: TypeAlias = Callable[[], Awaitable[Message]]
    Send: TypeAlias = Callable[[Message], Awaitable[None]]

__all__ = ["DEPARTURE", "JSON_TYPE", "CallerLeft", "Exchange", "Headers"]

Headers: TypeAlias = "Iterable[tuple[bytes, bytes]]"

JSON_TYPE: Final = b"application/json; charset=utf-8"

DEPARTURE: Final = "namel3ss.departure"
"""In the scope, from a server that can call back: a task for each waiting request would be a sixth of its memory."""


_NO_SCOPE: Final[Mapping[str, Any]] = MappingProxyType({})


class CallerLeft(ConnectionError):  # noqa: N818 - an end, and nobody's fault
    """The caller was gone before its request was complete. There is nobody to answer."""


class Exchange:
    """Lives as long as its request. `principal`, `route` and `parameters` are set by the front, before any handler.

    `headers` are the request's, by lower-case name; of repeated ones the last. `id` is the caller's X-Request-Id, or ours.
    `scope` is the server's own record of the request, until `settle_down`.
    """

    __slots__ = (
        "_call_on_departure",
        "_receive",
        "_send",
        "answer_headers",
        "body_ended",
        "client",
        "end_reading",
        "headers",
        "id",
        "method",
        "parameters",
        "path",
        "principal",
        "route",
        "scope",
        "started",
        "status",
    )

    def __init__(
        self, scope: Mapping[str, Any], receive: Receive, send: Send, *, request_id: str, client: str
    ) -> None:
        self.scope: Mapping[str, Any] = scope
        self._call_on_departure: Callable[[Callable[[], None]], None] | None = scope.get(DEPARTURE)
        self._receive = receive
        self._send = send
        self.id = request_id
        self.client = client
        """The caller's address, a trusted proxy's word taken into account."""
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.principal: Principal | None = None
        self.route: Route | None = None
        self.parameters: dict[str, str] = {}
        self.answer_headers: list[tuple[bytes, bytes]] = []
        """Go with every answer, refusals included: CORS, the request's id."""
        self.started = False
        self.status = 0
        """Of the answer, once it has begun."""
        self.body_ended = False
        self.end_reading: Callable[[Refusal], None] | None = None
        """What a cancellation by its id ends, where others wait for the answer too: its own caller's reading."""

    @property
    def has_unread_body(self) -> bool:
        if self.body_ended:
            return False
        return b"transfer-encoding" in self.headers or self.headers.get(b"content-length", b"0") != b"0"

    @property
    def caller(self) -> Principal:
        """Who asks, on routes that take a key."""
        assert self.principal is not None  # the front lets nobody else reach them
        return self.principal

    async def read_body(self, limit: int) -> bytes:
        """The whole body. Raises Refusal for one of more than `limit` bytes, CallerLeft."""
        announced = self.headers.get(b"content-length")
        if announced is not None and announced.isdigit() and int(announced) > limit:
            raise _too_large(limit)
        pieces: list[bytes] = []
        size = 0
        while (piece := await self.next_body_piece()) is not None:
            size += len(piece)
            if size > limit:
                raise _too_large(limit)
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def next_body_piece(self) -> bytes | None:
        """The body as it comes, for what is passed on unread; None once it has ended."""
        if self.body_ended:
            return None
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise CallerLeft("the caller left before its request was complete")
        self.body_ended = not message.get("more_body", False)
        body: bytes = message.get("body", b"")
        return body

    def call_on_departure(self, callback: Callable[[], None]) -> bool:
        """Have it called when the caller leaves before its answer is complete; the last callback counts.

        False where the server cannot do that: then `wait_for_departure` is the way.
        """
        if self._call_on_departure is None:
            return False
        self._call_on_departure(callback)
        return True

    def settle_down(self) -> None:
        """Forget the scope, which is larger than all else here: thousands of requests may wait at a time."""
        self.scope = _NO_SCOPE

    async def wait_for_departure(self) -> None:
        """Returns once the caller is gone. Only after the body was read, and by one task at a time."""
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                return
            if not message.get("body") and not message.get("more_body", False):
                # A server that repeats the end of the body would have us spin.
                await asyncio.sleep(0)

    def overhear(self, hear: Callable[[bytes], None]) -> None:
        """Have every piece of the answer's body be heard as it is sent."""
        send = self._send

        async def send_and_tell(message: Message) -> None:
            if body := message.get("body"):
                hear(body)
            await send(message)

        self._send = send_and_tell

    async def start(self, status: int, headers: Headers) -> None:
        self.started = True
        self.status = status
        await self._send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [*headers, *self.answer_headers],
            }
        )

    async def send_piece(self, data: bytes) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def finish(self, data: bytes = b"") -> None:
        await self._send({"type": "http.response.body", "body": data})

    async def reply(
        self, status: int, body: bytes, content_type: bytes = JSON_TYPE, headers: Headers = ()
    ) -> None:
        """A whole answer. To HEAD only its headers go out."""
        await self.start(
            status,
            [(b"content-type", content_type), (b"content-length", str(len(body)).encode()), *headers],
        )
        await self.finish(b"" if self.method == "HEAD" else body)


def _too_large(limit: int) -> Refusal:
    return Refusal(
        Reason.body_too_large,
        f"The request's body is larger than {limit} bytes.",
        suggestion="Send less, or ask an administrator to raise limits.body.",
    )
