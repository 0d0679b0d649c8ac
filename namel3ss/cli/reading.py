"""How commands read a file: `--profile` and `--root`, kept in the session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from namel3ss.cli.session import Session
from namel3ss.declarations import read_program

if TYPE_CHECKING:
    from namel3ss.declarations import ProgramFile

__all__ = ["read_file", "reading_options"]


def _keep(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    session = context.find_object(Session)
    if session is not None and value is not None:
        setattr(session, str(parameter.name), value)


def reading_options(command: click.decorators.FC) -> click.decorators.FC:
    """`--profile` and `--root`: how the file is read. What they say is kept in the session."""
    profile = click.option(
        "--profile",
        metavar="NAME",
        expose_value=False,
        callback=_keep,
        help="Lay FILE's profile over it: app.NAME.ai beside app.ai.",
    )
    root = click.option(
        "--root",
        metavar="DIR",
        type=click.Path(exists=True, file_okay=False),
        expose_value=False,
        callback=_keep,
        help="The folder that imports may not leave, instead of FILE's own.",
    )
    return profile(root(command))


def read_file(session: Session, path: str) -> ProgramFile:
    """What a file declares, read as the options of the command say."""
    return read_program(path, environ=session.environ, profile=session.profile, root=session.root)
