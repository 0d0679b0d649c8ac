"""What a request says, as any provider takes it: messages, and what goes with them."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from namel3ss.bridge.conversation import to_messages, to_system_text, to_tools
from namel3ss.errors import UsageError
from namel3ss.gateway.dialects.members import read_value
from namel3ss.gateway.routes import Action, Dialect
from namel3ss.providers.conversation import check_items

if TYPE_CHECKING:
    from namel3ss.gateway.dialects.requests import InferenceRequest
    from namel3ss.gateway.routes import Route

__all__ = ["Conversation", "conversation_of"]

# What only Ollama's own models can do something with.
_ONLY_OLLAMAS: Final = ("raw", "suffix", "template", "context")


@dataclass(frozen=True, slots=True)
class Conversation:
    """`overrides` are settings for this one call, under the names of declarations."""

    messages: list[Any]
    overrides: dict[str, Any] = field(default_factory=dict)

    @property
    def has_system(self) -> bool:
        return any(
            isinstance(message, dict) and message.get("role") in {"system", "developer"}
            for message in self.messages
        )


def conversation_of(route: Route, request: InferenceRequest) -> Conversation | None:
    """None where the request has something that other providers have no word for.

    Raises UsageError for messages that are none.
    """
    values = {name: read_value(raw) for name, raw in request.members.items() if name in _READ}
    if request.is_load or any(values.get(name) for name in _ONLY_OLLAMAS):
        return None
    messages = _messages(route, values)
    if messages is None:
        return None
    for message in messages:
        if isinstance(message, dict) and message.get("images"):
            message["images"] = [_image(image) for image in check_items(message["images"], "images")]
    return Conversation(messages, _overrides(route, request, values))


def _image(image: object) -> bytes | str:
    """What a provider never takes for a path: these images come from somebody else, and the files here are not theirs."""
    if isinstance(image, str) and image.startswith("data:"):
        return image
    try:
        return base64.b64decode(image, validate=True) if isinstance(image, str) else b""
    except ValueError:
        raise UsageError("An image is no base64.") from None


_READ: Final = frozenset(
    {"messages", "prompt", "system", "images", "tools", "format", "response_format", "temperature", "stop"}
    | {"stop_sequences", *_ONLY_OLLAMAS}
)


def _messages(route: Route, values: dict[str, Any]) -> list[Any] | None:
    if route.action is Action.GENERATE:
        prompt: dict[str, Any] = {"role": "user", "content": values.get("prompt")}
        if values.get("images"):
            prompt["images"] = values["images"]
        system = values.get("system")
        return [{"role": "system", "content": system}, prompt] if system else [prompt]
    messages = values.get("messages")
    if route.dialect is Dialect.ANTHROPIC and isinstance(messages, list):
        return list(to_messages(messages, to_system_text(values.get("system"), None)))
    return messages if isinstance(messages, list) and messages else None


def _overrides(route: Route, request: InferenceRequest, values: dict[str, Any]) -> dict[str, Any]:
    said = request.options if route.dialect is Dialect.OLLAMA else values
    stop = said.get("stop") or values.get("stop_sequences")
    overrides: dict[str, Any] = {"temperature": said.get("temperature"), "stop": stop}
    if request.max_tokens is not None and request.max_tokens > 0:
        overrides["max_tokens"] = int(request.max_tokens)
    if tools := values.get("tools"):
        overrides["tools"] = to_tools(tools, ("input_schema",))
    overrides["format"] = values.get("format") or None
    overrides["response_format"] = values.get("response_format")
    return {name: value for name, value in overrides.items() if value is not None}
