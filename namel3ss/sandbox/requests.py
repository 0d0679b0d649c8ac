"""What clients may send to the native routes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

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

if TYPE_CHECKING:
    from namel3ss.sandbox.decoding import Kind

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
        reader.refuse(_NO_OBJECT)
        return {}

    def zero(self) -> object:
        return {}


class _OneOrMoreTypes:
    """A type's name, or several."""

    go_type = "[]string"

    def read(self, value: object, reader: Reader) -> object:
        if not isinstance(value, str):
            _TEXTS.read(value, reader)
        return value

    def zero(self) -> object:
        return []


_NO_OBJECT: Final = "Value looks like object, but can't find closing '}' symbol"
"""What the server says of a map that is none."""
_TEXTS: Final = ListOf(TEXT, "[]string")
_PARAMETER_KINDS: Final[dict[str, Kind]] = {"type": TEXT, "required": _TEXTS}
_PROPERTY_KINDS: Final[dict[str, Kind]] = {
    "type": _OneOrMoreTypes(),
    "description": TEXT,
    "enum": ListOf(ANYTHING, "[]interface {}"),
    "required": _TEXTS,
}


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
        for name, kind in _PARAMETER_KINDS.items():
            self._inside(name, value.get(name), kind, reader)
        properties = value.get("properties")
        if properties is None:
            return
        if not isinstance(properties, dict):
            reader.refuse(_NO_OBJECT)
            return
        reader.path.append("properties")
        for each in properties.values():
            if not isinstance(each, dict):
                reader.mismatch(each, "api.ToolProperty")
                continue
            for name, kind in _PROPERTY_KINDS.items():
                self._inside(name, each.get(name), kind, reader)
        reader.path.pop()

    def _inside(self, name: str, value: object, kind: Kind, reader: Reader) -> None:
        if value is None:
            return
        reader.path.append(name)
        kind.read(value, reader)
        reader.path.pop()

    def zero(self) -> object:
        return {}


@dataclass
class ToolCallFunction:
    """What a tool call calls."""

    index: int = field(default=0, metadata=wire(INTEGER))
    name: str = field(default="", metadata=wire(TEXT))
    arguments: dict[str, object] = field(default_factory=dict, metadata=wire(_Arguments()))


@dataclass
class ToolCall:
    """A call that the assistant made earlier in the conversation."""

    id: str = field(default="", metadata=wire(TEXT))
    function: ToolCallFunction = field(
        default_factory=ToolCallFunction,
        metadata=wire(Record(ToolCallFunction, "ToolCallFunction", "api.ToolCallFunction", transparent=True)),
    )


@dataclass
class Message:
    """One message of a conversation."""

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
    """A function that the model may call."""

    name: str = field(default="", metadata=wire(TEXT))
    description: str = field(default="", metadata=wire(TEXT))
    parameters: dict[str, object] = field(default_factory=dict, metadata=wire(_Parameters()))


@dataclass
class Tool:
    """A tool on offer."""

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
    """`POST /api/generate`."""

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
    """`POST /api/chat`."""

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
    """`POST /api/embed`."""

    model: str = field(default="", metadata=wire(TEXT))
    input: object = field(default=None, metadata=wire(ANYTHING))
    keep_alive: int | None = field(default=None, metadata=wire(_KeepAlive()))
    truncate: bool | None = field(default=None, metadata=wire(BOOLEAN))
    dimensions: int = field(default=0, metadata=wire(INTEGER))
    options: dict[str, object] | None = field(default=None, metadata=wire(OBJECT))


@dataclass
class EmbeddingsRequest:
    """`POST /api/embeddings`."""

    model: str = field(default="", metadata=wire(TEXT))
    prompt: str = field(default="", metadata=wire(TEXT))
    keep_alive: int | None = field(default=None, metadata=wire(_KeepAlive()))
    options: dict[str, object] | None = field(default=None, metadata=wire(OBJECT))


@dataclass
class ShowRequest:
    """`POST /api/show`."""

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
    """`POST /api/copy`."""

    source: str = field(default="", metadata=wire(TEXT))
    destination: str = field(default="", metadata=wire(TEXT))


@dataclass
class DeleteRequest:
    """`DELETE /api/delete`."""

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
    """`POST /api/create`."""

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
