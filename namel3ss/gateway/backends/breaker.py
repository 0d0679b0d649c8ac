"""Leaving something alone that keeps failing: for a while, then one try, then twice as long. Pure, with the time given."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Breaker"]

_FAILURES_TO_OPEN: Final = 3
_FIRST_REST_S: Final = 5.0
_LONGEST_REST_S: Final = 300.0
_JITTER: Final = 0.1
# What failed again within this time after it had recovered rests longer than the time before.
_PROBATION_S: Final = 60.0


class Breaker:
    """The memory of failures of one server, or of one model on one server.

    Three in a row without a success between open it. Its rest over, it is *half open*: one request at a time may try, and
    decides. `draw` gives a number from 0 to 1, so that many gateways do not come back at the same instant.
    """

    __slots__ = ("_draw", "_failures", "_openings", "_recovered_at", "open_until")

    def __init__(self, draw: Callable[[], float]) -> None:
        self._draw = draw
        self._failures = 0
        self._openings = 0
        self._recovered_at = -math.inf
        self.open_until: float | None = None

    @property
    def is_closed(self) -> bool:
        return self.open_until is None

    def is_resting(self, now: float) -> bool:
        """Whether nothing is to be sent."""
        return self.open_until is not None and now < self.open_until

    def is_half_open(self, now: float) -> bool:
        return self.open_until is not None and now >= self.open_until

    def failed(self, now: float, *, at_once: bool = False) -> bool:
        """Count a failure, which opens it `at_once` or after three; whether it has just been opened."""
        if self.is_resting(now):
            return False  # of a request that was sent before
        self._failures += 1
        if not (at_once or self.open_until is not None or self._failures >= _FAILURES_TO_OPEN):
            return False
        if self.open_until is None and now - self._recovered_at > _PROBATION_S:
            self._openings = 0
        self._openings += 1
        rest_s = min(_LONGEST_REST_S, _FIRST_REST_S * 2.0 ** (self._openings - 1))
        self.open_until = now + rest_s * (1.0 + _JITTER * self._draw())
        return True

    def succeeded(self, now: float) -> bool:
        """Count a success; whether it has just been closed by it. A success of before the opening closes nothing."""
        if self.is_resting(now):
            return False
        self._failures = 0
        if self.open_until is None:
            return False
        self.open_until = None
        self._recovered_at = now
        return True
