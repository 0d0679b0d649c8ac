"""Opens what a command works on: the program of a file, on its own servers or on a sandbox for this command alone."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click

from namel3ss.cli.assignments import read_assignments
from namel3ss.cli.reading import read_file
from namel3ss.language import Severity
from namel3ss.runtime import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from namel3ss.cli.session import Session
    from namel3ss.runtime import Program, RunnableModel

__all__ = ["load_program", "open_model", "sandbox_option", "where_to_run"]

_NOTICE = "Sandbox: no model runs, the answers are made up."

sandbox_option: Callable[[click.decorators.FC], click.decorators.FC] = click.option(
    "--sandbox",
    is_flag=True,
    help="Use a built-in offline server instead of any other. Its answers are made up.",
)


def load_program(session: Session, path: str, sandbox_url: str | None = None) -> Program:
    """The program of a file; with `sandbox_url` every address in it is replaced. Its warnings go to stderr.

    Raises ProgramError with the diagnostics when nothing in the file can be used.
    """
    program = load(
        path,
        environ=session.environ,
        sandbox_url=sandbox_url,
        profile=session.profile,
        root=session.root,
    )
    for finding in program.diagnostics:
        if finding.severity is Severity.ERROR:
            session.output.warn(f"{finding.location}: {finding.message} (its declaration was left out)")
    return program


def open_model(
    session: Session,
    path: str,
    sandbox_url: str | None,
    *,
    model: str | None = None,
    assignments: Sequence[str] = (),
) -> tuple[Program, RunnableModel]:
    """A program and its model of that name, or the one that needs no name, with ``key=value`` settings on top.

    Opens no connection. Raises UsageError for a name or a setting that does not exist.
    """
    program = load_program(session, path, sandbox_url)
    chosen = program.model(model)
    if assignments:
        settings = read_assignments(
            assignments, chosen.declaration.config_model, chosen=chosen.name, declared=program.models
        )
        chosen.override(settings)
    return program, chosen


@contextlib.contextmanager
def where_to_run(session: Session, path: str | None, *, sandbox: bool) -> Iterator[str | None]:
    """The address of a sandbox that runs while inside, or None for the servers that the file names.

    The models that the file names count as installed on the sandbox.
    """
    session.offers_sandbox = not sandbox
    if not sandbox:
        yield None
        return
    from namel3ss.sandbox import SandboxOptions, SandboxServer
    from namel3ss.sandbox.names import ModelName

    declared = read_file(session, path).models.values() if path else ()
    installed = dict.fromkeys(model.model for model in declared if ModelName.parse(model.model).is_valid)
    with SandboxServer(SandboxOptions(installed=tuple(installed))) as server:
        session.output.note(_NOTICE)
        yield server.url
