"""What characters look like on a terminal: how wide they are, and what is shown for those that must not be printed."""

from __future__ import annotations

import unicodedata

__all__ = ["TAB_WIDTH", "character_width", "printable", "text_width", "wrap"]

TAB_WIDTH = 4

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_JOINERS = frozenset("\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}")


def printable(text: str) -> str:
    """The text with nothing in it that could move the cursor, change colours or reverse the reading direction."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_printable_character(character) for character in text)


def _printable_character(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\N{SYMBOL FOR DELETE}"
    if character in _JOINERS:
        return character
    # Control, format (the bidirectional marks are among them), lone surrogates, private use, line separators.
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"):
        return _REPLACEMENT
    return character


def character_width(character: str) -> int:
    """How many cells a printable character takes: none for a combining mark, two for a wide one."""
    if character.isascii():
        return 1
    if unicodedata.category(character) in ("Mn", "Me") or character in _JOINERS:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def text_width(text: str) -> int:
    """How many cells a printable text takes."""
    return len(text) if text.isascii() else sum(map(character_width, text))


def wrap(text: str, width: int) -> list[str]:
    """The text in lines of at most `width` cells, broken at blanks; a longer word keeps a line of its own."""
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in printable(paragraph).split(" "):
            if line and text_width(line) + 1 + text_width(word) > width:
                lines.append(line)
                line = word
            else:
                line = f"{line} {word}" if line else word
        lines.append(line)
    return lines
