"""`server NAME { … }` and `gateway NAME { … }`: what a program says of them. `gateway_check` makes these."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from namel3ss.declarations.blocks import BlockCheck
from namel3ss.declarations.findings import Findings
from namel3ss.declarations.gateway_settings import GatewaySettings, ServerSettings
from namel3ss.errors import ProgramError
from namel3ss.language import Severity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

    from namel3ss.declarations.places import Location
    from namel3ss.declarations.written import Written

__all__ = ["GatewayDeclaration", "ServerDeclaration"]

SettingsT = TypeVar("SettingsT", bound="BaseModel")


@dataclass(frozen=True, slots=True)
class ServerDeclaration:
    """One `server`. `pairs` are its settings as written, the profile's over the program's."""

    name: str
    location: Location
    pairs: Mapping[str, Written] = field(repr=False, compare=False)

    def settings(self, environ: Mapping[str, str]) -> ServerSettings:
        """The settings with the environment's values in place. Raises ProgramError, also for a variable that is not set."""
        return _settings(ServerSettings, self.pairs, self.location, f"server {self.name!r}", environ)


@dataclass(frozen=True, slots=True)
class GatewayDeclaration:
    """One `gateway`. `pairs` are its settings as written, the profile's over the program's.

    `servers` are the names of the servers it uses; none where the models' own addresses count. `models` are the names of
    the ai models it serves, in the order written, the first being the one for requests that name none; `fallback` is the
    one that may answer in their place.
    """

    name: str
    location: Location
    servers: tuple[str, ...]
    models: tuple[str, ...]
    fallback: str | None
    pairs: Mapping[str, Written] = field(repr=False, compare=False)

    def settings(self, environ: Mapping[str, str]) -> GatewaySettings:
        """The settings with the environment's values in place. Raises ProgramError, also for a variable that is not set."""
        return _settings(GatewaySettings, self.pairs, self.location, f"gateway {self.name!r}", environ)


def _settings(
    model: type[SettingsT],
    pairs: Mapping[str, Written],
    place: Location,
    owner: str,
    environ: Mapping[str, str],
) -> SettingsT:
    findings = Findings()
    settings = BlockCheck(environ, findings).read(model, pairs, place, owner.split(" ")[0])
    problems = tuple(found for found in findings.sorted() if found.severity is not Severity.INFO)
    if problems or settings is None:
        raise ProgramError(
            f"{owner}: {problems[0].message}.", suggestion=problems[0].help, diagnostics=problems
        )
    return settings
