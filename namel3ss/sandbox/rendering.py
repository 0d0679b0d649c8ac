"""Prompts from templates, and what a model's template says about the model."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from namel3ss.sandbox.template_run import GoDocument, GoStruct, execute
from namel3ss.sandbox.template_tree import (
    Block,
    Branch,
    Field,
    Output,
    Pipeline,
    Text,
    fields_used,
)
from namel3ss.sandbox.templates import parse_template

if TYPE_CHECKING:
    from collections.abc import Sequence

    from namel3ss.sandbox.requests import Message, Think, Tool

__all__ = ["render_chat", "render_legacy", "thinking_tags", "tool_call_tag", "uses"]


@lru_cache(maxsize=64)
def uses(template: str) -> frozenset[str]:
    """The lower-case names of the fields that the template mentions."""
    return frozenset(fields_used(parse_template(template)))


def render_chat(
    template: str, messages: Sequence[Message], tools: Sequence[Tool] = (), think: Think | None = None
) -> str:
    """The prompt for a conversation. Raises TemplateError."""
    system, collated = _collate(messages)
    switches: dict[str, object] = {
        "Think": bool(think),
        "ThinkLevel": think if isinstance(think, str) else ("medium" if think else ""),
        "IsThinkSet": think is not None,
    }
    if "messages" in uses(template):
        data = {
            "System": system,
            "Messages": [_message(each) for each in collated],
            "Tools": [_tool(each) for each in tools],
            "Response": "",
            **switches,
        }
        return execute(parse_template(template), data)
    return _turn_by_turn(template, collated, switches)


def render_legacy(template: str, prompt: str, suffix: str, think: Think | None) -> str:
    """The prompt for filling in between `prompt` and `suffix`."""
    data: dict[str, object] = {"Prompt": prompt, "Suffix": suffix, "Response": "", "Think": bool(think)}
    return execute(parse_template(template), data)


def _collate(messages: Sequence[Message]) -> tuple[str, list[Message]]:
    """All system texts, and the messages with neighbours of one role joined (tool results stay apart)."""
    collated: list[Message] = []
    for message in messages:
        if collated and collated[-1].role == message.role != "tool":
            collated[-1].content += "\n\n" + message.content
        else:
            collated.append(replace(message))
    system = "\n\n".join(message.content for message in messages if message.role == "system")
    return system, collated


def _turn_by_turn(template: str, messages: Sequence[Message], switches: dict[str, object]) -> str:
    """Templates that know no messages are run once for each exchange; the last one stops at its response."""
    block = _with_response(parse_template(template))
    out: list[str] = []
    turn = {"System": "", "Prompt": "", "Response": ""}
    for message in messages:
        slot = {"system": "System", "user": "Prompt", "assistant": "Response"}.get(message.role)
        if slot is None:
            continue
        if (slot == "Prompt" and turn["Response"]) or (
            slot == "System" and (turn["Prompt"] or turn["Response"])
        ):
            out.append(execute(block, {**turn, **switches}))
            turn = {"System": "", "Prompt": "", "Response": ""}
        turn[slot] = message.content
    out.append(execute(_until_response(block), {**turn, **switches}))
    return "".join(out)


def _is_response(node: object) -> bool:
    return isinstance(node, Output) and "response" in fields_used((node,))


def _with_response(block: Block) -> Block:
    if "response" in fields_used(block):
        return block
    return (*block, Output(Pipeline((Field(None, ("Response",)),))))


def _until_response(block: Block) -> Block:
    kept = []
    for node in block:
        kept.append(node)
        if _is_response(node):
            break
    return tuple(kept)


def _message(message: Message) -> GoStruct:
    return GoStruct(
        Role=message.role,
        Content=message.content,
        Thinking=message.thinking,
        Images=list(message.images),
        ToolCalls=[
            GoStruct(
                ID=call.id,
                Function=GoStruct(
                    Index=call.function.index,
                    Name=call.function.name,
                    Arguments=GoDocument(call.function.arguments),
                ),
            )
            for call in message.tool_calls
        ],
        ToolName=message.tool_name,
        ToolCallID=message.tool_call_id,
    )


_PROPERTY_KEYS = ("anyOf", "type", "items", "description", "enum", "properties", "required")


def _tool(tool: Tool) -> GoStruct:
    parameters = tool.function.parameters
    properties = parameters.get("properties")
    described = {}
    if isinstance(properties, dict):
        for name, each in properties.items():
            described[name] = {key: each[key] for key in _PROPERTY_KEYS if each.get(key)}
    return GoStruct(
        Type=tool.type,
        Items=tool.items,
        Function=GoStruct(
            Name=tool.function.name,
            Description=tool.function.description,
            Parameters=GoStruct(
                Type=parameters.get("type") or "",
                Defs=parameters.get("$defs"),
                Items=parameters.get("items"),
                Required=list(_list(parameters.get("required"))),
                Properties=GoDocument(described),
            ),
        ),
    )


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


@lru_cache(maxsize=64)
def thinking_tags(template: str) -> tuple[str, str] | None:
    """The texts around `.Thinking` inside the loop over the messages, such as `<think>` and `</think>`."""
    for node in _nodes(parse_template(template)):
        if isinstance(node, Branch) and node.kind == "range" and "messages" in _fields_of(node.value):
            found = _around_thinking(node.body)
            if found:
                return found
    return None


def _around_thinking(block: Block) -> tuple[str, str] | None:
    for node in block:
        if isinstance(node, Branch):
            found = _around_thinking(node.body) or _around_thinking(node.otherwise)
            if found:
                return found
    if any(isinstance(node, Output) and "thinking" in fields_used((node,)) for node in block):
        first, last = block[0], block[-1]
        opening = first.text.strip() if isinstance(first, Text) else ""
        closing = last.text.strip() if isinstance(last, Text) else ""
        if opening and closing:
            return opening, closing
    return None


@lru_cache(maxsize=64)
def tool_call_tag(template: str) -> str:
    """What stands before a call in the model's output, such as `<tool_call>`; `{` when nothing does."""
    for node in _nodes(parse_template(template)):
        if isinstance(node, Branch) and "toolcalls" in _fields_of(node.value):
            for inner in _nodes(node.body):
                if isinstance(inner, Text) and inner.text.strip():
                    return inner.text.partition("{")[0].strip() or "{"
    return "{"


def _fields_of(value: Pipeline) -> set[str]:
    return fields_used((Output(value),))


def _nodes(block: Block) -> list[object]:
    """Every node, depth first."""
    found: list[object] = []
    for node in block:
        found.append(node)
        if isinstance(node, Branch):
            found += _nodes(node.body) + _nodes(node.otherwise)
    return found
