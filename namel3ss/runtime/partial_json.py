"""JSON that is still being written: what of it is complete."""

from __future__ import annotations

import json
import re
from typing import Any, Final

__all__ = ["PartialJson"]

_BLANKS: Final = re.compile(r"[ \t\r\n]*")
_LITERAL: Final = re.compile(r"[^\s,\]}:\"\[{]+")
_IN_STRING: Final = re.compile(r'["\\]')
_NOTHING: Final = object()


class PartialJson:
    """Reads one JSON text in pieces. A text or number counts once it is complete, a list or object from its start.

    Reads each character once. What is no JSON ends the reading: whoever has the whole text will say why.
    """

    def __init__(self) -> None:
        self._text = (
            ""  # what is not understood yet; of an incomplete string, `_scanned` characters were searched
        )
        self._scanned = 1
        self._root: Any = _NOTHING
        self._open: list[Any] = []
        self._keys: list[str | None] = []
        self._is_broken = False

    @property
    def value(self) -> Any:
        """A copy of everything complete so far; None where there is nothing yet."""
        return None if self._root is _NOTHING else _copied(self._root)

    def feed(self, piece: str) -> bool:
        """Read on; whether a value was completed."""
        self._text += piece
        at = 0
        completed = False
        while not self._is_broken:
            blanks = _BLANKS.match(self._text, at)
            at = blanks.end() if blanks else at
            if at >= len(self._text):
                break
            after, is_value = self._token(at)
            if after == at:
                break
            completed = completed or is_value
            at = after
        self._text = self._text[at:]
        return completed

    def _token(self, at: int) -> tuple[int, bool]:
        """The end of the token there, the same place where it is incomplete, and whether it completes a value."""
        character = self._text[at]
        if character in "{[":
            self._add({} if character == "{" else [])
            return at + 1, False
        if character in "}]":
            if self._open:
                self._open.pop()
                self._keys.pop()
            return at + 1, True
        if character in ",:":
            return at + 1, False
        end = self._string_end(at) if character == '"' else self._literal_end(at)
        if end is None:
            return at, False
        try:
            value = json.loads(self._text[at:end])
        except ValueError:
            self._is_broken = True
            return at, False
        if (
            isinstance(value, str)
            and self._open
            and isinstance(self._open[-1], dict)
            and self._keys[-1] is None
        ):
            self._keys[-1] = value
            return end, False
        self._add(value)
        return end, True

    def _string_end(self, at: int) -> int | None:
        scan = at + self._scanned
        while found := _IN_STRING.search(self._text, scan):
            if found[0] == '"':
                self._scanned = 1
                return found.end()
            if found.end() >= len(self._text):
                scan = found.start()  # the character after the backslash is still to come
                break
            scan = found.end() + 1
        else:
            scan = max(scan, len(self._text))
        self._scanned = scan - at
        return None

    def _literal_end(self, at: int) -> int | None:
        found = _LITERAL.match(self._text, at)
        if found is None:
            self._is_broken = True
            return None
        # More digits may follow.
        return found.end() if found.end() < len(self._text) else None

    def _add(self, value: Any) -> None:
        if not self._open:
            if self._root is not _NOTHING:
                self._is_broken = True
                return
            self._root = value
        elif isinstance(self._open[-1], list):
            self._open[-1].append(value)
        else:
            key = self._keys[-1]
            if key is None:
                self._is_broken = True
                return
            self._open[-1][key] = value
            self._keys[-1] = None
        if isinstance(value, list | dict):
            self._open.append(value)
            self._keys.append(None)


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value
