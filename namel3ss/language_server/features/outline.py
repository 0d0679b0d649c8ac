"""What the shape of a file gives: symbols, folds, growing selections, links."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Final

from lsprotocol import types
from pygls.uris import from_fs_path

from namel3ss.language import Block, BlockText, Declaration, ForeignDeclaration, Import, List, Span, Step
from namel3ss.language_server.features.navigation import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from namel3ss.language import Item, Pair, Value
    from namel3ss.language.pieces import Piece
    from namel3ss.language_server.documents import Document
    from namel3ss.language_server.workspace import Workspace

__all__ = ["document_links", "document_symbols", "folding_ranges", "selection_ranges"]

_COMMENTS: Final = re.compile(r"^[ \t]*#[^\n]*(?:\n[ \t]*#[^\n]*)+", re.MULTILINE)


def document_symbols(document: Document) -> list[types.DocumentSymbol]:
    """The declarations with their blocks and steps."""
    found = []
    for piece in document.pieces.all:
        for item in piece.result.tree.items:
            if isinstance(item, Declaration):
                found.append(_symbol_of(document, piece, item))
            elif isinstance(item, Import):
                found.append(
                    _symbol(
                        document, piece, item.path.value, types.SymbolKind.File, item.span, item.path.span
                    )
                )
    return found


def _symbol_of(document: Document, piece: Piece, item: Declaration) -> types.DocumentSymbol:
    name = item.name.text if item.name is not None else "default"
    symbol = _symbol(
        document,
        piece,
        name or item.kind,
        KINDS[item.kind],
        item.span,
        item.name.span if item.name else item.keyword,
    )
    symbol.detail = item.kind
    symbol.children = [
        _symbol(
            document, piece, entry.name.text or "step", types.SymbolKind.Event, entry.span, entry.name.span
        )
        if isinstance(entry, Step)
        else _symbol(
            document, piece, entry.key.text or "?", types.SymbolKind.Property, entry.span, entry.key.span
        )
        for entry in item.block.entries
    ]
    return symbol


def _symbol(
    document: Document, piece: Piece, name: str, kind: types.SymbolKind, span: Span, selection: Span
) -> types.DocumentSymbol:
    whole = span.cover(selection)
    return types.DocumentSymbol(
        name=name,
        kind=kind,
        range=document.range(piece.span(whole)),
        selection_range=document.range(piece.span(selection)),
    )


def folding_ranges(document: Document) -> list[types.FoldingRange]:
    """Declarations, blocks, lists and texts over several lines; runs of comments; runs of imports."""
    found: list[types.FoldingRange] = []
    imports: list[Span] = []
    for piece in document.pieces.all:
        for item in piece.result.tree.items:
            if isinstance(item, Import):
                imports.append(piece.span(item.span))
            for span, is_closed in _folds(item):
                _fold(document, piece.span(span), None, found, keeps_last=is_closed)
    for comment in _COMMENTS.finditer(document.text):
        _fold(document, Span(*comment.span()), types.FoldingRangeKind.Comment, found)
    if len(imports) > 1:
        _fold(document, imports[0].cover(imports[-1]), types.FoldingRangeKind.Imports, found)
    return found


def _folds(item: Item | Step) -> Iterator[tuple[Span, bool]]:
    if isinstance(item, ForeignDeclaration):
        yield item.span, True
    elif isinstance(item, Declaration | Step):
        yield item.span.cover(item.block.span), item.block.close is not None
        for entry in item.block.entries:
            if isinstance(entry, Step):
                yield from _folds(entry)
            else:
                yield from _folds_of(entry)


def _folds_of(pair: Pair) -> Iterator[tuple[Span, bool]]:
    value = pair.value
    if isinstance(value, Block | List | BlockText):
        yield pair.key.span.cover(value.span), not isinstance(value, BlockText)
    if isinstance(value, Block):
        for inner in value.pairs():
            yield from _folds_of(inner)


def _fold(
    document: Document,
    span: Span,
    kind: types.FoldingRangeKind | None,
    found: list[types.FoldingRange],
    *,
    keeps_last: bool = False,
) -> None:
    """Note a fold of more than one line; the line of a closing brace stays in sight."""
    start = document.lines.line_of(span.start)
    end = document.lines.line_of(max(span.start, span.end - 1)) - keeps_last
    if end > start:
        found.append(types.FoldingRange(start_line=start, end_line=end, kind=kind))


def selection_ranges(document: Document, positions: list[types.Position]) -> list[types.SelectionRange]:
    """For each position the spans around it: the value, the pair, the blocks, the declaration, the file."""
    return [_selection(document, document.offset(position)) for position in positions]


def _selection(document: Document, offset: int) -> types.SelectionRange:
    piece = document.piece_at(offset)
    inner = offset - piece.start
    spans = [Span(0, len(document.text))]
    for item in piece.result.tree.items:
        if item.span.start <= inner <= item.span.end:
            spans.append(piece.span(item.span))
            if isinstance(item, Declaration):
                spans += [piece.span(span) for span in _around(item.block, inner)]
    selection = types.SelectionRange(document.range(spans[0]))
    for before, span in itertools.pairwise(spans):
        if span != before:
            selection = types.SelectionRange(document.range(span), selection)
    return selection


def _around(value: Value, inner: int) -> Iterator[Span]:
    """The spans inside a value that hold an offset, the largest first."""
    if not value.span.start <= inner <= value.span.end:
        return
    yield value.span
    if isinstance(value, Block):
        for entry in value.entries:
            if entry.span.start <= inner <= entry.span.end:
                yield entry.span
                if isinstance(entry, Step):
                    yield from _around(entry.block, inner)
                elif entry.key.span.start <= inner <= entry.key.span.end:
                    yield entry.key.span
                elif entry.value is not None:
                    yield from _around(entry.value, inner)
    elif isinstance(value, List):
        for item in value.items:
            yield from _around(item, inner)


def document_links(workspace: Workspace, document: Document) -> list[types.DocumentLink]:
    """The files that are imported and exist."""
    found = []
    for written, span in document.imports:
        path = workspace.target(document, written)
        if document.is_on_disk and workspace.at(path) is not None:
            inside = Span(span.start + 1, max(span.start + 1, span.end - 1))
            found.append(types.DocumentLink(document.range(inside), from_fs_path(path), tooltip=path))
    return found
