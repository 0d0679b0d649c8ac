"""Collects diagnostics: each once, with the severity of its code, and not without end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from namel3ss.language import Diagnostic, Severity
from namel3ss.language.codes import CODES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from namel3ss.declarations.model import Location
    from namel3ss.language import Fix, Label

__all__ = ["Findings"]

_MOST_FINDINGS = 500
_MOST_SUGGESTIONS = 50


class Findings:
    """The findings about one program. Lives for one check.

    `errors` counts every error reported, those included that were known before: whoever compares it before and
    after a step learns whether the step found fault.
    """

    def __init__(self, found: Iterable[Diagnostic] = ()) -> None:
        self.errors = 0
        self._syntax: set[tuple[str, int]] = set()
        self._found: dict[tuple[str, str, int, int, str], Diagnostic] = {}
        self.add(found)

    def add(self, found: Iterable[Diagnostic]) -> None:
        """Add what reading a text has found; of those places nothing more is reported."""
        for diagnostic in found:
            self._keep(diagnostic)
            if diagnostic.severity is Severity.ERROR:
                self._syntax.add((diagnostic.source.path, diagnostic.span.start))

    @property
    def is_full(self) -> bool:
        """Whether so much is wrong that looking further helps nobody."""
        return len(self._found) >= _MOST_FINDINGS

    @property
    def is_short(self) -> bool:
        """Whether there is still time to look for what somebody may have meant."""
        return len(self._found) < _MOST_SUGGESTIONS

    def report(
        self,
        code: str,
        message: str,
        place: Location,
        *,
        label: str = "",
        labels: tuple[Label, ...] = (),
        help: str | None = None,  # noqa: A002  # the diagnostic's own word
        notes: tuple[str, ...] = (),
        fixes: tuple[Fix, ...] = (),
    ) -> None:
        """Add a finding, unless it is known already or there are too many.

        The texts are sentences, as errors have them; diagnostics speak without the capital and the full stop.
        """
        severity = CODES[code].severity
        if severity is Severity.ERROR:
            self.errors += 1
        if self.is_full or (place.source.path, place.span.start) in self._syntax:
            return  # what the syntax check says of a place is enough
        self._keep(
            Diagnostic(
                code,
                severity,
                _phrase(message),
                place.source,
                place.span,
                label,
                labels,
                help=_phrase(help) if help else None,
                notes=tuple(map(_phrase, notes)),
                fixes=fixes,
            )
        )

    def adopt(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Add findings of another check."""
        for found in diagnostics:
            self.errors += found.severity is Severity.ERROR
            if not self.is_full:
                self._keep(found)

    def report_stop(self, place: Location) -> None:
        """Say that the check ended here because the list is full."""
        self.errors += 1
        self._keep(
            Diagnostic(
                "N3906",
                CODES["N3906"].severity,
                "so much is wrong that the check stops here",
                place.source,
                place.span,
                help="mend what is listed, and check again",
            )
        )

    def sorted(self) -> tuple[Diagnostic, ...]:
        """All findings in the order of the file."""
        return tuple(
            sorted(self._found.values(), key=lambda found: (found.source.path, found.span, found.code))
        )

    def _keep(self, found: Diagnostic) -> None:
        key = (found.code, found.source.path, found.span.start, found.span.end, found.message)
        self._found.setdefault(key, found)


def _phrase(sentence: str) -> str:
    first = sentence.split(" ", 1)[0]
    if first.istitle() and first.isalpha():
        sentence = sentence[0].lower() + sentence[1:]
    return sentence[:-1] if sentence.endswith(".") else sentence
