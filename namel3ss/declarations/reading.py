"""Reads one `.ai` file from the disk: whatever stands at the path, the answer is a `ProgramFile`."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from namel3ss.declarations.checking import check_text
from namel3ss.declarations.findings import Findings
from namel3ss.declarations.model import Location, ProgramFile
from namel3ss.language import Source, Span, decode_source

if TYPE_CHECKING:
    from collections.abc import Mapping

    from namel3ss.providers.registry import ProviderRegistry

__all__ = ["read_program"]

_LARGEST_BYTES = 8 * 1024 * 1024


def read_program(
    path: str | os.PathLike[str],
    *,
    environ: Mapping[str, str] | None = None,
    registry: ProviderRegistry | None = None,
) -> ProgramFile:
    """What the file at `path` declares. A file that cannot be read or is no text gives a diagnostic.

    `environ` is the process's environment unless given. Reads at most 8 MB and one byte.
    """
    shown = os.fspath(path)
    try:
        data = _read(shown)
    except (OSError, ValueError) as error:
        return _unreadable(shown, error)
    source, diagnostics = decode_source(data, shown)
    if source is None:
        return ProgramFile(shown, diagnostics=diagnostics)
    return check_text(
        source.text, shown, environ=os.environ if environ is None else environ, registry=registry
    )


def _read(path: str) -> bytes:
    # Without O_NONBLOCK, opening a named pipe that nobody writes to would wait for ever.
    flags = (
        os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    )
    descriptor = os.open(path, flags)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError
        if not stat.S_ISREG(mode):
            raise ValueError("it is not a regular file")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(_LARGEST_BYTES + 1)
    finally:
        os.close(descriptor)


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
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        findings.report("N3909", f"`{path}` cannot be read: {reason}", place)
    return ProgramFile(path, diagnostics=findings.sorted())
