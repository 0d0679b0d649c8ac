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
    ListOf,
    Reader,
    Record,
    wire,
)
from namel3ss.sandbox.durations import FOREVER_NS, BadDurationError, parse_duration
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
            except BadDurationError as error:
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
    index: int = field(default=0, metadata=wire(INTEGER))
    name: str = field(default="", metadata=wire(TEXT))
    arguments: dict[str, object] = field(default_factory=dict, metadata=wire(_Arguments()))


@dataclass
class ToolCall:
    id: str = field(default="", metadata=wire(TEXT))
    function: ToolCallFunction = field(
        default_factory=ToolCallFunction,
        metadata=wire(Record(ToolCallFunction, "ToolCallFunction", "api.ToolCallFunction", transparent=True)),
    )


@dataclass
class Message:
    role: str = field(default="", metadata=wire(_Lowered()))
    content: str = field(default="", metadata=wire(TEXT))
    thinking: str = field(default="", metadata=wire(TEXT))
    images: list[bytes] = field(default_factory=list, metadata=wire(ListOf(BYTES, "[]api.ImageData")))
    tool_calls: list[ToolCall] = field(
        default_factory=list,
        metadata=wire(
            ListOf(Record(ToolCall, "ToolCall", "api.ToolCall", transparent=True), "[]api.ToolCall")
        ),
    )
    tool_name: str = field(default="", metadata=wire(TEXT))
    tool_call_id: str = field(default="", metadata=wire(TEXT))


@dataclass
class ToolFunction:
    name: str = field(default="", metadata=wire(TEXT))
    description: str = field(default="", metadata=wire(TEXT))
    parameters: dict[str, object] = field(default_factory=dict, metadata=wire(_Parameters()))


@dataclass
class Tool:
    type: str = field(default="", metadata=wire(TEXT))
    items: object = field(default=None, metadata=wire(ANYTHING))
    function: ToolFunction = field(
        default_factory=ToolFunction,
        metadata=wire(Record(ToolFunction, "ToolFunction", "api.ToolFunction")),
    )


MESSAGE = Record(Message, "Message", "api.Alias", transparent=True)
TOOL = Record(Tool, "Tool", "api.Tool")


@dataclass
class GenerateRequest:
    model: str = field(default="", metadata=wire(TEXT))
    prompt: str = field(default="", metadata=wire(TEXT))
    suffix: str = field(default="", metadata=wire(TEXT))
    system: str = field(default="", metadata=wire(TEXT))
    template: str = field(default="", metadata=wire(TEXT))
    context: list[int] = field(default_factory=list, metadata=wire(ListOf(INTEGER, "[]int")))
    stream: bool | None = field(default=None, metadata=wire(BOOLEAN))
    raw: bool = field(default=False, metadata=wire(BOOLEAN))
    format: object = field(default=None, metadata=wire(ANYTHING))
    keep_alive: int | None = field(default=None, metadata=wire(_KeepAlive()))
    images: list[bytes] = field(default_factory=list, metadata=wire(ListOf(BYTES, "[]api.ImageData")))
    options: dict[str, object] | None = field(default=None, metadata=wire(OBJECT))
    think: Think | None = field(default=None, metadata=wire(_Think()))
    truncate: bool | None = field(default=None, metadata=wire(BOOLEAN))
    shift: bool | None = field(default=None, metadata=wire(BOOLEAN))
    render_only: bool = field(default=False, metadata=wire(BOOLEAN, name="_debug_render_only"))
    logprobs: bool = field(default=False, metadata=wire(BOOLEAN))
    top_logprobs: int = field(default=0, metadata=wire(INTEGER))


