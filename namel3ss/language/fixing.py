"""Applies the fixes that findings carry. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from namel3ss.language.diagnostics import Diagnostic, Fix, TextEdit

__all__ = ["Fixed", "apply_fixes", "fix_until_stable"]

# One fix may bring another finding to light, a few times; more often means that fixes undo each other.
_MOST_ROUNDS = 50


class Fixed(NamedTuple):
    """A text after so many fixes."""

    text: str
    fixes: int


def apply_fixes(text: str, fixes: Iterable[Fix]) -> Fixed:
    """The text with every fix that does not touch what an earlier one changed; a fix is applied whole or not at all."""
    accepted: list[TextEdit] = []
    count = 0
    for fix in fixes:
        if all(not _touch(edit, other) for edit in fix.edits for other in accepted):
            accepted.extend(fix.edits)
            count += 1
    line_end = "\r\n" if "\r\n" in text else "\n"
    parts: list[str] = []
    at = 0
    for edit in sorted(accepted, key=lambda edit: edit.span):
        parts += (text[at : edit.span.start], edit.text.replace("\n", line_end))
        at = edit.span.end
    return Fixed("".join([*parts, text[at:]]), count)


def fix_until_stable(text: str, check: Callable[[str], Sequence[Diagnostic]], *, unsafe: bool) -> Fixed:
    """Check and fix again and again until nothing is left to fix. Only safe fixes, unless `unsafe`.

    `check` finds what is wrong with a text; of each finding the first fix that is allowed is taken.
    """
    findings, total = check(text), 0
    for _ in range(_MOST_ROUNDS):
        fixed = apply_fixes(text, _allowed(findings, unsafe=unsafe))
        after = check(fixed.text) if fixed.fixes else findings
        if _are_same(findings, text, after, fixed.text):
            break  # fixes that mend nothing would be made again and again
        text, findings, total = fixed.text, after, total + fixed.fixes
    return Fixed(text, total)


def _are_same(before: Sequence[Diagnostic], old: str, after: Sequence[Diagnostic], new: str) -> bool:
    """Whether two texts have the same findings at the same places, counted from the start of the text or from its end."""
    starts = {(found.code, found.message, found.span.start) for found in before}
    ends = {(found.code, found.message, len(old) - found.span.start) for found in before}
    return len(before) == len(after) and all(
        (found.code, found.message, found.span.start) in starts
        or (found.code, found.message, len(new) - found.span.start) in ends
        for found in after
    )


def _allowed(findings: Sequence[Diagnostic], *, unsafe: bool) -> Iterable[Fix]:
    for finding in findings:
        fix = next((fix for fix in finding.fixes if fix.safe or unsafe), None)
        if fix is not None:
            yield fix


def _touch(edit: TextEdit, other: TextEdit) -> bool:
    """Whether two edits overlap or meet: of two insertions at one place nobody knows which comes first."""
    return edit.span.start <= other.span.end and other.span.start <= edit.span.end
