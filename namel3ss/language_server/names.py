"""The names of a document: where each is declared and where it is used, by piece."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from namel3ss.declarations import base_of
from namel3ss.language import BareWord, Block, Declaration, List, Span, Step, String
from namel3ss.language_server.programs import Place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from namel3ss.language import ParseResult, Source, Value
    from namel3ss.language_server.documents import Document
    from namel3ss.language_server.workspace import Workspace

__all__ = [
    "Name",
    "NameKind",
    "NameSite",
    "definitions",
    "documents_of_program",
    "documents_with_profiles",
    "has_letters",
    "name_at",
    "names_of",
    "sites_of",
]

NameKind: TypeAlias = Literal["ai model", "prompt", "chain", "server", "gateway"]

# Keys whose value names an ai model, wherever they stand in a declaration of the kind.
_MODEL_KEYS: Final = {
    "ai model": frozenset({"extends"}),
    "prompt": frozenset({"model"}),
    "chain": frozenset({"model"}),
    "server": frozenset({"models"}),
    "gateway": frozenset({"models"}),
}
_FALLBACK: Final = "fallback"


@dataclass(frozen=True, slots=True)
class Name:
    """What a name stands for; names are flat in a program."""

    kind: NameKind
    text: str


@dataclass(frozen=True, slots=True)
class NameSite:
    """One place of a name, in the terms of its piece, without quotes where there are any."""

    name: Name
    span: Span
    is_declaration: bool
    whole: Span  # the declaration, or the value


_known: weakref.WeakKeyDictionary[Source, tuple[NameSite, ...]] = weakref.WeakKeyDictionary()


_of_documents: weakref.WeakKeyDictionary[Document, tuple[tuple[NameSite, Span], ...]] = (
    weakref.WeakKeyDictionary()
)


def names_of(result: ParseResult) -> tuple[NameSite, ...]:
    """Every name in a piece, in its order. Found once for each piece."""
    source = result.tree.source
    found = _known.get(source)
    if found is None:
        found = _known[source] = tuple(
            site for declaration in result.tree.declarations() for site in _sites(declaration, source)
        )
    return found


def sites_of(document: Document) -> tuple[tuple[NameSite, Span], ...]:
    """Every name in a document with its span in the whole text. Found once for each document."""
    found = _of_documents.get(document)
    if found is None:
        found = _of_documents[document] = tuple(
            (site, piece.span(site.span)) for piece in document.pieces.all for site in names_of(piece.result)
        )
    return found


def name_at(document: Document, offset: int) -> tuple[NameSite, Span] | None:
    """The name under the cursor; just behind it counts as well."""
    piece = document.piece_at(offset)
    for site in names_of(piece.result):
        span = piece.span(site.span)
        if span.start <= offset <= span.end:
            return site, span
    return None


def definitions(workspace: Workspace, document: Document, name: Name) -> Iterator[Place]:
    """Where a name of a document is declared, in any file of its programs; places of the name alone."""
    for other in documents_of_program(workspace, document):
        for site, span in sites_of(other):
            if site.is_declaration and site.name == name:
                yield Place(other, span)


def documents_of_program(workspace: Workspace, document: Document) -> list[Document]:
    """The documents in which the names of a document are known: those of all programs that it is part of."""
    found: dict[str, Document] = {document.path: document}
    for program in workspace.programs(document):
        for other in (*program.documents, program.main):
            found.setdefault(other.path, other)
    return list(found.values())


def documents_with_profiles(workspace: Workspace, document: Document) -> list[Document]:
    """Those in which a name of a document is known, and the profiles that lie over them."""
    found = documents_of_program(workspace, document)
    paths = {each.path for each in found}
    for other in workspace.documents():
        if other.path not in paths and other.path.count(".") > 1 and other.is_on_disk:
            base = base_of(other.path)
            if base is not None and base[0] in paths:
                found.append(other)
    return found


def _sites(declaration: Declaration, source: Source) -> Iterator[NameSite]:
    if declaration.name is not None:
        span = _inner(declaration.name.span, source)
        yield NameSite(Name(declaration.kind, declaration.name.text), span, True, declaration.span)
    yield from _uses(declaration.block, declaration.kind, source)


def _uses(block: Block, kind: NameKind, source: Source, *, in_fallback: bool = False) -> Iterator[NameSite]:
    for entry in block.entries:
        if isinstance(entry, Step):
            yield from _uses(entry.block, kind, source)
            continue
        key, value = entry.key.text, entry.value
        if value is None:
            continue
        if key in _MODEL_KEYS[kind] or (in_fallback and key == "model") or key == _FALLBACK:
            yield from _named(value, "ai model", source)
        elif kind == "gateway" and key == "servers":
            yield from _named(value, "server", source)
        elif kind == "chain" and key == "prompt" and isinstance(value, BareWord):
            yield from _named(value, "prompt", source)
        if isinstance(value, Block) and key not in ("input", "output"):
            yield from _uses(value, kind, source, in_fallback=key == _FALLBACK)


def _named(value: Value, kind: NameKind, source: Source) -> Iterator[NameSite]:
    if isinstance(value, List):
        for item in value.items:
            yield from _named(item, kind, source)
    elif isinstance(value, String | BareWord):
        yield NameSite(Name(kind, value.value), _inner(value.span, source), False, value.span)


def _inner(span: Span, source: Source) -> Span:
    """A span without the quotes at its ends."""
    text = source.text
    if span.end - span.start >= 2 and text[span.start] in "\"'" and text[span.end - 1] == text[span.start]:
        return Span(span.start + 1, span.end - 1)
    return span


def has_letters(name: str, wanted: str) -> bool:
    """Whether a name holds the letters that somebody typed, in their order."""
    letters = iter(name.casefold())
    return all(letter in letters for letter in wanted.casefold())
