"""Go's durations: how `keep_alive` is written."""

from __future__ import annotations

import re

__all__ = ["FOREVER_NS", "BadDurationError", "parse_duration"]

FOREVER_NS = 2**63 - 1
"""The longest duration there is: some 292 years, which is how `-1` is kept."""

_UNITS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_STEP = re.compile(r"(?P<whole>[0-9]*)(?P<point>\.)?(?P<fraction>[0-9]*)(?P<unit>[^0-9.]*)")


class BadDurationError(ValueError):
    """The text is no duration; the message is the server's."""


def parse_duration(text: str) -> int:
    """`1h30m`, `300ms`, `-1m` … in nanoseconds."""
    rest = text[1:] if text[:1] in ("-", "+") else text
    if rest == "0":
        return 0
    if not rest:
        raise BadDurationError(f"time: invalid duration {_quoted(text)}")
    total = 0
    while rest:
        match = _STEP.match(rest)
        # The pattern matches the empty string, so there always is a match.
        if match is None or not (match["whole"] or match["fraction"]):
            raise BadDurationError(f"time: invalid duration {_quoted(text)}")
        if not match["unit"]:
            raise BadDurationError(f"time: missing unit in duration {_quoted(text)}")
        if match["unit"] not in _UNITS:
            raise BadDurationError(f"time: unknown unit {_quoted(match['unit'])} in duration {_quoted(text)}")
        unit = _UNITS[match["unit"]]
        total += int(match["whole"] or 0) * unit
        total += int(match["fraction"] or 0) * unit // 10 ** len(match["fraction"])
        if total > FOREVER_NS:
            raise BadDurationError(f"time: invalid duration {_quoted(text)}")
        rest = rest[match.end() :]
    return -total if text.startswith("-") else total


def _quoted(text: str) -> str:
    """As the errors of durations show a text: of whatever is no plain ASCII, each byte."""
    return '"' + "".join(map(_shown, text)) + '"'


def _shown(character: str) -> str:
    if " " <= character < "\x80":
        return f"\\{character}" if character in '"\\' else character
    return "".join(f"\\x{byte:02x}" for byte in character.encode())
