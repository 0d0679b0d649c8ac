"""The formatter: a text becomes the same program in the one layout. Pure, linear time, the same again the second time.

- Four blanks for each level, `key: value`, one pair a line in blocks that stand over several lines; a map or list that
  stood on one line stays there if the line then has at most 100 characters.
- Every comment and every value's spelling is kept; of several blank lines one is; `<` and `>` become braces.
- Block text is indented anew and says the same, to the character.
- Line ends are those of the first line that is not empty; a byte order mark stays; the last line ends.
- Declarations with a mistake, those of the wider language, and what stands between ``# fmt: off`` and ``# fmt: on``
  are left as they are.
"""

from __future__ import annotations

import bisect
import functools
import re
from typing import TYPE_CHECKING

from namel3ss.language.block_text import read_block_text
from namel3ss.language.diagnostics import Severity
from namel3ss.language.layout import SWITCH, LeftAloneError, Piece, lay_out
from namel3ss.language.parser import parse
from namel3ss.language.source import Span
from namel3ss.language.tokens import read_tokens
from namel3ss.language.tree import Declaration, ForeignDeclaration

if TYPE_CHECKING:
    from namel3ss.language.tokens import Token, TokenView
    from namel3ss.language.tree import Item, ParseResult

__all__ = ["format_text"]

_WHITESPACE = re.compile(r"\s*+")
_BLANK_LINES = re.compile(r"(?:[ \t\f]*+\r?\n)*+")
_KEYS = frozenset({"KEY", "OPEN_KEY", "TIGHT_KEY"})
_BRACES = {"LESS": "{", "GREATER": "}"}


def format_text(text: str) -> str:
    """The text in its layout. A text that cannot be laid out without a change of meaning comes back as it is."""
    result, view = parse(text), read_tokens(text)
    if not view.tokens and not view.comments:
        return text if result.diagnostics else text[: text.startswith("\ufeff")]
    formatted = _Layout(text, result, view).formatted()
    after = read_tokens(formatted)
    is_same = _meaning(text, view) == _meaning(formatted, after) and _codes(result) == _codes(
        parse(formatted)
    )
    return formatted if is_same else text


def _codes(result: ParseResult) -> list[str]:
    return [finding.code for finding in result.diagnostics]


def _meaning(text: str, view: TokenView) -> tuple[list[str], list[str]]:
    """What no layout may change: the tokens without their layout, and the comments."""
    tokens = [_spelling(text, token) for token in view.tokens if token.kind != "COMMA"]
    return tokens, sorted(text[comment.start : comment.end].rstrip() for comment in view.comments)


def _spelling(text: str, token: Token) -> str:
    if token.kind == "TEXT":
        return read_block_text(text, token.span.start).value
    spelling = text[token.span.start : token.span.end]
    if token.kind == "FOREIGN":
        return spelling
    if token.kind in _KEYS:
        return spelling[:-1].rstrip(" \t")
    if token.kind == "MODEL":
        return " ".join(spelling.split())
    return _BRACES.get(token.kind, spelling)


