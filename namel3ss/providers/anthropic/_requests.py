"""One call's request, made from messages, settings and overrides. Pure; nothing is sent here.

A call may override every setting under its own name, and may pass what belongs to the call alone: `system`, `images` and
`format`. Names that users of other APIs and providers know are understood: `stop_sequences`, `metadata`,
`response_format`, `think`, `reasoning_effort`, `parallel_tool_calls`, `num_predict`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from namel3ss.errors import UsageError
from namel3ss.providers.anthropic._images import image_block
from namel3ss.providers.anthropic._messages import to_conversation
from namel3ss.providers.anthropic._schema import output_schema
from namel3ss.providers.anthropic._tools import wire_choice

if TYPE_CHECKING:
    from namel3ss.providers.anthropic._config import AnthropicConfig
    from namel3ss.providers.anthropic._messages import Block, Conversation

__all__ = ["Call", "message_call"]

_CALL_KEYS: Final = frozenset(["system", "images", "format", "response_format"])
_OTHER_NAMES: Final[Mapping[str, str]] = {
    "stop_sequences": "stop",
    "parallel_tool_calls": "parallel_tool_use",
    "num_predict": "max_tokens",
    "reasoning_effort": "effort",
}
_EFFORTS: Final[Mapping[object, str]] = {
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "xhigh",
    "max": "max",
}
_COUNTED: Final = ("model", "messages", "system", "thinking", "tools", "tool_choice", "output_config")


@dataclass(frozen=True, slots=True)
class Call:
    """A request of `/v1/messages` ready to be sent, and the settings in force for it."""

    body: dict[str, Any]
    config: AnthropicConfig
    headers: dict[str, str] = field(default_factory=dict)
    """What this request says beside the headers of every request, such as the trace it belongs to."""

    @property
    def model(self) -> str:
        model: str = self.body["model"]
        return model

    @property
    def messages(self) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = self.body["messages"]
        return messages

    def to_be_counted(self) -> dict[str, Any]:
        """The part of the body that has tokens of a prompt, for `/v1/messages/count_tokens`."""
        return {name: self.body[name] for name in _COUNTED if name in self.body}


def message_call(model: str, config: AnthropicConfig, messages: object, overrides: Mapping[str, Any]) -> Call:
    """A call that answers the conversation. Raises UsageError for anything that no server should see."""
    conversation = to_conversation(messages)
    call, settings = _split(overrides) if overrides else ({}, {})
    config = config.overridden(settings)
    if call.get("system") is not None:
        conversation.system = _system(call["system"])
    if call.get("images") is not None:
        _add_images(conversation, call["images"])
    body: dict[str, Any] = {
        "model": model,
        "max_tokens": config.max_tokens,
        "messages": conversation.messages,
        "stream": True,
    }
    if conversation.system:
        body["system"] = _shortest(conversation.system)
    for message in conversation.messages:
        message["content"] = _shortest(message["content"])
    body |= _settings_fields(config)
    if output := _output_config(config, call):
        body["output_config"] = output
    return Call(body | config.extra, config)


def _shortest(blocks: list[Block]) -> list[Block] | str:
    """A lone text as the API's shorter form."""
    is_text = len(blocks) == 1 and blocks[0].keys() == {"type", "text"} and blocks[0]["type"] == "text"
    return blocks[0]["text"] if is_text else blocks


# -- overrides ------------------------------------------------------------------------------------------------


