"""Finds providers through the entry-point group ``namel3ss.providers``.

A package adds a provider by naming one object in its metadata::

    [project.entry-points."namel3ss.providers"]
    my_provider = "my_package.plugin:PLUGIN"

The object satisfies `ProviderPlugin`. The entry point's name is what a file writes after ``provider:``. Nothing
registers itself by being imported, and a plug-in is loaded only when a file or a call names it.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from namel3ss.errors import N3Error

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.metadata import EntryPoint

    from pydantic import BaseModel

    from namel3ss.providers.base import N3Provider

__all__ = [
    "GROUP",
    "PluginError",
    "ProviderPlugin",
    "ProviderRegistry",
    "installed_providers",
]

GROUP = "namel3ss.providers"


class PluginError(N3Error):
    """An installed plug-in cannot be loaded, or is not what it says."""


@runtime_checkable
class ProviderPlugin(Protocol):
    """One provider, as the rest of namel3ss sees it. Making it and asking for its config model do no I/O."""

    @property
    def summary(self) -> str:
        """One line for a list of providers."""

    def config_model(self) -> type[BaseModel]:
        """The model of its settings (see `namel3ss.providers.settings`). May import; is called when needed."""

    def create(
        self, name: str, model: str, config: Mapping[str, Any], *, environ: Mapping[str, str]
    ) -> N3Provider:
        """A provider for one declaration. `config` holds settings by name, `deployment_config` nested or flat.

        What `config` leaves out and variables may say (an address, a key) is looked for in `environ`, nowhere else.
        """

    def override_address(self, config: Mapping[str, Any], base_url: str) -> Mapping[str, Any]:
        """The same settings with every address in them replaced by `base_url` (for `--sandbox`)."""

    def editor_tools(self) -> object | None:
        """What an editor may ask about the machine (see OllamaEditorTools), or None."""


class ProviderRegistry:
    """Provider plug-ins by the name a file uses. Lives as long as its user likes; holds no connections."""

    def __init__(self, entry_points: Mapping[str, EntryPoint]) -> None:
        self._entry_points = dict(entry_points)
        self._plugins: dict[str, ProviderPlugin] = {}

    def names(self) -> tuple[str, ...]:
        """The installed providers, sorted."""
        return tuple(sorted(self._entry_points))

    def __contains__(self, name: object) -> bool:
        return name in self._entry_points

    def get(self, name: str) -> ProviderPlugin | None:
        """The plug-in of that name, loaded; None when nobody installed one. Raises PluginError."""
        if name in self._plugins:
            return self._plugins[name]
        entry = self._entry_points.get(name)
        if entry is None:
            return None
        try:
            plugin = entry.load()
        except Exception as error:
            raise PluginError(
                f"The provider {name!r} is installed but cannot be loaded: {error}",
                suggestion=f"Check the package that declares the entry point {entry.value!r}.",
            ) from error
        if not isinstance(plugin, ProviderPlugin):
            raise PluginError(
                f"The provider {name!r} is installed but {entry.value!r} is not a provider plug-in.",
                suggestion="It needs summary, config_model, create, override_address and editor_tools.",
            )
        self._plugins[name] = plugin
        return plugin

    def config_model(self, name: str) -> type[BaseModel] | None:
        """The config model of the provider of that name; None when nobody installed one. Raises PluginError."""
        plugin = self.get(name)
        if plugin is None:
            return None
        from pydantic import BaseModel  # costs start-up time; asking for a model has paid for it

        try:
            model: object = plugin.config_model()
        except Exception as error:
            raise PluginError(
                f"The provider {name!r} is installed but cannot say its settings: {error}",
                suggestion=f"Check the package that declares the entry point {name!r}.",
            ) from error
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            raise PluginError(
                f"The provider {name!r} is installed but its config model is no pydantic model.",
                suggestion="Derive it from namel3ss.providers.settings.ProviderConfig.",
            )
        return model


@functools.cache
def installed_providers() -> ProviderRegistry:
    """The registry of what is installed in this environment. Read once in a process."""
    from importlib.metadata import entry_points  # reads every package's metadata: only when somebody asks

    return ProviderRegistry({_normalise(entry.name): entry for entry in entry_points(group=GROUP)})


def _normalise(name: str) -> str:
    return re.sub(r"\s+", "", name)
