"""The check of a program for an editor: every file in pieces, every outcome remembered, places in whole files."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from namel3ss.declarations.checking import check_program
from namel3ss.declarations.folders import FolderReader
from namel3ss.declarations.imports import ImportedFile
from namel3ss.declarations.memory import CheckMemory
from namel3ss.language.pieces import cut

if TYPE_CHECKING:
    from collections.abc import Sequence

    from namel3ss.declarations import Location, ModelDeclaration, ProgramFile
    from namel3ss.language import Diagnostic, Label, ParseResult, Source, Span
    from namel3ss.language.pieces import Piece, Pieces
    from namel3ss.language_server.documents import Document
    from namel3ss.language_server.workspace import Workspace

__all__ = ["CheckedProgram", "Place", "ProgramCheck", "file_of"]


@dataclass(frozen=True, slots=True)
class Place:
    """A span of a whole document."""

    document: Document
    span: Span


@dataclass(frozen=True, slots=True)
class CheckedProgram:
    """What a program declares, and its findings.

    `file` speaks of pieces; `place` and `findings` turn that into places of whole documents. `main` is the file that the
    program begins with.
    """

    main: Document
    profile: Document | None
    file: ProgramFile
    documents: tuple[Document, ...]
    _pieces: dict[str, tuple[Document, Pieces]] = field(repr=False)  # by the path in their sources

    def place(self, location: Location) -> Place | None:
        """Where something of the program stands; None for what stands in no file."""
        found = self._find(location.source)
        return None if found is None else Place(found[0], found[1].span(location.span))

    def models_in(self, document: Document) -> list[ModelDeclaration]:
        """The ai models that can be used and stand in a document."""
        paths = {path for path, (each, _) in self._pieces.items() if each is document}
        return [model for model in self.file.models.values() if model.location.source.path in paths]

    def _find(self, source: Source) -> tuple[Document, Piece] | None:
        document, pieces = self._pieces.get(source.path, (None, None))
        piece = pieces.of_source.get(source) if pieces is not None else None
        return None if document is None or piece is None else (document, piece)

    def findings(self, document: Document) -> list[Diagnostic]:
        """The findings about one document, in its own places and in its order."""
        found = []
        for finding in self.file.diagnostics:
            known = self._find(finding.source)
            if known is not None and known[0] is document:
                found.append(self._moved(finding, *known))
            elif known is None and finding.source.path == document.path:
                found.append(replace(finding, source=document.source))
        found.sort(key=lambda finding: (finding.span, finding.code, finding.message))
        return found

    def _moved(self, finding: Diagnostic, document: Document, piece: Piece) -> Diagnostic:
        return replace(
            finding,
            source=document.source,
            span=piece.span(finding.span),
            labels=tuple(self._moved_label(label, document, piece) for label in finding.labels),
            fixes=tuple(
                replace(fix, edits=tuple(replace(edit, span=piece.span(edit.span)) for edit in fix.edits))
                for fix in finding.fixes
            ),
        )

    def _moved_label(self, label: Label, document: Document, piece: Piece) -> Label:
        there = None if label.source is None else self._find(label.source)
        where, inside = there or (document, piece)
        return replace(
            label, span=inside.span(label.span), source=None if where is document else where.source
        )


class ProgramCheck:
    """Checks one program again and again. The last outcome holds until a file of the workspace changes."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._memory = CheckMemory()
        self._generation = -1
        self._outcome: CheckedProgram | None = None

    def of(self, main: Document, profile: Document | None) -> CheckedProgram:
        """The program that begins with `main`, with a profile over it."""
        workspace = self._workspace
        if self._outcome is None or self._generation != workspace.generation:
            self._outcome = self._check(main, profile)
            self._generation = workspace.generation
        return self._outcome

    def _check(self, main: Document, profile: Document | None) -> CheckedProgram:
        workspace = self._workspace
        pieces: dict[str, tuple[Document, Pieces]] = {}
        documents: list[Document] = []

        def parse_file(text: str, path: str) -> Sequence[ParseResult]:
            document = next((each for each in (main, profile) if each and each.path == path), None)
            document = document or workspace.at(path)
            if document is None or document.text is not text:  # changed on the disk in this very moment
                return cut(text, path).results
            # A path by way of a symbolic link is not the one that the document's own pieces tell.
            cut_here = document.pieces if document.path == path else cut(text, path)
            documents.append(document)
            pieces[path] = (document, cut_here)
            return cut_here.results

        file = check_program(
            file_of(main),
            environ=workspace.environ,
            registry=workspace.registry,
            read_import=FolderReader(workspace.root_folder(main), workspace.load)
            if main.is_on_disk
            else None,
            profile=None if profile is None else file_of(profile),
            parse_file=parse_file,
            memory=self._memory,
        )
        return CheckedProgram(main, profile, file, tuple(documents), pieces)


def file_of(document: Document) -> ImportedFile:
    """A document as a file of a program."""
    text = None if document.refusals else document.text
    return ImportedFile(document.path, document.path, text, document.refusals)
