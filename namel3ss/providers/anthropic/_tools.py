"""Tools and the choice among them, from Anthropic's or OpenAI's form into Anthropic's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from namel3ss.errors import UsageError
from namel3ss.providers.call_parts import check_finite

__all__ = ["read_choice", "wire_choice", "wire_tools"]

_NO_INPUT: Final[Mapping[str, Any]] = {"type": "object", "properties": {}}
_OWN_KEYS: Final = ("cache_control", "strict", "input_examples", "defer_loading", "eager_input_streaming")
_CHOICES: Final = ("auto", "any", "none")


def wire_tools(tools: object, place: str = "tools") -> list[dict[str, Any]]:
    """The tools as the API takes them. Raises UsageError that names the one that is none."""
    if isinstance(tools, str | bytes | Mapping) or not isinstance(tools, Sequence):
        raise UsageError(f"{place} must be a list, not a value of type {type(tools).__name__}.")
    return [_tool(tool, f"{place}[{index}]") for index, tool in enumerate(tools)]


def _tool(tool: object, place: str) -> dict[str, Any]:
    kind = tool.get("type") if isinstance(tool, Mapping) else None
    if isinstance(tool, Mapping) and isinstance(kind, str) and kind not in ("function", "custom"):
        check_finite(tool, place)
        return dict(tool)  # one of the API's own, such as web search
    function = tool.get("function", tool) if isinstance(tool, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str) or not function["name"]:
        raise UsageError(
            f"{place} does not describe a tool.",
            suggestion='One looks like {"name": "…", "description": "…", "input_schema": {…}}.',
        )
    schema = function.get("input_schema", function.get("parameters"))
    if schema is None:
        schema = _NO_INPUT
    if not isinstance(schema, Mapping):
        raise UsageError(
            f"{place}: its schema must be an object, not a value of type {type(schema).__name__}."
        )
    check_finite(function, place)
    wire: dict[str, Any] = {"name": function["name"]}
    if isinstance(description := function.get("description"), str) and description:
        wire["description"] = description
    wire["input_schema"] = {"type": "object", **schema}
    return wire | {key: function[key] for key in _OWN_KEYS if function.get(key) is not None}


def wire_choice(choice: object, tools: Sequence[Mapping[str, Any]], *, one_at_a_time: bool) -> dict[str, Any]:
    """`tool_choice` as the API takes it. `one_at_a_time` forbids several calls in one answer."""
    wire = read_choice(choice)
    if wire["type"] == "tool":
        names = [str(tool.get("name")) for tool in tools]
        if wire["name"] not in names:
            raise UsageError(
                f"tool_choice names the tool {wire['name']!r:.60}, which is not offered.",
                suggestion=f"Write {', '.join(_CHOICES)}, or one of the tools: {', '.join(names) or 'there are none'}.",
            )
    if one_at_a_time and wire["type"] != "none":
        wire["disable_parallel_tool_use"] = True
    return wire


def read_choice(choice: object) -> dict[str, Any]:
    """A choice in any of its forms as the API has it, whatever tools are offered."""
    if isinstance(choice, str) and choice:
        if choice == "required":  # OpenAI's word
            return {"type": "any"}
        return {"type": choice} if choice in _CHOICES else {"type": "tool", "name": choice}
    if isinstance(choice, Mapping):
        function = choice.get("function")
        if isinstance(function, Mapping) and isinstance(function.get("name"), str):
            return {"type": "tool", "name": function["name"]}
        is_named = choice.get("type") == "tool" and isinstance(choice.get("name"), str)
        if is_named or choice.get("type") in _CHOICES:
            return dict(choice)
    raise UsageError(
        "tool_choice is no choice.", suggestion=f"Write {', '.join(_CHOICES)}, or the name of a tool."
    )
