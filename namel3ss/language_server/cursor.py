"""Where the cursor stands: in which declaration and block, at a key, in a value, in a template."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from namel3ss.language import Block, BlockText, Declaration, List, Pair, Span, Step, String, TypeForm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from namel3ss.language import Value
    from namel3ss.language.pieces import Piece
    from namel3ss.language_server.documents import Document

__all__ = ["Cursor", "Spot", "find_cursor"]

Spot: TypeAlias = Literal["top", "key", "value", "template", "comment"]

_KEY_BEFORE = re.compile(r"[ \t{,<]*([\w-]*)\Z")
_VALUE_BEFORE = re.compile(r"""(?P<key>[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*:[ \t]*(?P<value>[^\n]*)\Z""")
_HEAD_BEFORE = re.compile(r"[\w \t-]*\Z")
_COMMENT = re.compile(r"(?:^|[ \t])#")


@dataclass(frozen=True, slots=True)
class Cursor:
    """The surroundings of an offset; spans are those of the piece.

    `path` are the keys of the blocks around it, outermost first; `step` the step it stands in. `key` is the key whose
    value it stands in. `word` is what is written up to the cursor, and `start` where that begins, in the whole text.
    `pair` is the pair of the tree that it touches, if the tree has one.
    """

    document: Document
    piece: Piece
    offset: int
    spot: Spot
    declaration: Declaration | None = None
    step: Step | None = None
    path: tuple[str, ...] = ()
    block: Block | None = None
    key: str = ""
    word: str = ""
    start: int = 0
    pair: Pair | None = None


def find_cursor(document: Document, offset: int) -> Cursor:
    """The surroundings of an offset, as far as the tree and the line tell."""
    piece = document.piece_at(offset)
    inner = offset - piece.start
    declaration = next(
        (each for each in piece.result.tree.declarations() if _holds(each.block, inner, piece)), None
    )
    line_start = document.text.rfind("\n", 0, offset) + 1
    before = document.text[line_start:offset]
    if declaration is None:
        found = _HEAD_BEFORE.search(before)
        start = offset - len(found[0].lstrip()) if found is not None else offset
        return Cursor(document, piece, offset, "top", word=document.text[start:offset], start=start)
    step: Step | None = None
    path: tuple[str, ...] = ()
    block = declaration.block
    for each in _blocks(declaration.block, inner, piece):
        if isinstance(each, Step):
            step, path, block = each, (), each.block
        elif isinstance(each.value, Block):
            path, block = (*path, each.key.text), each.value
    pair = next((each for each in block.pairs() if each.span.start <= inner <= _end_of(each)), None)
    place = Cursor(document, piece, offset, "key", declaration, step, path, block, pair=pair)
    return _in_line(place, before, inner)


def _in_line(place: Cursor, before: str, inner: int) -> Cursor:
    pair, offset = place.pair, place.offset
    if pair is not None and (value := _text_around(pair.value, inner)) is not None:
        opened = place.document.text.rfind("{{", place.piece.start + value.span.start, offset)
        opened = max(opened, place.document.text.rfind("{%", place.piece.start + value.span.start, offset))
        closed = max(
            place.document.text.rfind("}}", place.piece.start + value.span.start, offset),
            place.document.text.rfind("%}", place.piece.start + value.span.start, offset),
        )
        if opened > closed:
            word = re.search(r"[\w.]*\Z", place.document.text[opened + 2 : offset])
            text = word[0] if word is not None else ""
            return replace(place, spot="template", key=pair.key.text, word=text, start=offset - len(text))
        if isinstance(value, BlockText) and inner > value.span.start + 1:
            return replace(place, spot="comment", key=pair.key.text)  # the text of a template: nothing to say
    if _COMMENT.search(before) and before.count('"') % 2 == 0:
        return replace(place, spot="comment")
    segment = _last_entry(before)
    if found := _VALUE_BEFORE.search(segment):
        written = found["value"]
        word_start = (
            max(written.rfind(","), written.rfind("["), written.rfind(" ")) + 1 if written[:1] == "[" else 0
        )
        value_word = written[word_start:].lstrip("\"'")
        return replace(
            place,
            spot="value",
            key=found["key"].strip("\"'"),
            word=value_word,
            start=offset - len(value_word),
        )
    if pair is not None and isinstance(pair.value, List) and inner > pair.key.colon.end:
        last = re.search(r"[^\s,\[\]\"']*\Z", before)
        text = last[0] if last is not None else ""
        return replace(place, spot="value", key=pair.key.text, word=text, start=offset - len(text))
    found_key = _KEY_BEFORE.search(segment)
    text = found_key[1] if found_key is not None else ""
    return replace(place, spot="key", word=text, start=offset - len(text))


def _last_entry(before: str) -> str:
    """What is written of the last entry of a line: several may stand in one line, between braces and commas."""
    depth, start, quote = 0, 0, ""
    for at, character in enumerate(before):
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character in "[":
            depth += 1
        elif character in "]":
            depth -= 1
        elif (character in "{}<" or (character == "," and depth == 0)) and before[at : at + 2] not in (
            "{{",
            "}}",
        ):
            start = at + 1
    return before[start:]


def _holds(block: Block, inner: int, piece: Piece) -> bool:
    if block.open.start == block.open.end:
        return False  # its brace is missing: a head is still being written
    end = block.close.start if block.close is not None else max(block.span.end, _trailing(block, piece))
    return block.open.end <= inner <= end


def _trailing(block: Block, piece: Piece) -> int:
    """An unclosed block reaches to the next thing in the piece, or to its end."""
    starts = [item.span.start for item in piece.result.tree.items if item.span.start >= block.span.end]
    return min(starts, default=len(piece.source.text))


def _blocks(block: Block, inner: int, piece: Piece) -> Iterator[Step | Pair]:
    """The steps and pairs with blocks around an offset, outermost first."""
    for entry in block.entries:
        body = entry.block if isinstance(entry, Step) else entry.value
        if isinstance(body, Block) and _holds(body, inner, piece):
            yield entry
            yield from _blocks(body, inner, piece)
            return


def _end_of(pair: Pair) -> int:
    return pair.value.span.end if pair.value is not None else pair.span.end


def _text_around(value: Value | None, inner: int) -> String | BlockText | None:
    """The text in which an offset stands, inside of lists and maps too."""
    if isinstance(value, String | BlockText):
        return value if value.span.start < inner <= value.span.end else None
    if isinstance(value, List):
        return next((found for item in value.items if (found := _text_around(item, inner))), None)
    if isinstance(value, TypeForm):
        return None
    return None


def span_of(cursor: Cursor) -> Span:
    """What a completion replaces, in the whole text."""
    return Span(cursor.start, cursor.offset)
