"""How one declaration is laid out: its tokens and comments become an outline, the outline becomes lines.

Nothing is spelt anew: only blanks, line ends, commas and the delimiters of a declaration may change. A group (a block,
map or list) that stood on one line stays on one line if it fits; any other has one entry a line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from namel3ss.language.block_text import read_block_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["SWITCH", "WIDTH", "Comment", "LeftAloneError", "Piece", "lay_out"]

WIDTH: Final = 100
SWITCH: Final = re.compile(r"#[ \t]*fmt:[ \t]*(off|on)")

_KEYS: Final = frozenset({"KEY", "OPEN_KEY", "TIGHT_KEY"})
_OPENERS: Final = {"LBRACE": "{", "LESS": "{", "LBRACKET": "["}
_CLOSERS: Final = {"RBRACE": "}", "GREATER": "}", "RBRACKET": "]"}
_DEPTHS: Final = dict.fromkeys([*_OPENERS, "LIST_OF"], 1) | dict.fromkeys(_CLOSERS, -1)
_BEHIND_A_VALUE: Final = frozenset({"OPTIONAL", "EQUALS", "BAR", "OTHERWISE"})
_LONE_RETURN: Final = re.compile(r"\r(?!\n)")


class LeftAloneError(Exception):
    """This declaration cannot be laid out anew without changing it."""


class Piece(NamedTuple):
    """A token or, with the kind COMMENT, a comment."""

    kind: str
    start: int
    end: int


class Comment(NamedTuple):
    """A comment on a line of its own."""

    text: str
    blank_before: bool = False


class _Text(NamedTuple):
    """The value of ``key: |``; `note` is what stands behind the bar."""

    value: str
    note: str


class _Part(NamedTuple):
    """Some of an entry, and the blank in front of it."""

    blank: str
    content: str | _Text | _Group


@dataclass(slots=True)
class _Entry:
    """A pair, a step or an item of a list. `trailing` is the comment behind it."""

    leading: list[Comment]
    blank_before: bool
    parts: list[_Part] = field(default_factory=list)
    trailing: str = ""


@dataclass(slots=True)
class _Kept:
    """What stands between ``# fmt: off`` and ``# fmt: on``; without the second it goes to the declaration's end."""

    leading: list[Comment]
    blank_before: bool
    text: str
    is_rest: bool
    trailing: str = ""


@dataclass(slots=True)
class _Group:
    """A block, map or list. `note` is the comment behind the opener, `dangling` those before the closer."""

    opener: str
    entries: list[_Entry | _Kept] = field(default_factory=list)
    note: str = ""
    dangling: list[Comment] = field(default_factory=list)
    closer: str = ""
    on_one_line: str | None = None


def lay_out(text: str, pieces: Sequence[Piece]) -> tuple[list[Comment], list[str]]:
    """The lines of a healthy declaration or import, and the comments from within its head, to stand before it.

    Raises LeftAloneError where the declaration has to stay as it is.
    """
    if _LONE_RETURN.search(text, pieces[0].start, pieces[-1].end):
        raise LeftAloneError
    entry = _Outline(text, pieces).declaration()
    page = _Page()
    page.print_parts(entry.parts, 0)
    return entry.leading, page.lines()


