"""What clients may send to the Responses route, and how it becomes a native request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from namel3ss.sandbox.decoding import (
    AS_WRITTEN,
    BOOLEAN,
    FLOAT,
    INTEGER,
    OBJECT,
    TEXT,
    BadBodyError,
    Checked,
    ListOf,
    Record,
    name_of,
    read_whole,
    wire,
)
from namel3ss.sandbox.faces import UnfitError
from namel3ss.sandbox.gojson import quote
from namel3ss.sandbox.openai_requests import image_bytes, read_arguments, read_effort
from namel3ss.sandbox.request_kinds import Parameters
from namel3ss.sandbox.requests import ChatRequest, Message, Tool, ToolCall, ToolCallFunction, ToolFunction

if TYPE_CHECKING:
    from collections.abc import Mapping

    from namel3ss.sandbox.decoding import Kind, Reader

__all__ = ["RESPONSES", "ResponsesRequest", "chat_request"]


class _Input:
    """A text, or items."""

    go_type = "openai.ResponsesInput"

    def read(self, value: object, reader: Reader) -> object:
        if isinstance(value, str | list):
            return value
        reader.refuse(
            "input must be a string or array: "
            f"json: cannot unmarshal {name_of(value)} into Go value of type []json.RawMessage"
        )
        return ""

    def zero(self) -> object:
        return ""


@dataclass
class _Reasoning:
    effort: str = field(default="", metadata=wire(TEXT))
    generate_summary: str = field(default="", metadata=wire(TEXT))
    summary: str = field(default="", metadata=wire(TEXT))

    def said(self, *, in_full: bool) -> dict[str, object] | None:
        """What was asked for, as it is repeated in the answer; `in_full` with nulls, as a stream's events have it."""
        found = {"effort": self.effort or None, "summary": self.summary or None}
        if not any(found.values()):
            return None
        return {key: value for key, value in found.items() if value or in_full}


@dataclass
class _TextFormat:
    type: str = field(default="", metadata=wire(TEXT))
    name: str = field(default="", metadata=wire(TEXT))
    schema: object = field(default=None, metadata=wire(AS_WRITTEN))
    strict: bool | None = field(default=None, metadata=wire(BOOLEAN))


@dataclass
class _Text:
    format: object = field(
        default=None,
        metadata=wire(Checked(Record(_TextFormat, "ResponsesTextFormat", "openai.ResponsesTextFormat"))),
    )


@dataclass
class ResponsesTool:
    """A function that the model may call."""

    type: str = field(default="", metadata=wire(TEXT))
    name: str = field(default="", metadata=wire(TEXT))
    description: str | None = field(default=None, metadata=wire(TEXT))
    strict: bool | None = field(default=None, metadata=wire(BOOLEAN))
    parameters: object = field(default=None, metadata=wire(OBJECT))

    @property
    def value(self) -> dict[str, object]:
        return dict(self.__dict__)


@dataclass
class ResponsesRequest:
    """`POST /v1/responses`; what the server does not read is not here."""

    model: str = field(default="", metadata=wire(TEXT))
    background: bool = field(default=False, metadata=wire(BOOLEAN))
    include: list[str] = field(default_factory=list, metadata=wire(ListOf(TEXT, "[]string")))
    input: str | list[object] = field(default="", metadata=wire(_Input()))
    instructions: str = field(default="", metadata=wire(TEXT))
    max_output_tokens: int | None = field(default=None, metadata=wire(INTEGER))
    reasoning: _Reasoning | None = field(
        default=None, metadata=wire(Record(_Reasoning, "ResponsesReasoning", "openai.ResponsesReasoning"))
    )
    temperature: float | None = field(default=None, metadata=wire(FLOAT))
    text: _Text | None = field(
        default=None, metadata=wire(Record(_Text, "ResponsesText", "openai.ResponsesText"))
    )
    top_p: float | None = field(default=None, metadata=wire(FLOAT))
    truncation: str | None = field(default=None, metadata=wire(TEXT))
    tools: list[ResponsesTool] = field(
        default_factory=list,
        metadata=wire(
            ListOf(Record(ResponsesTool, "ResponsesTool", "openai.ResponsesTool"), "[]openai.ResponsesTool")
        ),
    )
    stream: bool = field(default=False, metadata=wire(BOOLEAN))

    @property
    def text_format(self) -> dict[str, object] | None:
        wanted = self.text.format if self.text else None
        return wanted if isinstance(wanted, dict) else None


