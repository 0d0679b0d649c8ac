"""What the commands share: one invocation's state, and options that every command takes."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

    from namel3ss.cli.output import Output

__all__ = ["Command", "Group", "Session", "log_to_stderr", "pass_session"]


@dataclass
class Session:
    """What one invocation knows beside its arguments. `stdin` is None where it was closed before the start.

    `offers_sandbox`: the command takes ``--sandbox`` and was called without it, so that an error about a missing
    server may point there.
    """

    output: Output
    stdin: TextIO | None
    environ: Mapping[str, str]
    debug: bool = False
    offers_sandbox: bool = False

    def start_debugging(self) -> None:
        """Show tracebacks, and what the parts of namel3ss log, on stderr."""
        if not self.debug:
            self.debug = True
            log_to_stderr(logging.DEBUG)


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


def log_to_stderr(level: int) -> None:
    """Send what namel3ss logs to stderr, from this level on; the logs of libraries stay out of it."""
    form = "%(asctime)s %(name)s %(levelname)s: %(message)s" if level < logging.INFO else "%(message)s"
    logger = logging.getLogger("namel3ss")
    for handler in logger.handlers[:]:
        logger.removeHandler(handler)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(form))
    logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False
