"""`provider: scripted` in a file: answers that are written there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

    from namel3ss.providers.base import N3Provider

__all__ = ["PLUGIN", "ScriptedPlugin"]


class ScriptedPlugin:
    """See `namel3ss.providers.registry.ProviderPlugin`."""

    @property
    def summary(self) -> str:
        return "Answers that are written in the file, for tests and demonstrations."

    def config_model(self) -> type[BaseModel]:
        from namel3ss.providers.scripted._config import ScriptedConfig

        return ScriptedConfig

    def create(
        self, name: str, model: str, config: Mapping[str, Any], *, environ: Mapping[str, str]
    ) -> N3Provider:
        from namel3ss.providers.scripted._config import ScriptedConfig
        from namel3ss.providers.scripted._provider import ScriptedProvider

        flat = {key: value for key, value in config.items() if key not in ("config", "deployment_config")}
        for place in ("config", "deployment_config"):
            flat |= config.get(place) or {}
        settings = ScriptedConfig.model_validate(flat)
        return ScriptedProvider(*settings.answers, name=name, model=model, repeat=True)

    def override_address(self, config: Mapping[str, Any], base_url: str) -> Mapping[str, Any]:
        return config  # it has none

    def editor_tools(self) -> object | None:
        return None


PLUGIN = ScriptedPlugin()
