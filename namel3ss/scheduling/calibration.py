"""Corrects estimated waits by how the earlier ones turned out.

A forecast cannot know who will come and pass by. What it got wrong lately, among waits of about the same length, it
is taken to get wrong again.

Nothing is done when a request starts: the waits that were told are looked through when the next one is.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from namel3ss.scheduling.tickets import TicketState
from namel3ss.scheduling.values import WaitEstimate

if TYPE_CHECKING:
    from namel3ss.scheduling.tickets import Ticket

__all__ = ["Calibration"]

# So many told waits are watched, and so many that are over are learnt from.
_WATCHED = 256
_LEARNT = 256
# A wait is corrected by so many that are most like it; fewer count for less.
_NEIGHBOURS = 48
_CAUTION = 48
# For a range of its own it takes so many.
_ENOUGH = 16
# Eight waits in ten lie between.
_LOW, _HIGH = 0.1, 0.9


class _Told(NamedTuple):
    ticket: Ticket
    at: float
    expected_s: float


class Calibration:
    """What was told to whom, and how long they really waited."""

    __slots__ = ("_errors", "_told")

    def __init__(self) -> None:
        self._told: dict[int, _Told] = {}
        # The size of a forecast and how far the wait was from it, both as logarithms.
        self._errors: deque[tuple[float, float]] = deque(maxlen=_LEARNT)

    def corrected(self, ticket: Ticket, forecast: WaitEstimate, now: float) -> WaitEstimate:
        """The forecast as experience has it. How it turns out for this request is learnt from, once."""
        self._learn(now)
        if ticket.seq not in self._told:
            if len(self._told) >= _WATCHED:
                del self._told[next(iter(self._told))]
            self._told[ticket.seq] = _Told(ticket, now, forecast.expected_s)
        size = _size(forecast.expected_s)
        errors = sorted(self._like(size))
        if not errors:
            return forecast
        trust = len(errors) / (len(errors) + _CAUTION)
        expected_s = _seconds(size + trust * _quantile(errors, 0.5))
        if len(errors) < _ENOUGH:
            return WaitEstimate(min(forecast.low_s, expected_s), expected_s, max(forecast.high_s, expected_s))
        low_s, high_s = (_seconds(size + _quantile(errors, share)) for share in (_LOW, _HIGH))
        return WaitEstimate(min(low_s, expected_s), expected_s, max(high_s, expected_s))

    def _like(self, size: float) -> list[float]:
        nearest = sorted(self._errors, key=lambda known: abs(known[0] - size))[:_NEIGHBOURS]
        return [error for _, error in nearest]

    def _learn(self, now: float) -> None:
        over = [told for told in self._told.values() if told.ticket.state is not TicketState.WAITING]
        for told in over:
            del self._told[told.ticket.seq]
            lease = told.ticket.lease
            if lease is not None:
                size = _size(told.expected_s)
                self._errors.append((size, _size(lease.granted_at - told.at) - size))


def _size(seconds: float) -> float:
    """A second more or less matters little for the shortest."""
    return math.log(seconds + 1.0)


def _seconds(size: float) -> float:
    return max(0.0, math.exp(size) - 1.0)


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[round(share * (len(ordered) - 1))]
