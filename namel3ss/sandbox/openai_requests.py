"""What clients may send to the OpenAI routes, and how it becomes a native request."""

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
    FLOAT32,
    INTEGER,
    TEXT,
    BadBodyError,
    ListOf,
    Record,
    parse,
    read_whole,
    wire,
)
from namel3ss.sandbox.faces import UnfitError
from namel3ss.sandbox.goscan import find_fault_of_all
from namel3ss.sandbox.request_kinds import Arguments
from namel3ss.sandbox.requests import (
    TOOL,
    ChatRequest,
    EmbedRequest,
    GenerateRequest,
    Message,
    Think,
    Tool,
    ToolCall,
    ToolCallFunction,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "CHAT_COMPLETION",
    "COMPLETION",
    "EMBEDDING",
    "ChatCompletionRequest",
    "CompletionRequest",
    "EmbeddingRequest",
    "chat_request",
    "embed_request",
    "generate_request",
    "image_bytes",
    "read_arguments",
    "read_effort",
]

_EFFORTS: Final = ("high", "medium", "low", "max", "none")
_NEWER_EFFORTS: Final = {"minimal": "low", "xhigh": "max", "ultra": "max"}
_IMAGE_KINDS: Final = ("image/jpeg", "image/jpg", "image/png", "image/webp", "")

# What the server calls the function of a call.
_CALL_FUNCTION: Final = r'struct { Name string "json:\"name\""; Arguments string "json:\"arguments\"" }'


@dataclass
class _CallFunction:
    name: str = field(default="", metadata=wire(TEXT))
    arguments: str = field(default="", metadata=wire(TEXT))


@dataclass
class _Call:
    id: str = field(default="", metadata=wire(TEXT))
    index: int = field(default=0, metadata=wire(INTEGER))
    type: str = field(default="", metadata=wire(TEXT))
    function: _CallFunction = field(
        default_factory=_CallFunction, metadata=wire(Record(_CallFunction, "", _CALL_FUNCTION))
    )


@dataclass
class _Message:
    role: str = field(default="", metadata=wire(TEXT))
    content: object = field(default=None, metadata=wire(ANYTHING))
    reasoning: str = field(default="", metadata=wire(TEXT))
    tool_calls: list[_Call] = field(
        default_factory=list,
        metadata=wire(ListOf(Record(_Call, "ToolCall", "openai.ToolCall"), "[]openai.ToolCall")),
    )
    name: str = field(default="", metadata=wire(TEXT))
    tool_call_id: str = field(default="", metadata=wire(TEXT))


@dataclass
class _StreamOptions:
    include_usage: bool = field(default=False, metadata=wire(BOOLEAN))


@dataclass
class _JsonSchema:
    schema: object = field(default=None, metadata=wire(AS_WRITTEN))


@dataclass
class _ResponseFormat:
    type: str = field(default="", metadata=wire(TEXT))
    json_schema: _JsonSchema | None = field(
        default=None, metadata=wire(Record(_JsonSchema, "JsonSchema", "openai.JsonSchema"))
    )


@dataclass
class _Reasoning:
    effort: str = field(default="", metadata=wire(TEXT))


@dataclass
class ChatCompletionRequest:
    """`POST /v1/chat/completions`; what the server does not read is not here."""

    model: str = field(default="", metadata=wire(TEXT))
    messages: list[_Message] = field(
        default_factory=list,
        metadata=wire(ListOf(Record(_Message, "Message", "openai.Message"), "[]openai.Message")),
    )
    stream: bool = field(default=False, metadata=wire(BOOLEAN))
    stream_options: _StreamOptions | None = field(
        default=None, metadata=wire(Record(_StreamOptions, "StreamOptions", "openai.StreamOptions"))
    )
    max_tokens: int | None = field(default=None, metadata=wire(INTEGER))
    seed: int | None = field(default=None, metadata=wire(INTEGER))
    stop: object = field(default=None, metadata=wire(ANYTHING))
    temperature: float | None = field(default=None, metadata=wire(FLOAT))
    frequency_penalty: float | None = field(default=None, metadata=wire(FLOAT))
    presence_penalty: float | None = field(default=None, metadata=wire(FLOAT))
    top_p: float | None = field(default=None, metadata=wire(FLOAT))
    response_format: _ResponseFormat | None = field(
        default=None, metadata=wire(Record(_ResponseFormat, "ResponseFormat", "openai.ResponseFormat"))
    )
    tools: list[Tool] = field(default_factory=list, metadata=wire(ListOf(TOOL, "[]api.Tool")))
    reasoning: _Reasoning | None = field(
        default=None, metadata=wire(Record(_Reasoning, "Reasoning", "openai.Reasoning"))
    )
    reasoning_effort: str | None = field(default=None, metadata=wire(TEXT))
    logprobs: bool | None = field(default=None, metadata=wire(BOOLEAN))
    top_logprobs: int = field(default=0, metadata=wire(INTEGER))
    render_only: bool = field(default=False, metadata=wire(BOOLEAN, name="_debug_render_only"))


