"""Anthropic as a provider plug-in, found the way an outside package would be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

    from namel3ss.providers.base import N3Provider

__all__ = ["PLUGIN", "AnthropicPlugin"]

_PLACES: Final = ("config", "deployment_config")
# Secrets were meant for the other address.
_DROPPED: Final = ("base_url", "headers", "api_key")
# In place of a key: the environment's is not looked for where one is written.
_NO_KEY: Final = "none"


class AnthropicPlugin:
    """See `namel3ss.providers.registry.ProviderPlugin`."""

    @property
    def summary(self) -> str:
        return "Anthropic's models, or a server that speaks its Messages API."

    def config_model(self) -> type[BaseModel]:
        from namel3ss.providers.anthropic._config import AnthropicConfig

        return AnthropicConfig

    def create(
        self, name: str, model: str, config: Mapping[str, Any], *, environ: Mapping[str, str]
    ) -> N3Provider:
        from namel3ss.providers.anthropic._provider import AnthropicProvider

        return AnthropicProvider(name, model, config, environ=environ)

    def override_address(self, config: Mapping[str, Any], base_url: str) -> Mapping[str, Any]:
        replaced: dict[str, Any] = {key: value for key, value in config.items() if key not in _DROPPED}
        for place in _PLACES:
            if isinstance(block := config.get(place), dict):
                replaced[place] = {key: value for key, value in block.items() if key not in _DROPPED}
        return {**replaced, "base_url": base_url, "api_key": _NO_KEY}

    def editor_tools(self) -> object | None:
        return None


PLUGIN = AnthropicPlugin()
