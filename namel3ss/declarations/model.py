"""What a `.ai` file declares, as frozen values that know where they were written."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from namel3ss.declarations.environment import resolve, unset_variable
from namel3ss.errors import ProgramError
from namel3ss.language import Diagnostic, Severity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

    from namel3ss.declarations.chains import ChainDeclaration
    from namel3ss.declarations.fallbacks import Fallback
    from namel3ss.declarations.gateways import GatewayDeclaration, ServerDeclaration
    from namel3ss.declarations.places import EnvironmentValue, Location, Path
    from namel3ss.declarations.profiles import Origins
    from namel3ss.declarations.prompts import PromptDeclaration

__all__ = ["ModelDeclaration", "ProgramFile"]


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
        missing = [
            unset_variable(path, reference, self.locations.get(path, self.location))
            for path, reference in self.references.items()
            if not reference.has_default and reference.find(environ) is None
        ]
        if missing:
            raise ProgramError(
                f"ai model {self.name!r}: {missing[0].message}.",
                suggestion=missing[0].help,
                diagnostics=tuple(missing),
            )
        written = {**self.config, **self.deployment_config}
        return {name: resolve(value, (name,), self.config_model, environ) for name, value in written.items()}

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

    def unreadable(self) -> ProgramError | None:
        """What to raise where the file itself is the trouble, not a place in it: it is not there, or no text."""
        first = next(iter(self.errors), None)
        if first is None or first.source.text:
            return None
        said = f"{first.message[:1].upper()}{first.message[1:]}."
        return ProgramError(
            said if first.source.path in said else f"{first.source.path}: {first.message}.",
            suggestion=first.help,
            diagnostics=self.diagnostics,
        )