@dataclass
class CompletionRequest:
    """`POST /v1/completions`."""

    model: str = field(default="", metadata=wire(TEXT))
    prompt: str = field(default="", metadata=wire(TEXT))
    frequency_penalty: float = field(default=0.0, metadata=wire(FLOAT32))
    max_tokens: int | None = field(default=None, metadata=wire(INTEGER))
    presence_penalty: float = field(default=0.0, metadata=wire(FLOAT32))
    seed: int | None = field(default=None, metadata=wire(INTEGER))
    stop: object = field(default=None, metadata=wire(ANYTHING))
    stream: bool = field(default=False, metadata=wire(BOOLEAN))
    stream_options: _StreamOptions | None = field(
        default=None, metadata=wire(Record(_StreamOptions, "StreamOptions", "openai.StreamOptions"))
    )
    temperature: float | None = field(default=None, metadata=wire(FLOAT32))
    top_p: float = field(default=0.0, metadata=wire(FLOAT32))
    suffix: str = field(default="", metadata=wire(TEXT))
    logprobs: int | None = field(default=None, metadata=wire(INTEGER))
    render_only: bool = field(default=False, metadata=wire(BOOLEAN, name="_debug_render_only"))


@dataclass
class EmbeddingRequest:
    """`POST /v1/embeddings`."""

    input: object = field(default=None, metadata=wire(ANYTHING))
    model: str = field(default="", metadata=wire(TEXT))
    dimensions: int = field(default=0, metadata=wire(INTEGER))
    encoding_format: str = field(default="", metadata=wire(TEXT))


CHAT_COMPLETION = Record(ChatCompletionRequest, "ChatCompletionRequest", "openai.ChatCompletionRequest")
COMPLETION = Record(CompletionRequest, "CompletionRequest", "openai.CompletionRequest")
EMBEDDING = Record(EmbeddingRequest, "EmbedRequest", "openai.EmbedRequest")


def chat_request(request: ChatCompletionRequest, *, newer: bool) -> ChatRequest:
    """The native request. Raises UnfitError."""
    if not request.messages:
        raise UnfitError("[] is too short - 'messages'")
    messages: list[Message] = []
    for message in request.messages:
        messages += _messages(message, request.messages)
    options: dict[str, object] = {
        "num_predict": request.max_tokens,
        "temperature": 1.0 if request.temperature is None else request.temperature,
        "seed": request.seed,
        "frequency_penalty": request.frequency_penalty,
        "presence_penalty": request.presence_penalty,
        "top_p": 1.0 if request.top_p is None else request.top_p,
        "stop": _stops(request.stop),
    }
    effort = request.reasoning.effort if request.reasoning else (request.reasoning_effort or "")
    return ChatRequest(
        model=request.model,
        messages=messages,
        format=_format(request.response_format),
        options=options,
        stream=request.stream,
        tools=request.tools,
        think=read_effort(effort, newer=newer),
        logprobs=bool(request.logprobs),
        top_logprobs=request.top_logprobs,
    )


def read_effort(effort: str, *, newer: bool, mark: str = "'") -> Think | None:
    """How hard to think; `mark` is put around a value that is refused. Raises UnfitError."""
    if not effort:
        return None
    if newer:
        effort = _NEWER_EFFORTS.get(effort, effort)
    if effort not in _EFFORTS:
        raise UnfitError(
            f"invalid reasoning value: {mark}{effort}{mark} "
            '(must be "high", "medium", "low", "max", or "none")'
        )
    return False if effort == "none" else effort


def _format(wanted: _ResponseFormat | None) -> object:
    kind = wanted.type.strip().lower() if wanted else ""
    if kind == "json_object":
        return "json"
    if kind == "json_schema" and wanted is not None and wanted.json_schema is not None:
        return wanted.json_schema.schema
    return None


def _stops(value: object, *, strict: bool = False) -> list[str] | None:
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        return None
    for each in value:
        if strict and not isinstance(each, str):
            raise UnfitError(f"invalid type for 'stop' field: {_go_type(each)}")
    return [each for each in value if isinstance(each, str)]


def _go_type(value: object) -> str:
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "float64"
    if isinstance(value, dict):
        return "map[string]interface {}"
    return "[]interface {}" if isinstance(value, list) else "string"


