"""``namel3ss lsp``: the language server, for editors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from namel3ss.cli.exit_codes import ExitCode
from namel3ss.cli.session import Command, Session, pass_session
from namel3ss.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

_LEVELS = ("error", "warning", "info", "debug")


@click.command(cls=Command, short_help="Serve an editor: the language server.")
@click.option(
    "--stdio", "is_stdio", is_flag=True, help="Speak on standard input and output; there is no other way."
)
@click.option(
    "--log-level",
    type=click.Choice(_LEVELS),
    default="warning",
    show_default=True,
    help="What goes to stderr.",
)
@pass_session
def command(session: Session, is_stdio: bool, log_level: str) -> ExitCode:
    """Serve an editor with the Language Server Protocol on standard input and output.

    Editors start it themselves; docs/editors.md tells how. It ends when the editor does.
    """
    del is_stdio  # editors' clients add it as a matter of course
    code = _serve()(session.environ, log_level=log_level.upper())
    # The protocol wants 1 where the editor went away without a word.
    return ExitCode.OK if code == 0 else ExitCode.PROGRAM


def _serve() -> Callable[..., int]:
    try:
        from namel3ss.language_server.process import serve_stdio
    except ModuleNotFoundError as error:
        if error.name not in ("lsprotocol", "pygls", "cattrs", "attrs"):
            raise
        raise UsageError(
            f"The language server needs {error.name}, which is not installed.",
            suggestion="Install the extra: pip install 'namel3ss[editor]'",
        ) from error
    return serve_stdio