class _Outline:
    """Reads the pieces of one declaration. Its tokens are known to fit the grammar."""

    def __init__(self, text: str, pieces: Sequence[Piece]) -> None:
        self._text = text
        self._pieces = pieces
        self._at = 0
        self._end = 0  # of the last piece

    def declaration(self) -> _Entry:
        entry = _Entry([], blank_before=False)
        self._token(entry, "")
        while self._at < len(self._pieces):
            if self._kind() in _OPENERS:
                self._hoist(entry)
                entry.parts.append(_Part(" ", self._group()))
            else:
                self._token(entry, " ")
        return entry

    # -- pieces ---------------------------------------------------------------------------------------------------

    def _kind(self) -> str:
        """The kind of the next token, comments aside; "" at the end."""
        for piece in self._rest():
            if piece.kind != "COMMENT":
                return piece.kind
        return ""

    def _rest(self) -> Iterable[Piece]:
        return (self._pieces[at] for at in range(self._at, len(self._pieces)))

    def _next(self) -> Piece:
        piece = self._pieces[self._at]
        self._at += 1
        self._end = piece.end
        return piece

    def _spelling(self, piece: Piece) -> str:
        spelling = self._text[piece.start : piece.end]
        if piece.kind in _KEYS:
            return spelling[:-1].rstrip(" \t") + ":"
        return "ai model" if piece.kind == "MODEL" and spelling != "llm" else spelling.rstrip(" \t\r\f")

    def _token(self, entry: _Entry, blank: str) -> None:
        """Add the next token; a word that begins with `#` may have no blank before it, or it were a comment."""
        self._hoist(entry)
        piece = self._next()
        if piece.kind == "TEXT":
            entry.parts.append(_Part(blank, self._block_text(piece)))
            return
        spelling = self._spelling(piece)
        entry.parts.append(_Part("" if spelling.startswith("#") else blank, spelling))

    def _hoist(self, entry: _Entry) -> None:
        """Comments in the middle of an entry move in front of it."""
        while self._at < len(self._pieces) and self._pieces[self._at].kind == "COMMENT":
            entry.leading.append(Comment(self._spelling(self._next())))

    def _block_text(self, piece: Piece) -> _Text:
        first_end = self._text.find("\n", piece.start)
        note = self._text[piece.start + 1 : first_end].strip()
        return _Text(read_block_text(self._text, piece.start).value, note)

    # -- groups ---------------------------------------------------------------------------------------------------

    def _group(self) -> _Group:
        opening = self._next()
        group = _Group(_OPENERS[opening.kind])
        pending: list[Comment] = []
        while (piece := self._pieces[self._at]).kind not in _CLOSERS:
            lines = self._text.count("\n", self._end, piece.start)
            if piece.kind == "COMMENT":
                self._comment(group, pending, opening, lines)
            elif piece.kind == "COMMA":
                self._next()
            else:
                group.entries.append(self._entry(pending, blank_before=lines > 1))
                pending = []
        closing = self._next()
        group.closer = _CLOSERS[closing.kind]
        group.dangling = pending
        is_empty = not (group.entries or group.note or group.dangling)
        if is_empty or "\n" not in self._text[opening.start : closing.end]:
            group.on_one_line = _on_one_line(group)
        return group

    def _comment(self, group: _Group, pending: list[Comment], opening: Piece, lines: int) -> None:
        begins_group = self._end == opening.end
        piece = self._next()
        comment = self._spelling(piece)
        if lines == 0 and begins_group:
            group.note = comment
        elif lines == 0 and group.entries and not pending and not group.entries[-1].trailing:
            group.entries[-1].trailing = comment
        else:
            pending.append(Comment(comment, blank_before=lines > 1))
            switch = SWITCH.fullmatch(comment)
            if switch is not None and switch[1] == "off":
                group.entries.append(self._kept(pending.copy()))
                pending.clear()

    def _kept(self, leading: list[Comment]) -> _Kept:
        """Everything up to ``# fmt: on`` in the same group, or else to the end of the declaration."""
        start, depth = self._end, 0
        for at in range(self._at, len(self._pieces)):
            piece = self._pieces[at]
            depth += _DEPTHS.get(piece.kind, 0)
            if depth < 0:
                break
            if depth == 0 and piece.kind == "COMMENT" and self._switches_on(piece):
                self._at, self._end = at + 1, piece.end
                return _Kept(leading, False, self._kept_text(start, piece.end), is_rest=False)
        end = self._pieces[-1].end
        # What follows is read on for the sake of the groups around, and is not printed.
        return _Kept(leading, False, self._kept_text(start, end), is_rest=True)

    def _kept_text(self, start: int, end: int) -> str:
        return self._text[self._text.index("\n", start, end) + 1 : end]

    def _switches_on(self, piece: Piece) -> bool:
        switch = SWITCH.fullmatch(self._spelling(piece))
        line_start = self._text.rfind("\n", 0, piece.start) + 1
        return switch is not None and switch[1] == "on" and not self._text[line_start : piece.start].strip()

    def _entry(self, leading: list[Comment], *, blank_before: bool) -> _Entry:
        entry = _Entry(leading, blank_before)
        kind = self._pieces[self._at].kind
        if kind == "STEP":
            self._token(entry, "")
            self._token(entry, " ")
            self._value(entry, " ")
        elif kind in _KEYS:
            self._token(entry, "")
            self._value(entry, " ")
        else:
            self._value(entry, "")
        return entry

    def _value(self, entry: _Entry, blank: str) -> None:
        """A value with what may stand behind it: `?`, `= default`, `| "b"`, `?? fallback`."""
        self._plain_value(entry, blank)
        while (kind := self._kind()) in _BEHIND_A_VALUE:
            self._token(entry, "" if kind == "OPTIONAL" else " ")
            if kind != "OPTIONAL":
                self._plain_value(entry, " ")

    def _plain_value(self, entry: _Entry, blank: str) -> None:
        kind = self._kind()
        if kind in _OPENERS:
            self._hoist(entry)
            entry.parts.append(_Part(blank, self._group()))
        elif kind == "LIST_OF":
            self._token(entry, blank)
            self._value(entry, "")
            self._token(entry, "")
        elif kind in _CLOSERS or kind in _KEYS or not kind:
            raise LeftAloneError  # `# fmt: on` stood in the middle of an entry
        else:
            self._token(entry, blank)


