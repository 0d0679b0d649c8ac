"""Taking thoughts and tool calls out of a model's text while it is being written."""

from __future__ import annotations

import json
import re
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ThoughtParser", "ToolCallParser"]


class _Stage(Enum):
    BEFORE = "nothing but blanks so far"
    OPENED = "after the opening tag"
    THINKING = "among the thoughts"
    CLOSED = "after the closing tag"
    SPEAKING = "in the visible text"


class ThoughtParser:
    """Splits text into thoughts and visible text; what might still be part of a tag is held back."""

    def __init__(self, opening: str, closing: str) -> None:
        self._opening = opening
        self._closing = closing
        self._stage = _Stage.BEFORE
        self._held = ""

    def add(self, text: str) -> tuple[str, str]:
        """The thoughts and the visible text that are certain now."""
        self._held += text
        if self._stage is _Stage.BEFORE and not self._opened():
            return "", self._skipped()
        thoughts = visible = ""
        if self._stage is _Stage.OPENED:
            self._held = self._held.lstrip()
            if self._held:
                self._stage = _Stage.THINKING
        if self._stage is _Stage.THINKING:
            thoughts = self._thoughts()
        if self._stage is _Stage.CLOSED:
            self._held = self._held.lstrip()
            if self._held:
                self._stage = _Stage.SPEAKING
        if self._stage is _Stage.SPEAKING:
            visible, self._held = self._held, ""
        return thoughts, visible

    def _opened(self) -> bool:
        begun = self._held.lstrip()
        if not begun.startswith(self._opening):
            return False
        self._held = begun[len(self._opening) :]
        self._stage = _Stage.OPENED
        return True

    def _skipped(self) -> str:
        """Text that shows there will be no thoughts; none yet while the tag may still come."""
        begun = self._held.lstrip()
        if not begun or self._opening.startswith(begun):
            return ""
        self._stage = _Stage.SPEAKING
        text, self._held = self._held, ""
        return text

    def _thoughts(self) -> str:
        before, tag, after = self._held.partition(self._closing)
        if tag:
            self._stage, self._held = _Stage.CLOSED, after
            return before
        kept = _overlap(self._held, self._closing)
        thoughts = self._held[: len(self._held) - kept]
        self._held = self._held[len(self._held) - kept :]
        return thoughts


def _overlap(text: str, tag: str) -> int:
    """How many characters at the end of `text` may be the beginning of `tag`."""
    for length in range(min(len(text), len(tag)), 0, -1):
        if text.endswith(tag[:length]):
            return length
    return 0


class ToolCallParser:
    """Finds calls of the offered tools behind the model's tag."""

    def __init__(self, tag: str, names: Sequence[str]) -> None:
        self._tag = tag
        self._names = sorted(names, key=len, reverse=True)
        self._held = ""
        self._calling = False
        self._done = False
        self.found = 0

    def add(self, text: str) -> tuple[list[tuple[str, dict[str, object]]], str]:
        """The calls, as name and arguments, and the visible text that are certain now."""
        if self._done:
            return [], text
        self._held += text
        visible = ""
        if not self._calling:
            visible = self._before_tag()
            if self._bare and visible.strip():
                self._done = True
                visible, self._held = visible + self._held, ""
                return [], visible
            if not self._calling:
                return [], visible
        calls = []
        while (call := self._call()) is not None:
            calls.append(call)
        if self._bare and not calls and _balanced(self._held):
            self._done = True
            visible, self._held = visible + self._held, ""
        return calls, visible

    @property
    def _bare(self) -> bool:
        return self._tag in ("{", "[")

    def rest(self) -> str:
        """Text that looked like a call to the end and was none."""
        return self._held if self._bare and not self.found else ""

    def _before_tag(self) -> str:
        position = self._held.find(self._tag)
        if position < 0:
            kept = _overlap(self._held, self._tag)
            visible, self._held = self._held[: len(self._held) - kept], self._held[len(self._held) - kept :]
            return visible
        self._calling = True
        visible, self._held = self._held[:position], self._held[position:]
        return visible

    def _call(self) -> tuple[str, dict[str, object]] | None:
        name = self._name()
        if name is None:
            return None
        found = _first_object(self._held)
        if found is None:
            return None
        document, end = found
        self._held = self._held[max(end, self._held.find(name) + len(name)) :]
        self.found += 1
        return name, _arguments(document, name)

    def _name(self) -> str | None:
        """The first tool named in the text, unless the text may yet go on to name another."""
        if any(_overlap(self._held, name) not in (0, len(name)) for name in self._names):
            return None
        places = [(self._held.find(name), -len(name), name) for name in self._names if name in self._held]
        return min(places)[2] if places else None


def _balanced(text: str) -> bool:
    return bool(text) and text.count("{") == text.count("}") and text.count("[") == text.count("]")


def _first_object(text: str) -> tuple[dict[str, object], int] | None:
    """The first whole JSON object in `text` and where it ends; None while the first one is not complete."""
    start = text.find("{")
    while start >= 0:
        end = _closing(text, start)
        if end is None:
            return None
        try:
            found = json.loads(text[start:end])
        except ValueError:
            start = text.find("{", end)
            continue
        return found, end
    return None


_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|[{}]|"', re.DOTALL)


def _closing(text: str, start: int) -> int | None:
    """Where the object that begins at `start` ends, text in quotes not counted."""
    depth = 0
    for match in _TOKEN.finditer(text, start):
        if match[0] == "{":
            depth += 1
        elif match[0] == "}":
            depth -= 1
            if not depth:
                return match.end()
        elif match[0] == '"':
            return None
    return None


def _arguments(document: dict[str, object], name: str) -> dict[str, object]:
    for key in ("arguments", "parameters", name):
        inner = document.get(key)
        if isinstance(inner, dict):
            return inner
    return document
