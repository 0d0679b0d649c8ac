"""From a path to a program, or to an error that shows what is wrong with the file."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from namel3ss.declarations import read_program
from namel3ss.errors import ProgramError, UsageError
from namel3ss.language.render import render_concise
from namel3ss.providers.registry import installed_providers
from namel3ss.runtime.program import Program

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from namel3ss.declarations import ProgramFile
    from namel3ss.providers.registry import ProviderRegistry

__all__ = ["load", "open_program"]

_MOST_SHOWN = 5


def load(
    path: str | os.PathLike[str],
    *,
    environ: Mapping[str, str] | None = None,
    base_url: str | None = None,
    sandbox_url: str | None = None,
    registry: ProviderRegistry | None = None,
    profile: str | None = None,
    root: str | os.PathLike[str] | None = None,
) -> Program:
    """The program of a `.ai` file. Reads the file, and opens nothing else.

    `environ` takes the place of the process's environment for whatever is read from it: `env.NAME` in the file, and the
    addresses and keys that a provider looks for itself. `base_url` or `sandbox_url`
    replaces every address, those of the file and of the environment included. `profile` lays `app.prod.ai` over
    `app.ai`; imports may lead to files below `root`, the file's own folder unless given. Raises ProgramError, which shows the
    first findings and holds them all, when the file has no model that can be used.
    """
    if base_url is not None and sandbox_url is not None:
        raise UsageError("base_url and sandbox_url both replace the address; give one of them.")
    variables = os.environ if environ is None else environ
    providers = registry or installed_providers()
    file = read_program(path, environ=variables, registry=providers, root=root, profile=profile)
    if not file.models:
        raise _unusable(file)
    address = base_url if sandbox_url is None else sandbox_url
    return Program(file, environ=variables, registry=providers, address=address)


@contextlib.asynccontextmanager
async def open_program(
    path: str | os.PathLike[str],
    *,
    environ: Mapping[str, str] | None = None,
    base_url: str | None = None,
    sandbox_url: str | None = None,
    profile: str | None = None,
    root: str | os.PathLike[str] | None = None,
) -> AsyncIterator[Program]:
    """`load` as a context: everything the program opened is closed at its end."""
    async with load(
        path, environ=environ, base_url=base_url, sandbox_url=sandbox_url, profile=profile, root=root
    ) as program:
        yield program


def _unusable(file: ProgramFile) -> ProgramError:
    errors = file.errors
    if not errors:
        return ProgramError(
            f"{file.path} declares no ai model that can be run.",
            suggestion="Add one: ai model hello { provider: ollama, model: llama3:8b }",
            diagnostics=file.diagnostics,
        )
    unreadable = file.unreadable()
    if unreadable is not None:
        return unreadable
    shown = render_concise(errors[:_MOST_SHOWN]).rstrip()
    more = f"\n… and {len(errors) - _MOST_SHOWN} more." if len(errors) > _MOST_SHOWN else ""
    return ProgramError(
        f"{file.path} cannot be used.\n{shown}{more}",
        suggestion=f"Run: namel3ss check {file.path}",
        diagnostics=file.diagnostics,
    )
