"""What a part of a file holds, by kind: read once, and of a part that has not changed remembered."""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING, Final, NamedTuple

from namel3ss.declarations.places import Location
from namel3ss.language import Declaration, Import, Severity
from namel3ss.language.masking import secrets_in
from namel3ss.language.suppression import may_ignore

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from namel3ss.declarations.findings import Findings
    from namel3ss.language import Diagnostic, ParseResult, Source, Span

__all__ = ["DEFAULT_NAME", "Contents", "Faults", "ModelHead", "read_contents"]


DEFAULT_NAME: Final = "default"


class ModelHead(NamedTuple):
    """An `ai model` by its name. `has_gaps`: the syntax check found an error in it."""

    name: str
    place: Location
    declaration: Declaration
    has_gaps: bool


class Contents(NamedTuple):
    """One part of a file. `others` are the declarations that are no ai models.

    `secrets` are the places that look like one; `ignores`: comments may take findings away.
    """

    source: Source
    diagnostics: tuple[Diagnostic, ...]
    imports: tuple[Import, ...]
    models: tuple[ModelHead, ...]
    others: tuple[Declaration, ...]
    secrets: tuple[Span, ...]
    ignores: bool


def read_contents(parts: Sequence[ParseResult], findings: Findings) -> tuple[Contents, ...]:
    """What each part holds. Nothing is reported here."""
    return findings.recall_all("contents", [(part,) for part in parts], None, _read)


def _read(part: ParseResult) -> Contents:
    source, items = part.tree.source, part.tree.items
    declarations = [item for item in items if isinstance(item, Declaration)]
    return Contents(
        source,
        part.diagnostics,
        tuple(item for item in items if isinstance(item, Import)),
        _models(declarations, source, Faults(part.diagnostics)),
        tuple(item for item in declarations if item.kind != "ai model"),
        secrets_in(source.text),
        may_ignore(source),
    )


def _models(declarations: Iterable[Declaration], source: Source, faults: Faults) -> tuple[ModelHead, ...]:
    return tuple(
        ModelHead(
            declaration.name.text if declaration.name is not None else DEFAULT_NAME,
            Location(source, declaration.name.span if declaration.name else declaration.keyword),
            declaration,
            faults.touch(declaration.span),
        )
        for declaration in declarations
        if declaration.kind == "ai model"
    )


class Faults:
    """Where the syntax check found errors in a part, to ask about its declarations."""

    def __init__(self, syntax: Iterable[Diagnostic]) -> None:
        self._starts = sorted(found.span.start for found in syntax if found.severity is Severity.ERROR)

    def touch(self, span: Span) -> bool:
        """Whether one begins inside of a span or right behind it."""
        index = bisect.bisect_left(self._starts, span.start)
        return index < len(self._starts) and self._starts[index] <= span.end

    def lines(self, source: Source, span: Span) -> frozenset[tuple[Source, int]]:
        """The lines of those that do."""
        starts = self._starts
        inside = starts[bisect.bisect_left(starts, span.start) : bisect.bisect_right(starts, span.end)]
        return frozenset((source, source.position(start).line) for start in inside)
