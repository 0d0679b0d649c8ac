"""``namel3ss doctor [FILE]``: whether everything is in place, where each value came from, and what to do next."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from namel3ss.cli.ai_files import AI_FILE
from namel3ss.cli.diagnosis import diagnose, verdict
from namel3ss.cli.event_loop import EventLoop
from namel3ss.cli.examination import examine
from namel3ss.cli.opening import sandbox_option, where_to_run
from namel3ss.cli.output import Style
from namel3ss.cli.reading import reading_options
from namel3ss.cli.session import Command, Session, pass_session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from namel3ss.cli.diagnosis import Finding
    from namel3ss.cli.exit_codes import ExitCode

_SIGNS = {"ok": "ok", "info": "  ", "warning": "! ", "problem": "x "}
_STYLES = {"ok": Style.GOOD, "info": None, "warning": Style.WARNING, "problem": Style.ERROR}


@click.command(cls=Command, short_help="Find out whether everything is in place.")
@click.argument("file", metavar="[FILE]", type=AI_FILE, required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@reading_options
@sandbox_option
@pass_session
def command(session: Session, file: str | None, as_json: bool, sandbox: bool) -> ExitCode:
    """Find out whether the server, the models and the settings are in place, and say what to do next.

    With FILE it looks at the servers and models of that file. Exits with 0 when they could run, else with the code
    that `run` would exit with.
    """
    with where_to_run(session, file, sandbox=sandbox) as url, EventLoop() as loop:
        facts = loop.run(
            examine(
                file,
                session.environ,
                sandbox_url=url,
                profile=session.profile,
                root=session.root,
            )
        )
    findings = diagnose(facts)
    code = verdict(findings)
    if as_json:
        session.output.line(
            json.dumps({"ok": not code, "findings": [asdict(finding) for finding in findings]})
        )
    else:
        _show(session, findings)
    return code


def _show(session: Session, findings: Sequence[Finding]) -> None:
    output = session.output
    width = max(len(finding.subject) for finding in findings)
    for finding in findings:
        sign = _SIGNS[finding.level]
        style = _STYLES[finding.level]
        if style and output.stdout_has_color:
            sign = f"\x1b[{style}m{sign}\x1b[0m"
        output.line(f"{sign}  {finding.subject:<{width}}  {finding.text}")
        for line in (finding.next_step or "").splitlines():
            output.line(f"{'':<{width + 4}}  {line}")
