"""Where a value was written, the way to it inside its declaration, and values that the environment gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from namel3ss.language import Source, Span

__all__ = ["EnvironmentValue", "Location", "Path"]

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
