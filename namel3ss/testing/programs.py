"""Programs in `.ai` files with scripted answers, whatever provider the file names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from namel3ss.errors import UsageError
from namel3ss.providers.registry import ProviderRegistry, installed_providers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

    from namel3ss.providers.base import N3Provider
    from namel3ss.providers.registry import ProviderPlugin

__all__ = ["scripted_registry"]


def scripted_registry(default: N3Provider | None = None, /, **providers: N3Provider) -> ProviderRegistry:
    """The installed providers, except that each model gets the one given for it by name, else `default`.

        helper = ScriptedProvider("Hello!")
        program = namel3ss.load("app.ai", registry=scripted_registry(helper))

    The file is checked as always: settings, names and types are those of the provider that it names.
    """
    return _ScriptedRegistry(installed_providers(), default, providers)


class _ScriptedRegistry(ProviderRegistry):
    def __init__(
        self, real: ProviderRegistry, default: N3Provider | None, providers: Mapping[str, N3Provider]
    ) -> None:
        super().__init__({})
        self._real = real
        self._default = default
        self._providers = providers

    def names(self) -> tuple[str, ...]:
        return self._real.names()

    def __contains__(self, name: object) -> bool:
        return name in self._real

    def get(self, name: str) -> ProviderPlugin | None:
        plugin = self._real.get(name)
        return None if plugin is None else _Scripted(plugin, self._default, self._providers)


class _Scripted:
    """A plug-in that is asked for everything but its provider."""

    def __init__(
        self, real: ProviderPlugin, default: N3Provider | None, providers: Mapping[str, N3Provider]
    ) -> None:
        self._real = real
        self._default = default
        self._providers = providers

    @property
    def summary(self) -> str:
        return self._real.summary

    def config_model(self) -> type[BaseModel]:
        return self._real.config_model()

    def create(
        self, name: str, model: str, config: Mapping[str, Any], *, environ: Mapping[str, str]
    ) -> N3Provider:
        provider = self._providers.get(name, self._default)
        if provider is None:
            raise UsageError(
                f"No provider was given for the model {name!r}.",
                suggestion=f"Give one: scripted_registry({name}=ScriptedProvider(...)), or one for all models first.",
            )
        return provider

    def override_address(self, config: Mapping[str, Any], base_url: str) -> Mapping[str, Any]:
        return self._real.override_address(config, base_url)

    def editor_tools(self) -> object | None:
        return None
