"""The contract between namel3ss and every provider.

Messages go in, responses and chunks come out; nothing here does I/O. Counts that a server did not report are
absent, never zero and never None inside a mapping.
"""

from __future__ import annotations

import abc
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeAlias, overload

import msgspec

from namel3ss.errors import N3Error

if TYPE_CHECKING:
    from types import TracebackType

__all__ = [
    "EmbeddingResponse",
    "Messages",
    "N3Provider",
    "ProviderChunk",
    "ProviderError",
    "ProviderMessage",
    "ProviderResponse",
    "ProviderStream",
    "Role",
    "StructuredOutputError",
    "Timings",
    "ToolCall",
    "Usage",
]

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]


class ProviderError(N3Error):
    """The world failed: a server, a network, a model. Each provider has its own tree below this."""


class StructuredOutputError(ProviderError):
    """The answer does not fit the schema. `raw_text` is the answer, `problems` says what is wrong with it."""

    def __init__(
        self,
        message: str,
        *,
        suggestion: str | None = None,
        raw_text: str = "",
        problems: Sequence[str] = (),
    ) -> None:
        super().__init__(message, suggestion=suggestion)
        self.raw_text = raw_text
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to call a function. `arguments` is an object; `id` is the server's, or None where it has none."""

    name: str
    arguments: Mapping[str, Any]
    id: str | None = None
    index: int | None = None


@dataclass(frozen=True, slots=True)
class ProviderMessage:
    """One turn of a conversation.

    `images`: bytes, a path, base64 text or a data URI each. `tool_calls` belong to an assistant turn;
    `tool_call_id`, `tool_name` and `is_error` to a tool's answer. `blocks` are an assistant's turn as its provider gave
    it, signatures and all: that provider sends them in place of the rest, any other leaves them out.
    """

    role: Role
    content: str = ""
    images: Sequence[object] = ()
    tool_calls: Sequence[ToolCall] = ()
    tool_call_id: str | None = None
    tool_name: str | None = None
    thinking: str | None = None
    is_error: bool = False
    blocks: Sequence[Mapping[str, Any]] = ()


