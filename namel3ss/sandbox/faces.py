"""Other protocols in front of the native routes: a native answer goes in, theirs comes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from namel3ss.sandbox.decoding import BadBodyError, JsonError, decode
from namel3ss.sandbox.gojson import encode
from namel3ss.sandbox.http import PLAIN_JSON, Document, Failure, Lines, Raw, Stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Sequence

    from namel3ss.sandbox.decoding import Record
    from namel3ss.sandbox.http import Answer, Header

T = TypeVar("T")

__all__ = ["Chunk", "Face", "UnfitError", "event_line", "read_as", "through"]


class Face(Protocol):
    """How one protocol says what the native routes say."""

    @property
    def headers(self) -> Sequence[Header]: ...

    def error(self, status: int, message: str) -> object:
        """The document of an error."""
        ...

    def whole(self, chunk: Chunk) -> object:
        """The document of an answer that is not streamed."""
        ...

    def events(self, chunk: Chunk) -> list[bytes]:
        """What is sent for one chunk of a stream, cut where the server flushes."""
        ...


@dataclass(frozen=True, slots=True)
class Chunk:
    """A native chunk. An error line looks like an empty one, which is what the server makes of it."""

    value: dict[str, object]

    @property
    def model(self) -> str:
        return _text(self.value.get("model"))

    @property
    def _message(self) -> dict[str, object]:
        message = self.value.get("message")
        return message if isinstance(message, dict) else {}

    @property
    def content(self) -> str:
        return _text(self._message.get("content", self.value.get("response")))

    @property
    def thinking(self) -> str:
        return _text(self._message.get("thinking", self.value.get("thinking")))

    @property
    def tool_calls(self) -> list[dict[str, object]]:
        calls = self._message.get("tool_calls")
        return calls if isinstance(calls, list) else []

    @property
    def done(self) -> bool:
        return self.value.get("done") is True

    @property
    def reason(self) -> str:
        return _text(self.value.get("done_reason"))

    @property
    def prompt_tokens(self) -> int:
        return _count(self.value.get("prompt_eval_count"))

    @property
    def tokens(self) -> int:
        return _count(self.value.get("eval_count"))

    @property
    def logprobs(self) -> object:
        return self.value.get("logprobs")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0


class UnfitError(ValueError):
    """The request cannot be turned into a native one; the message is the server's."""


def read_as(record: Record[T], body: bytes) -> T:
    """A request of another protocol. Raises UnfitError."""
    try:
        return decode(record, body)
    except (JsonError, BadBodyError) as fault:
        raise UnfitError(str(fault)) from None


def event_line(value: object, event: str = "") -> bytes:
    """A server-sent event, named when the protocol names its events."""
    name = f"event: {event}\n".encode() if event else b""
    return name + b"data: " + encode(value) + b"\n\n"


async def through(face: Face, answer: Awaitable[Answer], *, stream: bool) -> Answer:
    """The native answer in the other protocol."""
    try:
        native = await answer
    except Failure as failure:
        document = face.error(failure.status, failure.message)
        return Document(document, failure.status, PLAIN_JSON, newline=True, headers=face.headers)
    if isinstance(native, Lines):
        return await _streamed(face, native)
    if not isinstance(native, Document) or not isinstance(native.value, dict):
        return native
    chunk = Chunk(native.value)
    if stream:
        events = face.events(chunk)
        # What is flushed more than once is chunked, however short it is.
        return Raw(200, b"".join(events), "text/event-stream", face.headers, has_length=len(events) == 1)
    return Document(face.whole(chunk), content_type=PLAIN_JSON, newline=True)


async def _streamed(face: Face, lines: Lines) -> Answer:
    values = lines.values
    try:
        first = await anext(values, None)
    except Failure as failure:
        document = face.error(failure.status, failure.message)
        return Document(
            document, failure.status, PLAIN_JSON, newline=True, flushed=True, headers=face.headers
        )
    return Stream("text/event-stream", _pieces(face, first, values), headers=face.headers)


async def _pieces(
    face: Face, first: dict[str, object] | None, rest: AsyncIterator[dict[str, object]]
) -> AsyncIterator[bytes]:
    if first is None:
        return
    for piece in face.events(Chunk(first)):
        yield piece
    try:
        async for value in rest:
            for piece in face.events(Chunk(value)):
                yield piece
    except Failure:
        # The server takes its own error line for a chunk, and the error is lost.
        for piece in face.events(Chunk({})):
            yield piece
