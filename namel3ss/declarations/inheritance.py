"""`extends`: maps merge key by key, the nearer value wins, and circles are found."""

from __future__ import annotations

import functools
import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

from namel3ss.declarations.replacing import written_instead
from namel3ss.declarations.written import merge_pairs, merge_settings, shortened
from namel3ss.language import Label
from namel3ss.language.suggest import closest

if TYPE_CHECKING:
    from namel3ss.declarations.drafts import Draft
    from namel3ss.declarations.findings import Findings

__all__ = ["parent_names", "resolve_extends"]

# Longer chains help nobody, and would make the work grow with the square of the file.
_LONGEST_CHAIN = 64
_MOST_COMPARED = 1000


def parent_names(drafts: dict[str, Draft]) -> set[str]:
    """The names that something extends."""
    extending = [draft for draft in drafts.values() if "extends" in draft.keys]
    return {parent for draft in extending if (parent := _parent(draft)) is not None}


def resolve_extends(
    drafts: dict[str, Draft], findings: Findings, *, is_whole: bool = True
) -> dict[str, Draft]:
    """The drafts with everything they inherit, in the same order.

    What extends something unknown, itself or something broken is broken; each circle is reported once. Where a file
    of the program is missing (`is_whole` is False), an unknown name is its consequence and not reported again.
    """
    resolved = {name: draft for name, draft in drafts.items() if "extends" not in draft.keys}
    if len(resolved) == len(drafts):
        return resolved
    depths: dict[str, int] = {}
    for draft in drafts.values():
        if draft.name in resolved:
            continue
        chain: dict[str, Draft] = {}  # from the draft upwards, as far as nothing is known yet
        current: Draft | None = draft
        while current is not None and current.name not in resolved and current.name not in chain:
            chain[current.name] = current
            current = _find_parent(current, drafts, findings, is_whole=is_whole)
        if current is not None and current.name in chain:
            _report_circle([*chain.values()][[*chain].index(current.name) :], drafts, findings)
            _settle_circle(chain, current.name, resolved, depths, findings)
        for name, below in reversed(chain.items()):
            if name in resolved:
                continue
            resolved[name] = _inherit(below, resolved, depths, findings)
    return {name: resolved[name] for name in drafts}


def _parent(draft: Draft) -> str | None:
    written = draft.keys.get("extends")
    return written.content if written is not None and isinstance(written.content, str) else None


def _find_parent(
    draft: Draft, drafts: dict[str, Draft], findings: Findings, *, is_whole: bool
) -> Draft | None:
    written = draft.keys.get("extends")
    if written is None or written.content is None:
        return None
    name = written.content
    if not isinstance(name, str):
        findings.report("N3108", "extends must be the name of an ai model.", written.place)
        return None
    parent = drafts.get(name)
    if parent is None and is_whole:
        others = (other for other in itertools.islice(drafts, _MOST_COMPARED) if other != draft.name)
        near = closest(name, others) if findings.is_short else []
        findings.report(
            "N3106",
            f"ai model `{shortened(draft.name)}` extends `{shortened(name)}`, which is not declared.",
            written.place,
            help=f"Did you mean `{near[0]}`?" if near else "Declare it in this file, or leave extends out.",
            fixes=written_instead(written.place, near),
        )
    return parent


def _report_circle(circle: list[Draft], drafts: dict[str, Draft], findings: Findings) -> None:
    in_order = list(drafts)
    first = min(circle, key=lambda draft: in_order.index(draft.name))
    at = circle.index(first)
    ordered = [*circle[at:], *circle[:at]]
    home = ordered[0].keys["extends"].place.source
    names = [*(shortened(draft.name) for draft in ordered[:5]), *(["…"] if len(ordered) > 5 else [])]
    findings.report(
        "N3107",
        f"ai model `{names[0]}` extends itself."
        if len(ordered) == 1
        else f"These ai models extend each other in a circle: {' → '.join([*names, names[0]])}.",
        ordered[0].keys["extends"].place,
        labels=tuple(
            Label(
                place.span,
                f"{shortened(draft.name)} goes on here",
                None if place.source is home else place.source,
            )
            for draft in ordered[1:5]
            for place in (draft.keys["extends"].place,)
        ),
        help="Leave out one of the extends.",
    )


def _settle_circle(
    chain: dict[str, Draft],
    start: str,
    resolved: dict[str, Draft],
    depths: dict[str, int],
    findings: Findings,
) -> None:
    in_circle = False
    for name, draft in chain.items():
        in_circle = in_circle or name == start
        if in_circle:
            resolved[name] = _broken(draft, findings)
            depths[name] = 1


def _inherit(draft: Draft, resolved: dict[str, Draft], depths: dict[str, int], findings: Findings) -> Draft:
    written = draft.keys.get("extends")
    if written is None or written.content is None:
        depths[draft.name] = 1
        return draft
    parent = resolved.get(str(written.content))
    depth = depths.get(parent.name, 1) + 1 if parent is not None else 1
    depths[draft.name] = depth
    if parent is None:
        return _broken(draft, findings)
    if depth > _LONGEST_CHAIN:
        if depth == _LONGEST_CHAIN + 1:
            findings.report(
                "N3107",
                f"More than {_LONGEST_CHAIN} ai models extend each other in one chain.",
                written.place,
                help="Extend a model that is nearer to the start of the chain.",
            )
        return _broken(draft, findings)
    return findings.recall("inherit", (draft, parent), None, functools.partial(_merged, draft, parent))


def _broken(draft: Draft, findings: Findings) -> Draft:
    work = functools.partial(replace, draft, is_broken=True, has_gaps=True)
    return findings.recall("broken", (draft,), None, work)


def _merged(draft: Draft, parent: Draft) -> Draft:
    keys = merge_pairs({key: value for key, value in parent.keys.items() if key != "extends"}, draft.keys)
    return replace(
        draft,
        keys=keys,
        settings=merge_settings(parent.settings, draft.settings),
        is_broken=draft.is_broken or parent.is_broken,
        has_gaps=draft.has_gaps or parent.has_gaps,
    )
