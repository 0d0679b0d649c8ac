"""Answers in Anthropic's shape, whoever gave them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from namel3ss.providers.local.ollama import OllamaBadResponseError

if TYPE_CHECKING:
    from namel3ss.providers.base import ProviderResponse

__all__ = [
    "BridgeResponse",
    "ContentBlock",
    "Usage",
    "blocks_of",
    "from_anthropic",
    "from_ollama",
    "part_of",
]

_REASONS: Final[Mapping[str, str]] = {"length": "max_tokens"}


class ContentBlock(dict[str, Any]):
    """One block of content, to be read either way: ``block["type"]`` and ``block.type``.

    Kinds: ``text`` (`text`), ``thinking`` (`thinking`), ``tool_use`` (`id`, `name`, `input`).
    """

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"a {self.get('type')} block has no {name!r}") from None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, as the server counted them; 0 where it did not. The three kinds of input are counted apart."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int = 0


@dataclass(frozen=True, slots=True)
class BridgeResponse:
    """One message of the model.

    `tool_calls` have Ollama's shape, each with an ``id``. `stop_reason` is Anthropic's word: ``end_turn``, ``max_tokens``,
    ``tool_use`` or another of its own. `metadata` says who answered: ``provider``, ``server``; ``cache`` ("hit", "joined" or
    "miss") where a cache was asked; ``fallback`` where another model than the bridge's own has answered, with the reason.
    """

    content: list[ContentBlock]
    tool_calls: list[dict[str, Any]]
    usage: Usage
    stop_reason: str
    model: str
    stop_sequence: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    id: str = field(default_factory=lambda: f"msg_{uuid.uuid4().hex}")
    type: Literal["message"] = "message"
    role: Literal["assistant"] = "assistant"


def from_ollama(answer: Mapping[str, Any], model: str, metadata: dict[str, Any]) -> BridgeResponse:
    """The message that a whole answer of ``/api/chat`` is. A call keeps its id; one without gets a new one.

    Raises OllamaBadResponseError for a message that is none, with the text that it has all the same.
    """
    written = answer.get("message") or {}
    try:
        message = msgspec.convert(written, _Message)
        calls = [_call(call) for call in message.tool_calls or ()]
    except (ValueError, RecursionError) as error:
        bad = OllamaBadResponseError(
            f"The answer holds a message that cannot be read: {error}",
            model=model,
            base_url=metadata.get("server"),
            suggestion="Ask again. If it happens again, the model may be too small for its tools.",
        )
        text = part_of(written, "content")
        bad.partial_text = text if isinstance(text, str) else ""
        raise bad from error
    blocks = []
    if message.thinking:
        blocks.append(ContentBlock(type="thinking", thinking=message.thinking, signature=""))
    text = message.content or ""
    if text or not calls:
        blocks.append(ContentBlock(type="text", text=text))
    for call in calls:
        function = call["function"]
        blocks.append(
            ContentBlock(
                type="tool_use",
                id=call["id"],
                name=function["name"],
                input=function["arguments"],
            )
        )
    return BridgeResponse(
        content=blocks,
        tool_calls=calls,
        usage=Usage(_count(answer, "prompt_eval_count"), _count(answer, "eval_count")),
        stop_reason="tool_use" if calls else _REASONS.get(str(answer.get("done_reason")), "end_turn"),
        model=str(answer.get("model", model)),
        metadata=metadata,
    )


def from_anthropic(response: ProviderResponse) -> BridgeResponse:
    """The message of Anthropic's that the provider has read, with its blocks as the API gave them."""
    answered = response.metadata
    blocks = [ContentBlock(block) for block in answered.get("content", ())]
    usage = response.usage
    created, read = usage.get("cache_creation_tokens", 0), usage.get("cache_read_tokens", 0)
    return BridgeResponse(
        content=blocks,
        tool_calls=[
            {"id": block["id"], "function": {"name": block["name"], "arguments": block.get("input") or {}}}
            for block in blocks
            if block.get("type") == "tool_use"
        ],
        usage=Usage(
            # The provider counts all of the prompt as one; the API does not.
            max(0, usage.get("prompt_tokens", 0) - created - read),
            usage.get("completion_tokens", 0),
            created,
            read,
        ),
        stop_reason=answered.get("stop_reason") or "end_turn",
        stop_sequence=answered.get("stop_sequence"),
        model=response.model,
        id=answered.get("message_id") or f"msg_{uuid.uuid4().hex}",
        metadata={"provider": "anthropic", "server": answered.get("base_url")},
    )


def blocks_of(response: object) -> Sequence[object]:
    """The content blocks of a response, whoever made it."""
    content = getattr(response, "content", None)
    if isinstance(response, Mapping):
        content = response.get("content")
    return content if isinstance(content, Sequence) and not isinstance(content, str) else ()


def part_of(block: object, name: str) -> Any:
    """A field of a block, which may be a dict or an object; None where it has none."""
    return block.get(name) if isinstance(block, Mapping) else getattr(block, name, None)


class _Function(msgspec.Struct):
    name: str
    arguments: dict[str, Any] | str | None = None


class _Call(msgspec.Struct):
    function: _Function


class _Message(msgspec.Struct):
    content: str | None = None
    thinking: str | None = None
    tool_calls: list[dict[str, Any]] | None = None


def _call(call: dict[str, Any]) -> dict[str, Any]:
    """The call with an id, and with its arguments as an object, which some servers write as text. Raises ValueError."""
    arguments = msgspec.convert(call, _Call).function.arguments
    if isinstance(arguments, str):
        arguments = msgspec.json.decode(arguments, type=dict[str, Any]) if arguments.strip() else {}
    return {
        **call,
        "id": call.get("id") or f"toolu_{uuid.uuid4().hex[:24]}",
        "function": {**call["function"], "arguments": arguments or {}},
    }


def _count(answer: Mapping[str, Any], name: str) -> int:
    count = answer.get(name)
    return count if isinstance(count, int) else 0
