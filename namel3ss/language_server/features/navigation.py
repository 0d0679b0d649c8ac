"""Definition, references and highlights, rename, symbols of the workspace."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from lsprotocol import types

from namel3ss.language import Span
from namel3ss.language_server.cursor import find_cursor
from namel3ss.language_server.features.templates import names_in_scope, uses_in
from namel3ss.language_server.names import (
    definitions,
    documents_of_program,
    documents_with_profiles,
    has_letters,
    name_at,
    sites_of,
)
from namel3ss.language_server.programs import Place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from namel3ss.language_server.documents import Document
    from namel3ss.language_server.names import Name
    from namel3ss.language_server.workspace import Workspace

__all__ = [
    "KINDS",
    "RenameError",
    "find_definition",
    "find_references",
    "highlight",
    "prepare_rename",
    "rename",
    "workspace_symbols",
]

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\Z")
_START: Final = Span(0, 0)
_LONGEST: Final = 128
_MOST_SYMBOLS: Final = 500
KINDS: Final = {
    "ai model": types.SymbolKind.Class,
    "prompt": types.SymbolKind.Function,
    "chain": types.SymbolKind.Module,
    "server": types.SymbolKind.Interface,
    "gateway": types.SymbolKind.Namespace,
}


class RenameError(ValueError):
    """The new name cannot be one, or is taken."""


def find_definition(workspace: Workspace, document: Document, position: types.Position) -> list[Place]:
    """Where the name at a position is declared; for the path of an import, the start of that file."""
    offset = document.offset(position)
    if (found := name_at(document, offset)) is not None:
        return list(definitions(workspace, document, found[0].name))
    for written, span in document.imports:
        if span.start <= offset <= span.end:
            target = workspace.at(workspace.target(document, written))
            return [Place(target, _START)] if target is not None else []
    return list(_template_definitions(document, offset))


def find_references(
    workspace: Workspace, document: Document, position: types.Position, *, with_declaration: bool = True
) -> list[Place]:
    """Every use of the name at a position, in all files of its programs."""
    offset = document.offset(position)
    if (found := name_at(document, offset)) is not None:
        return list(_uses(workspace, document, found[0].name, with_declaration=with_declaration))
    return [
        place
        for place, is_declaration in _template_places(document, offset)
        if with_declaration or not is_declaration
    ]


def highlight(
    workspace: Workspace, document: Document, position: types.Position
) -> list[types.DocumentHighlight]:
    """The same name elsewhere in the document."""
    return [
        types.DocumentHighlight(document.range(place.span), types.DocumentHighlightKind.Text)
        for place in find_references(workspace, document, position)
        if place.document is document
    ]


def prepare_rename(document: Document, position: types.Position) -> types.PrepareRenamePlaceholder | None:
    """The name at a position, if it can be renamed."""
    offset = document.offset(position)
    found = name_at(document, offset)
    if found is not None:
        return types.PrepareRenamePlaceholder(document.range(found[1]), found[0].name.text)
    for place, _ in _template_places(document, offset):
        if place.span.start <= offset <= place.span.end:
            return types.PrepareRenamePlaceholder(
                document.range(place.span), document.text[place.span.start : place.span.end]
            )
    return None


def rename(
    workspace: Workspace, document: Document, position: types.Position, new_name: str
) -> types.WorkspaceEdit | None:
    """The edits that give the name at a position another text, everywhere. Raises RenameError."""
    places = find_references(workspace, document, position)
    if not places:
        return None
    found = name_at(document, document.offset(position))
    if found is not None:
        _check_name(workspace, document, found[0].name, new_name)
    elif not re.match(r"[A-Za-z_]\w*\Z", new_name):
        raise RenameError(f"`{new_name}` is no name that a template could use: letters, digits and _.")
    changes: dict[str, list[types.TextEdit]] = {}
    for place in places:
        edit = types.TextEdit(place.document.range(place.span), new_name)
        changes.setdefault(place.document.uri, []).append(edit)
    return types.WorkspaceEdit(changes=changes)


def _check_name(workspace: Workspace, document: Document, name: Name, new_name: str) -> None:
    if not _NAME.match(new_name) or len(new_name) > _LONGEST:
        raise RenameError(f"`{new_name}` is no name: letters, digits, _ and -, not beginning with a digit.")
    for other in documents_of_program(workspace, document):
        for site, _ in sites_of(other):
            if site.is_declaration and site.name.text == new_name and site.name != name:
                raise RenameError(f"`{new_name}` is the name of another {site.name.kind}.")


def workspace_symbols(workspace: Workspace, query: str) -> list[types.WorkspaceSymbol]:
    """The declarations of the workspace whose names hold the letters of a query in their order."""
    found = []
    for document in workspace.documents():
        for site, span in sites_of(document):
            if site.is_declaration and has_letters(site.name.text, query):
                found.append(
                    types.WorkspaceSymbol(
                        location=document.location(span),
                        name=site.name.text,
                        kind=KINDS[site.name.kind],
                        container_name=site.name.kind,
                    )
                )
                if len(found) >= _MOST_SYMBOLS:
                    return found
    return found


def _uses(workspace: Workspace, document: Document, name: Name, *, with_declaration: bool) -> Iterator[Place]:
    for other in documents_with_profiles(workspace, document):
        for site, span in sites_of(other):
            if site.name == name and (with_declaration or not site.is_declaration):
                yield Place(other, span)


def _template_definitions(document: Document, offset: int) -> Iterator[Place]:
    return (place for place, is_declaration in _template_places(document, offset) if is_declaration)


def _template_places(document: Document, offset: int) -> list[tuple[Place, bool]]:
    """All places of the template's name at an offset, and whether each declares it; none where there is no name."""
    cursor = find_cursor(document, offset)
    if cursor.declaration is None:
        return []
    source, inner = cursor.piece.source, offset - cursor.piece.start
    places: list[tuple[str, Span, bool]] = [
        (name.text, name.span, True) for name in names_in_scope(cursor.declaration, source)
    ]
    places += [(use.text, use.span, False) for use in uses_in(cursor.declaration, source)]
    here = next((text for text, span, _ in places if span.start <= inner <= span.end), None)
    if here is None:
        return []
    return [
        (Place(document, cursor.piece.span(span)), is_declaration)
        for text, span, is_declaration in places
        if text == here
    ]
