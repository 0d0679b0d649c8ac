r"""A text that matches a regular expression, for the expressions that schemas usually hold.

Understood: characters, classes, `.`, escapes such as `\\d`, groups, alternatives, anchors and repetition. What is
written is checked with `re`, so a wrong guess is never given out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, TypeAlias

__all__ = ["PatternTooHardError", "text_matching"]

_MOST_REPEATS: Final = 2000
_DEEPEST: Final = 50


class PatternTooHardError(ValueError):
    """No matching text was found."""


@dataclass(frozen=True, slots=True)
class _Character:
    """One character out of some; the first is preferred."""

    choices: str


@dataclass(frozen=True, slots=True)
class _Repeated:
    part: _Part
    fewest: int
    most: int


@dataclass(frozen=True, slots=True)
class _Alternatives:
    options: tuple[tuple[_Part, ...], ...]


_Part: TypeAlias = "_Character | _Repeated | _Alternatives"

_ANY: Final = "a0-_ "
_ESCAPED: Final = {
    "d": "0123456789",
    "w": "a0_",
    "s": " ",
    "D": "a-",
    "W": "- ",
    "S": "a0",
    "n": "\n",
    "t": "\t",
    "r": "\r",
}
_NO_WIDTH: Final = "bBAZ"
_PRINTABLE: Final = "".join(map(chr, range(32, 127)))


def text_matching(pattern: str, variant: int = 0, *, shortest: int = 0, longest: int = 2**31) -> str:
    """A text in which `pattern` is found, within the lengths; `variant` picks among several. Raises PatternTooHardError."""
    try:
        expression = re.compile(pattern)
        part = _Reader(pattern).alternatives(0)
    except (re.error, IndexError, OverflowError, RecursionError):
        raise PatternTooHardError(pattern) from None
    for repeats in dict.fromkeys((0, 1, 2, 3, shortest, shortest + 1)):
        text = _written(part, min(repeats, _MOST_REPEATS), variant)
        if len(text) < shortest:
            text += "x" * (shortest - len(text))
        if len(text) <= longest and expression.search(text):
            return text
    raise PatternTooHardError(pattern)


def _written(part: _Part, repeats: int, variant: int) -> str:
    if isinstance(part, _Character):
        return part.choices[variant % len(part.choices)]
    if isinstance(part, _Alternatives):
        option = part.options[variant % len(part.options)]
        return "".join(_written(each, repeats, variant) for each in option)
    count = min(max(part.fewest, repeats), part.most, max(part.fewest, _MOST_REPEATS))
    return _written(part.part, repeats, variant) * count


class _Reader:
    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0

    def alternatives(self, depth: int) -> _Alternatives:
        """Everything up to the end or to the closing bracket, which is taken."""
        if depth > _DEEPEST:
            raise RecursionError
        options: list[tuple[_Part, ...]] = []
        parts: list[_Part] = []
        while self._at < len(self._pattern):
            character = self._next()
            if character == ")":
                break
            if character == "|":
                options.append(tuple(parts))
                parts = []
                continue
            part = self._part(character, depth)
            if part is not None:
                parts.append(self._repeated(part))
        return _Alternatives((*options, tuple(parts)))

    def _next(self) -> str:
        character = self._pattern[self._at]
        self._at += 1
        return character

    def _part(self, character: str, depth: int) -> _Part | None:
        """One part; None for what takes no room."""
        if character in "^$":
            return None
        if character == "(":
            return self._group(depth)
        if character == "[":
            return self._class()
        if character == ".":
            return _Character(_ANY)
        if character == "\\":
            escaped = self._escape()
            return _Character(escaped) if escaped else None
        return _Character(character)

    def _group(self, depth: int) -> _Part | None:
        kind = re.compile(r"\?(?:P?<[A-Za-z_]\w*>|:|(?P<look><?[=!]))").match(self._pattern, self._at)
        if kind:
            self._at = kind.end()
        inner = self.alternatives(depth + 1)
        return None if kind and kind["look"] else inner

    def _escape(self) -> str:
        character = self._next()
        if character in _NO_WIDTH:
            return ""
        if character in "xu":
            length = 2 if character == "x" else 4
            code = self._pattern[self._at : self._at + length]
            self._at += length
            return chr(int(code, 16))
        return _ESCAPED.get(character, character)

    def _class(self) -> _Part:
        negated = self._pattern.startswith("^", self._at)
        start = self._at = self._at + negated
        found: list[str] = []
        while (character := self._next()) != "]" or self._at == start + 1:
            if character == "\\":
                character = self._escape()
            if self._pattern.startswith("-", self._at) and self._pattern[self._at + 1] != "]":
                self._at += 1
                last = self._next()
                last = self._escape() if last == "\\" else last
                character = "".join(map(chr, range(ord(character), min(ord(last), ord(character) + 200) + 1)))
            found.append(character)
        choices = "".join(found)
        if negated:
            choices = "".join(each for each in _ANY + _PRINTABLE if each not in choices)
        return _Character(choices)

    def _repeated(self, part: _Part) -> _Part:
        bounds = re.compile(r"(?:(?P<mark>[*+?])|\{(?P<low>\d*)(?P<comma>,)?(?P<high>\d*)\})[?+]?").match(
            self._pattern, self._at
        )
        if bounds is None:
            return part
        self._at = bounds.end()
        if bounds["mark"]:
            low, high = {"*": (0, _MOST_REPEATS), "+": (1, _MOST_REPEATS), "?": (0, 1)}[bounds["mark"]]
        else:
            low = int(bounds["low"] or 0)
            high = int(bounds["high"]) if bounds["high"] else (_MOST_REPEATS if bounds["comma"] else low)
        if low > _MOST_REPEATS:
            raise OverflowError
        return _Repeated(part, low, high)
