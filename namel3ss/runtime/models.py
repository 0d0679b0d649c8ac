"""One model of a program, ready to be run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from namel3ss.errors import UsageError
from namel3ss.providers.base import ProviderMessage
from namel3ss.providers.conversation import check_items, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from namel3ss.declarations import ModelDeclaration
    from namel3ss.providers.base import (
        EmbeddingResponse,
        Messages,
        N3Provider,
        ProviderResponse,
        ProviderStream,
    )
    from namel3ss.runtime.tools import Tool, ToolConversation, ToolResult, ToolRun

__all__ = ["RunnableModel"]


@runtime_checkable
class _Embedder(Protocol):
    """A provider that makes vectors; not all do."""

    async def embed(self, texts: str | Sequence[str], **overrides: Any) -> EmbeddingResponse: ...


class RunnableModel:
    """A declared model with its provider, which is made when it is first needed. Lives as long as its program."""

    def __init__(
        self, declaration: ModelDeclaration, open_provider: Callable[[ModelDeclaration], N3Provider]
    ) -> None:
        self.declaration = declaration
        self._open_provider = open_provider

    @property
    def name(self) -> str:
        return self.declaration.name

    @property
    def model(self) -> str:
        """The provider's name of the model."""
        return self.declaration.model

    @property
    def provider(self) -> N3Provider:
        """The provider of this declaration: always the same object, made without contacting anybody.

        Raises ProgramError where a setting comes from a variable that is not set.
        """
        return self._open_provider(self.declaration)

    def override(self, settings: Mapping[str, Any]) -> None:
        """Replace settings of the file, as a command line's ``--set`` does; None takes one away.

        For every call of this model, so before its provider is first used.
        """
        self.declaration = self.declaration.overridden(settings)

    async def run(
        self, prompt: Messages, *, system: str | None = None, images: Sequence[object] = (), **overrides: Any
    ) -> ProviderResponse:
        """One complete answer; see `Program.run`."""
        return await self.provider.generate(self._conversation(prompt, system, images), **overrides)

    def stream(
        self, prompt: Messages, *, system: str | None = None, images: Sequence[object] = (), **overrides: Any
    ) -> ProviderStream:
        """The answer piece by piece; see `Program.run`. Nothing is sent before the first `await`."""
        return self.provider.stream(self._conversation(prompt, system, images), **overrides)

    async def embed(self, texts: str | Sequence[str], **overrides: Any) -> EmbeddingResponse:
        """A vector for each text; see `Program.embed`."""
        provider = self.provider
        if not isinstance(provider, _Embedder):
            raise UsageError(
                f"The provider {self.declaration.provider!r} of ai model {self.name!r} makes no vectors.",
                suggestion="Use a model on another provider, such as ollama.",
            )
        return await provider.embed(texts, **overrides)

    async def run_with_tools(
        self,
        prompt: Messages,
        tools: Iterable[Callable[..., Any] | Tool],
        *,
        system: str | None = None,
        max_rounds: int | None = None,
        on_call: Callable[[ToolResult], object] | None = None,
        **overrides: Any,
    ) -> ToolRun:
        """An answer for which the model may call functions; see `Program.run_with_tools`."""
        from namel3ss.runtime.tools import converse

        return await converse(
            self.begin_tools(prompt, tools, max_rounds, on_call),
            lambda so_far: self.run(so_far.messages, system=system, tools=so_far.descriptions, **overrides),
        )

    def begin_tools(
        self,
        prompt: Messages,
        tools: Iterable[Callable[..., Any] | Tool],
        max_rounds: int | None,
        on_call: Callable[[ToolResult], object] | None,
    ) -> ToolConversation:
        """The conversation before its first answer. Contacts nobody."""
        from namel3ss.runtime.tools import DEFAULT_MAX_ROUNDS, ToolConversation

        rounds = DEFAULT_MAX_ROUNDS if max_rounds is None else max_rounds
        return ToolConversation(_messages(prompt, ()), tools, max_rounds=rounds, on_call=on_call)

    def _conversation(
        self, prompt: Messages, system: str | None, images: Sequence[object]
    ) -> list[ProviderMessage | Mapping[str, Any]]:
        messages = _messages(prompt, images)
        has_own_system = bool(messages) and _role(messages[0]) == "system"
        if system is None:
            if has_own_system or not self.declaration.system:
                return messages
            system = self.declaration.system
        rest = messages[1:] if has_own_system else messages
        return [ProviderMessage("system", system), *rest] if system else rest

    def __repr__(self) -> str:
        return f"<RunnableModel {self.name}: {self.model} on {self.declaration.provider}>"


def _messages(prompt: Messages, images: Sequence[object] | None) -> list[ProviderMessage | Mapping[str, Any]]:
    pictures = check_items(images, "images")
    if isinstance(prompt, str):
        return [ProviderMessage("user", prompt, images=tuple(pictures))]
    messages = _turns(prompt)
    if not pictures:
        return messages
    last = messages[-1]
    if not isinstance(last, ProviderMessage) or last.role != "user":
        raise UsageError(
            "images goes with a prompt that is text.",
            suggestion="Put the images into the message they belong to.",
        )
    return [*messages[:-1], replace(last, images=(*last.images, *pictures))]


def _turns(prompt: object) -> list[ProviderMessage | Mapping[str, Any]]:
    """A conversation as a list of turns; what stands in one is the provider's to check."""
    if isinstance(prompt, ProviderMessage | Mapping):
        return [prompt]
    if not isinstance(prompt, Iterable) or isinstance(prompt, bytes | bytearray | memoryview):
        raise UsageError(
            f"The prompt must be a text or a list of messages, not {kind_of(prompt)}.",
            suggestion='Pass a text, or [{"role": "user", "content": "…"}].',
        )
    turns = list(prompt)
    if not turns:
        raise UsageError("The prompt is an empty conversation.", suggestion="Pass at least one message.")
    for index, turn in enumerate(turns):
        if not isinstance(turn, ProviderMessage | Mapping):
            raise UsageError(
                f"messages[{index}] must be a message, not {kind_of(turn)}.",
                suggestion='A message looks like {"role": "user", "content": "…"}.',
            )
    return turns


def _role(message: ProviderMessage | Mapping[str, Any]) -> object:
    return message.role if isinstance(message, ProviderMessage) else message.get("role")
