"""What the commands share: one invocation's state, and options that every command takes."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

    from namel3ss.cli.output import Output

__all__ = ["Command", "Group", "Session", "pass_session"]


@dataclass
class Session:
    """What one invocation knows beside its arguments. `stdin` is None where it was closed before the start.

    `profile` and `root` say how a file is read (see `read_program`). `offers_sandbox`: the command takes ``--sandbox``
    and was called without it, so that an error about a missing server may point there.
    """

    output: Output
    stdin: TextIO | None
    environ: Mapping[str, str]
    debug: bool = False
    offers_sandbox: bool = False
    profile: str | None = None
    root: str | None = None

    def show_warnings(self) -> None:
        """Show on stderr what the parts of namel3ss warn of."""
        _log_through(_Warnings(self.output), logging.WARNING)

    def start_debugging(self) -> None:
        """Show tracebacks on stderr, and everything that the parts of namel3ss log; secrets are masked."""
        if not self.debug:
            from namel3ss.observability.logs import LineFormatter

            self.debug = True
            handler = logging.StreamHandler(self.output.stderr)
            handler.setFormatter(LineFormatter("%(asctime)s %(name)s %(levelname)s: %(message)s"))
            _log_through(handler, logging.DEBUG)


pass_session = click.make_pass_decorator(Session)


def _debug_option() -> click.Option:
    def switch_on(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
        session = context.find_object(Session)
        if value and session is not None:
            session.start_debugging()

    return click.Option(
        ["--debug"],
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=switch_on,
        help="Show tracebacks and log to stderr.",
    )


class Command(click.Command):
    """A command that also takes ``--debug``, wherever people write it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(_debug_option())


class Group(click.Group):
    """A command with sub-commands, which also takes ``--debug``."""

    command_class = Command

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(_debug_option())


class _Warnings(logging.Handler):
    """Says warnings as the command line says its own, without times and names.

    What a server did not foresee is told with its traceback: such a fault may never come again to be looked at.
    """

    def __init__(self, output: Output) -> None:
        super().__init__()
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        from namel3ss.cli.output import printable
        from namel3ss.observability.logs import LineFormatter, redact_text

        self._output.warn(redact_text(record.getMessage()))
        if record.levelno >= logging.ERROR and record.exc_info:
            self._output.aside(printable(LineFormatter().formatException(record.exc_info)) + "\n")


def _log_through(handler: logging.Handler, level: int) -> None:
    """Give what namel3ss logs to this handler alone; the logs of libraries stay out of it."""
    logger = logging.getLogger("namel3ss")
    for earlier in logger.handlers[:]:
        logger.removeHandler(earlier)
    logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False
