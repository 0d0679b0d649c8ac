"""What a `.ai` file declares, as frozen values that know where they were written."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from namel3ss.language import Diagnostic, Severity, Source, Span

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

    from namel3ss.declarations.chains import ChainDeclaration
    from namel3ss.declarations.fallbacks import Fallback
    from namel3ss.declarations.gateways import GatewayDeclaration, ServerDeclaration
    from namel3ss.declarations.profiles import Origins
    from namel3ss.declarations.prompts import PromptDeclaration

__all__ = ["EnvironmentValue", "Location", "ModelDeclaration", "Path", "ProgramFile"]

# Leads to a value inside a declaration: ("model",), ("num_ctx",), ("headers", "X-Team"), ("hosts", 0).
Path: TypeAlias = tuple[str | int, ...]


class Location(NamedTuple):
    """A place in a source. Prints as ``file:line:column``."""

    source: Source
    span: Span

    def __str__(self) -> str:
        line, column = self.source.position(self.span.start)
        return f"{self.source.path}:{line}:{column}"


@dataclass(frozen=True, slots=True)
class EnvironmentValue:
    """``env.A ?? env.B ?? "x"``: variables in the order in which they are asked, then a value.

    `has_default` tells a default of null from none at all.
    """

    names: tuple[str, ...]
    has_default: bool = False
    default: str | int | float | bool | None = None

    def find(self, environ: Mapping[str, str]) -> str | None:
        """The text of the first variable that is set; an empty one is not."""
        return next((environ[name] for name in self.names if environ.get(name)), None)

    def __str__(self) -> str:
        return " ?? ".join(f"env.{name}" for name in self.names)


@dataclass(frozen=True, slots=True)
class ModelDeclaration:
    """One `ai model`, with `extends` applied: a model on a provider.

    `config` and `deployment_config` hold the settings as they are written (``keep_alive`` is "10m" where the file
    says so), each under the block it stands in; references to the environment are `EnvironmentValue`s.
    `locations` tells where each value was written, by its path without the block. `fallback` is None for a model whose
    requests never go to another.
    """

    name: str
    provider: str
    model: str
    config: Mapping[str, Any]
    deployment_config: Mapping[str, Any]
    description: str | None
    system: str | None
    local_model_path: str | None
    fallback: Fallback | None
    location: Location
    locations: Mapping[Path, Location] = field(repr=False, compare=False)
    references: Mapping[Path, EnvironmentValue] = field(repr=False, compare=False)
    config_model: type[BaseModel] = field(repr=False, compare=False)

    def settings(self, environ: Mapping[str, str]) -> dict[str, Any]:
        """The settings for the provider, flat, with the environment's values in place.

        Raises ProgramError for a variable that is not set and has no default.
        """
        from namel3ss.declarations.environment import resolve_settings

        return resolve_settings(self, environ)

    def overridden(self, settings: Mapping[str, Any]) -> ModelDeclaration:
        """This declaration with `settings` in place of the file's, wherever it wrote them; None takes one away."""
        given = {name: value for name, value in settings.items() if value is not None}
        return replace(
            self,
            config=MappingProxyType(_without(self.config, settings) | given),
            deployment_config=MappingProxyType(_without(self.deployment_config, settings)),
            references=MappingProxyType(
                {path: value for path, value in self.references.items() if path[0] not in settings}
            ),
        )


def _without(block: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in block.items() if name not in settings}


@dataclass(frozen=True, slots=True)
class ProgramFile:
    """One `.ai` file: its healthy declarations by name, in its order, and all that was found.

    `broken` names the models that do not load, `broken_prompts` and the others theirs. `origins` tells what was
    written where for each model; None where the file could not be read.
    """

    path: str
    models: Mapping[str, ModelDeclaration] = field(default_factory=lambda: MappingProxyType({}))
    diagnostics: tuple[Diagnostic, ...] = ()
    broken: tuple[str, ...] = ()
    prompts: Mapping[str, PromptDeclaration] = field(default_factory=lambda: MappingProxyType({}))
    chains: Mapping[str, ChainDeclaration] = field(default_factory=lambda: MappingProxyType({}))
    broken_prompts: tuple[str, ...] = ()
    broken_chains: tuple[str, ...] = ()
    servers: Mapping[str, ServerDeclaration] = field(default_factory=lambda: MappingProxyType({}))
    gateways: Mapping[str, GatewayDeclaration] = field(default_factory=lambda: MappingProxyType({}))
    broken_servers: tuple[str, ...] = ()
    broken_gateways: tuple[str, ...] = ()
    origins: Origins | None = field(default=None, repr=False, compare=False)

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """The findings that stop a declaration from loading."""
        return tuple(found for found in self.diagnostics if found.severity is Severity.ERROR)
