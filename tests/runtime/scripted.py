"""A provider for the tests of the runtime: echoes what it is asked, and writes down what happens to it."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any

from namel3ss.providers.base import (
    Messages,
    N3Provider,
    ProviderChunk,
    ProviderMessage,
    ProviderResponse,
    ProviderStream,
)
from namel3ss.providers.registry import GROUP, ProviderRegistry
from namel3ss.providers.settings import ProviderConfig, setting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence


class ScriptedConfig(ProviderConfig):
    """Settings of the scripted provider."""

    base_url: str = setting("http://localhost:1", doc="Where it would be.")
    temperature: float | None = setting(doc="How warm.", ge=0)
    fails_to_close: bool = setting(False, doc="Raise when closed.")


class ScriptedStream(ProviderStream):
    """The words of the question, one chunk each."""

    def __init__(self, provider: ScriptedProvider, words: Sequence[str]) -> None:
        self._provider = provider
        self._words = iter(words)
        self._said: list[str] = []

    async def __anext__(self) -> ProviderChunk:
        word = next(self._words, None)
        if word is None:
            raise StopAsyncIteration
        self._said.append(word)
        return ProviderChunk(output_text=word)

    async def cancel(self) -> None:
        self._provider.events.append(f"cancelled {self._provider.name}")

    async def result(self) -> ProviderResponse:
        async for _ in self:
            pass
        return ProviderResponse(" ".join(self._said), self._provider.model)


class ScriptedProvider(N3Provider):
    """Answers with what it was asked; `asked` and `events` say what happened."""

    def __init__(self, name: str, model: str, config: Mapping[str, Any], events: list[str]) -> None:
        self.name = name
        self.model = model
        self.config = ScriptedConfig.model_validate(dict(config))
        self.asked: list[list[ProviderMessage | Mapping[str, Any]]] = []
        self.overrides: list[dict[str, Any]] = []
        self.events = events
        self._is_closed = False

    async def generate(self, messages: Messages, **overrides: Any) -> ProviderResponse:
        return ProviderResponse(self._note(messages, overrides), self.model)

    def stream(self, messages: Messages, **overrides: Any) -> ProviderStream:
        return ScriptedStream(self, self._note(messages, overrides).split())

    async def aclose(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self.events.append(f"closed {self.name}")
            if self.config.fails_to_close:
                raise OSError("cannot close")

    def _note(self, messages: Messages, overrides: dict[str, Any]) -> str:
        assert isinstance(messages, list)
        self.asked.append(messages)
        self.overrides.append(overrides)
        last = messages[-1]
        return last.content if isinstance(last, ProviderMessage) else str(last["content"])


class ScriptedPlugin:
    """The plug-in; `events` are those of all its providers, in order."""

    summary = "echoes, for tests"

    def __init__(self) -> None:
        self.events: list[str] = []

    def config_model(self) -> type[ScriptedConfig]:
        return ScriptedConfig

    def create(
        self, name: str, model: str, config: Mapping[str, Any], *, environ: Mapping[str, str]
    ) -> ScriptedProvider:
        self.events.append(f"created {name}")
        return ScriptedProvider(name, model, config, self.events)

    def override_address(self, config: Mapping[str, Any], base_url: str) -> Mapping[str, Any]:
        return {**config, "base_url": base_url}

    def editor_tools(self) -> object | None:
        return None


class _Entry(EntryPoint):
    """An entry point whose object is made anew for each registry, so that tests share nothing."""

    def load(self) -> ScriptedPlugin:
        return ScriptedPlugin()


def scripted_registry() -> ProviderRegistry:
    """A registry with the scripted provider alone."""
    return ProviderRegistry({"scripted": _Entry("scripted", "tests.runtime.scripted:ScriptedPlugin", GROUP)})


async def texts(stream: AsyncIterator[ProviderChunk]) -> list[str]:
    return [chunk.output_text async for chunk in stream]
