"""``namel3ss fmt FILE…``: the one layout for `.ai` files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from namel3ss.cli.ai_files import AI_FILE, STDIN, find_ai_files
from namel3ss.cli.exit_codes import ExitCode
from namel3ss.cli.rewriting import difference, read_bytes, replace_file
from namel3ss.cli.session import Command, Session, pass_session
from namel3ss.language import Severity, decode_source, parse
from namel3ss.language.formatting import format_text
from namel3ss.language.render import render_concise

if TYPE_CHECKING:
    from namel3ss.language import Source

_STDIN_NAME: Final = "<stdin>"


@click.command(cls=Command, short_help="Lay .ai files out in the one common form.")
@click.argument("files", metavar="FILE...", type=AI_FILE, nargs=-1, required=True)
@click.option("--check", "is_check", is_flag=True, help="Change nothing; exit with 1 if a file would change.")
@click.option("--diff", "is_diff", is_flag=True, help="Change nothing; show what would change.")
@pass_session
def command(session: Session, files: tuple[str, ...], is_check: bool, is_diff: bool) -> ExitCode:
    """Lay .ai files out in the one common form, keeping every comment and every value.

    FILE is a file, a folder with everything below it, or - for standard input, whose new text goes to standard
    output. Declarations with mistakes are left as they are, and the exit code is then 1.
    """
    code = ExitCode.OK
    changed = 0
    paths = find_ai_files(files)
    for path in paths:
        source = _read(path, session)
        if source is None:
            code = ExitCode.PROGRAM
            continue
        formatted = format_text(source.text)
        changed += formatted != source.text
        if is_diff:
            session.output.answer(difference(source.path, source.text, formatted))
        elif is_check:
            if formatted != source.text:
                session.output.line(f"would change {source.path}")
        elif path == STDIN:
            session.output.answer(formatted)
        elif formatted != source.text:
            replace_file(path, formatted)
            session.output.line(f"changed {path}")
        if _has_mistakes(source, session):
            code = ExitCode.PROGRAM
    if changed and (is_check or is_diff):
        code = ExitCode.PROGRAM
    if paths != [STDIN]:
        _summarise(session, len(paths), changed, would=is_check or is_diff)
    return code


def _read(path: str, session: Session) -> Source | None:
    """The text of a file, or None after saying why there is none."""
    name = _STDIN_NAME if path == STDIN else path
    source, problems = decode_source(read_bytes(path, session), name)
    if problems:
        session.output.note(render_concise(problems).rstrip("\n"))
    return source


def _has_mistakes(source: Source, session: Session) -> bool:
    """Whether something was left as it is because of a mistake; says so."""
    mistakes = [
        finding
        for finding in parse(source.text, source.path).diagnostics
        if finding.severity is Severity.ERROR
    ]
    if mistakes:
        session.output.warn(
            f"{mistakes[0].location}: {mistakes[0].message}\n"
            f"Declarations with a mistake are left as they are; `namel3ss check {source.path}` shows them all."
        )
    return bool(mistakes)


def _summarise(session: Session, files: int, changed: int, *, would: bool) -> None:
    number = f"{changed} of {files} file{'s' if files != 1 else ''}"
    session.output.note(f"{number} {'would be' if would else ''} changed.".replace("  ", " "))