@dataclass
class _ItemHead:
    type: str = field(default="", metadata=wire(TEXT))
    role: str = field(default="", metadata=wire(TEXT))


@dataclass
class _PartHead:
    type: str = field(default="", metadata=wire(TEXT))


@dataclass
class _FunctionCall(_PartHead):
    id: str = field(default="", metadata=wire(TEXT))
    call_id: str = field(default="", metadata=wire(TEXT))
    name: str = field(default="", metadata=wire(TEXT))
    arguments: str = field(default="", metadata=wire(TEXT))


@dataclass
class _FunctionCallOutput(_PartHead):
    call_id: str = field(default="", metadata=wire(TEXT))


@dataclass
class _TextPart(_PartHead):
    text: str = field(default="", metadata=wire(TEXT))


@dataclass
class _ImagePart(_PartHead):
    detail: str = field(default="", metadata=wire(TEXT))
    file_id: str = field(default="", metadata=wire(TEXT))
    image_url: str = field(default="", metadata=wire(TEXT))


@dataclass
class _FilePart(_PartHead):
    file_data: str = field(default="", metadata=wire(TEXT))
    file_id: str = field(default="", metadata=wire(TEXT))
    file_url: str = field(default="", metadata=wire(TEXT))
    filename: str = field(default="", metadata=wire(TEXT))


@dataclass
class _ReasoningItem(_PartHead):
    id: str = field(default="", metadata=wire(TEXT))
    summary: list[_TextPart] = field(
        default_factory=list,
        metadata=wire(
            ListOf(
                Record(_TextPart, "ResponsesReasoningSummary", "openai.ResponsesReasoningSummary"),
                "[]openai.ResponsesReasoningSummary",
            )
        ),
    )
    encrypted_content: str = field(default="", metadata=wire(TEXT))


# The parts of the input have decoders of their own on the server, which looks at the type first. Some have no name.
_ITEM: Final = Record(_ItemHead, "", r'struct { Type string "json:\"type\""; Role string "json:\"role\"" }')
_PART: Final = Record(_PartHead, "", r'struct { Type string "json:\"type\"" }')
_ITEMS: Final[Mapping[object, Kind]] = {
    "function_call": Record(_FunctionCall, "ResponsesFunctionCall", "openai.ResponsesFunctionCall"),
    "function_call_output": Record(_FunctionCallOutput, "", "openai.ResponsesFunctionCallOutput"),
    "reasoning": Record(_ReasoningItem, "ResponsesReasoningInput", "openai.ResponsesReasoningInput"),
}
_PARTS: Final[Mapping[object, Kind]] = {
    "input_text": Record(_TextPart, "ResponsesTextContent", "openai.ResponsesTextContent"),
    "output_text": Record(_TextPart, "ResponsesOutputTextContent", "openai.ResponsesOutputTextContent"),
    "input_image": Record(_ImagePart, "ResponsesImageContent", "openai.ResponsesImageContent"),
    "input_file": Record(_FilePart, "ResponsesFileContent", "openai.ResponsesFileContent"),
}

RESPONSES = Record(ResponsesRequest, "ResponsesRequest", "openai.ResponsesRequest")


def chat_request(request: ResponsesRequest, *, newer: bool) -> ChatRequest:
    """The native request. Raises UnfitError."""
    messages = [Message(role="system", content=request.instructions)] if request.instructions else []
    if isinstance(request.input, str):
        if request.input:
            messages.append(Message(role="user", content=request.input))
    else:
        _add_items(messages, request.input)
    wanted = request.text_format or {}
    return ChatRequest(
        model=request.model,
        messages=messages,
        format=wanted.get("schema") if wanted.get("type") == "json_schema" else None,
        options={
            "temperature": 1.0 if request.temperature is None else request.temperature,
            "top_p": request.top_p,
            "num_predict": request.max_output_tokens,
        },
        stream=request.stream,
        tools=[_native_tool(tool) for tool in request.tools],
        think=read_effort(request.reasoning.effort if request.reasoning else "", newer=newer, mark='"'),
    )


