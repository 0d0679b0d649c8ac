"""How long a model shall stay loaded, as callers write it."""

from __future__ import annotations

import math
import re
from typing import Final

__all__ = ["read_keep_alive"]

_UNITS_S: Final = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}
# Possessive throughout: a caller's text may be as long as a body, and no part of it is to be tried twice.
_STEP: Final = r"(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:ns|us|µs|μs|ms|s|m|h)"
_EVER_S: Final = 1e18  # beyond any life of a server, and below what no longer is a float
_STEPS: Final = re.compile(_STEP)
_DURATION: Final = re.compile(rf"[-+]?(?:0|(?:{_STEP})++)")
_PARTS: Final = re.compile(r"([0-9.]+)(.+)")


def read_keep_alive(value: object) -> float | None:
    """Seconds; infinite for ever. None for none, and for what no server understands: it will say so itself."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return math.inf if value < 0 or value > _EVER_S else float(value)
    if not isinstance(value, str) or not _DURATION.fullmatch(value):
        return None
    seconds = 0.0
    for step in _STEPS.findall(value):
        parts = _PARTS.fullmatch(step)
        assert parts is not None
        seconds += float(parts[1]) * _UNITS_S[parts[2]]
    return math.inf if value.startswith("-") and seconds else seconds
