"""Collects diagnostics: each once, with the severity of its code, and not without end."""

from __future__ import annotations

import functools
import itertools
from typing import TYPE_CHECKING, TypeVar, cast

from namel3ss.declarations.memory import Claim, Noted, Outcome
from namel3ss.language import Diagnostic, Severity
from namel3ss.language.codes import CODES

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

    from namel3ss.declarations.memory import CheckMemory
    from namel3ss.declarations.places import Location
    from namel3ss.language import Fix, Label, Source

__all__ = ["Findings"]

_MOST_FINDINGS = 500
_MOST_SUGGESTIONS = 50
# What is reported of a thing that is there twice.
_TWICE = frozenset({"N3104", "N3105", "N3203", "N3610"})

ValueT = TypeVar("ValueT")


class _Step:
    """What happens while a step is being done."""

    def __init__(self) -> None:
        self.notes: list[Noted] = []
        self.claims: list[Claim] = []
        self.looked_for_names = False
        self.asked_if_full = False

    def add(self, other: Outcome | _Step) -> None:
        """Count in what a step inside this one did, but for its findings and claims, which come by themselves."""
        self.looked_for_names = self.looked_for_names or other.looked_for_names
        self.asked_if_full = self.asked_if_full or other.asked_if_full


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
        self._step: _Step | None = None
        self._has_stopped = False
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
        if self._step is not None:
            self._step.asked_if_full = True
        return len(self._found) >= _MOST_FINDINGS

    @property
    def has_stopped(self) -> bool:
        """Whether the check ended before its end."""
        return self._has_stopped

    @property
    def is_short(self) -> bool:
        """Whether there is still time to look for what somebody may have meant."""
        if self._step is not None:
            self._step.looked_for_names = True
        return len(self._found) < _MOST_SUGGESTIONS

    def recall(
        self, step: str, made_from: tuple[object, ...], detail: Hashable, work: Callable[[], ValueT]
    ) -> ValueT:
        """The value of `work`, with what it finds; from the memory where it has been done with these very objects.

        `detail` is whatever else the outcome depends on.
        """
        if self._memory is None:
            return work()
        return self._recall(self._memory, (step, detail, *map(id, made_from)), made_from, work)

    def _recall(
        self,
        memory: CheckMemory,
        key: tuple[Hashable, ...],
        made_from: tuple[object, ...],
        work: Callable[[], ValueT],
    ) -> ValueT:
        known = memory.get(key)
        if known is not None and self._would_come_again(known):
            memory.keep(key, known)
            if self._step is not None:
                self._step.add(known)
            for noted in known.findings:
                self._enter(*noted)
            return cast("ValueT", known.value)
        outer, self._step = self._step, _Step()
        outer_steps = memory.begin_step()
        try:
            value = work()
        finally:
            done, self._step = self._step, outer
            inner = memory.end_step(outer_steps)
            if outer is not None:
                outer.add(done)
                outer.notes += done.notes
                outer.claims += done.claims
        outcome = Outcome(
            value,
            tuple(done.notes),
            tuple(done.claims),
            done.looked_for_names,
            done.asked_if_full,
            made_from,
            inner,
            is_silent=not (done.notes or done.claims or done.looked_for_names),
        )
        if self._stays_below(outcome, len(self._found)):
            memory.keep(key, outcome)
        return value

    def recall_all(
        self,
        step: str,
        items: Sequence[tuple[object, ...]],
        detail: Hashable,
        work: Callable[..., ValueT],
    ) -> tuple[ValueT, ...]:
        """The value of `work(*item)` for each item, as `recall` gives it for the objects of an item.

        Where nothing has changed in any item, all are recalled at once; else one that has not changed costs a look-up.
        `detail` is whatever else any of them depends on; an item that depends on less of it is recalled once more by `work`.
        """
        if self._memory is None or not items:
            return tuple([work(*item) for item in items])
        detail = self._memory.same(detail)
        made_from = (detail, *itertools.chain.from_iterable(items))
        shape = tuple(map(len, items))
        run = functools.partial(self._do_all, self._memory, step, items, detail, work)
        return self._recall(self._memory, (step, shape, *map(id, made_from)), made_from, run)

    def _do_all(
        self,
        memory: CheckMemory,
        step: str,
        items: Sequence[tuple[object, ...]],
        detail: Hashable,
        work: Callable[..., ValueT],
    ) -> tuple[ValueT, ...]:
        values: list[ValueT] = []
        is_full, which = self.is_full, id(detail)
        keys = [(step, which, *map(id, item)) for item in items]
        for key, item, known in zip(keys, items, memory.get_silent(keys), strict=True):
            if known is not None and not is_full:
                values.append(cast("ValueT", known.value))
            else:
                one = functools.partial(work, *item)
                values.append(self._recall(memory, key, (detail, *item), one))
        return tuple(values)

    def _would_come_again(self, known: Outcome) -> bool:
        """Whether a step would give the same in this check."""
        if not self._stays_below(known, len(self._found) + len(known.findings)):
            return False
        return not known.claims or all(
            self.claim(claim.thing, claim.owner) == claim.was_first for claim in known.claims
        )

    @staticmethod
    def _stays_below(outcome: Outcome, count: int) -> bool:
        """Whether so many findings leave a step as it is: it may stop, and names are only looked for among few."""
        return not (
            (outcome.looked_for_names and count >= _MOST_SUGGESTIONS)
            or (outcome.asked_if_full and count >= _MOST_FINDINGS)
        )

    def claim(self, thing: Hashable, owner: Hashable) -> bool:
        """Whether `owner` was the first to ask for `thing`: of several fixes that make one thing, one is enough."""
        was_first = self._owners.setdefault(thing, owner) == owner
        if self._step is not None:
            self._step.claims.append(Claim(thing, owner, was_first))
        return was_first

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
        """Say that the check ended here because the list is full; where it did so already, nothing."""
        if self._has_stopped:
            return
        self._has_stopped = True
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
        if self._step is not None:
            self._step.notes.append(Noted(found, is_adopted))
        self.errors += found.severity is Severity.ERROR
        # What the syntax check says of a place is enough.
        is_known = not is_adopted and (found.source, found.span.start) in self._syntax
        is_full = len(self._found) >= _MOST_FINDINGS
        if not is_full and not is_known and not self._is_of_doubled_line(found):
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
