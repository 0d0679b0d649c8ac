"""What stands between quotes: escapes resolved on the way in, put back on the way out."""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["BadEscape", "Unquoted", "quote", "unquote", "without_printed_quotes"]

_SIMPLE = {
    "n": "\n",
    "t": "\t",
    "r": "\r",
    "b": "\b",
    "f": "\f",
    "\\": "\\",
    '"': '"',
    "'": "'",
    "/": "/",
    "{": "{",
    "}": "}",
}
# A pair of UTF-16 units, one unit, or any other character.
_ESCAPE = re.compile(
    r"\\(?:u([Dd][89ABab][0-9A-Fa-f]{2})\\u([Dd][C-Fc-f][0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|(.))", re.DOTALL
)


class BadEscape(NamedTuple):
    """An escape that means nothing; `offset` is where its backslash stands in the text between the quotes."""

    offset: int
    text: str


class Unquoted(NamedTuple):
    """The text that was meant, a bad escape kept as it stands."""

    value: str
    bad: tuple[BadEscape, ...] = ()


def unquote(raw: str) -> Unquoted:
    r"""Resolve the escapes of the text between two quotes: those of JSON, and ``\'``, ``\{``, ``\}``."""
    if "\\" not in raw:
        return Unquoted(raw)
    bad: list[BadEscape] = []

    def resolve(found: re.Match[str]) -> str:
        high, low, unit, simple = found.groups()
        if high is not None:
            return chr(0x10000 + ((int(high, 16) - 0xD800) << 10) + (int(low, 16) - 0xDC00))
        if unit is not None and not 0xD800 <= int(unit, 16) < 0xE000:
            return chr(int(unit, 16))
        if simple in _SIMPLE:
            return _SIMPLE[simple]
        # Half a pair is bad as well: no file could hold that character.
        bad.append(BadEscape(found.start(), found[0]))
        return found[0]

    return Unquoted(_ESCAPE.sub(resolve, raw), tuple(bad))


def without_printed_quotes(text: str) -> str:
    """The text between quotes as word processors set them, “so”; any other text as it is."""
    is_printed = len(text) > 1 and text[0] in "“„”‘‚’«»" and text[-1] in "”“’‘»«"
    return text[1:-1] if is_printed else text


def quote(value: str) -> str:
    """The text as a double-quoted string."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + escaped.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t") + '"'
