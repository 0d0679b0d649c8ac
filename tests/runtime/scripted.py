"""A plug-in for the tests of the runtime: its providers have settings, and it keeps a list of what happens to them."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any

from namel3ss.providers.registry import GROUP, ProviderRegistry
from namel3ss.providers.settings import ProviderConfig, setting
from namel3ss.testing import ScriptedProvider

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from namel3ss.providers.base import N3Provider, ProviderChunk


class Config(ProviderConfig):
    """Settings of the provider."""

    base_url: str = setting("http://localhost:1", doc="Where it would be.")
    temperature: float | None = setting(doc="How warm.", ge=0)
    fails_to_close: bool = setting(False, doc="Raise when closed.")


class EchoProvider(ScriptedProvider):
    """Answers with what it is asked; writes down in `events` what happens to it."""

    def __init__(self, name: str, model: str, config: Mapping[str, Any], events: list[str]) -> None:
        super().__init__(lambda call: call.prompt, name=name, model=model, repeat=True)
        self.config = Config.model_validate(dict(config))
        self._events = events

    async def close_here(self) -> None:
        await super().close_here()
        if f"closed {self.name}" not in self._events:
            self._events.append(f"closed {self.name}")
            if self.config.fails_to_close:
                raise OSError("cannot close")


class Plugin:
    """Makes its providers by `make(name, model, config, events)`; `events` are those of all of them, in order."""

    summary = "for tests"

    def __init__(self, make: Callable[[str, str, Mapping[str, Any], list[str]], N3Provider]) -> None:
        self.events: list[str] = []
        self._make = make

    def config_model(self) -> type[Config]:
        return Config

    def create(
        self, name: str, model: str, config: Mapping[str, Any], *, environ: Mapping[str, str]
    ) -> N3Provider:
        self.events.append(f"created {name}")
        return self._make(name, model, config, self.events)

    def override_address(self, config: Mapping[str, Any], base_url: str) -> Mapping[str, Any]:
        return {**config, "base_url": base_url}

    def editor_tools(self) -> object | None:
        return None


def registry_of(
    name: str, make: Callable[[str, str, Mapping[str, Any], list[str]], N3Provider]
) -> ProviderRegistry:
    """A registry with one provider, whose plug-in is its own."""

    class Entry(EntryPoint):
        def load(self) -> Plugin:
            return Plugin(make)

    return ProviderRegistry({name: Entry(name, f"{__name__}:Plugin", GROUP)})


async def texts(stream: AsyncIterator[ProviderChunk]) -> list[str]:
    """The pieces of text of a stream."""
    return [chunk.output_text async for chunk in stream if chunk.output_text]