def _native_tool(tool: ResponsesTool) -> Tool:
    parameters: dict[str, object] = {}
    if tool.parameters is not None:
        parameters = _fitting(Parameters(), tool.parameters, "failed to unmarshal tool parameters")
    return Tool(type=tool.type, function=ToolFunction(tool.name, tool.description or "", parameters))


def _add_items(messages: list[Message], items: list[object]) -> None:
    """Reasoning belongs to the assistant's message that follows it."""
    thinking = ""
    for place, given in enumerate(items):
        item = _fitting(_ITEM, {} if given is None else given, f"input[{place}]")
        kind = item.get("type") or ("message" if "role" in item else "")
        if not kind:
            raise UnfitError(f"input[{place}]: input item missing required 'type' field")
        if kind in _ITEMS:
            _fitting(_ITEMS[kind], item, f"input[{place}]")
        if kind == "reasoning":
            thinking = _text(item.get("encrypted_content"))
            continue
        made = _message(kind, item, place)
        if made.role == "assistant":
            made.thinking, thinking = thinking, ""
        last = messages[-1] if messages else None
        if made.tool_calls and last is not None and last.role == "assistant":
            last.tool_calls += made.tool_calls
            last.thinking = made.thinking or last.thinking
        else:
            messages.append(made)
    if thinking:
        messages.append(Message(role="assistant", thinking=thinking))


def _message(kind: object, item: Mapping[str, object], place: int) -> Message:
    if kind == "message":
        text, images = _content(item.get("content"), f"input[{place}]: content")
        return Message(role=_text(item.get("role")).lower(), content=text, images=images)
    if kind == "function_call":
        written = _text(item.get("arguments"))
        try:
            arguments = read_arguments(written) if written else {}
        except BadBodyError as fault:
            raise UnfitError(f"failed to parse function call arguments: {fault}") from None
        function = ToolCallFunction(name=_text(item.get("name")), arguments=arguments)
        call = ToolCall(id=_text(item.get("call_id")), function=function)
        return Message(role="assistant", tool_calls=[call])
    if kind == "function_call_output":
        text, images = _content(item.get("output"), f"input[{place}]: output")
        return Message(role="tool", content=text, images=images, tool_call_id=_text(item.get("call_id")))
    raise UnfitError(f"input[{place}]: unknown input item type: {quote(_text(kind))}")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _content(value: object, where: str) -> tuple[str, list[bytes]]:
    if isinstance(value, str) or value is None:
        return value or "", []
    if not isinstance(value, list):
        raise UnfitError(
            f"{where} must be a string or array: "
            f"json: cannot unmarshal {name_of(value)} into Go value of type []json.RawMessage"
        )
    text, images = "", []
    for place, given in enumerate(value):
        part = _fitting(_PART, {} if given is None else given, f"{where}[{place}]")
        kind = part.get("type")
        if kind in _PARTS:
            _fitting(_PARTS[kind], part, f"{where}[{place}]")
        if kind in ("input_text", "output_text"):
            text += _text(part.get("text"))
        elif kind == "input_image":
            url = _text(part.get("image_url"))
            if url:
                images.append(image_bytes(url))
        elif kind == "input_file":
            raise UnfitError("file inputs are not currently supported")
        else:
            raise UnfitError(f"{where}[{place}]: unknown content type: {_text(kind)}")
    return text, images


def _fitting(kind: Kind, value: object, where: str) -> dict[str, object]:
    """The value, which has a decoder of its own on the server. Raises UnfitError."""
    try:
        read_whole(kind.read, value)
    except BadBodyError as error:
        raise UnfitError(f"{where}: {error}") from None
    assert isinstance(value, dict)  # each of these kinds refuses anything else
    return value
