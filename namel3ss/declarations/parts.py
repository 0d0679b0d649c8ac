"""What prompts, chains and steps share: their keys, and names of models."""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from namel3ss.declarations.drafts import DEFAULT_NAME
from namel3ss.declarations.findings import Findings
from namel3ss.declarations.model import Location
from namel3ss.declarations.type_reading import read_object_type
from namel3ss.declarations.value_types import ObjectType
from namel3ss.declarations.written import shortened
from namel3ss.language import BareWord, Block, BlockText, Fix, Label, Severity, String, TextEdit
from namel3ss.language.suggest import closest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from namel3ss.language import Declaration, Diagnostic, Pair, Source, Span, SyntaxTree, Value

CheckedT = TypeVar("CheckedT")

__all__ = ["DeclaredPart", "Models", "Part", "check_apart", "declared_parts", "report_unknown_name"]

# Found where something is missing: in a declaration with syntax errors it may just not have been understood.
_ABSENCE = frozenset({"N3501", "N3507", "N3601", "N3603", "N3604"})


@dataclass(frozen=True, slots=True)
class DeclaredPart:
    """A prompt or chain as written. `fault_lines` are those on which the syntax check found errors."""

    declaration: Declaration
    source: Source
    place: Location
    fault_lines: frozenset[int]


@dataclass(frozen=True, slots=True)
class Models:
    """The names of all ai models of a program, healthy or not."""

    names: Collection[str]

    @property
    def has_default(self) -> bool:
        """Whether a prompt may leave its model out."""
        return len(self.names) == 1 or DEFAULT_NAME in self.names


class Part:
    """The keys of one declaration or step, by name. Of several with one key the first counts."""

    def __init__(self, what: str, block: Block, source: Source, findings: Findings) -> None:
        self.what = what
        self.source = source
        self.findings = findings
        self._pairs: dict[str, Pair] = {}
        for pair in block.pairs():
            known = self._pairs.setdefault(pair.key.text, pair)
            if known is not pair:
                findings.report(
                    "N3203",
                    f"{shortened(pair.key.text)} is written twice.",
                    Location(source, pair.key.span),
                    label="again here",
                    labels=(Label(known.key.span, "first here"),),
                    help="Keep one of the two.",
                )

    def __contains__(self, key: str) -> bool:
        return key in self._pairs

    def value(self, key: str) -> Value | None:
        """The value of a key; None where there is none, or none that could be read."""
        pair = self._pairs.get(key)
        return pair.value if pair is not None else None

    def key_place(self, key: str) -> Location:
        return Location(self.source, self._pairs[key].key.span)

    def keys_other_than(self, known: Iterable[str]) -> tuple[str, ...]:
        return tuple(key for key in self._pairs if key not in known)

    def text(self, key: str) -> String | BlockText | BareWord | None:
        """The value of a key that must be text."""
        value = self.value(key)
        if value is None or isinstance(value, String | BlockText | BareWord):
            return value
        self.refuse(key, "text", f"Write it in quotes, or as `{key}: |` and indented lines.")
        return None

    def types(self, key: str) -> ObjectType:
        """The value of a key that must be a map of types."""
        value = self.value(key)
        if isinstance(value, Block):
            return read_object_type(value, self.source, self.findings)
        if value is not None:
            self.refuse(key, "a map of names and types", f"Write `{key}: {{ name: str }}`")
        return ObjectType(())

    def refuse(self, key: str, wanted: str, help: str | None = None) -> None:  # noqa: A002  # the diagnostic's own word
        """Report that the value of a key is not what it must be."""
        value = self.value(key)
        if value is not None:
            self.findings.report(
                "N3108", f"{key} must be {wanted}.", Location(self.source, value.span), help=help
            )

    def report_unknown_key(
        self, code: str, key: str, known: Collection[str], near: str | None = None
    ) -> None:
        near = near or next(iter(closest(key, known)), None)
        place = self.key_place(key)
        self.findings.report(
            code,
            f"{self.what} has no key `{shortened(key)}`.",
            place,
            help=f"Did you mean `{near}`?" if near else f"There is {', '.join(known)}.",
            fixes=(Fix(f"Write {near}", (TextEdit(place.span, near),), safe=False),) if near else (),
        )

    def model(self, models: Models) -> str | None:
        """The name of the ai model to ask, known or not; None for the program's default."""
        value = self.text("model")
        if value is None:
            return None
        if value.value not in models.names:
            report_unknown_name("N3507", "ai model", value, models.names, self.source, self.findings)
        return value.value

    def report_missing_model(self, models: Models, place: Location) -> None:
        """Report that nothing says which of several models to ask."""
        if "model" not in self and models.names and not models.has_default:
            self.findings.report(
                "N3507",
                "Nothing says which of the ai models to ask.",
                place,
                help=f"Add a line: `model: {next(iter(models.names))}`, or call one of them {DEFAULT_NAME}.",
            )


