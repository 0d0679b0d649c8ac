"""The shapes of Ollama's answers: only the fields that are used; nanoseconds become seconds here.

Lines of a stream are decoded straight into these structs, thousands in a second, so they hold nothing else. What a
server may get wrong without harm (counts, durations) is read with care and left out where it makes no sense.
"""

from __future__ import annotations

import json
from typing import Any, Final, TypeVar

import msgspec

from namel3ss.providers.base import Timings, ToolCall, Usage

__all__ = [
    "ChatLine",
    "EmbedAnswer",
    "GenerateLine",
    "Totals",
    "decode_chat_line",
    "decode_embed_answer",
    "decode_generate_line",
    "decode_leniently",
    "decode_totals",
    "read_tool_calls",
    "was_cut",
]

_NANOSECONDS: Final = 1e-9

Line = TypeVar("Line")


class WireFunction(msgspec.Struct):
    name: str
    arguments: dict[str, Any] | str | None = None
    index: int | None = None


class WireToolCall(msgspec.Struct):
    function: WireFunction
    id: str | None = None


class ChatMessage(msgspec.Struct):
    """The ``message`` of a chat line. `tool_calls` are read by `read_tool_calls`: broken ones do not take the text along."""

    content: str | None = ""
    thinking: str | None = ""
    tool_calls: Any = None


class ChatLine(msgspec.Struct):
    """A line of `/api/chat`. `error` ends the answer."""

    message: ChatMessage | None = None
    done: bool = False
    error: Any = None
    logprobs: list[dict[str, Any]] | None = None


class GenerateLine(msgspec.Struct):
    """A line of `/api/generate`, read like one of `/api/chat`: `message` is the line itself."""

    content: str | None = msgspec.field(default="", name="response")
    thinking: str | None = ""
    tool_calls: Any = None
    done: bool = False
    error: Any = None
    logprobs: list[dict[str, Any]] | None = None

    @property
    def message(self) -> GenerateLine:
        return self


class Totals(msgspec.Struct):
    """The last line's other fields. Any of them may be missing or nonsense: read them through the methods.

    `status` stands beside an error, where a server or a proxy before it gives one.
    """

    model: Any = None
    created_at: Any = None
    done_reason: Any = None
    remote_model: Any = None
    remote_host: Any = None
    total_duration: Any = None
    load_duration: Any = None
    prompt_eval_count: Any = None
    prompt_eval_duration: Any = None
    eval_count: Any = None
    eval_duration: Any = None
    status: Any = None

    def usage(self) -> Usage:
        return Usage(_count(self.prompt_eval_count), _count(self.eval_count))

    def timings(self, *, first_token_s: float | None, wall_s: float) -> Timings:
        return Timings(
            total_s=_seconds(self.total_duration),
            load_s=_seconds(self.load_duration),
            prompt_eval_s=_seconds(self.prompt_eval_duration),
            eval_s=_seconds(self.eval_duration),
            first_token_s=first_token_s,
            wall_s=wall_s,
        )

    def tokens_per_second(self) -> float | None:
        """How fast the answer was made, by the server's own clock."""
        count, seconds = _count(self.eval_count), _seconds(self.eval_duration)
        return count / seconds if count and seconds else None

    def error_status(self) -> int | None:
        status = _count(self.status)
        return status if status is not None and 400 <= status < 600 else None

    def text(self, field: str) -> str | None:
        value = getattr(self, field)
        return value if isinstance(value, str) and value else None


class EmbedAnswer(msgspec.Struct):
    """The answer of `/api/embed`."""

    embeddings: list[list[float]]
    model: Any = None
    total_duration: Any = None
    load_duration: Any = None
    prompt_eval_count: Any = None


decode_chat_line = msgspec.json.Decoder(ChatLine).decode
decode_generate_line = msgspec.json.Decoder(GenerateLine).decode
decode_totals = msgspec.json.Decoder(Totals).decode
decode_embed_answer = msgspec.json.Decoder(EmbedAnswer).decode


def decode_leniently(line: bytes, shape: type[Line]) -> Line:
    """What strict decoding refuses and nobody is harmed by: broken UTF-8 becomes U+FFFD, half surrogates are kept.

    Raises ValueError (msgspec's errors are such) or RecursionError where the line is no such object at all.
    """
    document = json.loads(line.decode("utf-8", "replace"), parse_constant=_refuse_constant)
    return msgspec.convert(document, shape)


def was_cut(problem: BaseException | None) -> bool:
    """Whether decoding failed because the JSON ends too early: msgspec has no class of its own for that."""
    return isinstance(problem, msgspec.DecodeError) and str(problem) == "Input data was truncated"


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def read_tool_calls(calls: object) -> tuple[ToolCall, ...]:
    """The calls with their arguments as objects. Raises ValueError for what is no list of calls, and for arguments that are
    neither an object nor JSON text of one.
    """
    return tuple(_tool_call(call) for call in msgspec.convert(calls, list[WireToolCall]))


def _tool_call(call: WireToolCall) -> ToolCall:
    arguments = call.function.arguments
    if isinstance(arguments, str):
        arguments = msgspec.json.decode(arguments, type=dict[str, Any]) if arguments.strip() else {}
    return ToolCall(call.function.name, arguments or {}, call.id or None, call.function.index)


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _seconds(nanoseconds: object) -> float | None:
    count = _count(nanoseconds)
    return None if count is None else count * _NANOSECONDS