class _Layout:
    """One pass over a text, from item to item."""

    def __init__(self, text: str, result: ParseResult, view: TokenView) -> None:
        self._text = text
        self._items = result.tree.items
        self._item_starts = [item.span.start for item in self._items]
        self._comments = view.comments
        self._comment_starts = [comment.start for comment in view.comments]
        pieces = [Piece("COMMENT", *comment) for comment in view.comments]
        pieces += [Piece(token.kind, *token.span) for token in view.tokens]
        self._pieces = sorted(pieces, key=lambda piece: piece.start)
        self._piece_starts = [piece.start for piece in self._pieces]
        self._errors = sorted(
            finding.span.start for finding in result.diagnostics if finding.severity is Severity.ERROR
        )
        self._lines: list[str] = []
        self._at = 1 if text.startswith("\ufeff") else 0  # what stands before it is written
        self._number = 0  # of the next item

    def formatted(self) -> str:
        while True:
            self._number = self._next_item()
            is_last = self._number == len(self._items)
            start = len(self._text) if is_last else self._items[self._number].span.start
            if not self._write_comments(start):
                continue
            if is_last:
                break
            self._write_item(self._items[self._number])
        mark = "\ufeff" if self._text.startswith("\ufeff") else ""
        blank = _WHITESPACE.match(self._text, len(mark))
        first = self._text.find("\n", blank.end() if blank is not None else 0)  # empty lines are not kept
        line_end = "\r\n" if first > 0 and self._text[first - 1] == "\r" else "\n"
        while self._lines and not self._lines[-1]:
            self._lines.pop()
        return mark + "".join(line + line_end for line in self._lines)

    def _next_item(self) -> int:
        """The first item that is not written yet."""
        number = self._number
        while number < len(self._items) and self._items[number].span.start < self._at:
            number += 1
        return number

    # -- items ----------------------------------------------------------------------------------------------------

    def _write_item(self, item: Item) -> None:
        start, end = item.span
        if isinstance(item, ForeignDeclaration) and self._is_healthy(item):
            self._begin(start, self._text[self._line_start(start) : start] if self._is_first(start) else "")
            self._lines[-1] += self._text[start:end]
            self._at = end
            return
        if not self._is_healthy(item):
            self._keep()
            return
        try:
            first, last = (bisect.bisect_left(self._piece_starts, place) for place in (start, end))
            comments, lines = lay_out(self._text, self._pieces[first:last])
        except LeftAloneError:
            self._keep()
            return
        self._begin(start, "")
        self._lines[-1:] = [*(comment.text for comment in comments), *lines]
        self._at = end

    def _is_healthy(self, item: Item) -> bool:
        start, end = item.span
        number = bisect.bisect_left(self._errors, start)
        has_error = number < len(self._errors) and self._errors[number] <= end
        is_open = isinstance(item, Declaration) and item.block.close is None
        return not has_error and not is_open

    # -- between items --------------------------------------------------------------------------------------------

    def _write_comments(self, end: int) -> bool:
        """Write the comments up to `end`; False where something else stood there and was kept instead."""
        number = bisect.bisect_left(self._comment_starts, self._at)
        while True:
            is_last = number == len(self._comments) or self._comments[number].start >= end
            comment = Span(end, end) if is_last else self._comments[number]
            if self._text[self._at : comment.start].strip():
                self._keep()
                return False
            if is_last:
                return True
            self._write_comment(comment)
            if self._switches(comment, "off"):
                self._keep_until(self._switched_on_after(comment))
                return False
            number += 1

    def _write_comment(self, comment: Span) -> None:
        spelling = self._text[comment.start : comment.end].rstrip()
        if self._lines and "\n" not in self._text[self._at : comment.start]:
            self._lines[-1] += f"  {spelling}"
        else:
            self._begin(comment.start, spelling)
        self._at = comment.end

    def _switches(self, comment: Span, to: str) -> bool:
        switch = SWITCH.fullmatch(self._text[comment.start : comment.end].rstrip())
        return switch is not None and switch[1] == to and self._is_first(comment.start)

    def _switched_on_after(self, comment: Span) -> int:
        """The end of the next ``# fmt: on`` between declarations, or of the text."""
        number = bisect.bisect_right(self._switches_on, comment.end)
        return self._switches_on[number] if number < len(self._switches_on) else len(self._text)

    @functools.cached_property
    def _switches_on(self) -> list[int]:
        """The ends of all ``# fmt: on`` between declarations."""
        return [
            comment.end
            for comment in self._comments
            if self._is_outside(comment) and self._switches(comment, "on")
        ]

    def _is_outside(self, comment: Span) -> bool:
        number = bisect.bisect_right(self._item_starts, comment.start) - 1
        return number < 0 or self._items[number].span.end <= comment.start

    # -- what is left as it is ------------------------------------------------------------------------------------

    def _keep(self) -> None:
        """Leave everything as it is up to the next item that is healthy and begins its line."""
        for item in self._items[self._number :]:
            start = item.span.start
            if start > self._first_word() and self._is_first(start) and self._is_healthy(item):
                self._keep_until(self._line_start(start))
                return
        self._keep_until(len(self._text))

    def _first_word(self) -> int:
        rest = _WHITESPACE.match(self._text, self._at)
        return self._at if rest is None else rest.end()

    def _keep_until(self, end: int) -> None:
        kept = self._text[self._at : end]
        if self._lines and self._text.find("\n", self._at, self._first_word()) < 0:
            self._lines[-1] += kept.rstrip()  # it goes on where the line before ended
        elif kept.strip():
            self._begin(self._first_word(), "")
            blank = _BLANK_LINES.match(kept)
            self._lines[-1] += kept[0 if blank is None else blank.end() :].rstrip()
        self._at = self._at + len(kept.rstrip())
        self._number = self._next_item()

    # -- lines ----------------------------------------------------------------------------------------------------

    def _begin(self, start: int, line: str) -> None:
        """Begin a line, after one empty line where there was one or more before `start`."""
        if self._lines and self._text.count("\n", self._at, start) > 1:
            self._lines.append("")
        self._lines.append(line)

    def _line_start(self, offset: int) -> int:
        return self._text.rfind("\n", 0, offset) + 1

    def _is_first(self, offset: int) -> bool:
        """Whether nothing stands before it on its line."""
        return not self._text[self._line_start(offset) : offset].strip("\ufeff \t\r\f")
