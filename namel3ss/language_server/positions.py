"""Offsets of a text as the protocol's positions: zero-based lines, and columns in the units that the client counts."""

from __future__ import annotations

import bisect
import functools
import itertools
import re
from typing import Literal, TypeAlias

from lsprotocol import types

from namel3ss.language import Span

__all__ = ["Encoding", "Lines"]

Encoding: TypeAlias = Literal["utf-8", "utf-16", "utf-32"]

_LINE_END = re.compile(r"\r\n|\n|\r")  # those of the protocol; the language itself knows no lone \r
_OTHER_LINE_ENDS = "\v\f\x1c\x1d\x1e\x85\u2028\u2029"  # Python's, where no editor begins a line
_LAST_OF_FIRST_PLANE = "\uffff"


class Lines:
    """The lines of one text. Immutable; the index is made when first asked for."""

    def __init__(self, text: str, encoding: Encoding) -> None:
        self.text = text
        self.encoding = encoding

    @functools.cached_property
    def starts(self) -> list[int]:
        """The offset at which each line begins."""
        text = self.text
        if any(map(text.__contains__, _OTHER_LINE_ENDS)):
            return [0, *(found.end() for found in _LINE_END.finditer(text))]
        starts = [0, *itertools.accumulate(map(len, text.splitlines(keepends=True)))]
        if len(starts) > 1 and text[-1] not in "\r\n":
            starts.pop()
        return starts

    @functools.cached_property
    def _counts_characters(self) -> bool:
        """Whether a column is the same in every encoding."""
        return self.encoding == "utf-32" or self.text.isascii()

    def line_of(self, offset: int) -> int:
        """The zero-based line of an offset."""
        return bisect.bisect_right(self.starts, offset) - 1

    def position(self, offset: int) -> types.Position:
        """The position of an offset; one past the end is that of the end."""
        line = self.line_of(offset)
        start = self.starts[line]
        return types.Position(line, self._units(start, min(offset, len(self.text))))

    def range(self, span: Span) -> types.Range:
        """The range of a span."""
        return types.Range(self.position(span.start), self.position(span.end))

    def units(self, span: Span) -> int:
        """How many units of the client a span within one line has."""
        return self._units(span.start, span.end)

    def offset(self, position: types.Position) -> int:
        """The offset of a position; one behind the end of its line, or of the text, means that end."""
        if position.line < 0:
            return 0
        if position.line >= len(self.starts):
            return len(self.text)
        start, end = self.line_span(position.line)
        if self._counts_characters:
            return min(start + max(0, position.character), end)
        left, at = position.character, start
        while at < end and left >= (width := self._width(self.text[at])):
            left -= width
            at += 1
        return at

    def span(self, place: types.Range) -> Span:
        """The span of a range."""
        start, end = self.offset(place.start), self.offset(place.end)
        return Span(min(start, end), max(start, end))

    def line_span(self, line: int) -> Span:
        """The characters of a line, without its end."""
        start = self.starts[line]
        if line + 1 >= len(self.starts):
            return Span(start, len(self.text))
        end = self.starts[line + 1] - 1
        if self.text[end - 1 : end + 1] == "\r\n":
            end -= 1
        return Span(start, end)

    def _units(self, start: int, end: int) -> int:
        if self._counts_characters:
            return end - start
        part = self.text[start:end]
        if self.encoding == "utf-8":
            return len(part.encode("utf-8", "surrogatepass"))
        return len(part) + sum(character > _LAST_OF_FIRST_PLANE for character in part)

    def _width(self, character: str) -> int:
        if self.encoding == "utf-8":
            return len(character.encode("utf-8", "surrogatepass"))
        return 2 if character > _LAST_OF_FIRST_PLANE else 1
