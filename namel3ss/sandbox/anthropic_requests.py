"""What clients may send to the Anthropic route, and how it becomes a native request."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from namel3ss.sandbox.decoding import (
    ANYTHING,
    AS_WRITTEN,
    BOOLEAN,
    FLOAT,
    INTEGER,
    TEXT,
    BadBodyError,
    ListOf,
    Record,
    TakesNull,
    read_whole,
    wire,
)
from namel3ss.sandbox.faces import UnfitError
from namel3ss.sandbox.gojson import encode, quote
from namel3ss.sandbox.request_kinds import Arguments, Parameters
from namel3ss.sandbox.requests import (
    ChatRequest,
    Message,
    Think,
    Tool,
    ToolCall,
    ToolCallFunction,
    ToolFunction,
)
from namel3ss.sandbox.schemas import json_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from namel3ss.sandbox.decoding import Reader

__all__ = ["MESSAGES", "MessagesRequest", "chat_request", "estimated_tokens"]

_EFFORTS: Final = ("high", "medium", "low", "max")
# What the server's decoder of a message calls it.
_MESSAGE: Final = r'struct { Role string "json:\"role\""; Content json.RawMessage "json:\"content\"" }'


@dataclass
class _ImageSource:
    type: str = field(default="", metadata=wire(TEXT))
    media_type: str = field(default="", metadata=wire(TEXT))
    data: str = field(default="", metadata=wire(TEXT))
    url: str = field(default="", metadata=wire(TEXT))


@dataclass
class _Block:
    """A block of content: checked alone, and read from what is written."""

    type: str = field(default="", metadata=wire(TEXT))
    text: str | None = field(default=None, metadata=wire(TEXT))
    source: _ImageSource | None = field(
        default=None,
        metadata=wire(Record(_ImageSource, "ImageSource", "anthropic.ImageSource", transparent=True)),
    )
    id: str = field(default="", metadata=wire(TEXT))
    name: str = field(default="", metadata=wire(TEXT))
    input: object = field(default=None, metadata=wire(Arguments()))
    tool_use_id: str = field(default="", metadata=wire(TEXT))
    content: object = field(default=None, metadata=wire(ANYTHING))
    is_error: bool = field(default=False, metadata=wire(BOOLEAN))
    thinking: str | None = field(default=None, metadata=wire(TEXT))
    signature: str = field(default="", metadata=wire(TEXT))


_BLOCK: Final = Record(_Block, "ContentBlock", "anthropic.ContentBlock", transparent=True)


class _Content(TakesNull):
    """A text, or blocks; null is an empty text."""

    go_type = "[]anthropic.ContentBlock"

    def read(self, value: object, reader: Reader) -> object:
        if isinstance(value, str | None):
            return [{"type": "text", "text": value or ""}]
        # The message has a decoder of its own, so its own field is not part of what is told.
        name = reader.path.pop()
        if isinstance(value, list):
            for each in value:
                if each is not None:
                    _BLOCK.read(each, reader)
            value = [{} if each is None else each for each in value]
        else:
            reader.mismatch(value, self.go_type)
        reader.path.append(name)
        return value

    def zero(self) -> object:
        return []


@dataclass
class _MessageParam:
    role: str = field(default="", metadata=wire(TEXT))
    content: list[dict[str, object]] | None = field(default=None, metadata=wire(_Content()))


@dataclass
class _Tool:
    type: str = field(default="", metadata=wire(TEXT))
    name: str = field(default="", metadata=wire(TEXT))
    description: str = field(default="", metadata=wire(TEXT))
    input_schema: object = field(default=None, metadata=wire(AS_WRITTEN))
    max_uses: int = field(default=0, metadata=wire(INTEGER))


@dataclass
class _ToolChoice:
    """Checked alone: the server does not follow it."""

    type: str = field(default="", metadata=wire(TEXT))
    name: str = field(default="", metadata=wire(TEXT))
    disable_parallel_tool_use: bool = field(default=False, metadata=wire(BOOLEAN))


@dataclass
class _Metadata:
    """Checked alone."""

    user_id: str = field(default="", metadata=wire(TEXT))


@dataclass
class _Thinking:
    type: str = field(default="", metadata=wire(TEXT))
    budget_tokens: int = field(default=0, metadata=wire(INTEGER))


@dataclass
class _OutputConfig:
    effort: str = field(default="", metadata=wire(TEXT))
    # Not read by Ollama; read here, where the sandbox stands in for Anthropic's API.
    format: object = field(default=None, metadata=wire(ANYTHING))


@dataclass
class MessagesRequest:
    """`POST /v1/messages`; what the server does not read is not here."""

    model: str = field(default="", metadata=wire(TEXT))
    max_tokens: int = field(default=0, metadata=wire(INTEGER))
    messages: list[_MessageParam] = field(
        default_factory=list,
        metadata=wire(
            ListOf(
                Record(_MessageParam, "MessageParam", _MESSAGE, transparent=True),
                "[]anthropic.MessageParam",
            )
        ),
    )
    system: object = field(default=None, metadata=wire(ANYTHING))
    stream: bool = field(default=False, metadata=wire(BOOLEAN))
    temperature: float | None = field(default=None, metadata=wire(FLOAT))
    top_p: float | None = field(default=None, metadata=wire(FLOAT))
    top_k: int | None = field(default=None, metadata=wire(INTEGER))
    stop_sequences: list[str] = field(default_factory=list, metadata=wire(ListOf(TEXT, "[]string")))
    tools: list[_Tool] = field(
        default_factory=list,
        metadata=wire(ListOf(Record(_Tool, "Tool", "anthropic.Tool"), "[]anthropic.Tool")),
    )
    tool_choice: _ToolChoice | None = field(
        default=None, metadata=wire(Record(_ToolChoice, "ToolChoice", "anthropic.ToolChoice"))
    )
    metadata: _Metadata | None = field(
        default=None, metadata=wire(Record(_Metadata, "Metadata", "anthropic.Metadata"))
    )
    thinking: _Thinking | None = field(
        default=None, metadata=wire(Record(_Thinking, "ThinkingConfig", "anthropic.ThinkingConfig"))
    )
    output_config: _OutputConfig | None = field(
        default=None, metadata=wire(Record(_OutputConfig, "OutputConfig", "anthropic.OutputConfig"))
    )


MESSAGES = Record(MessagesRequest, "MessagesRequest", "anthropic.MessagesRequest")


def chat_request(request: MessagesRequest) -> ChatRequest:
    """The native request. Raises UnfitError."""
    if not request.model:
        raise UnfitError("model is required")
    if request.max_tokens <= 0:
        raise UnfitError("max_tokens is required and must be positive")
    if not request.messages:
        raise UnfitError("messages is required")
    system = _system(request.system)
    messages = [Message(role="system", content=system)] if system else []
    for message in request.messages:
        messages += _messages(message)
    return ChatRequest(
        model=request.model,
        messages=messages,
        options={
            "num_predict": request.max_tokens,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "top_k": request.top_k,
            "stop": request.stop_sequences or None,
        },
        stream=request.stream,
        tools=[_native_tool(tool) for tool in request.tools],
        think=_think(request),
        format=_format(request.output_config),
    )


def _format(wanted: _OutputConfig | None) -> object:
    given = wanted.format if wanted is not None else None
    return given.get("schema") if isinstance(given, dict) and given.get("type") == "json_schema" else None


def _system(value: object) -> str:
    if isinstance(value, str):
        return value
    return "".join(_texts(value))


def _texts(blocks: object) -> list[str]:
    if not isinstance(blocks, list):
        return []
    return [
        block["text"]
        for block in blocks
        if isinstance(block, dict) and block.get("type") == "text" and isinstance(block.get("text"), str)
    ]


def _think(request: MessagesRequest) -> Think | None:
    if request.thinking is not None and request.thinking.type in ("enabled", "disabled"):
        return request.thinking.type == "enabled"
    effort = request.output_config.effort.strip().lower() if request.output_config else ""
    effort = "high" if effort == "xhigh" else effort
    return effort if effort in _EFFORTS else None


def _native_tool(tool: _Tool) -> Tool:
    parameters: dict[str, object] = {}
    if tool.input_schema is not None:
        try:
            read_whole(Parameters().read, tool.input_schema)
        except BadBodyError as error:
            raise UnfitError(f"invalid input_schema for tool {quote(tool.name)}: {error}") from None
        parameters = tool.input_schema if isinstance(tool.input_schema, dict) else {}
    if tool.type.startswith("web_search"):
        parameters = {
            "type": "object",
            "required": ["query"],
            "properties": {"query": {"type": "string", "description": "what to look for"}},
        }
        return Tool(type="function", function=ToolFunction("web_search", "Search the web.", parameters))
    return Tool(type="function", function=ToolFunction(tool.name, tool.description, parameters))


def _messages(message: _MessageParam) -> list[Message]:
    """One message of theirs may be several: results of tools are messages of their own."""
    whole = Message(role=message.role.lower())
    results: list[Message] = []
    if message.content is None:
        raise UnfitError("unexpected end of JSON input")
    for block in message.content:
        kind = block.get("type")
        if kind == "text":
            whole.content += _text(block.get("text"))
        elif kind == "thinking":
            whole.thinking = _text(block.get("thinking"))
        elif kind == "image":
            whole.images.append(_image(block.get("source")))
        elif kind == "tool_use":
            whole.tool_calls.append(_call(block))
        elif kind == "tool_result":
            results.append(_result(block))
    said = [whole] if whole.content or whole.images or whole.tool_calls or whole.thinking else []
    return [*results, *said] if whole.role == "user" else [*said, *results]


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _image(source: object) -> bytes:
    if not isinstance(source, dict):
        raise UnfitError("invalid image source")
    if source.get("type") != "base64":
        raise UnfitError(
            f"invalid image source type: {_text(source.get('type'))}. Only base64 images are supported."
        )
    try:
        return base64.b64decode(_text(source.get("data")), validate=True)
    except binascii.Error as error:
        raise UnfitError(f"invalid base64 image data: {error}") from None


def _call(block: dict[str, object]) -> ToolCall:
    for name in ("id", "name"):
        if not block.get(name):
            raise UnfitError(f"tool_use block missing required '{name}' field")
    arguments = block.get("input")
    function = ToolCallFunction(
        name=_text(block.get("name")), arguments=arguments if isinstance(arguments, dict) else {}
    )
    return ToolCall(id=_text(block.get("id")), function=function)


def _result(block: dict[str, object]) -> Message:
    content = block.get("content")
    text = content if isinstance(content, str) else "".join(_texts(content))
    images = [
        _image(each.get("source"))
        for each in (content if isinstance(content, list) else [])
        if isinstance(each, dict) and each.get("type") == "image"
    ]
    return Message(role="tool", content=text, images=images, tool_call_id=_text(block.get("tool_use_id")))


def estimated_tokens(request: MessagesRequest) -> int:
    """What the server tells of the prompt before it has read it: a quarter of its length."""
    length = len(request.system) if isinstance(request.system, str) else _blocks_length(request.system)
    for message in request.messages:
        length += len(message.role) + _blocks_length(message.content)
    for tool in request.tools:
        schema = json_text(tool.input_schema) if tool.input_schema is not None else ""
        length += len(tool.name) + len(tool.description) + len(schema)
    return length // 4 or 1


def _blocks_length(blocks: object | Sequence[object]) -> int:
    length = 0
    for block in blocks if isinstance(blocks, list) else []:
        if isinstance(block, dict):
            length += len(_text(block.get("text"))) + len(_text(block.get("thinking")))
            if block.get("type") in ("tool_use", "tool_result"):
                length += len(encode(block))
    return length
