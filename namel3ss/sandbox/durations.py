"""Go's durations: how `keep_alive` is written."""

from __future__ import annotations

import re

from namel3ss.sandbox.gojson import quote

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
        raise BadDurationError(f"time: invalid duration {quote(text)}")
    total = 0
    while rest:
        match = _STEP.match(rest)
        # The pattern matches the empty string, so there always is a match.
        if match is None or not (match["whole"] or match["fraction"]):
            raise BadDurationError(f"time: invalid duration {quote(text)}")
        if not match["unit"]:
            raise BadDurationError(f"time: missing unit in duration {quote(text)}")
        if match["unit"] not in _UNITS:
            raise BadDurationError(f"time: unknown unit {quote(match['unit'])} in duration {quote(text)}")
        unit = _UNITS[match["unit"]]
        total += int(match["whole"] or 0) * unit
        total += int(match["fraction"] or 0) * unit // 10 ** len(match["fraction"])
        if total > FOREVER_NS:
            raise BadDurationError(f"time: invalid duration {quote(text)}")
        rest = rest[match.end() :]
    return -total if text.startswith("-") else total