# A prompt, one message, or a conversation of messages and OpenAI-style dicts.
Messages: TypeAlias = (
    "str | ProviderMessage | Mapping[str, Any] | Sequence[ProviderMessage | Mapping[str, Any]]"
)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Usage(Mapping[str, int]):
    """Token counts as the server reported them: a read-only mapping without the counts it did not send.

    Keys: ``prompt_tokens``, ``completion_tokens``, ``total_tokens`` when both are known, and, where a provider
    keeps prompts, ``cache_read_tokens`` and ``cache_creation_tokens``: those of the prompt that were read from its
    cache or written into it. The attributes of the same names answer None for an absent count, and so does what
    `dataclasses.asdict` makes of it.
    """

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = field(init=False)
    cache_read_tokens: int | None = field(default=None, kw_only=True)
    cache_creation_tokens: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        prompt, completion = self.prompt_tokens, self.completion_tokens
        total = None if prompt is None or completion is None else prompt + completion
        object.__setattr__(self, "total_tokens", total)

    def __getitem__(self, key: str) -> int:
        count = getattr(self, key) if key in _COUNTS else None
        if count is None:
            raise KeyError(key)
        return int(count)

    def __iter__(self) -> Iterator[str]:
        return (key for key in _COUNTS if getattr(self, key) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"Usage({', '.join(f'{key}={count}' for key, count in self.items())})"


_COUNTS: Final = tuple(count.name for count in fields(Usage))


@dataclass(frozen=True, slots=True)
class Timings:
    """Where the time of one request went, in seconds; None for what nobody measured.

    The first four are the server's own clock (Ollama: nanoseconds on the last line). `load_s` includes waiting
    for the model to be scheduled. `first_token_s` (to the first text, thinking or tool call) and `wall_s` are
    the client's.
    """

    total_s: float | None = None
    load_s: float | None = None
    prompt_eval_s: float | None = None
    eval_s: float | None = None
    first_token_s: float | None = None
    wall_s: float | None = None


@dataclass(frozen=True, slots=True)
class ProviderResponse:
    """One complete answer.

    `output_text` is never None; empty means that the model said nothing. `finish_reason` is ``stop``, ``length``,
    ``tool_calls``, ``load``, ``unload`` or the provider's own word. `metadata` always has ``provider``; ``content`` in it
    are the blocks of a provider that answers in such.
    """

    output_text: str
    model: str
    finish_reason: str | None = None
    usage: Usage = field(default_factory=Usage)
    timings: Timings = field(default_factory=Timings)
    tool_calls: tuple[ToolCall, ...] = ()
    thinking: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def as_message(self) -> ProviderMessage:
        """The assistant's turn that this answer is, for the conversation that goes on."""
        return ProviderMessage(
            "assistant",
            self.output_text,
            tool_calls=self.tool_calls,
            thinking=self.thinking,
            blocks=self.metadata.get("content", ()),
        )


class ProviderChunk(msgspec.Struct, gc=False, kw_only=True):
    """One piece of a streamed answer: text, thinking, tool calls, or the end.

    `output_text` is "" on a piece that carries no text, `thinking` likewise. The last chunk has
    ``metadata["done"] is True`` and the totals; the metadata of the others is empty.
    """

    output_text: str = ""
    thinking: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    metadata: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class EmbeddingResponse(Sequence[list[float]]):
    """Vectors in the order of the texts: a sequence of them, with what the server said beside it.

    Each vector is as long as the model is wide, or as `dimensions` asked. ``response[0]`` is
    ``response.embeddings[0]``.
    """

    embeddings: list[list[float]]
    model: str
    usage: Usage = field(default_factory=Usage)
    timings: Timings = field(default_factory=Timings)
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @overload
    def __getitem__(self, index: int) -> list[float]: ...
    @overload
    def __getitem__(self, index: slice) -> list[list[float]]: ...
    def __getitem__(self, index: int | slice) -> list[float] | list[list[float]]:
        return self.embeddings[index]

    def __len__(self) -> int:
        return len(self.embeddings)


class ProviderStream(abc.ABC):
    """A running answer: an async iterator of chunks and an async context manager.

    Leaving the context, leaving the loop by an exception inside it, `cancel()` and cancelling the task all close
    the connection at once, which is what stops the server. Lives for one request; iterate it once.
    """

    def __aiter__(self) -> AsyncIterator[ProviderChunk]:
        return self

    @abc.abstractmethod
    async def __anext__(self) -> ProviderChunk:
        """The next chunk."""

    @abc.abstractmethod
    async def cancel(self) -> None:
        """Stop the answer and close its connection. Idempotent; a finished stream is left as it is."""

    async def aclose(self) -> None:
        """`cancel`, by the name that `contextlib.aclosing` and code written for async generators use."""
        await self.cancel()

    @abc.abstractmethod
    async def result(self) -> ProviderResponse:
        """The whole answer: reads what is left, then returns everything received so far as one response."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.cancel()


class N3Provider(abc.ABC):
    """A model on a provider. The constructor does no I/O; `aclose()` is idempotent; `async with` is optional.

    Keyword overrides replace the settings of the declaration for one call, under the same names.
    """

    name: str
    model: str

    @abc.abstractmethod
    async def generate(self, messages: Messages, **overrides: Any) -> ProviderResponse:
        """Answer once the answer is complete. Raises ProviderError."""

    @abc.abstractmethod
    def stream(self, messages: Messages, **overrides: Any) -> ProviderStream:
        """Answer piece by piece. Nothing is sent before the first `await`."""

    @abc.abstractmethod
    async def aclose(self) -> None:
        """Close everything this provider opened. Running streams end with an error that says so."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()
