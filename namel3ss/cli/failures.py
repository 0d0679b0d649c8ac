"""What people read when a command fails: what happened, to which value, what to do; and the exit code for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from namel3ss.cli.exit_codes import ExitCode, exit_code_of
from namel3ss.cli.output import printable
from namel3ss.errors import N3Error, ProgramError

if TYPE_CHECKING:
    from namel3ss.cli.output import Output
    from namel3ss.cli.session import Session

__all__ = ["report", "show_traceback"]

_NO_SERVER = frozenset(
    {
        "OllamaServerUnreachableError",
        "OllamaServerNotInstalledError",
        "OllamaServerStartFailedError",
        "OllamaConnectTimeoutError",
    }
)
_OFFER = (
    "No server at hand? Add --sandbox: the same command on a built-in offline server, with made-up answers."
)


def report(error: Exception, session: Session) -> int:
    """Say on stderr why the command failed, and give its exit code. With ``--debug`` the traceback comes first."""
    output = session.output
    if session.debug:
        show_traceback(error, output)
    if isinstance(error, click.UsageError):
        return _report_usage(error, output)
    if isinstance(error, click.ClickException):
        output.error(error.format_message())
        return ExitCode.INPUT_OUTPUT if isinstance(error, click.FileError) else ExitCode.USAGE
    if isinstance(error, ProgramError) and _show_diagnostics(error, output):
        # The rest of its words repeats the findings, for those who see an exception alone.
        output.error(error.message.partition("\n")[0])
    elif isinstance(error, N3Error):
        output.error(_describe(error, session))
    elif isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        output.error(f"{place}{error.strerror or error}")
    else:
        _report_bug(error, output, debug=session.debug)
    return exit_code_of(error)


def show_traceback(error: BaseException, output: Output) -> None:
    """Print where an error came from, with secrets masked."""
    import traceback

    from namel3ss.observability.logs import redact_text

    output.aside(printable(redact_text("".join(traceback.format_exception(error)))))


def _describe(error: N3Error, session: Session) -> str:
    """The error's own words; where no server answered and the command could do without one, that as the last line."""
    reasons = (error, error.__cause__)  # a step that failed says why it did
    if session.offers_sandbox and any(type(each).__name__ in _NO_SERVER for each in reasons):
        return f"{error}\n{_OFFER}"
    return str(error)


def _report_usage(error: click.UsageError, output: Output) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        output.aside(error.format_message() + "\n")
        return ExitCode.USAGE
    if error.ctx is not None:
        output.aside(f"{error.ctx.get_usage()}\n")
        output.aside(f"Help: {error.ctx.command_path} --help\n\n")
    output.error(error.format_message())
    return ExitCode.USAGE


def _show_diagnostics(error: ProgramError, output: Output) -> bool:
    """Show the findings at their places, where there are places to show; whether there are."""
    from namel3ss.language import Diagnostic
    from namel3ss.language.render import render_terminal

    found = tuple(
        finding for finding in error.diagnostics if isinstance(finding, Diagnostic) and finding.source.text
    )
    if found:
        output.aside(render_terminal(found, width=output.width, color=output.stderr_has_color) + "\n")
    return bool(found)


def _report_bug(error: Exception, output: Output, *, debug: bool) -> None:
    summary = " ".join(str(error).split())[:200]
    how = "" if debug else " Run the same command with --debug to see where."
    output.error(f"this is a bug in namel3ss: {type(error).__name__}: {summary}.{how}")
