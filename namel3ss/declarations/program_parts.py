"""All prompts, chains, servers and gateways of a program, as a check leaves them."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from namel3ss.declarations.chains import ChainDeclaration
    from namel3ss.declarations.gateways import GatewayDeclaration, ServerDeclaration
    from namel3ss.declarations.model import ModelDeclaration
    from namel3ss.declarations.parts import DeclaredPart
    from namel3ss.declarations.places import Location
    from namel3ss.declarations.prompts import PromptDeclaration

__all__ = ["ProgramModels", "ProgramParts"]


@dataclass(frozen=True, slots=True)
class ProgramModels:
    """The ai models of a program: those that load, where all of them are declared, those with mistakes, and those that
    others extend.
    """

    healthy: Mapping[str, ModelDeclaration]
    places: Mapping[str, Location]
    broken: Collection[str]
    extended: Collection[str]


@dataclass(frozen=True, slots=True)
class ProgramParts:
    """What can be used, by name. `written` is everything, as it stands in the files."""

    prompts: Mapping[str, PromptDeclaration] = field(default_factory=lambda: MappingProxyType({}))
    chains: Mapping[str, ChainDeclaration] = field(default_factory=lambda: MappingProxyType({}))
    servers: Mapping[str, ServerDeclaration] = field(default_factory=lambda: MappingProxyType({}))
    gateways: Mapping[str, GatewayDeclaration] = field(default_factory=lambda: MappingProxyType({}))
    written: Mapping[str, DeclaredPart] = field(default_factory=lambda: MappingProxyType({}))

    def broken(self, kind: str) -> tuple[str, ...]:
        """The names of a kind that cannot be used."""
        healthy = {*self.prompts, *self.chains, *self.servers, *self.gateways}
        return tuple(name for name, part in self.written.items() if part.kind == kind and name not in healthy)
