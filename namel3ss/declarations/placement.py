"""Which block a setting belongs in, and what an unknown key probably means there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from namel3ss.declarations.drafts import MODEL_KEYS
from namel3ss.declarations.moving import moved
from namel3ss.declarations.written import shortened
from namel3ss.language import Fix, TextEdit
from namel3ss.language.suggest import closest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from namel3ss.declarations.findings import Findings
    from namel3ss.declarations.written import Written
    from namel3ss.providers.setting_problems import SettingProblem
    from namel3ss.providers.settings import SettingInfo

__all__ = ["report_place", "report_unknown", "usual_block"]


def usual_block(info: SettingInfo | None) -> str:
    """The block that a setting is usually written in."""
    return "deployment_config" if info is not None and info.place == "deployment_config" else "config"


def report_place(info: SettingInfo, written: Written, findings: Findings) -> None:
    """Hint at the usual block, or report that the setting does not belong where it stands."""
    place, usual = written.key or written.place, usual_block(info)
    if written.block == usual or (written.block and info.place == "either"):
        return
    if written.block and not info.is_movable:
        findings.report(
            "N3206",
            f"{info.name} belongs in {usual}, not in {written.block}.",
            place,
            help=f"Move it: `{usual}: {{ {_as_written(info, written)} }}`",
            fixes=_moves(written, usual, findings),
        )
        return
    findings.report(
        "N3205",
        f"{info.name} is usually written in {usual}.",
        place,
        help=f"Write `{usual}: {{ {_as_written(info, written)} }}`",
        fixes=_moves(written, usual, findings),
    )


def _moves(written: Written, target: str, findings: Findings) -> tuple[Fix, ...]:
    """The fix that moves a setting, where there is one. Of several that need a new block only the first has it."""
    if written.key is None or written.home is None:
        return ()
    is_new = bool(target) and written.home.get(target) is None
    if is_new and not findings.claim((id(written.home), target), written.key.span):
        return ()
    fix = moved(written.key, written.home, target)
    return (fix,) if fix is not None else ()


def _as_written(info: SettingInfo, written: Written) -> str:
    text = written.place.source.text[slice(*written.place.span)]
    is_short = len(text) <= 40 and "\n" not in text
    return f"{info.name}: {text if is_short and not info.secret else '…'}"


def report_unknown(
    problem: SettingProblem,
    written: Written,
    infos: Mapping[str, SettingInfo],
    findings: Findings,
) -> None:
    """Say that a key is not known, and which one is probably meant: of the same block first."""
    key, place = str(problem.path[0]), written.key or written.place
    block = written.block or "the ai model"
    if written.block and key in MODEL_KEYS:
        findings.report(
            "N3206",
            f"{key} belongs in the ai model itself, not in {block}.",
            place,
            help=f"Move it out of {block}.",
            fixes=_moves(written, "", findings),
        )
        return
    near = _nearest(key, written.block, problem.nearest, infos)
    if near is None:
        findings.report(
            "N3201", f"Unknown setting `{shortened(key)}` in {block}.", place, help=problem.suggestion
        )
        return
    usual = usual_block(infos.get(near))
    elsewhere = (
        near in infos and bool(written.block) and usual != written.block and infos[near].place != "either"
    )
    findings.report(
        "N3201",
        f"Unknown setting `{shortened(key)}` in {block}.",
        place,
        help=f"Did you mean `{near}`?" + (f" It belongs in {usual}." if elsewhere else ""),
        fixes=(Fix(f"Write {near}", (TextEdit(place.span, near),), safe=False),),
    )


def _nearest(key: str, block: str, nearest: str | None, infos: Mapping[str, SettingInfo]) -> str | None:
    same_block = (
        [name for name, info in infos.items() if info.place == "either" or usual_block(info) == block]
        if block
        else list(MODEL_KEYS)
    )
    near = closest(key, same_block)
    if nearest is not None and (not near or nearest in same_block or key in infos[nearest].synonyms):
        return nearest
    return near[0] if near else None
