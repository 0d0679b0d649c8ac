"""The API's shapes: events of a stream, and the few whole answers. Unknown fields and events are ignored."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from namel3ss.providers.base import Usage

__all__ = [
    "FINISH_REASONS",
    "KNOWN_EVENTS",
    "Delta",
    "Event",
    "Message",
    "TokenCounts",
    "decode_event",
    "decode_kind",
]

KNOWN_EVENTS: Final = frozenset(
    [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "error",
    ]
)
# The words that all providers share; any other reason keeps the API's own word.
FINISH_REASONS: Final = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
}


class Message(msgspec.Struct):
    """The ``message`` of a ``message_start``."""

    id: str | None = None
    model: str | None = None
    usage: dict[str, Any] | None = None


class Delta(msgspec.Struct):
    """The ``delta`` of a block, or of the message itself."""

    type: str | None = None
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: str | None = None
    citation: Any = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: dict[str, Any] | None = None


class Event(msgspec.Struct):
    """One event of a stream."""

    type: str
    index: int = -1
    delta: Delta | None = None
    content_block: dict[str, Any] | None = None
    message: Message | None = None
    usage: dict[str, Any] | None = None
    error: Any = None
    request_id: str | None = None


class _Kind(msgspec.Struct):
    type: str


class TokenCounts:
    """What an answer used, gathered from its beginning and its end: the later number holds."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[str, Any] = {}

    def add(self, reported: dict[str, Any] | None) -> None:
        for name, value in (reported or {}).items():
            if value is not None:
                self._counts[name] = value

    def usage(self) -> Usage:
        """All tokens of the prompt, those from and for the cache among them; the API counts the three apart."""
        read, created = self._count("cache_read_input_tokens"), self._count("cache_creation_input_tokens")
        prompt = self._count("input_tokens")
        if prompt is not None:
            prompt += (read or 0) + (created or 0)
        return Usage(
            prompt,
            self._count("output_tokens"),
            cache_read_tokens=read,
            cache_creation_tokens=created,
        )

    @property
    def thinking_tokens(self) -> int | None:
        """Those of the answer that were spent on thinking."""
        details = self._counts.get("output_tokens_details")
        return _count(details.get("thinking_tokens")) if isinstance(details, dict) else None

    def text(self, name: str) -> str | None:
        value = self._counts.get(name)
        return value if isinstance(value, str) else None

    def _count(self, name: str) -> int | None:
        return _count(self._counts.get(name))


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


decode_event = msgspec.json.Decoder(Event).decode


def decode_kind(data: bytes) -> str:
    """The type of an event alone. Raises ValueError where it has none."""
    return msgspec.json.decode(data, type=_Kind).type
