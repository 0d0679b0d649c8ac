"""One value for everything a check can say; renderers make text, JSON and editor messages of it."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from namel3ss.language.source import Source, Span

__all__ = ["Diagnostic", "Fix", "Label", "Severity", "TextEdit"]


class Severity(enum.Enum):
    """How bad it is. Only an error stops a declaration from loading."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Label:
    """A further place that explains the first one. `source` is None where it is the diagnostic's own file."""

    span: Span
    text: str
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class TextEdit:
    """Replace the characters of `span` by `text`."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Fix:
    """A change that mends the finding. A safe one never changes what a healthy part of the file means."""

    title: str
    edits: tuple[TextEdit, ...]
    safe: bool = True


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding, facts only.

    `code` is ``N3`` and three digits (namel3ss.language.codes lists them). `label` is the text at the primary
    carets, "" for none. `help` is a concrete next step; `notes` are background.
    """

    code: str
    severity: Severity
    message: str
    source: Source
    span: Span
    label: str = ""
    labels: tuple[Label, ...] = ()
    help: str | None = None
    notes: tuple[str, ...] = ()
    fixes: tuple[Fix, ...] = field(default=())

    @property
    def location(self) -> str:
        """``file:line:column`` of the primary span."""
        line, column = self.source.position(self.span.start)
        return f"{self.source.path}:{line}:{column}"
