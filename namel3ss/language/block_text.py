"""How far the text of ``key: |`` reaches, and what it says.

Every following line that is blank or indented deeper than the line holding the key belongs to it. For comparing
indentations a tab reaches to the next multiple of eight, as in Python.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["Indented", "begins_entry", "indentation_width", "prose_end", "read_block_text"]

_TAB_WIDTH = 8
# A line that goes on with the block, not with a text: a key, a closer, a step, a comment, or nothing.
_ENTRY = re.compile(
    r"""[ \t]*(?:(?:[A-Za-z_][A-Za-z0-9_-]*+|"[^"\n]*+"|'[^'\n]*+')[ \t]*+: | [}\]>\#] | step[ \t] | \r?(?:\n|\Z))""",
    re.VERBOSE,
)
_INDENTATION = re.compile(r"[ \t]*+")


class Indented(NamedTuple):
    """Block text: `end` is the end of its last line that is not blank; None where there is no such line."""

    value: str
    end: int | None


def read_block_text(text: str, bar: int) -> Indented:
    """The block text whose ``|`` stands at `bar`."""
    line_start = text.rfind("\n", 0, bar) + 1
    outer = _width(_indentation(text[line_start:bar]))
    lines: list[str] = []
    end: int | None = None
    at = text.find("\n", bar) + 1
    while 0 < at < len(text):
        line_end = text.find("\n", at)
        if line_end < 0:
            line_end = len(text)
        line = text[at:line_end].removesuffix("\r")
        if line.strip(" \t"):
            if _width(_indentation(line)) <= outer:
                break
            end = at + len(line)
        lines.append(line)
        at = line_end + 1
    if end is None:
        return Indented("", None)
    while not lines[-1].strip(" \t"):
        lines.pop()
    return Indented(_dedented(lines), end)


def prose_end(text: str, bar: int) -> int | None:
    """The end of the prose below the ``|`` at `bar` that is not indented; None where there is none.

    A line that could be an entry of the block ends it.
    """
    end: int | None = None
    at = text.find("\n", bar) + 1
    while 0 < at < len(text) and not begins_entry(text, at):
        line_end = text.find("\n", at)
        end = len(text) if line_end < 0 else line_end
        at = end + 1
    return end


def begins_entry(text: str, line_start: int) -> bool:
    """Whether the line that begins here is an entry of a block, or ends one, rather than prose."""
    return _ENTRY.match(text, line_start) is not None


def indentation_width(text: str, line_start: int) -> int:
    """How many columns the line that begins there is indented."""
    found = _INDENTATION.match(text, line_start)
    return _width(found[0]) if found is not None else 0


def _dedented(lines: list[str]) -> str:
    indentations = [_indentation(line) for line in lines if line.strip(" \t")]
    # What the least and the greatest string share, all between them share.
    margin = _shared_prefix(min(indentations), max(indentations))
    return "\n".join(line[len(margin) :] if line.startswith(margin) else "" for line in lines)


def _shared_prefix(left: str, right: str) -> str:
    length = next((at for at, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), len(left))
    return left[:length]


def _indentation(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]


def _width(indentation: str) -> int:
    return len(indentation.expandtabs(_TAB_WIDTH))
