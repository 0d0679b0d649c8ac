"""What clients may send to the native routes."""

from __future__ import annotations

from dataclasses import dataclass, field

from namel3ss.sandbox.decoding import (
    ANYTHING,
    BOOLEAN,
    BYTES,
    INTEGER,
    OBJECT,
    TEXT,
    Reader,
    Record,
    wire,
    wire_list,
)
from namel3ss.sandbox.durations import FOREVER_NS, BadDuration, parse_duration
from namel3ss.sandbox.gojson import quote

__all__ = [
    "CHAT",
    "COPY",
    "CREATE",
    "DELETE",
    "EMBED",
    "EMBEDDINGS",
    "GENERATE",
    "PULL",
    "SHOW",
    "ChatRequest",
    "CopyRequest",
    "CreateRequest",
    "DeleteRequest",
    "EmbedRequest",
    "EmbeddingsRequest",
    "GenerateRequest",
    "Message",
    "PullRequest",
    "ShowRequest",
    "Think",
    "Tool",
    "ToolCall",
    "ToolCallFunction",
    "ToolFunction",
]

Think = bool | str
"""Whether to think: yes, no, or how hard."""

_THINK_LEVELS = ("high", "medium", "low", "max")
_THINK_CHOICES = '"high", "medium", "low", "max", true, or false'


class _KeepAlive:
    """A number of seconds, or a Go duration; negative means for ever. Kept in nanoseconds."""

    go_type = "api.Duration"

    def read(self, value: object, reader: Reader) -> object:
        if isinstance(value, str):
            try:
                duration = parse_duration(value)
            except BadDuration as error:
                reader.refuse(str(error))
                return None
            return FOREVER_NS if duration < 0 else duration
        if isinstance(value, int | float) and not isinstance(value, bool):
            return FOREVER_NS if value < 0 else min(int(value * 1e9), FOREVER_NS)
        kind = {bool: "bool", list: "[]interface {}", dict: "map[string]interface {}"}[type(value)]
        reader.refuse(f"Unsupported type: '{kind}'")
        return None

    def zero(self) -> object:
        return None


class _Think:
    go_type = "api.ThinkValue"

    def read(self, value: object, reader: Reader) -> object:
        if isinstance(value, bool) or value in _THINK_LEVELS:
            return value
        if isinstance(value, str):
            reader.refuse(f"invalid think value: {quote(value)} (must be {_THINK_CHOICES})")
        else:
            reader.refuse(f"think must be a boolean or string ({_THINK_CHOICES})")
        return None

    def zero(self) -> object:
        return None


class _Lowered:
    """A role: roles are compared in lower case."""

    go_type = "string"

    def read(self, value: object, reader: Reader) -> object:
        text = TEXT.read(value, reader)
        return text.lower() if isinstance(text, str) else ""

    def zero(self) -> object:
        return ""


class _Arguments:
    """The arguments of a tool call: an object, its keys in order."""

    go_type = "api.ToolCallFunctionArguments"

    def read(self, value: object, reader: Reader) -> object:
        if isinstance(value, dict):
            return value
        reader.refuse("Value looks like object, but can't find closing '}' symbol")
        return {}

    def zero(self) -> object:
        return {}


class _Parameters:
    """A tool's parameters: kept as they are, with the types that the server insists on checked."""

    go_type = "api.ToolFunctionParameters"

    def read(self, value: object, reader: Reader) -> object:
        if not isinstance(value, dict):
            reader.mismatch(value, self.go_type)
            return {}
        outer, reader.struct = reader.struct, "ToolFunctionParameters"
        self._check(value, reader)
        reader.struct = outer
        return value

    def _check(self, value: dict[str, object], reader: Reader) -> None:
        if value.get("type") is not None:
            self._inside("type", value["type"], (str,), "string", reader)
        if value.get("required") is not None:
            self._inside("required", value["required"], (list,), "[]string", reader)
        properties = value.get("properties")
        if not isinstance(properties, dict):
            return
        reader.path.append("properties")
        for each in properties.values():
            if not isinstance(each, dict):
                reader.mismatch(each, "api.ToolProperty")
            elif each.get("type") is not None:
                self._inside("type", each["type"], (str, list), "[]string", reader)
        reader.path.pop()

    def _inside(
        self, name: str, value: object, types: tuple[type, ...], go_type: str, reader: Reader
    ) -> None:
        reader.path.append(name)
        if not isinstance(value, types):
            reader.mismatch(value, go_type)
        reader.path.pop()

    def zero(self) -> object:
        return {}


@dataclass
class ToolCallFunction:
    index: int = wire(INTEGER, 0)
    name: str = wire(TEXT, "")
    arguments: dict[str, object] = field(default_factory=dict, metadata={"kind": _Arguments(), "name": None})


@dataclass
class ToolCall:
    id: str = wire(TEXT, "")
    function: ToolCallFunction = field(
        default_factory=ToolCallFunction,
        metadata={
            "kind": Record(ToolCallFunction, "ToolCallFunction", "api.ToolCallFunction", transparent=True),
            "name": None,
        },
    )


@dataclass
class Message:
    role: str = wire(_Lowered(), "")
    content: str = wire(TEXT, "")
    thinking: str = wire(TEXT, "")
    images: list[bytes] = wire_list(BYTES, "[]api.ImageData")
    tool_calls: list[ToolCall] = wire_list(
        Record(ToolCall, "ToolCall", "api.ToolCall", transparent=True), "[]api.ToolCall"
    )
    tool_name: str = wire(TEXT, "")
    tool_call_id: str = wire(TEXT, "")


