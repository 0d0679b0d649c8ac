"""The one place of this room that opens files: `read_program`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from namel3ss.declarations.checking import check_program
from namel3ss.declarations.findings import Findings
from namel3ss.declarations.folders import FolderReader, load_file, reason_of
from namel3ss.declarations.model import ProgramFile
from namel3ss.declarations.places import Location
from namel3ss.declarations.profiles import profile_path, suggest_profile
from namel3ss.language import Source, Span

if TYPE_CHECKING:
    from collections.abc import Mapping

    from namel3ss.declarations.imports import ImportedFile
    from namel3ss.providers.registry import ProviderRegistry

__all__ = ["read_program"]


def read_program(
    path: str | os.PathLike[str],
    *,
    environ: Mapping[str, str] | None = None,
    registry: ProviderRegistry | None = None,
    root: str | os.PathLike[str] | None = None,
    profile: str | None = None,
) -> ProgramFile:
    """What the file at `path` and its imports declare. A file that cannot be read or is no text gives a diagnostic.

    `environ` is the process's environment unless given. Imports may lead to files below `root`, which is the folder
    of the file unless given. `profile` names the file that is laid over it (`app.prod.ai` for prod); where there is
    none, nothing loads. Reads at most 8 MB and one byte of each file. Raises UsageError for what can be no profile's
    name.
    """
    shown = os.fspath(path)
    try:
        main = load_file(shown, shown)
        read_import = FolderReader(os.path.dirname(shown) if root is None else os.fspath(root))
    except (OSError, ValueError) as error:
        return _unreadable(shown, error)
    above = None if profile is None else _load_profile(shown, profile)
    if isinstance(above, ProgramFile):
        return above
    return check_program(
        main,
        environ=os.environ if environ is None else environ,
        registry=registry,
        read_import=read_import,
        profile=above,
    )


def _load_profile(path: str, profile: str) -> ImportedFile | ProgramFile:
    """The file of a profile, or a program in which nothing loads and which says why."""
    shown = profile_path(path, profile)
    findings = Findings()
    place = Location(Source("", shown), Span(0, 0))
    try:
        found = load_file(shown, shown)
    except FileNotFoundError:
        message = f"There is no profile `{profile}`: no file `{shown}`."
        findings.report("N3410", message, place, help=suggest_profile(path, profile))
    except (OSError, ValueError) as error:
        findings.report("N3410", f"The profile `{profile}` cannot be read: {reason_of(error)}.", place)
    else:
        if found.text is not None:
            return found
        findings.add(found.diagnostics)
    return ProgramFile(path, diagnostics=findings.sorted())


def _unreadable(path: str, error: OSError | ValueError) -> ProgramFile:
    findings = Findings()
    place = Location(Source("", path), Span(0, 0))
    if isinstance(error, FileNotFoundError):
        findings.report(
            "N3907", f"there is no file `{path}`", place, help="check the path and the working folder"
        )
    elif isinstance(error, IsADirectoryError) or os.path.isdir(path):
        findings.report("N3908", f"`{path}` is a folder", place, help="name a .ai file inside it")
    else:
        findings.report("N3909", f"`{path}` cannot be read: {reason_of(error)}", place)
    return ProgramFile(path, diagnostics=findings.sorted())