def _split(overrides: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What belongs to the call alone, and the settings; other APIs' names translated."""
    call: dict[str, Any] = {}
    settings: dict[str, Any] = {}
    for name, value in overrides.items():
        if name in _CALL_KEYS:
            call[name] = value
        elif name == "metadata":
            settings["user_id"] = value.get("user_id") if isinstance(value, Mapping) else value
        elif name == "think":
            settings |= _thinking(value)
        elif name == "reasoning_effort":
            settings |= _effort(value)
        else:
            settings[_OTHER_NAMES.get(name, name)] = value
    if "format" in call and "response_format" in call:
        raise UsageError("format and response_format mean the same.", suggestion="Pass one of them.")
    return call, settings


def _thinking(value: object) -> dict[str, Any]:
    """`think` as the provider `ollama` has it."""
    if value is None:
        return {}
    if isinstance(value, bool):
        return {"thinking": "adaptive" if value else "off"}
    if isinstance(value, str) and value in _EFFORTS:
        return {"thinking": "adaptive", "effort": _EFFORTS[value]}
    raise UsageError(
        f"think is {value!r:.40}.", suggestion="Write true, false, low, medium, high or max; or set thinking."
    )


def _effort(value: object) -> dict[str, Any]:
    if value is None:
        return {}
    if value == "none":
        return {"thinking": "off"}
    if value not in _EFFORTS:
        raise UsageError(
            f"reasoning_effort is {value!r:.40}.", suggestion=f"Write none, {', '.join(map(str, _EFFORTS))}."
        )
    return {"effort": _EFFORTS[value]}


def _system(system: object) -> list[Block]:
    """The instruction of this call, in place of whatever the conversation says; "" means none."""
    if isinstance(system, str) and not system:
        return []
    try:
        return to_conversation(
            [{"role": "system", "content": system}, {"role": "user", "content": "-"}]
        ).system
    except UsageError as error:
        raise UsageError(
            "system must be a text, or a list of blocks of text.", suggestion=error.suggestion
        ) from error


def _add_images(conversation: Conversation, images: object) -> None:
    """Images of the call belong to the last message of the user."""
    if not isinstance(images, Sequence) or isinstance(images, str | bytes):
        raise UsageError(f"images must be a list, not a value of type {type(images).__name__}.")
    blocks = [image_block(image, f"images[{index}]") for index, image in enumerate(images)]
    last = next((message for message in reversed(conversation.messages) if message["role"] == "user"), None)
    if last is None:
        raise UsageError("images need a message of the user to belong to.")
    last["content"] += blocks


# -- settings -------------------------------------------------------------------------------------------------


def _settings_fields(config: AnthropicConfig) -> dict[str, Any]:
    """The fields that settings become: what somebody wrote, under the API's names."""
    fields: dict[str, Any] = {}
    for name in ("temperature", "top_p", "top_k", "service_tier"):
        value = getattr(config, name)
        if value is not None:
            fields[name] = value
    if config.stop:
        fields["stop_sequences"] = [config.stop] if isinstance(config.stop, str) else config.stop
    if config.user_id is not None:
        fields["metadata"] = {"user_id": config.user_id}
    if config.cache_control is not None:
        fields["cache_control"] = {"type": "ephemeral", "ttl": config.cache_control}
    if thinking := _thinking_field(config):
        fields["thinking"] = thinking
    if config.tools:
        fields["tools"] = config.tools
        if config.tool_choice is not None or config.parallel_tool_use is False:
            fields["tool_choice"] = wire_choice(
                config.tool_choice or "auto",
                config.tools,
                one_at_a_time=config.parallel_tool_use is False,
            )
    return fields


def _thinking_field(config: AnthropicConfig) -> dict[str, Any] | None:
    match config.thinking:
        case None:
            return None
        case "off":
            return {"type": "disabled"}
        case "between_tools":
            return {"type": "between_tools"}
        case "adaptive":
            field: dict[str, Any] = {"type": "adaptive"}
        case budget:
            field = {"type": "enabled", "budget_tokens": budget}
    if config.thinking_display is not None:
        field["display"] = config.thinking_display
    return field


def _output_config(config: AnthropicConfig, call: Mapping[str, Any]) -> dict[str, Any]:
    """Effort, and the schema of the answer.

    The schema goes into `output_config`, and not into a tool that the model has to call: the answer then is text that
    streams and is certain to fit, it may be given along with other tools, and the model may think before it.
    """
    output: dict[str, Any] = {}
    if config.effort is not None:
        output["effort"] = config.effort
    for name in ("format", "response_format"):
        schema = output_schema(call[name], name) if call.get(name) is not None else None
        if schema is not None:
            output["format"] = {"type": "json_schema", "schema": schema}
    return output
