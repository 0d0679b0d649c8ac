"""The command line: ``namel3ss run``, ``chat``, ``check``, ``models``, ``server``, ``doctor``, ``sandbox``.

One file a command, imported when it is called. Nothing but this package prints, parses arguments or turns an error
into an exit code.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from namel3ss.cli.output import Output

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code. `arguments` are those of the process unless given."""
    try:
        return _run(sys.argv[1:] if arguments is None else list(arguments))
    except KeyboardInterrupt:
        return 130


def _run(words: list[str]) -> int:
    from namel3ss.cli.output import Output, OutputClosedError

    try:
        if words == ["--version"]:  # asked by scripts all the time, so answered without loading the rest
            return _show_version(Output.standard())
        from namel3ss.cli.application import run_command_line
        from namel3ss.cli.session import Session

        session = Session(Output.standard(), sys.stdin, os.environ)
        session.show_warnings()
        return run_command_line(words, session)
    except OutputClosedError:
        return 0


def _show_version(output: Output) -> int:
    from namel3ss._version import __version__

    output.line(f"namel3ss {__version__}")
    return 0
