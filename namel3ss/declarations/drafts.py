"""The first reading of `ai model` declarations: their keys and settings by name, before `extends` and providers.

A draft is made for every declaration, also for a broken one, so that the rest can be checked against its name.
"""

from __future__ import annotations

import bisect
import functools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from namel3ss.declarations.model import Location
from namel3ss.declarations.written import read_pairs, shortened
from namel3ss.language import Label, Severity, Step
from namel3ss.providers.setting_problems import same_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from namel3ss.declarations.findings import Findings
    from namel3ss.declarations.written import Written
    from namel3ss.language import Block, Declaration, Diagnostic, ParseResult, Source, Span

__all__ = ["BLOCKS", "DEFAULT_NAME", "MODEL_KEYS", "Draft", "draft_models"]

DEFAULT_NAME = "default"
BLOCKS = ("config", "deployment_config")
MODEL_KEYS = (
    "provider",
    "model",
    "extends",
    "description",
    "system",
    *BLOCKS,
    "local_model_path",
    "fallback",
)


@dataclass(frozen=True, slots=True)
class Draft:
    """One `ai model` as written. `keys` are its own, `settings` those of all its blocks by name.

    `is_broken`: it cannot load, and neither can what extends it, whatever its settings say. `has_gaps`: a part of it
    was lost to an error that is reported already, so that something missing need not be reported again.
    """

    name: str
    place: Location
    keys: dict[str, Written] = field(default_factory=dict)
    settings: dict[str, Written] = field(default_factory=dict)
    is_broken: bool = False
    has_gaps: bool = False


def draft_models(
    files: Iterable[ParseResult], findings: Findings
) -> tuple[dict[str, Draft], tuple[str, ...]]:
    """The drafts by name, and the names that are declared again. Of several with one name the first counts."""
    drafts: dict[str, Draft] = {}
    unnamed: Declaration | None = None
    again: list[str] = []
    for declaration, source, faults in _model_declarations(files):
        name = declaration.name.text if declaration.name is not None else DEFAULT_NAME
        place = Location(source, declaration.name.span if declaration.name else declaration.keyword)
        known = drafts.get(name)
        if known is None:
            work = functools.partial(_draft, name, place, declaration, source, faults, findings)
            drafts[name] = findings.recall("draft", (declaration,), None, work)
        else:
            both_unnamed = declaration.name is None and unnamed is not None
            _report_again(name, place, known.place, findings, both_unnamed=both_unnamed)
            again.append(name)
        if declaration.name is None and unnamed is None:
            unnamed = declaration
    return drafts, tuple(again)


def _model_declarations(files: Iterable[ParseResult]) -> Iterator[tuple[Declaration, Source, _Faults]]:
    for file in files:
        faults = None
        for declaration in file.tree.declarations():
            if declaration.kind == "ai model":
                faults = faults or _Faults(file.diagnostics)
                yield declaration, file.tree.source, faults


def _report_again(
    name: str, place: Location, first: Location, findings: Findings, *, both_unnamed: bool
) -> None:
    labels = (Label(first.span, "first here", first.source if first.source is not place.source else None),)
    if both_unnamed:
        findings.report(
            "N3105",
            "Two ai models have no name; only one of them can be the default.",
            place,
            label="the second",
            labels=labels,
            help="Name it: `ai model NAME { … }`",
        )
    else:
        findings.report(
            "N3104",
            f"ai model `{shortened(name)}` is declared twice.",
            place,
            label="again here",
            labels=labels,
            help="Give one of them another name.",
            notes=(f"An ai model without a name is called `{DEFAULT_NAME}`.",)
            if name == DEFAULT_NAME
            else (),
        )


def _draft(
    name: str, place: Location, declaration: Declaration, source: Source, faults: _Faults, findings: Findings
) -> Draft:
    errors_before = findings.errors
    written = read_pairs(declaration.block, source, findings)
    for entry in declaration.block.entries:
        if isinstance(entry, Step):
            findings.report("N3108", "A step belongs in a chain.", Location(source, entry.keyword))
    keys = {key: value for key, value in written.items() if key in MODEL_KEYS and key not in BLOCKS}
    has_gaps = faults.touch(declaration.span)
    home = None if has_gaps else declaration.block  # in a block with errors nothing is moved
    settings = {key: replace(value, home=home) for key, value in written.items() if key not in MODEL_KEYS}
    for block in BLOCKS:
        if block in written:
            _add_block(block, written[block], home, settings, findings)
    return Draft(
        name, place, keys, settings, is_broken=has_gaps or findings.errors > errors_before, has_gaps=has_gaps
    )


def _add_block(
    block: str, written: Written, home: Block | None, settings: dict[str, Written], findings: Findings
) -> None:
    if written.content is None:
        return
    if not isinstance(written.content, dict):
        findings.report(
            "N3108", f"{block} must be a block of settings.", written.place, help=f"Write `{block}: {{ … }}`"
        )
        return
    for name, value in written.content.items():
        first = settings.setdefault(name, replace(value, block=block, home=home))
        if first.block != block and not same_value(first.plain(), value.plain()):
            findings.report(
                "N3204",
                f"{shortened(name)} has one value in {first.block or 'the ai model itself'} and another in {block}.",
                value.key or value.place,
                label="another value here",
                labels=(Label((first.key or first.place).span, "one value here"),),
                help="Keep one of the two.",
            )


class _Faults:
    """Where the syntax check found errors, to ask about spans."""

    def __init__(self, syntax: Iterable[Diagnostic]) -> None:
        self._starts = sorted(found.span.start for found in syntax if found.severity is Severity.ERROR)

    def touch(self, span: Span) -> bool:
        index = bisect.bisect_left(self._starts, span.start)
        return index < len(self._starts) and self._starts[index] <= span.end
