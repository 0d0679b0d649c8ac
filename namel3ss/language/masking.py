"""Secrets that stand in a file do not get from there into a log: source lines are shown without them."""

from __future__ import annotations

import re

__all__ = ["is_secret", "masked"]

_SECRET = r"(?<![\w-])[\w-]*(?:api[-_]?key|token(?!s)|secret|passw|credential|authorization|cookie)[\w-]*+"
_KEY = re.compile(_SECRET, re.IGNORECASE)
# A colon may be what is missing. The value runs to a blank and `#`, a closer or comma outside of quotes, or the line's end. References are no secrets.
_VALUE = re.compile(
    rf"""({_SECRET}["']?[ \t]*+[:=][ \t]*+|^[ \t]*+{_SECRET}["']?[ \t]++)(?!env\.)"""
    r"""((?:"(?:[^"\\]|\\.)*+(?:"|\Z)|'(?:[^'\\]|\\.)*+(?:'|\Z)|(?![ \t]\#)[^,}\]{\["'])++)""",
    re.IGNORECASE,
)


def is_secret(key: str) -> bool:
    """Whether a key's name says that its value is nobody's business."""
    return _KEY.fullmatch(key) is not None


def masked(line: str) -> str:
    """The line, as long as it was, with ``*`` for the characters of values whose keys are secret."""
    return _VALUE.sub(lambda found: found[1] + re.sub(r"[^\s\"']", "*", found[2]), line)
