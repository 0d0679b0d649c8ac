"""What prompts, chains and steps share: their keys, and names of models."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar, cast

from namel3ss.declarations.contents import Faults
from namel3ss.declarations.drafts import DEFAULT_NAME
from namel3ss.declarations.findings import Findings
from namel3ss.declarations.layers import Layer, blocks_of, layered_pairs
from namel3ss.declarations.places import Location
from namel3ss.declarations.replacing import is_bare, written_instead
from namel3ss.declarations.type_reading import read_object_type
from namel3ss.declarations.value_types import ObjectType
from namel3ss.declarations.written import shortened
from namel3ss.language import BareWord, BlockText, Fix, Label, List, Severity, Step, String, TextEdit
from namel3ss.language.suggest import closest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence

    from namel3ss.declarations.contents import Contents
    from namel3ss.declarations.imports import Files
    from namel3ss.declarations.layers import Layers
    from namel3ss.language import Block, Source, Value

CheckedT = TypeVar("CheckedT")
PartKind: TypeAlias = Literal["prompt", "chain", "server", "gateway"]

__all__ = [
    "DeclaredPart",
    "Models",
    "Part",
    "PartKind",
    "WrittenParts",
    "check_apart",
    "report_unknown_name",
]

# Found where something is missing: in a declaration with syntax errors it may just not have been understood.
_ABSENCE = frozenset({"N3501", "N3507", "N3601", "N3603", "N3604"})


@dataclass(frozen=True, slots=True)
class DeclaredPart:
    """A declaration as written: in the program, in the profile, or in both.

    `place` is its name where it was written first; `fault_lines` are those on which the syntax check found errors.
    """

    kind: PartKind
    name: str
    place: Location
    layers: tuple[Layer, ...]
    fault_lines: frozenset[tuple[Source, int]]

    def hides_names(self) -> bool:
        """Whether names that templates may use can have been lost to a syntax error."""
        if self.kind == "chain":
            return True  # any step may have given them
        return any(
            source is of
            and source.position(pair.span.start).line <= line
            and line <= source.position(pair.span.end).line
            for block, source, _ in self.layers
            for pair in block.pairs()
            if pair.key.text == "input"
            for of, line in self.fault_lines
        )

    def steps(self) -> Iterator[Location]:
        """The keywords of all steps that stand in it."""
        for block, source, _ in self.layers:
            for entry in block.entries:
                if isinstance(entry, Step):
                    yield Location(source, entry.keyword)


@dataclass(frozen=True, slots=True)
class Models:
    """The names of all ai models of a program, healthy or not."""

    names: tuple[str, ...]

    @property
    def has_default(self) -> bool:
        """Whether a prompt may leave its model out."""
        return len(self.names) == 1 or DEFAULT_NAME in self.names

    def matter_to(self, blocks: Iterable[Block]) -> Hashable:
        """What the names that these blocks give for a model depend on: while it is the same, so is what they mean."""
        for block in blocks:
            pair = block.get("model")
            value = pair.value if pair is not None else None
            if isinstance(value, String | BlockText | BareWord):
                is_settled = value.value in self.names
            else:
                is_settled = pair is None and self.has_default
            if not is_settled:
                return self.names
        return self.has_default


class Part:
    """The keys of one declaration or step, by name. What is written in several layers is one."""

    def __init__(self, what: str, layers: Layers, findings: Findings) -> None:
        self.what = what
        self.findings = findings
        self._pairs = layered_pairs(layers, findings)

    def __contains__(self, key: str) -> bool:
        return key in self._pairs

    def value(self, key: str) -> Value | None:
        """The value of a key; None where there is none, or none that could be read."""
        pairs = self._pairs.get(key)
        return pairs[-1].pair.value if pairs is not None else None

    def source(self, key: str) -> Source:
        """The text that the value of a key stands in."""
        return self._pairs[key][-1].source

    def blocks(self, key: str) -> list[Layer]:
        """The maps that make up the value of a key; none where it is no map."""
        return blocks_of(self._pairs.get(key, ()))

    def key_place(self, key: str) -> Location:
        pair, source = self._pairs[key][-1]
        return Location(source, pair.key.span)

    def place(self, key: str) -> Location:
        """Where the value of a key stands, or the key where there is no value."""
        pair, source = self._pairs[key][-1]
        return Location(source, (pair.value or pair.key).span)

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
        if layers := self.blocks(key):
            return read_object_type(layers, self.findings)
        value = self.value(key)
        words = value.items if isinstance(value, List) else (value,)
        names = [word.value for word in words if isinstance(word, BareWord | String)]
        self.refuse(
            key, "a map of names and types", f"Write `{key}: {{ {names[0] if names else 'name'}: str }}`"
        )
        return ObjectType((), frozenset(names))

    def refuse(self, key: str, wanted: str, help: str | None = None) -> None:  # noqa: A002  # the diagnostic's own word
        """Report that the value of a key is not what it must be."""
        if self.value(key) is not None:
            self.findings.report("N3108", f"{key} must be {wanted}.", self.place(key), help=help)

    def report_unknown_key(
        self,
        code: str,
        key: str,
        known: Collection[str],
        near: str | None = None,
        otherwise: str | None = None,
    ) -> None:
        """Report a key that is not one of `known`; `otherwise` helps where none of them is like it."""
        near = near or next(iter(closest(key, known)), None)
        place = self.key_place(key)
        self.findings.report(
            code,
            f"{self.what} has no key `{shortened(key)}`.",
            place,
            help=f"Did you mean `{near}`?" if near else otherwise or f"There is {', '.join(known)}.",
            fixes=(Fix(f"Write {near}", (TextEdit(place.span, near),), safe=False),) if near else (),
        )

    def model(self, models: Models) -> str | None:
        """The name of the ai model to ask, known or not; None for the program's default."""
        value = self.text("model")
        if value is None:
            return None
        if value.value not in models.names:
            report_unknown_name("N3507", "ai model", value, models.names, self.source("model"), self.findings)
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
    place = Location(source, value.span)
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
        place,
        help=f"{help_text} {otherwise}".strip(),
        # Where a bare word and a quoted one are two things, a name that needs quotes cannot be written.
        fixes=written_instead(place, near) if not otherwise or all(map(is_bare, near)) else (),
    )


