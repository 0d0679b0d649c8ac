"""Collects diagnostics: each once, with the severity of its code, and not without end."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

from namel3ss.declarations.memory import Noted, Outcome
from namel3ss.language import Diagnostic, Severity
from namel3ss.language.codes import CODES

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from namel3ss.declarations.memory import CheckMemory
    from namel3ss.declarations.model import Location
    from namel3ss.language import Fix, Label, Source

__all__ = ["Findings"]

_MOST_FINDINGS = 500
_MOST_SUGGESTIONS = 50
# What is reported of a thing that is there twice.
_TWICE = frozenset({"N3104", "N3105", "N3203", "N3610"})

ValueT = TypeVar("ValueT")


class Findings:
    """The findings about one program. Lives for one check.

    `errors` counts every error reported, those included that were known before: whoever compares it before and
    after a step learns whether the step found fault. With a `memory`, steps that `recall` names are not done twice.
    """

    def __init__(self, found: Iterable[Diagnostic] = (), *, memory: CheckMemory | None = None) -> None:
        self.errors = 0
        # By source, not by path: an editor reads one file as several texts.
        self._syntax: set[tuple[Source, int]] = set()
        self._syntax_lines: set[tuple[Source, int]] = set()
        self._found: dict[tuple[str, Source, int, int, str], Diagnostic] = {}
        self._owners: dict[Hashable, Hashable] = {}
        self._memory = memory
        self._notes: list[Noted] | None = None  # what the step that is being done finds
        self._looked_for_names = False
        if memory is not None:
            memory.begin()
        self.add(found)

    def add(self, found: Iterable[Diagnostic]) -> None:
        """Add what reading a text has found; of those places nothing more is reported."""
        for diagnostic in found:
            self._keep(diagnostic)
            if diagnostic.severity is Severity.ERROR:
                source, start = diagnostic.source, diagnostic.span.start
                self._syntax.add((source, start))
                self._syntax_lines.add((source, source.position(start).line))

    @property
    def is_full(self) -> bool:
        """Whether so much is wrong that looking further helps nobody."""
        return len(self._found) >= _MOST_FINDINGS

    @property
    def is_short(self) -> bool:
        """Whether there is still time to look for what somebody may have meant."""
        self._looked_for_names = True
        return len(self._found) < _MOST_SUGGESTIONS

    def recall(
        self, step: str, made_from: tuple[object, ...], detail: Hashable, work: Callable[[], ValueT]
    ) -> ValueT:
        """The value of `work`, with what it finds; from the memory where it has been done with these very objects.

        `detail` is whatever else the outcome depends on.
        """
        if self._memory is None:
            return work()
        key = (step, detail, *map(id, made_from))
        known = self._memory.get(key)
        if known is not None and (not known.looked_for_names or self._stays_short(known)):
            self._memory.keep(key, known)
            for noted in known.findings:
                self._enter(*noted)
            return cast("ValueT", known.value)
        outer = self._notes, self._looked_for_names
        self._notes, self._looked_for_names = [], False
        try:
            value = work()
        finally:
            notes, looked = self._notes, self._looked_for_names
            self._notes, self._looked_for_names = outer[0], outer[1] or looked
            if self._notes is not None:
                self._notes.extend(notes)
        if not looked or len(self._found) < _MOST_SUGGESTIONS:
            self._memory.keep(key, Outcome(value, tuple(notes), looked, made_from))
        return value

    def _stays_short(self, known: Outcome) -> bool:
        """Whether an outcome with suggestions would come about again: names are only looked for among few findings."""
        return len(self._found) + len(known.findings) < _MOST_SUGGESTIONS

    def claim(self, thing: Hashable, owner: Hashable) -> bool:
        """Whether `owner` was the first to ask for `thing`: of several fixes that make one thing, one is enough."""
        return self._owners.setdefault(thing, owner) == owner

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
        found = Diagnostic(
            code,
            CODES[code].severity,
            _phrase(message),
            place.source,
            place.span,
            label,
            labels,
            help=_phrase(help) if help else None,
            notes=tuple(map(_phrase, notes)),
            fixes=fixes,
        )
        self._enter(found, is_adopted=False)

    def adopt(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Add findings of another check."""
        for found in diagnostics:
            self._enter(found, is_adopted=True)

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

    def of(self, code: str) -> tuple[Diagnostic, ...]:
        """The findings of one code so far."""
        return tuple(found for found in self._found.values() if found.code == code)

    def sorted(self) -> tuple[Diagnostic, ...]:
        """All findings in the order of the file."""
        return tuple(
            sorted(self._found.values(), key=lambda found: (found.source.path, found.span, found.code))
        )

    def _enter(self, found: Diagnostic, is_adopted: bool) -> None:
        if self._notes is not None:
            self._notes.append(Noted(found, is_adopted))
        self.errors += found.severity is Severity.ERROR
        # What the syntax check says of a place is enough.
        is_known = not is_adopted and (found.source, found.span.start) in self._syntax
        if not self.is_full and not is_known and not self._is_of_doubled_line(found):
            self._keep(found)

    def _is_of_doubled_line(self, found: Diagnostic) -> bool:
        """Whether a name is there twice because its line is, of which the syntax check has reported one already."""
        if found.code not in _TWICE or not found.labels or found.labels[0].source is not None:
            return False
        source, first = found.source, found.source.position(found.labels[0].span.start).line
        second = source.position(found.span.start).line
        return (
            second == first + 1
            and bool({(source, first), (source, second)} & self._syntax_lines)
            and source.line_text(first).strip() == source.line_text(second).strip()
        )

    def _keep(self, found: Diagnostic) -> None:
        key = (found.code, found.source, found.span.start, found.span.end, found.message)
        self._found.setdefault(key, found)


def _phrase(sentence: str) -> str:
    first = sentence.split(" ", 1)[0]
    if first.istitle() and first.isalpha():
        sentence = sentence[0].lower() + sentence[1:]
    return sentence[:-1] if sentence.endswith(".") else sentence