@dataclass
class ToolFunction:
    name: str = wire(TEXT, "")
    description: str = wire(TEXT, "")
    parameters: dict[str, object] = field(
        default_factory=dict, metadata={"kind": _Parameters(), "name": None}
    )


@dataclass
class Tool:
    type: str = wire(TEXT, "")
    items: object = wire(ANYTHING, None)
    function: ToolFunction = field(
        default_factory=ToolFunction,
        metadata={"kind": Record(ToolFunction, "ToolFunction", "api.ToolFunction"), "name": None},
    )


MESSAGE = Record(Message, "Message", "api.Alias", transparent=True)
TOOL = Record(Tool, "Tool", "api.Tool")


@dataclass
class GenerateRequest:
    model: str = wire(TEXT, "")
    prompt: str = wire(TEXT, "")
    suffix: str = wire(TEXT, "")
    system: str = wire(TEXT, "")
    template: str = wire(TEXT, "")
    context: list[int] = wire_list(INTEGER, "[]int")
    stream: bool | None = wire(BOOLEAN, None)
    raw: bool = wire(BOOLEAN, False)
    format: object = wire(ANYTHING, None)
    keep_alive: int | None = wire(_KeepAlive(), None)
    images: list[bytes] = wire_list(BYTES, "[]api.ImageData")
    options: dict[str, object] | None = wire(OBJECT, None)
    think: Think | None = wire(_Think(), None)
    truncate: bool | None = wire(BOOLEAN, None)
    shift: bool | None = wire(BOOLEAN, None)
    render_only: bool = wire(BOOLEAN, False, name="_debug_render_only")
    logprobs: bool = wire(BOOLEAN, False)
    top_logprobs: int = wire(INTEGER, 0)


@dataclass
class ChatRequest:
    model: str = wire(TEXT, "")
    messages: list[Message] = wire_list(MESSAGE, "[]api.Message")
    stream: bool | None = wire(BOOLEAN, None)
    format: object = wire(ANYTHING, None)
    keep_alive: int | None = wire(_KeepAlive(), None)
    tools: list[Tool] = wire_list(TOOL, "api.Tools")
    options: dict[str, object] | None = wire(OBJECT, None)
    think: Think | None = wire(_Think(), None)
    truncate: bool | None = wire(BOOLEAN, None)
    shift: bool | None = wire(BOOLEAN, None)
    render_only: bool = wire(BOOLEAN, False, name="_debug_render_only")
    logprobs: bool = wire(BOOLEAN, False)
    top_logprobs: int = wire(INTEGER, 0)


@dataclass
class EmbedRequest:
    model: str = wire(TEXT, "")
    input: object = wire(ANYTHING, None)
    keep_alive: int | None = wire(_KeepAlive(), None)
    truncate: bool | None = wire(BOOLEAN, None)
    dimensions: int = wire(INTEGER, 0)
    options: dict[str, object] | None = wire(OBJECT, None)


@dataclass
class EmbeddingsRequest:
    model: str = wire(TEXT, "")
    prompt: str = wire(TEXT, "")
    keep_alive: int | None = wire(_KeepAlive(), None)
    options: dict[str, object] | None = wire(OBJECT, None)


@dataclass
class ShowRequest:
    model: str = wire(TEXT, "")
    name: str = wire(TEXT, "")
    system: str = wire(TEXT, "")
    verbose: bool = wire(BOOLEAN, False)


@dataclass
class PullRequest:
    """A pull, and a push: both name a model and may stream."""

    model: str = wire(TEXT, "")
    name: str = wire(TEXT, "")
    insecure: bool = wire(BOOLEAN, False)
    stream: bool | None = wire(BOOLEAN, None)


@dataclass
class CopyRequest:
    source: str = wire(TEXT, "")
    destination: str = wire(TEXT, "")


@dataclass
class DeleteRequest:
    model: str = wire(TEXT, "")
    name: str = wire(TEXT, "")


class _Files:
    """File names and the digests of their blobs."""

    go_type = "map[string]string"

    def read(self, value: object, reader: Reader) -> object:
        if not isinstance(value, dict):
            reader.mismatch(value, self.go_type)
            return None
        for each in value.values():
            if not isinstance(each, str):
                reader.mismatch(each, "string")
        return value

    def zero(self) -> object:
        return None


@dataclass
class CreateRequest:
    model: str = wire(TEXT, "")
    name: str = wire(TEXT, "")
    stream: bool | None = wire(BOOLEAN, None)
    source: str = wire(TEXT, "", name="from")
    files: dict[str, str] | None = wire(_Files(), None)
    template: str = wire(TEXT, "")
    license: object = wire(ANYTHING, None)
    system: str = wire(TEXT, "")
    parameters: dict[str, object] | None = wire(OBJECT, None)
    messages: list[Message] = wire_list(MESSAGE, "[]api.Message")
    info: dict[str, object] | None = wire(OBJECT, None)


GENERATE = Record(GenerateRequest, "GenerateRequest", "api.GenerateRequest")
CHAT = Record(ChatRequest, "ChatRequest", "api.ChatRequest")
EMBED = Record(EmbedRequest, "EmbedRequest", "api.EmbedRequest")
EMBEDDINGS = Record(EmbeddingsRequest, "EmbeddingRequest", "api.EmbeddingRequest")
SHOW = Record(ShowRequest, "ShowRequest", "api.ShowRequest")
PULL = Record(PullRequest, "PullRequest", "api.PullRequest")
COPY = Record(CopyRequest, "CopyRequest", "api.CopyRequest")
DELETE = Record(DeleteRequest, "DeleteRequest", "api.DeleteRequest")
CREATE = Record(CreateRequest, "CreateRequest", "api.CreateRequest")