def _on_one_line(group: _Group) -> str | None:
    """The group as one line; None where that would be too long."""
    inner = ""
    for number, entry in enumerate(group.entries):
        for at, part in enumerate(entry.parts if isinstance(entry, _Entry) else ()):
            content = part.content.on_one_line if isinstance(part.content, _Group) else part.content
            if not isinstance(content, str) or len(inner) > WIDTH:
                return None
            if number and at == 0:
                inner += "," if content.startswith("#") else ", "
            inner += part.blank + content
    blank = " " if group.opener == "{" and inner else ""
    return f"{group.opener}{blank}{inner}{blank}{group.closer}"


class _Page:
    """Lines being written."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._line = ""

    def lines(self) -> list[str]:
        return [*self._lines, self._line]

    def print_parts(self, parts: Iterable[_Part], depth: int) -> bool:
        """Write parts behind one another; False where the rest of the declaration was kept, and nothing follows."""
        for blank, content in parts:
            self._line += blank
            if isinstance(content, str):
                self._line += content
            elif isinstance(content, _Text):
                self._print_text(content, depth)
            elif not self._print_group(content, depth):
                return False
        return True

    def _print_text(self, text: _Text, depth: int) -> None:
        margin = _indentation(depth + 1)
        self._line += f"|  {text.note}" if text.note else "|"
        for line in text.value.split("\n"):
            self._begin_line(margin + line if line else "")

    def _print_group(self, group: _Group, depth: int) -> bool:
        inline = group.on_one_line
        if inline is not None and len(self._line) + len(inline) <= WIDTH:
            self._line += inline
            return True
        self._line += group.opener + _behind(group.note)
        is_list = group.opener == "["
        for number, entry in enumerate(group.entries):
            self._print_comments(entry.leading, depth + 1, is_first=number == 0)
            if isinstance(entry, _Kept):
                self._begin_line(entry.text)
                if entry.is_rest:
                    return False
            elif not self._print_entry(entry, depth + 1, is_first=number == 0, is_item=is_list):
                return False
            self._line += _behind(entry.trailing)
        self._print_comments(group.dangling, depth + 1, is_first=not group.entries)
        self._begin_line(_indentation(depth) + group.closer)
        return True

    def _print_entry(self, entry: _Entry, depth: int, *, is_first: bool, is_item: bool) -> bool:
        if entry.blank_before and not (is_first and not entry.leading):
            self._begin_line("")
        self._begin_line(_indentation(depth))
        content = entry.parts[0].content
        if isinstance(content, str) and content.startswith("#"):
            raise LeftAloneError  # at the start of a line it would be a comment
        is_done = self.print_parts(entry.parts, depth)
        self._line += "," if is_item and is_done else ""
        return is_done

    def _print_comments(self, comments: Iterable[Comment], depth: int, *, is_first: bool) -> None:
        for number, comment in enumerate(comments):
            if comment.blank_before and not (is_first and number == 0):
                self._begin_line("")
            self._begin_line(_indentation(depth) + comment.text)

    def _begin_line(self, text: str) -> None:
        self._lines.append(self._line)
        self._line = text


def _indentation(depth: int) -> str:
    return "    " * depth


def _behind(comment: str) -> str:
    return f"  {comment}" if comment else ""