def _messages(message: _Message, conversation: Sequence[_Message]) -> list[Message]:
    tool_name = (
        message.name or _called(conversation, message.tool_call_id) if message.role.lower() == "tool" else ""
    )
    role, content = message.role.lower(), message.content
    whole = Message(
        role=role,
        thinking=message.reasoning,
        tool_calls=_calls(message.tool_calls),
        tool_name=tool_name,
        tool_call_id=message.tool_call_id,
    )
    if isinstance(content, str):
        whole.content = content
        return [whole]
    if not isinstance(content, list):
        if not message.tool_calls:
            raise UnfitError(f"invalid message content type: {_go_type(content)}")
        return [whole]
    parts = [_part(role, part) for part in content]
    if parts and message.tool_calls:
        last = parts[-1]
        last.tool_calls, last.thinking = whole.tool_calls, whole.thinking
        last.tool_name, last.tool_call_id = tool_name, message.tool_call_id
    return parts


def _part(role: str, part: object) -> Message:
    """Each part of a message is a message of its own."""
    if not isinstance(part, dict):
        raise UnfitError("invalid message format")
    if part.get("type") == "text" and isinstance(part.get("text"), str):
        return Message(role=role, content=part["text"])
    if part.get("type") == "image_url":
        place = part.get("image_url")
        url = place.get("url") if isinstance(place, dict) else place
        if not isinstance(url, str):
            raise UnfitError("invalid message format")
        return Message(role=role, images=[image_bytes(url)])
    if part.get("type") == "input_audio":
        return Message(role=role, images=[_audio(part.get("input_audio"))])
    raise UnfitError("invalid message format")


def image_bytes(url: str) -> bytes:
    """The picture in a data URI. Raises UnfitError."""
    if url.startswith(("http://", "https://")):
        raise UnfitError("image URLs are not currently supported, please use base64 encoded data instead")
    head, separator, data = url.partition(";base64,")
    if not separator or not head.startswith("data:") or head[len("data:") :] not in _IMAGE_KINDS:
        raise UnfitError("invalid image input")
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error:
        raise UnfitError("invalid image input") from None


def _audio(value: object) -> bytes:
    if not isinstance(value, dict):
        raise UnfitError("invalid input_audio format")
    data = value.get("data")
    if not isinstance(data, str):
        raise UnfitError("invalid input_audio format: missing data")
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error as error:
        raise UnfitError(f"invalid input_audio base64 data: {error}") from None


def _calls(calls: Sequence[_Call]) -> list[ToolCall]:
    made = []
    for call in calls:
        try:
            arguments = read_arguments(call.function.arguments)
        except BadBodyError:
            raise UnfitError("invalid tool call arguments") from None
        made.append(
            ToolCall(id=call.id, function=ToolCallFunction(name=call.function.name, arguments=arguments))
        )
    return made


def read_arguments(text: str) -> dict[str, object]:
    """The arguments of a call, which are JSON of their own; null is none. Raises BadBodyError."""
    fault = find_fault_of_all(text.encode("utf-8", "replace"))
    if fault is not None:
        raise BadBodyError(str(fault))
    value = parse(text.encode("utf-8", "replace"))
    return read_whole(Arguments().read, {} if value is None else value)


def _called(conversation: Sequence[_Message], call_id: str) -> str:
    """The name of the function that the call with this id was for; the last one counts."""
    for message in reversed(conversation):
        for call in message.tool_calls:
            if call_id and call.id == call_id:
                return call.function.name
    return ""


def generate_request(request: CompletionRequest) -> GenerateRequest:
    """The native request. Raises UnfitError."""
    options: dict[str, object] = {
        "num_predict": request.max_tokens,
        "temperature": 1.0 if request.temperature is None else request.temperature,
        "seed": request.seed,
        "frequency_penalty": request.frequency_penalty,
        "presence_penalty": request.presence_penalty,
        "top_p": request.top_p or 1.0,
        "stop": _stops(request.stop, strict=True),
    }
    return GenerateRequest(
        model=request.model,
        prompt=request.prompt,
        suffix=request.suffix,
        options=options,
        stream=request.stream,
    )


def embed_request(request: EmbeddingRequest) -> EmbedRequest:
    """The native request. Raises UnfitError."""
    if request.encoding_format.lower() not in ("", "float", "base64"):
        raise UnfitError(
            f"Invalid value for 'encoding_format' = {request.encoding_format}. "
            "Supported values: ['float', 'base64']."
        )
    if request.input is None or request.input == []:
        raise UnfitError("invalid input")
    texts = [""] if request.input == "" else request.input
    return EmbedRequest(model=request.model, input=texts, dimensions=request.dimensions)
