"""The servers of this protocol as provider plug-ins, one for each name that a file may write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from namel3ss.providers.local.openai_compatible._kinds import GENERIC, LOCAL_AI, OPENAI, VLLM

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

    from namel3ss.providers.base import N3Provider
    from namel3ss.providers.local.openai_compatible._kinds import Kind

__all__ = ["COMPATIBLE", "LOCAL_AI_PLUGIN", "OPENAI_PLUGIN", "VLLM_PLUGIN", "CompatiblePlugin"]

_PLACES: Final = ("config", "deployment_config")
# Whom to ask, and what only that server may be told.
_DROPPED: Final = ("base_url", "host", "port", "api_key", "headers", "organization", "project")


class CompatiblePlugin:
    """See `namel3ss.providers.registry.ProviderPlugin`."""

    def __init__(self, kind: Kind, summary: str) -> None:
        self._kind = kind
        self._summary = summary

    @property
    def summary(self) -> str:
        return self._summary

    def config_model(self) -> type[BaseModel]:
        from namel3ss.providers.local.openai_compatible._kind_configs import CONFIGS

        return CONFIGS[self._kind.name]

    def create(
        self, name: str, model: str, config: Mapping[str, Any], *, environ: Mapping[str, str]
    ) -> N3Provider:
        from namel3ss.providers.local.openai_compatible._provider import OpenAICompatibleProvider

        return OpenAICompatibleProvider(name, model, config, kind=self._kind.name, environ=environ)

    def override_address(self, config: Mapping[str, Any], base_url: str) -> Mapping[str, Any]:
        # The environment's key goes to no written address, so none has to be written over it.
        replaced: dict[str, Any] = {key: value for key, value in config.items() if key not in _DROPPED}
        for place in _PLACES:
            if isinstance(block := config.get(place), dict):
                replaced[place] = {key: value for key, value in block.items() if key not in _DROPPED}
        return {**replaced, "base_url": f"{base_url.rstrip('/')}/v1"}

    def editor_tools(self) -> object | None:
        return None


OPENAI_PLUGIN = CompatiblePlugin(OPENAI, "OpenAI's models, or a gateway that stands in for its API.")
VLLM_PLUGIN = CompatiblePlugin(VLLM, "Models on a vLLM server.")
LOCAL_AI_PLUGIN = CompatiblePlugin(LOCAL_AI, "Models on a LocalAI server.")
COMPATIBLE = CompatiblePlugin(GENERIC, "Models on any other server that speaks OpenAI's protocol.")
