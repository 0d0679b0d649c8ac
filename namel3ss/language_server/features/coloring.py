"""Semantic tokens: what a word is, where the grammar of an editor can only guess."""

from __future__ import annotations

import re
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

    from namel3ss.language import Pair, Source, Value
    from namel3ss.language.pieces import Piece
    from namel3ss.language_server.documents import Document

__all__ = ["LEGEND", "delta", "semantic_tokens"]

_TYPES: Final = (
    "keyword", "class", "function", "namespace", "property", "string", "number", "type", "variable", "comment", "enumMember",
)  # fmt: skip
_MODIFIERS: Final = ("declaration",)
LEGEND: Final = types.SemanticTokensLegend(list(_TYPES), list(_MODIFIERS))
# In a tag only the names of the program are ours to colour: the editor's own grammar knows Jinja's words.
_TAG: Final = re.compile(r"\{\{.*?(?:\}\}|\Z)|\{%.*?(?:%\}|\Z)|\{#.*?(?:#\}|\Z)", re.DOTALL)
_TYPED: Final = frozenset(["input", "output"])
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
            yield from (_Word(*use.span, "variable") for use in uses_in(item, source))
            for word in _declaration_words(item, named.keys()):
                yield from _outside_of_tags(word, source.text) if word.type == "string" else (word,)


def _outside_of_tags(word: _Word, text: str) -> Iterator[_Word]:
    """A text without the tags of templates in it, and without the line of the bar that announces it."""
    start = word.start
    if text.startswith("|", start):
        start = text.find("\n", start, word.end) + 1 or word.end
    for tag in _TAG.finditer(text, word.start, word.end):
        if text[start : tag.start()].strip():
            yield word._replace(start=start, end=tag.start())
        start = tag.end()
    if text[start : word.end].strip():
        yield word._replace(start=start)


def _declaration_words(declaration: Declaration, named: Collection[int]) -> Iterator[_Word]:
    for entry in declaration.block.entries:
        if isinstance(entry, Step):
            yield from _step_words(entry, named)
        else:
            yield from _pair_words(entry, named, is_typed=entry.key.text in _TYPED)


def _step_words(step: Step, named: Collection[int]) -> Iterator[_Word]:
    yield _Word(*step.keyword, "keyword")
    yield _Word(*step.name.span, "function", True)
    yield from _block_words(step.block, named)


def _pair_words(pair: Pair, named: Collection[int], *, is_typed: bool) -> Iterator[_Word]:
    yield _Word(*pair.key.span, "property")
    if pair.value is not None:
        yield from _value_words(pair.value, named, is_typed=is_typed)


def _block_words(block: Block, named: Collection[int], *, is_typed: bool = False) -> Iterator[_Word]:
    for entry in block.entries:
        if isinstance(entry, Step):
            yield from _step_words(entry, named)
        else:
            yield from _pair_words(entry, named, is_typed=is_typed)


def _value_words(value: Value, named: Collection[int], *, is_typed: bool = False) -> Iterator[_Word]:
    if value.span.start in named or value.span.start + 1 in named:
        return
    match value:
        case Block():
            yield from _block_words(value, named, is_typed=is_typed)
        case List():
            for item in value.items:
                yield from _value_words(item, named, is_typed=is_typed)
        case Number():
            yield _Word(*value.span, "number")
        case Boolean() | Null():
            yield _Word(*value.span, "enumMember")
        case EnvReference():
            yield _Word(*value.name.span, "variable")
        case TypeForm():
            yield _Word(*value.span, "type")
        case BareWord() if is_typed:
            yield _Word(*value.span, "type")
        case String() | BlockText() | BareWord():
            yield _Word(*value.span, "string")
