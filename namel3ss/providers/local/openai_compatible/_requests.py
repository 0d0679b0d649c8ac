"""One call's request, made from messages, settings and overrides. Pure; nothing is sent here.

A call may override every setting under its own name, and may pass what belongs to the call alone: `system`, `images`, and
`format`, the name that other providers have for `response_format`. A field that is no setting goes through `extra`.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec

from namel3ss.errors import UsageError
from namel3ss.providers.call_parts import add_images, check_count, check_texts, set_system
from namel3ss.providers.conversation import to_wire_messages

if TYPE_CHECKING:
    from collections.abc import Mapping

    from namel3ss.providers.conversation import WireMessage
    from namel3ss.providers.local.openai_compatible._config import OpenAICompatibleConfig

__all__ = ["CHAT_PATH", "EMBED_PATH", "Call", "embed_call", "message_call"]

CHAT_PATH: Final = "/chat/completions"
EMBED_PATH: Final = "/embeddings"

_CALL_KEYS: Final = frozenset(["system", "images"])
# How an image begins, and what it then is.
_IMAGE_TYPES: Final = (
    (b"\x89PNG", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"RIFF", "image/webp"),
)


@dataclass(frozen=True, slots=True)
class Call:
    """A request: what it says beside the messages, the messages in the one form, and the settings in force for it."""

    path: str
    fields: dict[str, Any]
    config: OpenAICompatibleConfig
    messages: list[WireMessage] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    """What this request says beside the headers of every request, such as the trace it belongs to."""

    @property
    def model(self) -> str:
        model: str = self.fields["model"]
        return model

    def body(self) -> dict[str, Any]:
        """What is sent. The images have to be loaded."""
        if self.path == EMBED_PATH:
            return self.fields
        return {**self.fields, "messages": [_outgoing(message) for message in self.messages]}


def message_call(
    model: str,
    config: OpenAICompatibleConfig,
    url: str,
    messages: object,
    overrides: Mapping[str, Any],
    *,
    is_streamed: bool,
) -> Call:
    """A call of `/chat/completions` at `url`. Raises UsageError for anything that no server should see."""
    wire = to_wire_messages(messages)
    call, config = _split(overrides, config)
    add_images(wire, call.get("images"))
    if call.get("system") is not None:
        set_system(wire, call["system"])
    _check_tool_turns(wire)
    fields: dict[str, Any] = {"model": model, "stream": is_streamed}
    if is_streamed and config.stream_usage:
        fields["stream_options"] = {"include_usage": True}
    return Call(CHAT_PATH, fields | config.request_fields(url), config, wire)


def embed_call(
    model: str,
    config: OpenAICompatibleConfig,
    texts: object,
    *,
    dimensions: int | None,
    overrides: Mapping[str, Any],
) -> Call:
    """A call of `/embeddings` for one text or several."""
    inputs = check_texts(texts)
    if dimensions is not None:
        check_count(dimensions, "dimensions")
    call, config = _split(overrides, config)
    if call:
        raise UsageError(f"{next(iter(call))} has no meaning where texts become vectors.")
    fields: dict[str, Any] = {"model": model, "input": inputs, "encoding_format": "float"}
    if dimensions is not None:
        fields["dimensions"] = dimensions
    return Call(EMBED_PATH, fields | config.extra, config)


def _split(
    overrides: Mapping[str, Any], config: OpenAICompatibleConfig
) -> tuple[dict[str, Any], OpenAICompatibleConfig]:
    """What belongs to the call alone, and the settings in force for it."""
    if not overrides:
        return {}, config
    call = {name: value for name, value in overrides.items() if name in _CALL_KEYS and value is not None}
    settings = {name: value for name, value in overrides.items() if name not in _CALL_KEYS}
    if "format" in settings:
        wanted = settings.pop("format")
        if settings.get("response_format") is not None:
            raise UsageError("format and response_format mean the same.", suggestion="Pass one of them.")
        settings["response_format"] = wanted
    if settings.get("max_tokens") is not None:
        settings.setdefault("max_completion_tokens", None)
    elif settings.get("max_completion_tokens") is not None:
        settings.setdefault("max_tokens", None)
    return call, config.overridden(settings)


# -- messages -------------------------------------------------------------------------------------------------


def _check_tool_turns(wire: list[WireMessage]) -> None:
    """Calls without an id get one, and answers of tools that name no call the id of the first call they may answer."""
    waiting: list[tuple[str, str]] = []
    for position, message in enumerate(wire):
        for index, call in enumerate(message.get("tool_calls", ())):
            call.setdefault("id", f"call_{position}_{index}")
            waiting.append((call["id"], call["function"]["name"]))
        if message["role"] != "tool":
            continue
        if "tool_call_id" not in message:
            name = message.get("tool_name")
            own = next((each for each in waiting if name is None or each[1] == name), None)
            if own is None:
                raise UsageError(
                    f"messages[{position}] is the answer of a tool that nobody called.",
                    suggestion="Give it the tool_call_id of a call in the assistant's message before it.",
                )
            message["tool_call_id"] = own[0]
        waiting = [each for each in waiting if each[0] != message["tool_call_id"]]


def _outgoing(message: WireMessage) -> dict[str, Any]:
    """A message as this protocol takes it."""
    out: dict[str, Any] = {"role": message["role"], "content": message["content"]}
    if images := message.get("images"):
        texts = [{"type": "text", "text": message["content"]}] if message["content"] else []
        out["content"] = texts + [
            {"type": "image_url", "image_url": {"url": _data_uri(image)}} for image in images
        ]
    if calls := message.get("tool_calls"):
        out["tool_calls"] = [_outgoing_call(call) for call in calls]
        out["content"] = message["content"] or None
    if "tool_call_id" in message:
        out["tool_call_id"] = message["tool_call_id"]
    return out


def _outgoing_call(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call["function"]
    try:
        arguments = msgspec.json.encode(function["arguments"]).decode()
    except (TypeError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        raise UsageError(f"The arguments of a tool call cannot be written as JSON: {error}") from error
    return {
        "id": call["id"],
        "type": "function",
        "function": {"name": function["name"], "arguments": arguments},
    }


def _data_uri(image: bytes) -> str:
    kind = next((kind for start, kind in _IMAGE_TYPES if image.startswith(start)), "image/png")
    return f"data:{kind};base64,{base64.b64encode(image).decode('ascii')}"