@dataclass
class ChatRequest:
    model: str = field(default="", metadata=wire(TEXT))
    messages: list[Message] = field(default_factory=list, metadata=wire(ListOf(MESSAGE, "[]api.Message")))
    stream: bool | None = field(default=None, metadata=wire(BOOLEAN))
    format: object = field(default=None, metadata=wire(ANYTHING))
    keep_alive: int | None = field(default=None, metadata=wire(_KeepAlive()))
    tools: list[Tool] = field(default_factory=list, metadata=wire(ListOf(TOOL, "api.Tools")))
    options: dict[str, object] | None = field(default=None, metadata=wire(OBJECT))
    think: Think | None = field(default=None, metadata=wire(_Think()))
    truncate: bool | None = field(default=None, metadata=wire(BOOLEAN))
    shift: bool | None = field(default=None, metadata=wire(BOOLEAN))
    render_only: bool = field(default=False, metadata=wire(BOOLEAN, name="_debug_render_only"))
    logprobs: bool = field(default=False, metadata=wire(BOOLEAN))
    top_logprobs: int = field(default=0, metadata=wire(INTEGER))


@dataclass
class EmbedRequest:
    model: str = field(default="", metadata=wire(TEXT))
    input: object = field(default=None, metadata=wire(ANYTHING))
    keep_alive: int | None = field(default=None, metadata=wire(_KeepAlive()))
    truncate: bool | None = field(default=None, metadata=wire(BOOLEAN))
    dimensions: int = field(default=0, metadata=wire(INTEGER))
    options: dict[str, object] | None = field(default=None, metadata=wire(OBJECT))


@dataclass
class EmbeddingsRequest:
    model: str = field(default="", metadata=wire(TEXT))
    prompt: str = field(default="", metadata=wire(TEXT))
    keep_alive: int | None = field(default=None, metadata=wire(_KeepAlive()))
    options: dict[str, object] | None = field(default=None, metadata=wire(OBJECT))


@dataclass
class ShowRequest:
    model: str = field(default="", metadata=wire(TEXT))
    name: str = field(default="", metadata=wire(TEXT))
    system: str = field(default="", metadata=wire(TEXT))
    verbose: bool = field(default=False, metadata=wire(BOOLEAN))


@dataclass
class PullRequest:
    """A pull, and a push: both name a model and may stream."""

    model: str = field(default="", metadata=wire(TEXT))
    name: str = field(default="", metadata=wire(TEXT))
    insecure: bool = field(default=False, metadata=wire(BOOLEAN))
    stream: bool | None = field(default=None, metadata=wire(BOOLEAN))


@dataclass
class CopyRequest:
    source: str = field(default="", metadata=wire(TEXT))
    destination: str = field(default="", metadata=wire(TEXT))


@dataclass
class DeleteRequest:
    model: str = field(default="", metadata=wire(TEXT))
    name: str = field(default="", metadata=wire(TEXT))


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
    model: str = field(default="", metadata=wire(TEXT))
    name: str = field(default="", metadata=wire(TEXT))
    stream: bool | None = field(default=None, metadata=wire(BOOLEAN))
    source: str = field(default="", metadata=wire(TEXT, name="from"))
    files: dict[str, str] | None = field(default=None, metadata=wire(_Files()))
    template: str = field(default="", metadata=wire(TEXT))
    license: object = field(default=None, metadata=wire(ANYTHING))
    system: str = field(default="", metadata=wire(TEXT))
    parameters: dict[str, object] | None = field(default=None, metadata=wire(OBJECT))
    messages: list[Message] = field(default_factory=list, metadata=wire(ListOf(MESSAGE, "[]api.Message")))
    info: dict[str, object] | None = field(default=None, metadata=wire(OBJECT))


GENERATE = Record(GenerateRequest, "GenerateRequest", "api.GenerateRequest")
CHAT = Record(ChatRequest, "ChatRequest", "api.ChatRequest")
EMBED = Record(EmbedRequest, "EmbedRequest", "api.EmbedRequest")
EMBEDDINGS = Record(EmbeddingsRequest, "EmbeddingRequest", "api.EmbeddingRequest")
SHOW = Record(ShowRequest, "ShowRequest", "api.ShowRequest")
PULL = Record(PullRequest, "PullRequest", "api.PullRequest")
COPY = Record(CopyRequest, "CopyRequest", "api.CopyRequest")
DELETE = Record(DeleteRequest, "DeleteRequest", "api.DeleteRequest")
CREATE = Record(CreateRequest, "CreateRequest", "api.CreateRequest")
