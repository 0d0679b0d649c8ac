"""Messages and tools in Anthropic's shape, turned into Ollama's. Pure; roles and order stay as they were sent.

Blocks may be dicts or objects. Plain messages, also those in OpenAI's or Ollama's own shape, pass through.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from namel3ss.bridge.answers import part_of
from namel3ss.errors import UsageError

__all__ = ["SCHEMA_KEYS", "to_messages", "to_system_text", "to_tools"]

logger = logging.getLogger(__name__)

SCHEMA_KEYS: Final = ("openai_schema", "input_schema", "parameters")
_KEPT: Final = ("thinking", "images", "tool_call_id", "tool_name")


def to_messages(messages: Sequence[object], system: str | None) -> list[dict[str, Any]]:
    """The conversation for ``/api/chat``. Raises UsageError that names what no model can read."""
    if isinstance(messages, str) or not isinstance(messages, Sequence):
        raise UsageError(
            f"messages must be a list of messages, not a value of type {type(messages).__name__}."
        )
    if not messages:
        raise UsageError("messages is empty.", suggestion="Pass at least one message.")
    wire: list[dict[str, Any]] = [{"role": "system", "content": system}] if system else []
    tool_names: dict[str, str] = {}
    for index, message in enumerate(messages):
        wire += _message(message, f"messages[{index}]", tool_names)
    return wire


def to_system_text(system_prompt: object, dynamic_content: str | None) -> str | None:
    """The instruction: the prompt (a text, or text blocks) and what changes from call to call, if either is there."""
    if system_prompt is not None and not isinstance(system_prompt, str):
        texts, images = _texts_and_images(system_prompt, "system_prompt")
        if images:
            raise UsageError("system_prompt cannot hold images.")
        system_prompt = "\n\n".join(texts)
    if dynamic_content is not None and not isinstance(dynamic_content, str):
        raise UsageError(
            f"dynamic_content must be a text, not a value of type {type(dynamic_content).__name__}."
        )
    return "\n\n".join(part for part in (system_prompt, dynamic_content) if part) or None


def to_tools(tools: Sequence[object], schema_keys: Sequence[str] = SCHEMA_KEYS) -> list[dict[str, Any]]:
    """The tools that have a schema, as Ollama takes them; the others are left out with a warning.

    A schema is found under the first of `schema_keys` that a tool has. A tool in OpenAI's and Ollama's own shape, a dict
    with `function`, has one in there.
    """
    wire = []
    for tool in tools:
        schema = next((found for key in schema_keys if (found := part_of(tool, key)) is not None), None)
        if schema is None and part_of(part_of(tool, "function"), "parameters") is not None:
            schema = tool  # in Ollama's own shape already
        inner = schema.get("function", schema) if isinstance(schema, Mapping) else {}
        is_whole = isinstance(inner, Mapping) and "parameters" in inner
        name = part_of(tool, "name") or (inner.get("name") if is_whole else None)
        if not isinstance(schema, Mapping) or not isinstance(name, str):
            logger.warning("The tool %r has no schema and is left out.", name)
            continue
        description = part_of(tool, "description") or (inner.get("description") if is_whole else None)
        function: dict[str, Any] = {"name": name, "parameters": inner["parameters"] if is_whole else schema}
        if description:
            function["description"] = description
        wire.append({"type": "function", "function": function})
    return wire


def _message(message: object, place: str, tool_names: dict[str, str]) -> list[dict[str, Any]]:
    role, content = part_of(message, "role"), part_of(message, "content")
    if not isinstance(role, str) or not role:
        raise UsageError(f"{place}.role is missing.", suggestion="Write user or assistant.")
    if content is None or isinstance(content, str):
        return [_plain(message, role, content or "", tool_names)]
    if not isinstance(content, Sequence):
        raise UsageError(
            f"{place}.content must be a text or a list of blocks, not a value of type {type(content).__name__}."
        )
    if role == "assistant":
        return [_assistant_turn(content, place, tool_names)]
    results = [block for block in content if part_of(block, "type") == "tool_result"]
    rest = [block for block in content if part_of(block, "type") != "tool_result"]
    wire = [_tool_turn(block, place, tool_names) for block in results]
    if rest or not results:
        # The answers of the tools belong right behind the calls; what the user says beside them comes after.
        texts, images = _texts_and_images(rest, place)
        wire.append(_turn(role, texts, images))
    return wire


def _plain(message: object, role: str, content: str, tool_names: dict[str, str]) -> dict[str, Any]:
    wire: dict[str, Any] = {"role": role, "content": content}
    wire |= {key: value for key in _KEPT if (value := part_of(message, key))}
    if calls := part_of(message, "tool_calls"):
        if isinstance(calls, str) or not isinstance(calls, Sequence):
            raise UsageError(f"tool_calls must be a list, not a value of type {type(calls).__name__}.")
        wire["tool_calls"] = [_call(call, tool_names) for call in calls]
    if role == "tool" and "tool_name" not in wire and wire.get("tool_call_id") in tool_names:
        wire["tool_name"] = tool_names[wire["tool_call_id"]]
    return wire


def _assistant_turn(content: Sequence[object], place: str, tool_names: dict[str, str]) -> dict[str, Any]:
    thoughts = [str(part_of(block, "thinking")) for block in content if part_of(block, "type") == "thinking"]
    calls = [
        {
            "id": part_of(block, "id"),
            "function": {"name": part_of(block, "name"), "arguments": part_of(block, "input") or {}},
        }
        for block in content
        if part_of(block, "type") == "tool_use"
    ]
    said = [
        block
        for block in content
        if part_of(block, "type") not in ("thinking", "redacted_thinking", "tool_use")
    ]
    texts, images = _texts_and_images(said, place)
    wire = _turn("assistant", texts, images)
    if thoughts:
        wire["thinking"] = "\n".join(thoughts)
    if calls:
        wire["tool_calls"] = [_call(call, tool_names) for call in calls]
    return wire


def _tool_turn(block: object, place: str, tool_names: dict[str, str]) -> dict[str, Any]:
    content = part_of(block, "content")
    texts, images = _texts_and_images([] if content is None else content, f"{place}.tool_result")
    if part_of(block, "is_error"):
        texts = [f"Error: {' '.join(texts)}".strip()]
    wire = _turn("tool", texts, images)
    call_id = part_of(block, "tool_use_id")
    if isinstance(call_id, str):
        wire["tool_call_id"] = call_id
        if call_id in tool_names:
            wire["tool_name"] = tool_names[call_id]
    return wire


def _turn(role: str, texts: list[str], images: list[str]) -> dict[str, Any]:
    wire: dict[str, Any] = {"role": role, "content": "\n".join(texts)}
    if images:
        wire["images"] = images
    return wire


def _call(call: Any, tool_names: dict[str, str]) -> dict[str, Any]:
    """A tool call for Ollama: arguments are an object, not JSON text. Its name is remembered for its answer."""
    function = part_of(call, "function")
    if not isinstance(call, Mapping) or not isinstance(function, Mapping):
        raise UsageError(
            f"A tool call must be a dict with `function`, not {call!r:.40}.",
            suggestion='For example {"id": "call_1", "function": {"name": "get_weather", "arguments": {"city": "Oslo"}}}.',
        )
    function = dict(function)
    if isinstance(function.get("arguments"), str):
        try:
            function["arguments"] = msgspec.json.decode(function["arguments"] or "{}")
        except msgspec.DecodeError as error:
            raise UsageError(
                f"The arguments of the tool call {function.get('name')!r} are not JSON."
            ) from error
    if isinstance(call.get("id"), str):
        tool_names[call["id"]] = str(function.get("name"))
    return {"id": call.get("id"), "function": function} if call.get("id") else {"function": function}


def _texts_and_images(content: object, place: str) -> tuple[list[str], list[str]]:
    if isinstance(content, str):
        return [content], []
    texts: list[str] = []
    images: list[str] = []
    for block in content if isinstance(content, Sequence) else [content]:
        kind = part_of(block, "type")
        if isinstance(block, str):
            texts.append(block)
        elif kind == "text":
            texts.append(str(part_of(block, "text") or ""))
        elif kind == "image":
            images.append(_image(part_of(block, "source"), place))
        else:
            what = f"a block of type {kind!r:.40}" if kind is not None else f"{block!r:.40}"
            raise UsageError(
                f"{place} holds {what}, which Ollama cannot read.",
                suggestion="Blocks are text, image, tool_use, tool_result and thinking.",
            )
    return texts, images


def _image(source: object, place: str) -> str:
    data = part_of(source, "data")
    if part_of(source, "type") != "base64" or not isinstance(data, str):
        raise UsageError(
            f"{place} holds an image that is not base64; images are not fetched from the network.",
            suggestion='Pass {"type": "image", "source": {"type": "base64", "media_type": …, "data": …}}.',
        )
    return data