def report_unknown_name(
    code: str,
    what: str,
    value: String | BlockText | BareWord,
    names: Collection[str],
    source: Source,
    findings: Findings,
    *,
    otherwise: str = "",
) -> None:
    """Report that a word names nothing that is declared."""
    near = closest(value.value, names) if findings.is_short else []
    there = ", ".join(f"`{shortened(name)}`" for name in list(names)[:10])
    help_text = (
        f"Did you mean `{near[0]}`?"
        if near
        else f"There is {there}."
        if there
        else "Declare it in this file."
    )
    findings.report(
        code,
        f"There is no {what} `{shortened(value.value)}`.",
        Location(source, value.span),
        help=f"{help_text} {otherwise}".strip(),
        fixes=(Fix(f"Write {near[0]}", (TextEdit(value.span, near[0]),), safe=False),) if near else (),
    )


def check_apart(
    part: DeclaredPart, findings: Findings, check: Callable[[Findings], CheckedT | None]
) -> CheckedT | None:
    """What a check makes of a part. One with syntax errors is checked as well, for what they surely did not cause."""
    if not part.fault_lines:
        return check(findings)
    apart = Findings()
    check(apart)
    findings.adopt(
        found
        for found in apart.sorted()
        if found.severity is Severity.ERROR
        and found.code not in _ABSENCE
        and found.source.position(found.span.start).line not in part.fault_lines
    )
    return None


def declared_parts(
    trees: Iterable[SyntaxTree],
    kind: str,
    places: dict[str, Location],
    syntax: Iterable[Diagnostic],
    findings: Findings,
) -> dict[str, DeclaredPart]:
    """The declarations of a kind by name. A name is used once in a program: `places` are the uses so far, to which
    these are added.
    """
    faults = _Faults(syntax)
    found: dict[str, DeclaredPart] = {}
    for tree in trees:
        for declaration in tree.declarations():
            if declaration.kind != kind or declaration.name is None:
                continue
            name, place = declaration.name.text, Location(tree.source, declaration.name.span)
            first = places.setdefault(name, place)
            if first is place:
                lines = faults.lines(tree.source, declaration.span)
                found[name] = DeclaredPart(declaration, tree.source, place, lines)
                continue
            elsewhere = first.source if first.source is not place.source else None
            findings.report(
                "N3104",
                f"`{shortened(name)}` is declared twice.",
                place,
                label="again here",
                labels=(Label(first.span, "first here", elsewhere),),
                help="Give one of them another name.",
            )
    return found


class _Faults:
    """Where the syntax check found errors, to ask about declarations."""

    def __init__(self, syntax: Iterable[Diagnostic]) -> None:
        self._starts: dict[str, list[int]] = {}
        for found in syntax:
            if found.severity is Severity.ERROR:
                bisect.insort(self._starts.setdefault(found.source.path, []), found.span.start)

    def lines(self, source: Source, span: Span) -> frozenset[int]:
        starts = self._starts.get(source.path, [])
        inside = starts[bisect.bisect_left(starts, span.start) : bisect.bisect_right(starts, span.end)]
        return frozenset(source.position(start).line for start in inside)
