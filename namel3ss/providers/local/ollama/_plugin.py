"""Ollama as a provider plug-in, found the way an outside package would be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

    from namel3ss.providers.base import N3Provider

__all__ = ["PLUGIN", "OllamaPlugin"]

_ADDRESS_KEYS = ("base_url", "host", "port", "hosts")
_PLACES = ("config", "deployment_config")


class OllamaPlugin:
    """See `namel3ss.providers.registry.ProviderPlugin`."""

    @property
    def summary(self) -> str:
        return "Open models on your own machine, or on a server of yours, with Ollama."

    def config_model(self) -> type[BaseModel]:
        from namel3ss.providers.local.ollama._config import OllamaConfig

        return OllamaConfig

    def create(
        self, name: str, model: str, config: Mapping[str, Any], *, environ: Mapping[str, str]
    ) -> N3Provider:
        from namel3ss.providers.local.ollama._provider import OllamaProvider

        return OllamaProvider(name, model, config, environ=environ)

    def override_address(self, config: Mapping[str, Any], base_url: str) -> Mapping[str, Any]:
        # Secrets were meant for the other address.
        dropped = {*_ADDRESS_KEYS, "headers", "api_key"}
        replaced: dict[str, Any] = {key: value for key, value in config.items() if key not in dropped}
        for place in _PLACES:
            if isinstance(block := config.get(place), dict):
                replaced[place] = {key: value for key, value in block.items() if key not in dropped}
        return {**replaced, "base_url": base_url}

    def editor_tools(self) -> object:
        from namel3ss.providers.local.ollama._editor import OllamaEditorTools

        return OllamaEditorTools


PLUGIN = OllamaPlugin()
