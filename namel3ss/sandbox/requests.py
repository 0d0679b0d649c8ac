"""What clients may send to the native routes."""

from __future__ import annotations

from dataclasses import dataclass, field

from namel3ss.sandbox.decoding import (
    ANYTHING,
    AS_WRITTEN,
    BOOLEAN,
    BYTES,
    INTEGER,
    INTEGER32,
    OBJECT,
    TEXT,
    ListOf,
    Record,
    wire,
)
from namel3ss.sandbox.request_kinds import Arguments, Files, KeepAlive, Lowered, Parameters, Thinking

__all__ = [
    "CHAT",
    "COPY",
    "CREATE",
    "DELETE",
    "EMBED",
    "EMBEDDINGS",
    "GENERATE",
    "PULL",
    "PUSH",
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


@dataclass
class ToolCallFunction:
    """What a tool call calls."""

    index: int = field(default=0, metadata=wire(INTEGER))
    name: str = field(default="", metadata=wire(TEXT))
    arguments: dict[str, object] = field(default_factory=dict, metadata=wire(Arguments()))


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

    role: str = field(default="", metadata=wire(Lowered()))
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
    parameters: dict[str, object] = field(default_factory=dict, metadata=wire(Parameters()))


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
    format: object = field(default=None, metadata=wire(AS_WRITTEN))
    keep_alive: int | None = field(default=None, metadata=wire(KeepAlive()))
    images: list[bytes] = field(default_factory=list, metadata=wire(ListOf(BYTES, "[]api.ImageData")))
    options: dict[str, object] | None = field(default=None, metadata=wire(OBJECT))
    think: Think | None = field(default=None, metadata=wire(Thinking()))
    truncate: bool | None = field(default=None, metadata=wire(BOOLEAN))
    shift: bool | None = field(default=None, metadata=wire(BOOLEAN))
    render_only: bool = field(default=False, metadata=wire(BOOLEAN, name="_debug_render_only"))
    logprobs: bool = field(default=False, metadata=wire(BOOLEAN))
    top_logprobs: int = field(default=0, metadata=wire(INTEGER))
    # Of images to be made, which no model here can.
    width: int = field(default=0, metadata=wire(INTEGER32))
    height: int = field(default=0, metadata=wire(INTEGER32))
    steps: int = field(default=0, metadata=wire(INTEGER32))


@dataclass
class ChatRequest:
    """`POST /api/chat`."""

    model: str = field(default="", metadata=wire(TEXT))
    messages: list[Message] = field(default_factory=list, metadata=wire(ListOf(MESSAGE, "[]api.Message")))
    stream: bool | None = field(default=None, metadata=wire(BOOLEAN))
    format: object = field(default=None, metadata=wire(AS_WRITTEN))
    keep_alive: int | None = field(default=None, metadata=wire(KeepAlive()))
    tools: list[Tool] = field(default_factory=list, metadata=wire(ListOf(TOOL, "api.Tools")))
    options: dict[str, object] | None = field(default=None, metadata=wire(OBJECT))
    think: Think | None = field(default=None, metadata=wire(Thinking()))
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
    keep_alive: int | None = field(default=None, metadata=wire(KeepAlive()))
    truncate: bool | None = field(default=None, metadata=wire(BOOLEAN))
    dimensions: int = field(default=0, metadata=wire(INTEGER))
    options: dict[str, object] | None = field(default=None, metadata=wire(OBJECT))


@dataclass
class EmbeddingsRequest:
    """`POST /api/embeddings`."""

    model: str = field(default="", metadata=wire(TEXT))
    prompt: str = field(default="", metadata=wire(TEXT))
    keep_alive: int | None = field(default=None, metadata=wire(KeepAlive()))
    options: dict[str, object] | None = field(default=None, metadata=wire(OBJECT))


@dataclass
class ShowRequest:
    """`POST /api/show`."""

    model: str = field(default="", metadata=wire(TEXT))
    name: str = field(default="", metadata=wire(TEXT))
    system: str = field(default="", metadata=wire(TEXT))
    template: str = field(default="", metadata=wire(TEXT))
    verbose: bool = field(default=False, metadata=wire(BOOLEAN))
    options: dict[str, object] | None = field(default=None, metadata=wire(OBJECT))


@dataclass
class PullRequest:
    """A pull, and a push: both name a model and may stream."""

    model: str = field(default="", metadata=wire(TEXT))
    name: str = field(default="", metadata=wire(TEXT))
    insecure: bool = field(default=False, metadata=wire(BOOLEAN))
    username: str = field(default="", metadata=wire(TEXT))
    password: str = field(default="", metadata=wire(TEXT))
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


@dataclass
class CreateRequest:
    """`POST /api/create`."""

    model: str = field(default="", metadata=wire(TEXT))
    name: str = field(default="", metadata=wire(TEXT))
    stream: bool | None = field(default=None, metadata=wire(BOOLEAN))
    source: str = field(default="", metadata=wire(TEXT, name="from"))
    quantize: str = field(default="", metadata=wire(TEXT))
    quantization: str = field(default="", metadata=wire(TEXT))
    remote_host: str = field(default="", metadata=wire(TEXT))
    files: dict[str, str] | None = field(default=None, metadata=wire(Files()))
    adapters: dict[str, str] | None = field(default=None, metadata=wire(Files()))
    renderer: str = field(default="", metadata=wire(TEXT))
    parser: str = field(default="", metadata=wire(TEXT))
    requires: str = field(default="", metadata=wire(TEXT))
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
PUSH = Record(PullRequest, "PushRequest", "api.PushRequest")
COPY = Record(CopyRequest, "CopyRequest", "api.CopyRequest")
DELETE = Record(DeleteRequest, "DeleteRequest", "api.DeleteRequest")
CREATE = Record(CreateRequest, "CreateRequest", "api.CreateRequest")
