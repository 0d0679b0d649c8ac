"""Requests and answers, and how an answer is written: one place for what Go's HTTP server does by itself."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import TYPE_CHECKING, TypeAlias

from namel3ss.sandbox.gojson import encode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping, Sequence

__all__ = [
    "DROP",
    "JSON",
    "PLAIN_JSON",
    "Aborted",
    "Answer",
    "ClientGone",
    "Document",
    "Failure",
    "Lines",
    "Raw",
    "Request",
    "Stream",
    "Writer",
]

Scope: TypeAlias = "MutableMapping[str, object]"
Message: TypeAlias = "MutableMapping[str, object]"
Receive: TypeAlias = "Callable[[], Awaitable[Message]]"
Send: TypeAlias = "Callable[[Message], Awaitable[None]]"
Header: TypeAlias = "tuple[str, str]"

DROP = "namel3ss.drop"
"""Where `Request.drop` stands in the scope."""

JSON = "application/json; charset=utf-8"
PLAIN_JSON = "application/json"

LARGEST_BODY = 64 * 1024 * 1024
"""More than this is not read into memory; the largest real requests carry a few images."""

_BUFFER = 2048
"""What Go collects before it decides about the length: longer bodies go out chunked."""


class Failure(Exception):  # noqa: N818  # an answer like any other, found deep inside
    """An error answer. `status` is lost where the answer has begun already; the message is then a line of it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class ClientGone(Exception):  # noqa: N818  # no error of ours
    """The client closed the connection while its request was being read."""


class Aborted(Exception):  # noqa: N818  # a pretended crash
    """The server pretends to die: the connection is cut in the middle of the answer."""


def _pairs(headers: object) -> list[tuple[bytes, bytes]]:
    return list(headers) if isinstance(headers, list | tuple) else []


@dataclass
class Request:
    """One request. `receive` is ASGI's."""

    method: str
    path: str
    query: str
    headers: list[tuple[bytes, bytes]]
    receive: Receive
    parameter: str = ""
    """What stood in the variable part of the path."""
    body: bytes = b""
    """The whole body, once it was read."""
    drop: Callable[[bool], None] | None = None
    """Ends the connection at once, with a reset if told so; for faults. None where the server cannot do that."""
    resources: AsyncExitStack = field(default_factory=AsyncExitStack)
    """What is given back when the request is over: answered, refused or abandoned."""

    @classmethod
    def of(cls, scope: Scope, receive: Receive) -> Request:
        headers = [(bytes(name).lower(), bytes(value)) for name, value in _pairs(scope["headers"])]
        query = scope["query_string"]
        drop = scope.get(DROP)
        return cls(
            method=str(scope["method"]),
            path=str(scope["path"]),
            query=query.decode("latin-1") if isinstance(query, bytes) else "",
            headers=headers,
            receive=receive,
            drop=drop if callable(drop) else None,
        )

    def header(self, name: str) -> str | None:
        wanted = name.lower().encode()
        return next((value.decode("latin-1") for key, value in self.headers if key == wanted), None)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives."""
        more = True
        while more:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            body = message.get("body", b"")
            if isinstance(body, bytes) and body:
                yield body
            more = bool(message.get("more_body", False))

    async def read_body(self) -> None:
        """Reads the whole body. Raises Failure(413) when it is too large to be meant."""
        collected = bytearray()
        async for chunk in self.chunks():
            collected += chunk
            if len(collected) > LARGEST_BODY:
                raise Failure(413, "http: request body too large")
        self.body = bytes(collected)


@dataclass(slots=True)
class Raw:
    """An answer that is there as a whole."""

    status: int
    body: bytes = b""
    content_type: str | None = None
    headers: Sequence[Header] = ()
    has_length: bool = True
    """Whether a Content-Length is sent for an empty body too."""


@dataclass(slots=True)
class Document:
    """A JSON answer that is there as a whole."""

    value: object
    status: int = 200
    content_type: str = JSON
    newline: bool = False
    flushed: bool = False
    """Sent while its length was not known yet, hence chunked."""
    headers: Sequence[Header] = ()

    def raw(self) -> Raw:
        body = encode(self.value) + (b"\n" if self.newline else b"")
        measured = not self.flushed and len(body) <= _BUFFER
        return Raw(self.status, body, self.content_type, self.headers, has_length=measured)


@dataclass(slots=True)
class Lines:
    """A stream of JSON values, one a line. A Failure raised by it becomes a status or a last line."""

    values: AsyncIterator[dict[str, object]]


@dataclass(slots=True)
class Stream:
    """A body sent piece by piece, each piece a chunk."""

    content_type: str
    pieces: AsyncIterator[bytes]
    status: int = 200
    headers: Sequence[Header] = ()


Answer: TypeAlias = Raw | Document | Lines | Stream


@dataclass(slots=True)
class _DateLine:
    second: int = 0
    text: bytes = b""

    def now(self) -> bytes:
        second = int(time.time())
        if second != self.second:
            self.second, self.text = second, formatdate(second, usegmt=True).encode()
        return self.text


_DATE = _DateLine()


@dataclass(slots=True)
class Writer:
    """Writes one answer.

    `resources` are given back before the answer is complete, so that a client who has read it finds the server
    settled. `extra` are headers that every answer of this request carries.
    """

    send: Send
    resources: AsyncExitStack
    extra: list[Header] = field(default_factory=list)

    async def write(self, answer: Answer) -> None:
        if isinstance(answer, Lines):
            answer = await _begin(answer)
        if isinstance(answer, Document):
            answer = answer.raw()
        if isinstance(answer, Raw):
            await self._whole(answer)
        else:
            await self._streamed(answer)

    async def _whole(self, answer: Raw) -> None:
        await self.resources.aclose()
        headers = list(answer.headers)
        if answer.content_type is not None:
            headers.append(("Content-Type", answer.content_type))
        if answer.has_length and answer.status != 204:
            headers.append(("Content-Length", str(len(answer.body))))
        await self._start(answer.status, headers)
        await self.send({"type": "http.response.body", "body": answer.body})

    async def _streamed(self, answer: Stream) -> None:
        await self._start(answer.status, [*answer.headers, ("Content-Type", answer.content_type)])
        async for piece in answer.pieces:
            await self.send({"type": "http.response.body", "body": piece, "more_body": True})
            # So that a client who has left is noticed: asyncio complains of several writes to a connection that is gone.
            await asyncio.sleep(0)
        await self.resources.aclose()
        await self.send({"type": "http.response.body", "body": b""})

    async def _start(self, status: int, headers: list[Header]) -> None:
        encoded = [(name.encode(), value.encode("latin-1")) for name, value in (*self.extra, *headers)]
        encoded.append((b"Date", _DATE.now()))
        await self.send({"type": "http.response.start", "status": status, "headers": encoded})


async def _begin(lines: Lines) -> Document | Stream:
    """Waits for the first line, because a failure before it still has a status of its own."""
    values = lines.values
    try:
        first = await anext(values)
    except StopAsyncIteration:
        first = None
    except Failure as failure:
        return Document({"error": failure.message}, failure.status, PLAIN_JSON, flushed=True)
    return Stream("application/x-ndjson", _ndjson(first, values))


async def _ndjson(
    first: dict[str, object] | None, rest: AsyncIterator[dict[str, object]]
) -> AsyncIterator[bytes]:
    if first is None:
        return
    yield encode(first) + b"\n"
    try:
        async for value in rest:
            yield encode(value) + b"\n"
    except Failure as failure:
        yield encode({"error": failure.message}) + b"\n"
