"""Everything the server knows of files: those the editor has open, those on the disk, and who imports whom."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pygls.uris import from_fs_path, to_fs_path

from namel3ss.declarations.folders import load_file
from namel3ss.declarations.imports import ImportedFile
from namel3ss.language_server.documents import open_document
from namel3ss.language_server.programs import CheckedProgram, ProgramCheck

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from lsprotocol import types

    from namel3ss.language_server.documents import Document
    from namel3ss.language_server.positions import Encoding
    from namel3ss.providers.registry import ProviderRegistry

__all__ = ["Workspace"]

_FRESH_S: Final = 2.0  # how long a file on the disk is taken to be as it was
_MOST_FILES: Final = 2000
_MOST_PROGRAMS: Final = 48
_MOST_IMPORTERS: Final = 4  # programs that a shared file is checked in
_FOREIGN_FOLDERS: Final = frozenset({"node_modules", "__pycache__", "site-packages", "venv"})


@dataclass(slots=True)
class _OnDisk:
    """A file that the editor has not opened. `document` is None where it is no text."""

    file: ImportedFile
    document: Document | None
    stamp: tuple[int, int]
    looked_at: float


class Workspace:
    """The files of one editor. Everything is a look-up but `open`, `change`, `close` and `forget`."""

    def __init__(
        self,
        folders: Sequence[str] = (),
        *,
        encoding: Encoding = "utf-16",
        environ: Mapping[str, str],
        registry: ProviderRegistry,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.encoding: Encoding = encoding
        self.environ = environ
        self.registry = registry
        self.folders = [os.path.realpath(folder) for folder in folders]
        self._clock = clock
        self._open: dict[str, Document] = {}  # by URI
        self._open_paths: dict[str, Document] = {}
        self._disk: dict[str, _OnDisk] = {}
        self._indexed: dict[str, None] = {}
        self._checks: dict[tuple[str, str | None], ProgramCheck] = {}
        self._targets: dict[tuple[str, str], str] = {}
        self._import_graph: dict[str, list[str]] | None = None
        self.generation = 0  # grows with every change of any file

    # -- what the editor says -------------------------------------------------------------------------------------

    def open(self, uri: str, text: str, version: int | None) -> Document:
        """The editor opened a file; from now on its text is the editor's."""
        return self._set(open_document(uri, path_of(uri), text, self.encoding, version=version))

    def change(
        self, uri: str, version: int | None, changes: Sequence[types.TextDocumentContentChangeEvent]
    ) -> Document | None:
        """The editor changed a file; None where it never opened it."""
        document = self._open.get(uri)
        return None if document is None else self._set(document.edited(version, changes))

    def close(self, uri: str) -> Document | None:
        """The editor closed a file; what lies on the disk counts again."""
        document = self._open.pop(uri, None)
        if document is not None:
            self._open_paths.pop(document.path, None)
            self.forget(document.path)
        return document

    def forget(self, path: str) -> None:
        """A file on the disk was made, changed or deleted."""
        real = os.path.realpath(path)
        self._disk.pop(real, None)
        self._targets.clear()
        self._import_graph = None
        self.generation += 1
        if real.endswith(".ai") and len(self._indexed) < _MOST_FILES and os.path.isfile(real):
            self._indexed[real] = None
        else:
            self._indexed.pop(real, None)

    def _set(self, document: Document) -> Document:
        before = self._open.get(document.uri)
        if before is None or [path for path, _ in before.imports] != [path for path, _ in document.imports]:
            self._import_graph = None
        self._open[document.uri] = document
        self._open_paths[document.path] = document
        self.generation += 1
        return document

    # -- files ----------------------------------------------------------------------------------------------------

    def document(self, uri: str) -> Document | None:
        """The file of a URI, if the editor has it open."""
        return self._open.get(uri)

    def open_documents(self) -> list[Document]:
        return list(self._open.values())

    def documents(self) -> Iterator[Document]:
        """Every file that is open or was found in the workspace."""
        yield from self._open.values()
        for path in list(self._indexed):
            if path not in self._open_paths and (document := self.at(path)) is not None:
                yield document

    def at(self, path: str) -> Document | None:
        """The file of a path; None where there is none, or none that is text."""
        real = os.path.realpath(path)
        known = self._open_paths.get(real)
        if known is not None:
            return known
        try:
            return self._on_disk(real).document
        except (OSError, ValueError):
            return None

    def load(self, path: str, shown: str) -> ImportedFile:
        """The file at a path for an import. Raises OSError and ValueError as `load_file` does."""
        real = os.path.realpath(path)
        known = self._open_paths.get(real)
        if known is not None:
            return ImportedFile(real, shown, None if known.refusals else known.text, known.refusals)
        file = self._on_disk(real).file
        return ImportedFile(real, shown, file.text, file.diagnostics)

    def _on_disk(self, real: str) -> _OnDisk:
        now = self._clock()
        known = self._disk.get(real)
        if known is not None and now - known.looked_at < _FRESH_S:
            return known
        found = os.stat(real)
        stamp = (found.st_mtime_ns, found.st_size)
        if known is None or known.stamp != stamp:
            file = load_file(real, real)
            document = (
                None
                if file.text is None
                else open_document(from_fs_path(real) or real, real, file.text, self.encoding)
            )
            known = self._disk[real] = _OnDisk(file, document, stamp, now)
            self._import_graph = None
            self.generation += 1
        known.looked_at = now
        return known

    def find_files(self) -> Iterator[str]:
        """Look through the workspace's folders and note its files, one at a time, so that others get their turn."""
        for folder in self.folders:
            for place, inner, names in os.walk(folder):
                inner[:] = sorted(
                    name for name in inner if not name.startswith(".") and name not in _FOREIGN_FOLDERS
                )
                for name in sorted(names):
                    path = os.path.realpath(os.path.join(place, name))
                    if len(self._indexed) >= _MOST_FILES:
                        return
                    if name.endswith(".ai") and path not in self._indexed:
                        self._indexed[path] = None
                        self._import_graph = None
                        self.at(path)
                        self.generation += 1
                        yield path

    # -- programs -------------------------------------------------------------------------------------------------

    def program(self, document: Document) -> CheckedProgram:
        """The program that a file is read as part of: the first that imports it, or its own."""
        return self.programs(document)[0]

    def programs(self, document: Document) -> list[CheckedProgram]:
        """The programs that a file belongs to, at most four; its own where nobody imports it."""
        return [self._check(root) for root in self._roots(document)]

    def _check(self, root: Document) -> CheckedProgram:
        base = profile = None
        if root.is_on_disk:
            base, profile = profile_base(root.path)
        main = self.at(base) if base is not None else None
        key = (root.path, profile)
        check = self._checks.pop(key, None) or ProgramCheck(self)
        self._checks[key] = check
        while len(self._checks) > _MOST_PROGRAMS:
            self._checks.pop(next(iter(self._checks)))
        if main is None:
            return check.of(root, None)
        return check.of(main, root)

    def root_folder(self, document: Document) -> str:
        """The folder that the imports of a program may not leave."""
        for folder in sorted(self.folders, key=len, reverse=True):
            if document.path.startswith(folder + os.sep):
                return folder
        return os.path.dirname(document.path)

    def target(self, document: Document, written: str) -> str:
        """The path that an import leads to, whether there is a file or not."""
        key = (os.path.dirname(document.path), written)
        found = self._targets.get(key)
        if found is None:
            found = self._targets[key] = os.path.realpath(os.path.join(*key))
        return found

    def _roots(self, document: Document) -> list[Document]:
        """The files that lead to a file by imports and are imported by none; the file itself where there are none."""
        if not document.is_on_disk:
            return [document]
        importers = self._importers()
        if document.path not in importers:
            return [document]
        seen = {document.path}
        waiting = [document.path]
        roots: list[Document] = []
        while waiting and len(roots) < _MOST_IMPORTERS:
            current = waiting.pop(0)
            above = [path for path in importers.get(current, ()) if path not in seen]
            if current not in importers and (root := self.at(current)) is not None:
                roots.append(root)
            seen.update(above)
            waiting += above
        return roots or [document]

    def _importers(self) -> dict[str, list[str]]:
        """The paths of the files that import a path. Made anew when an import of any file has changed."""
        if self._import_graph is None:
            graph: dict[str, list[str]] = {}
            for document in self.documents():
                if document.is_on_disk:
                    for written, _ in document.imports:
                        graph.setdefault(self.target(document, written), []).append(document.path)
            self._import_graph = graph  # now: looking at a file on the disk may have thrown the last one away
        return self._import_graph


def path_of(uri: str) -> str:
    """The real path of a URI; the URI itself where it names no file."""
    try:
        path = to_fs_path(uri)
    except ValueError:
        path = None
    return os.path.realpath(path) if path and "\0" not in path else uri


def profile_base(path: str) -> tuple[str | None, str | None]:
    """The file that a profile lies over, and the profile's name; nothing for a file that stands for itself."""
    from namel3ss.declarations import base_of

    found = base_of(path)
    return found if found is not None else (None, None)