def check_apart(
    part: DeclaredPart, findings: Findings, check: Callable[[Findings], CheckedT | None]
) -> CheckedT | None:
    """What a check makes of a part. One with syntax errors is checked as well, for what they surely did not cause."""
    if not part.fault_lines:
        return check(findings)
    missing = _ABSENCE | {"N3503"} if part.hides_names() else _ABSENCE
    apart = Findings()
    check(apart)
    findings.adopt(
        found
        for found in apart.sorted()
        if found.severity is Severity.ERROR
        and found.code not in missing
        and (found.source, found.source.position(found.span.start).line) not in part.fault_lines
    )
    return None


class WrittenParts:
    """The declarations of a program that are no ai models, by kind, as its files and its profile write them."""

    def __init__(self, files: Files, findings: Findings) -> None:
        self._findings = findings
        self._own = _by_kind(files.parts, findings, is_profile=False)
        self._above = _by_kind(files.profile, findings, is_profile=True)

    def declared(self, kind: PartKind, places: dict[str, Location]) -> dict[str, DeclaredPart]:
        """The declarations of a kind by name, with the profile over them.

        A name is used once in a program, and once in a profile: `places` are the uses so far, to which these are added.
        """
        own: dict[str, DeclaredPart] = {}
        for part in self._own.get(kind, ()):
            first = places.setdefault(part.name, part.place)
            if first is part.place:
                own[part.name] = part
            else:
                _report_again(part, first, self._findings)
        found = dict(own)
        above: dict[str, DeclaredPart] = {}
        for part in self._above.get(kind, ()):
            if part.name in above:
                _report_again(part, above[part.name].place, self._findings)
            elif part.name in own:
                above[part.name] = part
                found[part.name] = _laid_over(own[part.name], part, self._findings)
            elif (first := places.setdefault(part.name, part.place)) is part.place:
                found[part.name] = part
            else:
                _report_again(part, first, self._findings)
        return found


def _by_kind(
    files: Sequence[Contents], findings: Findings, *, is_profile: bool
) -> dict[str, list[DeclaredPart]]:
    found: dict[str, list[DeclaredPart]] = {}
    with_parts = [(file,) for file in files if file.others]
    work = functools.partial(_parts_of, is_profile=is_profile)
    for parts in findings.recall_all("parts", with_parts, is_profile, work):
        for part in parts:
            found.setdefault(part.kind, []).append(part)
    return found


def _parts_of(file: Contents, *, is_profile: bool) -> tuple[DeclaredPart, ...]:
    source, faults = file.source, Faults(file.diagnostics)
    return tuple(
        DeclaredPart(
            cast("PartKind", declaration.kind),
            declaration.name.text,
            Location(source, declaration.name.span),
            (Layer(declaration.block, source, is_profile),),
            faults.lines(source, declaration.span),
        )
        for declaration in file.others
        if declaration.name is not None
    )


def _report_again(part: DeclaredPart, first: Location, findings: Findings) -> None:
    """Report that the name of a part is used; `first` is where."""
    place = part.place
    elsewhere = first.source if first.source is not place.source else None
    findings.report(
        "N3104",
        f"`{shortened(part.name)}` is declared twice.",
        place,
        label="again here",
        labels=(Label(first.span, "first here", elsewhere),),
        help="Give one of them another name.",
    )


def _laid_over(below: DeclaredPart, above: DeclaredPart, findings: Findings) -> DeclaredPart:
    work = functools.partial(
        replace, below, layers=below.layers + above.layers, fault_lines=below.fault_lines | above.fault_lines
    )
    return findings.recall("lay part over", (below, above), None, work)
