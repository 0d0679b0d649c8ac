"""Formatting: the one layout, as the fewest edits."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from lsprotocol import types

from namel3ss.language import Span
from namel3ss.language.formatting import format_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from namel3ss.language_server.documents import Document

__all__ = ["format_document", "format_on_type", "format_range"]


def format_document(document: Document) -> list[types.TextEdit]:
    """The edits that lay a whole document out; declarations with mistakes stay as they are."""
    if document.refusals:
        return []
    return [_edit(document, *each) for each in _edits(document.text, format_text(document.text))]


def format_range(document: Document, within: types.Range) -> list[types.TextEdit]:
    """The edits of the layout that touch a range."""
    if document.refusals:
        return []
    span = document.lines.span(within)
    return [
        _edit(document, inner, text)
        for inner, text in _edits(document.text, format_text(document.text))
        if inner.start <= span.end and inner.end >= span.start
    ]


def format_on_type(document: Document, position: types.Position) -> list[types.TextEdit]:
    """The edits that lay out the declaration that was just closed."""
    if document.refusals:
        return []
    offset = document.offset(position)
    piece = document.piece_at(offset)
    for item in piece.result.tree.items:
        start, end = item.span
        if piece.start + start < offset <= piece.start + end:
            text = document.text[piece.start + start : piece.start + end]
            formatted = format_text(text + "\n").removesuffix("\n").removesuffix("\r")
            return [
                _edit(document, Span(piece.start + start + inner.start, piece.start + start + inner.end), new)
                for inner, new in _edits(text, formatted)
            ]
    return []


def _edits(before: str, after: str) -> Iterator[tuple[Span, str]]:
    """Line by line what changes; lines that stay are not touched, so that cursors and marks stay, too."""
    if before == after:
        return
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    starts = [0]
    for line in old:
        starts.append(starts[-1] + len(line))
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for tag, old_start, old_end, new_start, new_end in matcher.get_opcodes():
        if tag != "equal":
            yield Span(starts[old_start], starts[old_end]), "".join(new[new_start:new_end])


def _edit(document: Document, span: Span, text: str) -> types.TextEdit:
    return types.TextEdit(document.range(span), text)
