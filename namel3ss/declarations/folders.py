"""Reads files for `read_program`: regular files only, at most 8 MB each, imports only inside the project root."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING, Final

from namel3ss.declarations.imports import ImportedFile, ImportProblem
from namel3ss.declarations.written import shortened
from namel3ss.language import decode_source
from namel3ss.language.suggest import closest

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FolderReader", "load_file", "reason_of"]

_LARGEST_BYTES: Final = 8 * 1024 * 1024
_MOST_COMPARED: Final = 1000


def load_file(path: str, shown: str) -> ImportedFile:
    """The file at `path`, called `shown`. Raises OSError, or ValueError for what is no regular file."""
    source, diagnostics = decode_source(_read(path), shown)
    text = source.text if source is not None else None
    return ImportedFile(os.path.realpath(path), shown, text, diagnostics)


def reason_of(error: OSError | ValueError) -> str:
    """Why a file could not be read, in a few words."""
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


class FolderReader:
    """An `ImportReader` for files below `root`. Symbolic links count as what they lead to.

    `load` reads a file, as `load_file` does; an editor has some files otherwise than they lie on the disk.
    """

    def __init__(self, root: str, load: Callable[[str, str], ImportedFile] = load_file) -> None:
        self._root = os.path.realpath(root)
        self._load = load

    def __call__(self, written: str, importer: str) -> ImportedFile | ImportProblem:
        """The file that `written` leads to from `importer`, or why it cannot be had."""
        named = os.path.join(os.path.dirname(importer), written)
        real = os.path.realpath(named)
        if os.path.commonpath((self._root, real)) != self._root:
            return ImportProblem(
                "N3402",
                f"`{shortened(written)}` lies outside of the project.",
                "Only files inside the folder of the file that is run, or inside --root, can be imported.",
            )
        try:
            return self._load(real, _shown(named, real))
        except FileNotFoundError:
            return ImportProblem(
                "N3401", f"There is no file `{shortened(written)}`.", _nearest(written, real)
            )
        except IsADirectoryError:
            return ImportProblem(
                "N3401", f"`{shortened(written)}` is a folder.", "Name a .ai file inside it."
            )
        except (OSError, ValueError) as error:
            return ImportProblem("N3401", f"`{shortened(written)}` cannot be read: {reason_of(error)}.")


def _shown(named: str, real: str) -> str:
    """The path without its detours, unless it then leads to another file: `..` behind a link is not the folder above."""
    short = os.path.normpath(named)
    return short if os.path.realpath(short) == real else named


def _nearest(written: str, real: str) -> str:
    folder, name = os.path.split(real)
    names: list[str] = []
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        names = [entry.name for _, entry in zip(range(_MOST_COMPARED), entries, strict=False)]
    near = closest(name, [other for other in names if other.endswith(".ai")])
    if not near:
        return "The path is read from the folder of the file that it stands in."
    return f"Did you mean `{written[: len(written) - len(os.path.basename(written))]}{near[0]}`?"


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
