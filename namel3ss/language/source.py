"""Source text, and places in it.

Offsets count characters (code points) from 0. Lines and columns count from 1, as people and terminals do; an
editor's zero-based UTF-16 positions are made from them at its own edge.
"""

from __future__ import annotations

import bisect
import functools
from typing import NamedTuple

__all__ = ["Position", "Source", "Span"]


class Span(NamedTuple):
    """Characters `start` up to, not including, `end`. Empty where something is missing."""

    start: int
    end: int

    def cover(self, other: Span) -> Span:
        """The smallest span that holds both."""
        return Span(min(self.start, other.start), max(self.end, other.end))


class Position(NamedTuple):
    """A place for people: both count from 1; a tab is one column."""

    line: int
    column: int


class Source:
    """A file's text with its path, as it was read: CRLF and a BOM are still in `text`.

    Immutable. The line index is built once, when first asked for.
    """

    def __init__(self, text: str, path: str) -> None:
        self.text = text
        self.path = path

    @functools.cached_property
    def line_starts(self) -> list[int]:
        """The offset at which each line begins; the first one behind a byte order mark."""
        starts = [1 if self.text.startswith("\ufeff") else 0]
        find = self.text.find
        at = find("\n")
        while at >= 0:
            starts.append(at + 1)
            at = find("\n", at + 1)
        return starts

    def position(self, offset: int) -> Position:
        """Line and column of an offset; one past the end is allowed."""
        line = max(1, bisect.bisect_right(self.line_starts, offset))
        return Position(line, max(1, offset - self.line_starts[line - 1] + 1))

    def line_span(self, line: int) -> Span:
        """The characters of a line (from 1), without its line end."""
        start = self.line_starts[line - 1]
        end = self.line_starts[line] - 1 if line < len(self.line_starts) else len(self.text)
        if end > start and self.text[end - 1] == "\r":
            end -= 1
        return Span(start, end)

    def line_text(self, line: int) -> str:
        """A line's text without its line end."""
        span = self.line_span(line)
        return self.text[span.start : span.end]

    def __repr__(self) -> str:
        return f"<Source {self.path!r}, {len(self.text)} characters>"
