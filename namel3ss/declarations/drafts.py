"""The first reading of `ai model` declarations: their keys and settings by name, before `extends` and providers.

A draft is made for every declaration, also for a broken one, so that the rest can be checked against its name.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from namel3ss.declarations.contents import DEFAULT_NAME
from namel3ss.declarations.places import Location
from namel3ss.declarations.written import read_pairs, shortened
from namel3ss.language import Label, Step
from namel3ss.providers.setting_problems import same_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from namel3ss.declarations.contents import Contents, ModelHead
    from namel3ss.declarations.findings import Findings
    from namel3ss.declarations.written import Written
    from namel3ss.language import Block

__all__ = ["BLOCKS", "DEFAULT_NAME", "MODEL_KEYS", "Draft", "draft_models"]

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


def draft_models(files: Sequence[Contents], findings: Findings) -> tuple[dict[str, Draft], tuple[str, ...]]:
    """The drafts by name, and the names that are declared again. Of several with one name the first counts."""
    first: dict[str, ModelHead] = {}
    has_unnamed = False
    again: list[tuple[ModelHead, bool]] = []
    for head in itertools.chain.from_iterable([part.models for part in files]):
        is_unnamed = head.declaration.name is None
        if first.setdefault(head.name, head) is not head:
            again.append((head, is_unnamed and has_unnamed))
        has_unnamed = has_unnamed or is_unnamed
    work = functools.partial(_draft, findings=findings)
    drafts = findings.recall_all("draft", [(head,) for head in first.values()], None, work)
    for head, both_unnamed in again:
        _report_again(head.name, head.place, first[head.name].place, findings, both_unnamed=both_unnamed)
    return dict(zip(first, drafts, strict=True)), tuple([head.name for head, _ in again])


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


def _draft(head: ModelHead, findings: Findings) -> Draft:
    name, place, declaration, has_gaps = head
    source, errors_before = place.source, findings.errors
    written = read_pairs(declaration.block, source, findings)
    for entry in declaration.block.entries:
        if isinstance(entry, Step):
            findings.report("N3108", "A step belongs in a chain.", Location(source, entry.keyword))
    keys = {key: value for key, value in written.items() if key in MODEL_KEYS and key not in BLOCKS}
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
