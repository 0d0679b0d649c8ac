"""Prompts and answers in telemetry, in the form of the conventions; only used where `capture` allows it.

Bytes of images are never recorded, only their number. What is too long is cut inside the texts, so that it stays valid
JSON.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import msgspec

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from namel3ss.observability.instruments import Attributes
    from namel3ss.observability.telemetry import Telemetry

__all__ = [
    "Json",
    "RequestContent",
    "content_limit",
    "json_within",
    "record_content",
    "structured",
]

# The SDK cuts longer attributes in the middle of a character of JSON; staying below its limit keeps them readable.
_LIMIT_ENV = ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT")
DEFAULT_LIMIT = 65_536

Json: TypeAlias = "Mapping[str, Json] | Sequence[Json] | str | int | float | bool | None"


class RequestContent(msgspec.Struct, frozen=True, kw_only=True):
    """What was said. Messages are as Ollama takes and gives them: role, content, thinking, tool_calls, images."""

    messages: Sequence[Mapping[str, object]]
    answer: Mapping[str, object] | None = None
    finish_reason: str | None = None
    tools: Sequence[Mapping[str, object]] = ()


def record_content(
    content: RequestContent, telemetry: Telemetry, span: Span | None, attributes: Attributes
) -> None:
    """Write it where `telemetry.capture` says: on the span as JSON texts, on an event in structured form."""
    limit = content_limit(os.environ)
    texts = {name: json_within(items, limit) for name, items in structured(content).items()}
    if telemetry.capture.on_span and span is not None and span.is_recording():
        span.set_attributes(texts)
    event_logger = telemetry.event_logger() if telemetry.capture.on_event else None
    if event_logger is None:
        return
    from opentelemetry._logs import LogRecord, SeverityNumber
    from opentelemetry.trace import set_span_in_context

    event_logger.emit(
        LogRecord(
            timestamp=time.time_ns(),
            context=set_span_in_context(span) if span is not None else None,
            severity_number=SeverityNumber.INFO,
            event_name="gen_ai.client.inference.operation.details",
            attributes={**attributes, **{name: msgspec.json.decode(text) for name, text in texts.items()}},
        )
    )


def structured(content: RequestContent) -> dict[str, Sequence[Json]]:
    """The attributes of the conventions; system messages are part of the history, where Ollama has them too."""
    attributes: dict[str, Sequence[Json]] = {
        "gen_ai.input.messages": [_message(message) for message in content.messages]
    }
    if content.answer is not None:
        answer = {**_message(content.answer), "finish_reason": content.finish_reason or "error"}
        attributes["gen_ai.output.messages"] = [answer]
    if content.tools:
        attributes["gen_ai.tool.definitions"] = [_tool(tool) for tool in content.tools]
    return attributes


def _message(message: Mapping[str, object]) -> dict[str, Json]:
    role = str(message.get("role", "assistant"))
    text, thinking = message.get("content"), message.get("thinking")
    parts: list[Json] = []
    if thinking:
        parts.append({"type": "reasoning", "content": str(thinking)})
    if text and role == "tool":
        parts.append({"type": "tool_call_response", "response": str(text)})
    elif text:
        parts.append({"type": "text", "content": str(text)})
    images = message.get("images")
    if isinstance(images, Sequence) and images:
        parts.append({"type": "images_left_out", "count": len(images)})
    calls = message.get("tool_calls")
    if isinstance(calls, Sequence):
        parts.extend(_tool_call(call) for call in calls if isinstance(call, Mapping))
    return {"role": role, "parts": parts}


def _tool_call(call: Mapping[str, object]) -> dict[str, Json]:
    function = call.get("function")
    function = function if isinstance(function, Mapping) else {}
    identity = call.get("id")
    return {
        "type": "tool_call",
        "id": str(identity) if identity is not None else None,
        "name": str(function.get("name", "")),
        "arguments": msgspec.to_builtins(function.get("arguments"), str_keys=True),
    }


def _tool(tool: Mapping[str, object]) -> dict[str, Json]:
    function = tool.get("function")
    name = function.get("name", "") if isinstance(function, Mapping) else ""
    # The conventions ask for the required fields alone: parameters of tools are long and repeat in each request.
    return {"type": str(tool.get("type", "function")), "name": str(name)}


def content_limit(environ: Mapping[str, str]) -> int:
    """The longest JSON text to record, in characters: 65,536, or less where the SDK would cut earlier."""
    for name in _LIMIT_ENV:
        value = environ.get(name, "").strip()
        if value.isascii() and value.isdigit():
            return min(int(value), DEFAULT_LIMIT)
    return DEFAULT_LIMIT


def json_within(items: Sequence[Json], limit: int) -> str:
    """`items` as JSON of at most `limit` characters, and always valid.

    Long texts are cut first, all to one length; if that is not enough, the oldest items are left out.
    """
    text = _dump(items)
    if len(text) <= limit:
        return text
    fitting = _with_texts_cut(items, limit)
    if fitting is not None:
        return fitting
    return json_within(items[(len(items) + 1) // 2 :], limit) if items else "[]"


def _with_texts_cut(items: Sequence[Json], limit: int) -> str | None:
    """The longest version that fits with every text cut to one length; None if not even empty texts fit."""
    shortest, longest = 0, limit
    best = None
    while shortest <= longest:
        length = (shortest + longest) // 2
        text = _dump(_cut(items, length))
        if len(text) <= limit:
            best, shortest = text, length + 1
        else:
            longest = length - 1
    return best


def _cut(value: Json, length: int) -> Json:
    if isinstance(value, str):
        cut = f"{value[:length]}… ({len(value) - length} more)"
        return cut if len(cut) < len(value) else value
    if isinstance(value, Mapping):
        # Keys such as "type" and "role" carry structure, and their values are short.
        return {key: item if key in _STRUCTURE else _cut(item, length) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [_cut(item, length) for item in value]
    return value


_STRUCTURE = frozenset({"finish_reason", "id", "name", "role", "type"})


def _dump(value: Json) -> str:
    return msgspec.json.encode(_clean(value)).decode()


def _clean(value: Json) -> Json:
    if isinstance(value, str):
        return _encodable(value)
    if isinstance(value, Mapping):
        return {_encodable(str(key)): _clean(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [_clean(item) for item in value]
    return value


def _encodable(text: str) -> str:
    """Lone surrogates have no place in UTF-8; they become question marks instead of an error."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
