"""``check --fix``: puts the fixes of the findings into the files, or shows what that would change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from namel3ss.cli.ai_files import STDIN
from namel3ss.cli.rewriting import difference, read_bytes, replace_file
from namel3ss.declarations import check_text
from namel3ss.errors import UsageError
from namel3ss.language import decode_source
from namel3ss.language.fixing import fix_until_stable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from namel3ss.cli.session import Session
    from namel3ss.language import Diagnostic

__all__ = ["fix_files", "show_fixes"]


def fix_files(paths: Sequence[str], session: Session, *, unsafe: bool) -> int:
    """Mend the files in place, each whole or not at all; how many fixes that were. Raises OSError."""
    if STDIN in paths:
        raise UsageError(
            "Standard input cannot be mended in place.",
            suggestion="Use --diff to see what --fix would change.",
        )
    total = 0
    for path in paths:
        before, after, count = _fixed(path, session, unsafe=unsafe)
        if after != before:
            replace_file(path, after)
        total += count
    return total


def show_fixes(paths: Sequence[str], session: Session, *, unsafe: bool) -> int:
    """Show as a diff what `fix_files` would change, and change nothing."""
    total = 0
    for path in paths:
        before, after, count = _fixed(path, session, unsafe=unsafe)
        session.output.answer(difference("stdin" if path == STDIN else path, before, after))
        total += count
    return total


def _fixed(path: str, session: Session, *, unsafe: bool) -> tuple[str, str, int]:
    """The text of a file before and after, and the number of fixes; a file that is no text has none."""
    source, _ = decode_source(read_bytes(path, session), path)
    if source is None:
        return "", "", 0

    def check(text: str) -> tuple[Diagnostic, ...]:
        return check_text(text, path, environ=session.environ).diagnostics

    text, count = fix_until_stable(source.text, check, unsafe=unsafe)
    return source.text, text, count
