"""What one call may say beside its messages, checked before anything is sent: the same for every provider."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from namel3ss.errors import UsageError
from namel3ss.providers.conversation import to_image, to_wire_messages

if TYPE_CHECKING:
    from namel3ss.providers.conversation import WireMessage

__all__ = [
    "add_images",
    "answer_format",
    "check_batch",
    "check_callable",
    "check_count",
    "check_finite",
    "check_seconds",
    "check_switch",
    "check_texts",
    "set_system",
    "tool_definitions",
]


def set_system(wire: list[WireMessage], system: object) -> None:
    """Put the instruction first, in place of one that the conversation begins with."""
    if not isinstance(system, str):
        raise UsageError(f"system must be a text, not a value of type {type(system).__name__}.")
    (message,) = to_wire_messages([{"role": "system", "content": system}])
    if wire[0]["role"] == "system":
        wire[0] = message
    else:
        wire.insert(0, message)


def add_images(wire: list[WireMessage], images: object) -> None:
    """Images of the call belong to the last message of the user."""
    if images is None:
        return
    if not isinstance(images, Sequence) or isinstance(images, str | bytes):
        raise UsageError(f"images must be a list, not a value of type {type(images).__name__}.")
    for message in reversed(wire):
        if message["role"] == "user":
            converted = [to_image(image, f"images[{index}]") for index, image in enumerate(images)]
            if converted:
                message["images"] = [*message.get("images", ()), *converted]
            return
    raise UsageError("images need a message of the user to belong to.")


def answer_format(call: Mapping[str, Any]) -> object | None:
    """What constrains the answer: "json", a JSON Schema, or None.

    Taken from `format` or `response_format` of a call, in Ollama's form, in OpenAI's, or as a pydantic model class.
    """
    if "format" in call and "response_format" in call:
        raise UsageError("format and response_format mean the same.", suggestion="Pass one of them.")
    for key in ("format", "response_format"):
        if key in call:
            return _format(call[key], key)
    return None


def _format(value: object, name: str) -> object | None:
    if value == "json" or value == "":
        return value or None
    make_schema = getattr(value, "model_json_schema", None)
    if callable(make_schema):
        value = make_schema()
    if isinstance(value, Mapping):
        kind = value.get("type")
        if kind == "text":
            return None
        if kind == "json_object":
            return "json"
        if kind == "json_schema":
            inner = value.get("json_schema")
            value = inner.get("schema") if isinstance(inner, Mapping) else None
        if isinstance(value, Mapping):
            check_finite(value, name)
            return dict(value)
    raise UsageError(
        f"{name} is neither 'json' nor a JSON Schema.",
        suggestion='Pass "json", a schema as a dict, or a pydantic model class.',
    )


def tool_definitions(tools: object) -> list[dict[str, Any]]:
    """Tools as OpenAI's and Ollama's APIs take them. A bare description of a function is accepted too."""
    if isinstance(tools, str | bytes | Mapping) or not isinstance(tools, Sequence):
        raise UsageError(f"tools must be a list, not a value of type {type(tools).__name__}.")
    return [_tool(tool, f"tools[{index}]") for index, tool in enumerate(tools)]


def _tool(tool: object, place: str) -> dict[str, Any]:
    if callable(tool):
        raise UsageError(
            f"{place} is a function, and not the description of one.",
            suggestion="Describe it, or let a program do so and call it: program.run_with_tools(prompt, [function]).",
        )
    function = tool.get("function", tool) if isinstance(tool, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str) or not function["name"]:
        raise UsageError(
            f"{place} does not describe a tool.",
            suggestion='One looks like {"type": "function", "function": {"name": "…", "parameters": {…}}}.',
        )
    check_finite(function, place)
    definition = dict(function)
    schema = definition.pop("input_schema", None)  # Anthropic's word, which other servers drop without one
    if schema is not None:
        definition.setdefault("parameters", schema)
    return {"type": "function", "function": definition}


def check_texts(texts: object) -> list[str]:
    """The texts to embed. Raises UsageError for what no server could make a vector of."""
    inputs: object = [texts] if isinstance(texts, str) else texts
    if not isinstance(inputs, Sequence) or isinstance(inputs, bytes | bytearray | memoryview):
        raise UsageError(
            f"texts must be a text or a list of texts, not a value of type {type(texts).__name__}."
        )
    if not inputs:
        raise UsageError("texts is empty.", suggestion="Pass at least one text.")
    for index, text in enumerate(inputs):
        if not isinstance(text, str):
            raise UsageError(f"texts[{index}] must be a text, not a value of type {type(text).__name__}.")
        if not text:
            raise UsageError(
                f"texts[{index}] is empty.",
                suggestion="The server returns no vector for an empty text; leave it out.",
            )
    return list(inputs)


def check_batch(batch: object) -> None:
    """Raises UsageError for a single prompt where a list of them belongs."""
    if isinstance(batch, str | bytes | Mapping) or not isinstance(batch, Iterable):
        raise UsageError(
            f"A batch is a list of prompts or conversations, not a value of type {type(batch).__name__}."
        )


def check_count(value: object, name: str) -> None:
    """Raises UsageError unless `value` is a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UsageError(f"{name} must be a whole number of at least 1, not {value!r:.40}.")


def check_seconds(value: object, name: str) -> None:
    """Raises UsageError unless `value` is a time that can be waited for: finite and more than nothing."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise UsageError(f"{name} must be a number of seconds above 0, not {value!r:.40}.")


def check_callable(value: object, name: str) -> None:
    """Raises UsageError unless `value` can be called, or is None."""
    if value is not None and not callable(value):
        raise UsageError(f"{name} must be a function, not a value of type {type(value).__name__}.")


def check_switch(value: object, name: str) -> None:
    """A switch that guards something is True or False: the text "false" of a configuration would mean yes."""
    if not isinstance(value, bool):
        raise UsageError(f"{name} must be True or False, not {value!r:.40}.")


def check_finite(value: object, place: str, *, depth: int = 0) -> None:
    """JSON has no infinity and no NaN, and an encoder would silently write null."""
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"{place} holds {value}; a server takes only finite numbers.")
    if depth > 64:
        raise UsageError(f"{place} is nested too deeply.")
    if isinstance(value, Mapping):
        for item in value.values():
            check_finite(item, place, depth=depth + 1)
    elif isinstance(value, list | tuple):
        for item in value:
            check_finite(item, place, depth=depth + 1)
