"""A text in pieces, so that an editor's next keystroke costs one declaration and not a whole file. Pure.

A piece is a declaration, or several where one cannot be told from the next without reading both. Each is parsed as a
text of its own, with places that count from its start: what stands above it may move without anything being read again.
All pieces together have exactly the findings of the whole text.
"""

from __future__ import annotations

import bisect
import functools
import itertools
from typing import TYPE_CHECKING, NamedTuple

from namel3ss.language.borders import find_borders
from namel3ss.language.findings import MAX_PER_FILE
from namel3ss.language.parser import parse
from namel3ss.language.source import Source, Span
from namel3ss.language.tree import Declaration, ForeignDeclaration

if TYPE_CHECKING:
    from namel3ss.language.tree import ParseResult

__all__ = ["Piece", "Pieces", "cut"]

# What may be found in a declaration that goes on behind the end of its piece.
_UNCLOSED = "N3003"
_MOST_JOINED = 4  # declarations that are tried as one piece before the rest of the text is
_MOST_OPEN = 64  # texts that are remembered not to stand for themselves
_MOST_CHARACTERS = 2_000_000  # of a text in pieces: a larger one is nothing that anybody types in


class Piece(NamedTuple):
    """A part of a text: its own parse result, and the offset in the whole text at which it starts."""

    result: ParseResult
    start: int

    @property
    def source(self) -> Source:
        """The text of the piece; its places count from `start`."""
        return self.result.tree.source

    @property
    def end(self) -> int:
        return self.start + len(self.source.text)

    def span(self, inner: Span) -> Span:
        """A span of the piece in the whole text."""
        return Span(self.start + inner.start, self.start + inner.end)


class Pieces:
    """A whole text in order; the pieces follow each other without a gap.

    `open_texts` are those that did not stand for themselves and became the start of a larger piece.
    """

    def __init__(
        self, whole: Source, pieces: tuple[Piece, ...], open_texts: frozenset[str] = frozenset()
    ) -> None:
        self.whole = whole
        self.all = pieces
        self.open_texts = open_texts

    @functools.cached_property
    def results(self) -> tuple[ParseResult, ...]:
        """The parse results, in order."""
        return tuple(piece.result for piece in self.all)

    @functools.cached_property
    def of_source(self) -> dict[Source, Piece]:
        """The piece that a source is the text of."""
        return {piece.result.tree.source: piece for piece in self.all}

    @functools.cached_property
    def _starts(self) -> list[int]:
        return [piece.start for piece in self.all]

    def at(self, offset: int) -> Piece:
        """The piece that an offset of the whole text lies in; the end of one is the start of the next."""
        return self.all[max(0, bisect.bisect_right(self._starts, offset) - 1)]


def cut(text: str, path: str = "<text>", earlier: Pieces | None = None) -> Pieces:
    """The text in pieces. Those of `earlier` whose text is still there are used again, with their parse results."""
    whole = Source(text, path)
    if len(text) > _MOST_CHARACTERS:
        return _in_one_piece(whole)
    known = _Known(text, path, earlier)
    pieces = list(known.above)
    start, joined = known.start, 1
    for border in itertools.chain(find_borders(text, start), (len(text),)):
        if border <= start and start < len(text):
            continue
        if joined > _MOST_JOINED:
            border = len(text)
        result = known.read(text[start:border], is_last=border == len(text))
        if result is None:
            joined += 1
            continue
        pieces.append(Piece(result, start))
        start, joined = border, 1
        if start in known.below:
            pieces += known.rest(start)
            break
        if start == len(text):
            break
    if _has_too_many_findings(pieces):
        return _in_one_piece(whole)
    return Pieces(whole, tuple(pieces), known.open_texts())


class _Known:
    """What is left of the pieces of an earlier text.

    `above` are the pieces before the change, which stay as they are; what follows begins at `start`. `below` has the
    pieces behind the change, by the offset at which each begins now: once a piece ends there, they stay, too. Those in
    between may come back by their text; each is given away once, as two pieces cannot share a source.
    """

    def __init__(self, text: str, path: str, earlier: Pieces | None) -> None:
        pieces = earlier.all if earlier is not None else ()
        same = 0
        # The last piece of a text need not stand for itself.
        while same < len(pieces) - 1 and text.startswith(pieces[same].source.text, pieces[same].start):
            same += 1
        # Behind the last of them the next head may have gone; which of its own is there, each one shows itself.
        first = max(0, same - 1)
        self.above = pieces[:first]
        self.start = pieces[first].start if first else 0
        self.below: dict[int, int] = {}
        self._pieces = pieces
        last, end = len(pieces), len(text)
        while last > same and text.endswith(pieces[last - 1].source.text, self.start, end):
            last, end = last - 1, end - len(pieces[last - 1].source.text)
            self.below[end] = last
        self._path = path
        self._were_open = earlier.open_texts if earlier is not None else frozenset()
        self._are_open: set[str] = set()
        self._results: dict[str, list[ParseResult]] = {}
        for piece in reversed(pieces[first:last]):
            self._results.setdefault(piece.source.text, []).append(piece.result)
        self._last = pieces[-1].result if pieces else None

    def rest(self, start: int) -> list[Piece]:
        """The pieces from an offset of `below` on."""
        number = self.below[start]
        moved = start - self._pieces[number].start
        return [Piece(piece.result, piece.start + moved) for piece in self._pieces[number:]]

    def read(self, text: str, *, is_last: bool) -> ParseResult | None:
        """The parse result of a text; None where it does not stand for itself, and what follows must be read with it."""
        if not is_last and text in self._were_open:
            return None
        results = self._results.get(text)
        result = results.pop() if results else None
        if result is not None and result is not self._last:
            return result
        result = result or parse(text, self._path)
        if not is_last and not _stands_for_itself(result):
            self._are_open.add(text)
            return None
        return result

    def open_texts(self) -> frozenset[str]:
        """The texts that were found not to stand for themselves, here or before."""
        if not self._are_open:
            return self._were_open
        kept = self._were_open if len(self._were_open) < _MOST_OPEN else frozenset()
        return kept | self._are_open


def _in_one_piece(whole: Source) -> Pieces:
    return Pieces(whole, (Piece(parse(whole.text, whole.path), 0),))


def _stands_for_itself(result: ParseResult) -> bool:
    """Whether the next declaration is sure to begin where this text ends, whatever it is."""
    items = result.tree.items
    if not items:
        return not result.diagnostics
    text, last = result.tree.source.text, items[-1]
    if isinstance(last, Declaration) and last.block.close is None:
        return False
    unclosed = [found.span.start for found in result.diagnostics if found.code == _UNCLOSED]
    if any(isinstance(item, ForeignDeclaration) and _may_go_on(item, text, unclosed) for item in items):
        return False
    return not any(
        found.span.start >= last.span.end or (found.code == _UNCLOSED and found.span.start >= last.span.start)
        for found in result.diagnostics
    )


def _may_go_on(item: ForeignDeclaration, text: str, unclosed: list[int]) -> bool:
    """Whether where a declaration of the wider language ends may depend on a brace that is not in the text."""
    start, end = item.span
    if any(start <= place < end for place in unclosed):
        return True
    return text[end - 1] != "}" and text.find("\n}", end) < 0


def _has_too_many_findings(pieces: list[Piece]) -> bool:
    """Whether a whole text would not have been read to its end, or not have all of these findings."""
    return sum(len(piece.result.diagnostics) for piece in pieces) >= MAX_PER_FILE
