"""Values as a file writes them: plain data beside the places it came from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias, assert_never

from namel3ss.declarations.moving import taken_out
from namel3ss.declarations.places import EnvironmentValue, Location, Path
from namel3ss.language import (
    BareWord,
    Block,
    BlockText,
    Boolean,
    EnvReference,
    Label,
    List,
    Null,
    Number,
    String,
    TypeForm,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from namel3ss.declarations.findings import Findings
    from namel3ss.language import Fix, Pair, Source, Value

__all__ = [
    "Scalar",
    "Written",
    "merge_pairs",
    "merge_settings",
    "read_pairs",
    "read_value",
    "shortened",
    "unique_pairs",
]

Scalar: TypeAlias = "str | int | float | bool | None"


@dataclass(frozen=True, slots=True)
class Written:
    """A value and where it stands. `content` is a scalar, a reference, a map or a list of these.

    `block` is the block of the declaration that a setting was written in, "" for the declaration's own; `home` is the
    declaration's own block, None where nothing can be moved. `key` is None inside lists.
    """

    content: Scalar | EnvironmentValue | dict[str, Written] | list[Written]
    place: Location
    key: Location | None = None
    block: str = ""
    home: Block | None = field(default=None, repr=False, compare=False)

    def plain(self) -> Any:
        """The value as plain data; references stay what they are."""
        if isinstance(self.content, dict):
            return {key: item.plain() for key, item in self.content.items()}
        if isinstance(self.content, list):
            return [item.plain() for item in self.content]
        return self.content

    def at(self, path: Path) -> Written:
        """The value that `path` leads to, or as near to it as values were written."""
        found = self
        for step in path:
            inner = found._inside(step)
            if inner is None:
                break
            found = inner
        return found

    def _inside(self, step: str | int) -> Written | None:
        if isinstance(self.content, dict) and isinstance(step, str):
            return self.content.get(step)
        if isinstance(self.content, list) and isinstance(step, int) and step < len(self.content):
            return self.content[step]
        return None

    def walk(self, path: Path = ()) -> Iterator[tuple[Path, Written]]:
        """This value and every one inside it, with their paths."""
        yield path, self
        if isinstance(self.content, dict):
            for key, item in self.content.items():
                yield from item.walk((*path, key))
        elif isinstance(self.content, list):
            for index, item in enumerate(self.content):
                yield from item.walk((*path, index))


def _merge(base: Written | None, nearer: Written) -> Written:
    if base is None or not isinstance(base.content, dict) or not isinstance(nearer.content, dict):
        return nearer
    return replace(nearer, content=merge_pairs(base.content, nearer.content))


def merge_pairs(base: Mapping[str, Written], nearer: Mapping[str, Written]) -> dict[str, Written]:
    """The pairs of two blocks as one: the nearer value wins, maps merge key by key."""
    merged = dict(base)
    for key, value in nearer.items():
        merged[key] = _merge(merged.get(key), value)
    return merged


def merge_settings(base: Mapping[str, Written], nearer: Mapping[str, Written]) -> dict[str, Written]:
    """As `merge_pairs`, for the settings of a provider: a nearer `base_url` also takes the place of `hosts`.

    Both say where to ask, and a list of servers counts before the one address: without this, an address that a profile
    or an extending model writes would never be asked.
    """
    merged = merge_pairs(base, nearer)
    address = nearer.get("base_url")
    if address is not None and address.content is not None and "hosts" not in nearer:
        merged.pop("hosts", None)
    return merged


def unique_pairs(block: Block, source: Source, findings: Findings) -> dict[str, Pair]:
    """The pairs of a block by key. Of several with one key the first counts; the others are reported, once for a line."""
    pairs: dict[str, Pair] = {}
    again: dict[tuple[int, int], list[Pair]] = {}  # by their line and that of the first ones
    for pair in block.pairs():
        known = pairs.setdefault(pair.key.text, pair)
        if known is not pair:
            lines = (source.position(pair.span.start).line, source.position(known.span.start).line)
            again.setdefault(lines, []).append(pair)
    for line in again.values():
        _report_again(line, pairs, block, source, findings)
    return pairs


def _report_again(
    again: list[Pair], first: Mapping[str, Pair], block: Block, source: Source, findings: Findings
) -> None:
    """Report pairs of one line whose keys are there already; those that say the same can be taken out."""
    keys = list(dict.fromkeys(shortened(pair.key.text) for pair in again))
    shown = ", ".join(keys[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")
    findings.report(
        "N3203",
        f"{shown} {'is' if len(keys) == 1 else 'are'} written twice.",
        Location(source, again[0].key.span),
        label="again here",
        labels=tuple(
            Label(place, "first here")
            for place in dict.fromkeys(first[pair.key.text].key.span for pair in again[:3])
        ),
        help="Keep one of the two.",
        fixes=_same_taken_out(again, first, block, source),
    )


def _same_taken_out(
    again: list[Pair], first: Mapping[str, Pair], block: Block, source: Source
) -> tuple[Fix, ...]:
    """The fix for a single key that says nothing new: it is taken out."""
    pair, known = again[0], first[again[0].key.text]
    spellings = {source.text[slice(*each.span)] for each in (pair, known)}
    if len(again) > 1 or len(spellings) > 1 or pair.value is None:
        return ()
    fix = taken_out(pair, block, source)
    return (fix,) if fix is not None else ()


def read_pairs(block: Block, source: Source, findings: Findings) -> dict[str, Written]:
    """The values of a block by key, as `unique_pairs` finds them.

    A pair without a readable value is left out: the syntax check has reported it.
    """
    values: dict[str, Written] = {}
    for key, pair in unique_pairs(block, source, findings).items():
        if pair.value is None:
            continue
        if isinstance(pair.value, TypeForm):
            findings.report(
                "N3108",
                f"{shortened(key)} is a type here, where a value belongs.",
                Location(source, pair.value.span),
            )
            continue
        value = read_value(pair.value, source, findings)
        values[key] = replace(value, key=Location(source, pair.key.span))
    return values


def read_value(value: Value, source: Source, findings: Findings) -> Written:
    """A syntax node as data."""
    place = Location(source, value.span)
    if isinstance(value, Block):
        return Written(read_pairs(value, source, findings), place)
    if isinstance(value, List):
        return Written([read_value(item, source, findings) for item in value.items], place)
    if isinstance(value, EnvReference):
        return Written(_environment_value(value), place)
    if isinstance(value, String | BlockText | BareWord | Number | Boolean | Null):
        return Written(value.value, place)
    if isinstance(value, TypeForm):
        findings.report("N3108", "A type stands here, where a value belongs.", place)
        return Written(None, place)
    assert_never(value)


def _environment_value(reference: EnvReference) -> EnvironmentValue:
    names = [reference.name.text]
    fallback = reference.fallback
    while isinstance(fallback, EnvReference):
        names.append(fallback.name.text)
        fallback = fallback.fallback
    if fallback is None:
        return EnvironmentValue(tuple(names))
    return EnvironmentValue(tuple(names), has_default=True, default=fallback.value)


def shortened(key: str) -> str:
    """A key for a message."""
    return key if len(key) <= 60 else key[:59] + "…"
