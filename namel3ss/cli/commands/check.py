"""``namel3ss check FILE…``: every mistake of one or many files, without running anything."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, TypeAlias

import click

from namel3ss.cli.ai_files import AI_FILE, STDIN, find_ai_files
from namel3ss.cli.annotations import as_github, as_sarif
from namel3ss.cli.diagnostic_json import diagnostic_as_json
from namel3ss.cli.exit_codes import ExitCode
from namel3ss.cli.fixing import fix_files, show_fixes
from namel3ss.cli.reading import read_file, reading_options
from namel3ss.cli.session import Command, Session, pass_session
from namel3ss.declarations import base_of, check_text, read_program
from namel3ss.errors import UsageError
from namel3ss.language import Diagnostic, Severity, decode_source
from namel3ss.language.render import render_concise, render_terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

Format: TypeAlias = Literal["terminal", "concise", "json", "sarif", "github"]


@click.command(cls=Command, short_help="Check .ai files and show every mistake.")
@click.argument("files", metavar="FILE...", type=AI_FILE, nargs=-1, required=True)
@click.option("--strict", is_flag=True, help="Make warnings errors.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["terminal", "concise", "json", "sarif", "github"]),
    default="terminal",
    show_default=True,
    help="With source lines, one line each, one JSON object, a SARIF log, or GitHub annotations.",
)
@click.option("--fix", "is_fix", is_flag=True, help="Mend what can be mended safely, and show the rest.")
@click.option(
    "--unsafe-fixes", is_flag=True, help="With --fix or --diff: also fixes that guess what was meant."
)
@click.option("--diff", "is_diff", is_flag=True, help="Change nothing; show what --fix would change.")
@reading_options
@pass_session
def command(
    session: Session,
    files: tuple[str, ...],
    strict: bool,
    form: Format,
    is_fix: bool,
    unsafe_fixes: bool,
    is_diff: bool,
) -> ExitCode:
    """Check .ai files and show every mistake, all at once, each at its place.

    FILE is a file, a folder with everything below it, or - for standard input. Nothing is run and no server is
    asked. Exits with 0 when there are only warnings, with 1 when there are errors; --diff exits with 1 when --fix
    would change something.
    """
    if unsafe_fixes and not (is_fix or is_diff):
        raise UsageError("--unsafe-fixes says which fixes to make; add --fix or --diff.")
    paths = find_ai_files(files)
    if is_diff:
        return ExitCode.PROGRAM if show_fixes(paths, session, unsafe=unsafe_fixes) else ExitCode.OK
    if is_fix:
        count = fix_files(paths, session, unsafe=unsafe_fixes)
        session.output.note(f"{count} {'mistake' if count == 1 else 'mistakes'} mended.")
    found: list[Diagnostic] = []
    shown: set[tuple[object, ...]] = set()
    for path in paths:
        findings = _with_severity(_not_shown(_check(path, session), shown), strict=strict)
        found.extend(findings)
        _show(session, findings, form)
    counts = Counter(finding.severity for finding in found)
    if form == "json":
        session.output.line(_as_json(paths, found, counts))
    elif form == "sarif":
        session.output.line(as_sarif(found))
    else:
        session.output.line(_summary(len(paths), counts))
    return ExitCode.PROGRAM if counts[Severity.ERROR] else ExitCode.OK


def _check(path: str, session: Session) -> tuple[Diagnostic, ...]:
    if path != STDIN:
        return _check_file(path, session)
    data = b"" if session.stdin is None else session.stdin.buffer.read()
    source, problems = decode_source(data, "<stdin>")
    if source is None:
        return problems
    return (*problems, *check_text(source.text, "<stdin>", environ=session.environ).diagnostics)


def _check_file(path: str, session: Session) -> tuple[Diagnostic, ...]:
    """The findings of a file; those of a profile are found by laying it over its file."""
    base = base_of(path) if session.profile is None else None
    if base is None:
        return read_file(session, path).diagnostics
    return read_program(base[0], environ=session.environ, root=session.root, profile=base[1]).diagnostics


def _not_shown(findings: Sequence[Diagnostic], shown: set[tuple[object, ...]]) -> list[Diagnostic]:
    """Those that no earlier file had: files are imported by others and checked by themselves as well."""
    new = []
    for finding in findings:
        key = (finding.code, os.path.normpath(finding.source.path), finding.span, finding.message)
        if key not in shown:
            shown.add(key)
            new.append(finding)
    return new


def _with_severity(findings: Sequence[Diagnostic], *, strict: bool) -> list[Diagnostic]:
    return [
        replace(finding, severity=Severity.ERROR)
        if strict and finding.severity is Severity.WARNING
        else finding
        for finding in findings
    ]


def _show(session: Session, findings: Sequence[Diagnostic], form: Format) -> None:
    output = session.output
    if form in ("json", "sarif") or not findings:
        return
    if form == "github":
        output.line(as_github(findings))
    elif form == "concise":
        output.line(render_concise(findings).rstrip("\n"))
    else:
        text = render_terminal(findings, width=output.width, color=output.stdout_has_color)
        output.line(text.rstrip("\n") + "\n")


def _summary(files: int, counts: Counter[Severity]) -> str:
    checked = f"{files} file{'s' if files != 1 else ''} checked"
    parts = [
        f"{counts[severity]} {severity.value}{'s' if counts[severity] != 1 else ''}"
        for severity in (Severity.ERROR, Severity.WARNING)
        if counts[severity]
    ]
    return f"{checked}: {', '.join(parts) if parts else 'no mistakes'}."


def _as_json(paths: Sequence[str], findings: Sequence[Diagnostic], counts: Counter[Severity]) -> str:
    document = {
        "files": list(paths),
        "diagnostics": [diagnostic_as_json(finding) for finding in findings],
        "summary": {
            f"{severity.value}s": counts[severity] for severity in (Severity.ERROR, Severity.WARNING)
        },
    }
    return json.dumps(document)
