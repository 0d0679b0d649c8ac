"""The shapes of answers: only the fields that are used.

Events of a stream are decoded straight into these structs, thousands in a second. Counts, which a server may get wrong
without harm, are read with care and left out where they make no sense.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar

import msgspec

from namel3ss.providers.base import Usage

__all__ = [
    "CallPart",
    "Chunk",
    "Delta",
    "EmbedAnswer",
    "decode_chunk",
    "decode_embed_answer",
    "decode_leniently",
    "reasoning_tokens",
    "text_of_parts",
    "usage_of",
]

Shape = TypeVar("Shape")


class FunctionPart(msgspec.Struct):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class CallPart(msgspec.Struct):
    """A piece of a tool call; pieces of one call share an index."""

    function: FunctionPart | None = None
    index: int | None = None
    id: str | None = None


class Delta(msgspec.Struct):
    """What a piece adds; a whole answer has the same fields under ``message``."""

    content: str | list[Any] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[CallPart] | None = None


class Choice(msgspec.Struct):
    delta: Delta | None = None
    message: Delta | None = None
    finish_reason: str | None = None
    index: int = 0
    logprobs: Any = None


class Chunk(msgspec.Struct):
    """An event of `/chat/completions`, or its whole answer."""

    choices: list[Choice] | None = None
    model: Any = None
    id: Any = None
    usage: Any = None
    error: Any = None
    object: Any = None
    system_fingerprint: Any = None


class Embedding(msgspec.Struct):
    embedding: list[float]
    index: int | None = None


class EmbedAnswer(msgspec.Struct):
    """The answer of `/embeddings`."""

    data: list[Embedding]
    model: Any = None
    usage: Any = None


decode_chunk = msgspec.json.Decoder(Chunk).decode
decode_embed_answer = msgspec.json.Decoder(EmbedAnswer).decode


def decode_leniently(data: bytes, shape: type[Shape]) -> Shape:
    """What strict decoding refuses and nobody is harmed by: broken UTF-8 becomes U+FFFD, half surrogates are kept.

    Raises ValueError (msgspec's errors are such) or RecursionError where the data is no such object at all.
    """
    return msgspec.convert(json.loads(data.decode("utf-8", "replace")), shape)


def text_of_parts(content: list[Any] | None) -> str:
    """The text of a content that a server sends as a list of parts."""
    texts = [part.get("text") for part in content or () if isinstance(part, dict)]
    return "".join(text for text in texts if isinstance(text, str))


def usage_of(reported: object) -> Usage:
    """Token counts as a server reports them under ``usage``."""
    if not isinstance(reported, dict):
        return Usage()
    details = reported.get("prompt_tokens_details")
    return Usage(
        _count(reported.get("prompt_tokens")),
        _count(reported.get("completion_tokens")),
        cache_read_tokens=_count(details.get("cached_tokens")) if isinstance(details, dict) else None,
    )


def reasoning_tokens(reported: object) -> int | None:
    """How many tokens of the answer were reasoning; None where nobody says."""
    details = reported.get("completion_tokens_details") if isinstance(reported, dict) else None
    return _count(details.get("reasoning_tokens")) if isinstance(details, dict) else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
