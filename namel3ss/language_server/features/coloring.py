"""Semantic tokens: what a word is, where the grammar of an editor can only guess."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Final, NamedTuple

from lsprotocol import types

from namel3ss.language import (
    BareWord,
    Block,
    BlockText,
    Boolean,
    Declaration,
    EnvReference,
    Import,
    List,
    Null,
    Number,
    Span,
    Step,
    String,
    TypeForm,
)
from namel3ss.language.tokens import read_tokens
from namel3ss.language_server.features.templates import uses_in
from namel3ss.language_server.names import names_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from namel3ss.language import Source, Value
    from namel3ss.language.pieces import Piece
    from namel3ss.language_server.documents import Document

__all__ = ["LEGEND", "delta", "semantic_tokens"]

_TYPES: Final = (
    "keyword", "class", "function", "namespace", "property", "string", "number", "type", "variable", "comment", "enumMember",
)  # fmt: skip
_MODIFIERS: Final = ("declaration",)
LEGEND: Final = types.SemanticTokensLegend(list(_TYPES), list(_MODIFIERS))
_OF_NAMES: Final = {
    "ai model": "class",
    "prompt": "function",
    "chain": "function",
    "server": "namespace",
    "gateway": "namespace",
}


class _Word(NamedTuple):
    start: int
    end: int
    type: str
    is_declaration: bool = False


_known: weakref.WeakKeyDictionary[Source, tuple[_Word, ...]] = weakref.WeakKeyDictionary()


def semantic_tokens(document: Document, within: Span | None = None) -> list[int]:
    """The tokens of a document, or of a span of it, as the protocol's row of numbers."""
    data: list[int] = []
    last_line = last_column = 0
    lines = document.lines
    for piece in document.pieces.all:
        if within is not None and (piece.end <= within.start or piece.start >= within.end):
            continue
        for word in _words(piece):
            for span in _by_line(document, piece.span(Span(word.start, word.end))):
                if within is not None and (span.end <= within.start or span.start >= within.end):
                    continue
                line = lines.line_of(span.start)
                column = lines.units(Span(lines.starts[line], span.start))
                data += (
                    line - last_line,
                    column - (last_column if line == last_line else 0),
                    lines.units(span),
                    _TYPES.index(word.type),
                    int(word.is_declaration),
                )
                last_line, last_column = line, column
    return data


def delta(before: list[int], after: list[int]) -> list[types.SemanticTokensEdit]:
    """The one edit that turns a row of numbers into another; none where they are the same."""
    shortest = min(len(before), len(after))
    start = next((at for at in range(shortest) if before[at] != after[at]), shortest)
    if start == len(before) == len(after):
        return []
    end = next(
        (at for at in range(shortest - start) if before[len(before) - 1 - at] != after[len(after) - 1 - at]),
        shortest - start,
    )
    return [
        types.SemanticTokensEdit(start, len(before) - start - end, after[start : len(after) - end] or None)
    ]


def _by_line(document: Document, span: Span) -> Iterator[Span]:
    """A span cut at the ends of lines: few editors take tokens over several lines."""
    lines = document.lines
    for line in range(lines.line_of(span.start), lines.line_of(max(span.start, span.end - 1)) + 1):
        start, end = lines.line_span(line)
        part = Span(max(start, span.start), min(end, span.end))
        if part.start < part.end:
            yield part


def _words(piece: Piece) -> tuple[_Word, ...]:
    found = _known.get(piece.source)
    if found is None:
        found = _known[piece.source] = tuple(_without_overlaps(sorted(_all_words(piece))))
    return found


def _without_overlaps(words: list[_Word]) -> Iterator[_Word]:
    """Of two words at one place the one that begins first, then the shorter, which says more."""
    end = 0
    for word in words:
        if word.start >= end:
            yield word
            end = word.end


def _all_words(piece: Piece) -> Iterator[_Word]:
    tree, source = piece.result.tree, piece.source
    named = {site.span.start: site for site in names_of(piece.result)}
    for site in named.values():
        yield _Word(*site.span, _OF_NAMES[site.name.kind], site.is_declaration)
    for comment in read_tokens(source.text).comments:
        yield _Word(*comment, "comment")
    for item in tree.items:
        if isinstance(item, Import):
            keyword = Span(item.span.start, item.span.start + len("import"))
            yield _Word(*keyword, "keyword")
            yield from _value_words(item.path, named.keys())
        elif isinstance(item, Declaration):
            yield _Word(*item.keyword, "keyword")
            uses = sorted(uses_in(item, source), key=lambda use: use.span)
            texts = [use.span for use in uses]
            yield from (_Word(*span, "variable") for span in texts)
            for word in _block_words(item.block, named.keys()):
                yield from _split(word, texts)


def _split(word: _Word, inside: list[Span]) -> Iterator[_Word]:
    """A text without the words of templates in it."""
    start = word.start
    if word.type == "string":
        for span in inside:
            if start <= span.start and span.end <= word.end:
                if start < span.start:
                    yield word._replace(start=start, end=span.start)
                start = span.end
    if start < word.end:
        yield word._replace(start=start)


def _block_words(block: Block, named: Collection[int]) -> Iterator[_Word]:
    for entry in block.entries:
        if isinstance(entry, Step):
            yield _Word(*entry.keyword, "keyword")
            yield _Word(*entry.name.span, "function", True)
            yield from _block_words(entry.block, named)
        else:
            yield _Word(*entry.key.span, "property")
            if entry.value is not None:
                yield from _value_words(entry.value, named)


def _value_words(value: Value, named: Collection[int]) -> Iterator[_Word]:
    if value.span.start in named or value.span.start + 1 in named:
        return
    match value:
        case Block():
            yield from _block_words(value, named)
        case List():
            for item in value.items:
                yield from _value_words(item, named)
        case Number():
            yield _Word(*value.span, "number")
        case Boolean() | Null():
            yield _Word(*value.span, "enumMember")
        case EnvReference():
            yield _Word(*value.name.span, "variable")
        case TypeForm():
            yield _Word(*value.span, "type")
        case String() | BlockText() | BareWord():
            yield _Word(*value.span, "string")
