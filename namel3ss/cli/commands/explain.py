"""``namel3ss explain N3012``: what a code means, why it is reported, an example and its fix."""

from __future__ import annotations

import click

from namel3ss.cli.exit_codes import ExitCode
from namel3ss.cli.session import Command, Session, pass_session
from namel3ss.errors import UsageError
from namel3ss.language.codes import CODES
from namel3ss.language.pages import explanation


@click.command(cls=Command, short_help="Explain a code that check reports.")
@click.argument("code", required=False)
@pass_session
def command(session: Session, code: str | None) -> ExitCode:
    """Explain what a code such as N3012 means, with an example and its fix; without CODE, list all of them."""
    if code is None:
        for known, info in CODES.items():
            session.output.line(f"{known}  {info.severity.value:<7}  {info.title}")
        return ExitCode.OK
    wanted = code.strip("[]").upper()
    wanted = f"N{wanted}" if wanted.isdigit() else wanted
    if wanted not in CODES:
        raise UsageError(f"There is no code {code!r}.", suggestion="List all of them: namel3ss explain")
    session.output.line(explanation(wanted).rstrip("\n"))
    return ExitCode.OK
