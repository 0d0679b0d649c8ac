"""How one server is: what its probes say, with patience, and what requests to it say. Pure, with the time given.

* A server that has never answered is *starting*: nothing is sent before its first good probe.
* It is *up* until two probes in a row fail; then it is *down*, until two in a row succeed.
* When requests cannot reach it, or break off, it is *suspected*: nothing new is sent until a probe, made at once, has
  decided. One good probe clears it.
* A server that answers its probes and yet fails request after request is left alone by its breaker.
* After a recovery it gets few requests at first, and twice as many after each that succeeds: what it had loaded is gone,
  and it loads one model at a time.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

from namel3ss.gateway.backends.breaker import Breaker

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Health", "ServerState"]

_FALL: Final = 2
_RISE: Final = 2
_FULL: Final = 1 << 10

_QUIET_S: Final = 30.0
_BUSY_S: Final = 5.0
_DOUBT_S: Final = 0.25
_DOWN_S: Final = 1.0
_LONGEST_DOWN_S: Final = 5.0
_JITTER: Final = 0.2


class ServerState(enum.StrEnum):
    """What is known of a server."""

    STARTING = "starting"
    UP = "up"
    SUSPECTED = "suspected"
    DOWN = "down"


class Health:
    """The health of one server. The methods that take evidence return whether that changed what it may be given."""

    def __init__(self, now: float, draw: Callable[[], float]) -> None:
        self._draw = draw
        self.state = ServerState.STARTING
        self.since = now
        self.reason = "it has not answered yet"
        self.checked_at: float | None = None
        self.breaker = Breaker(draw)
        self._failures = 0
        self._successes = 0
        self._allowance = _FULL

    @property
    def allowance(self) -> int:
        """How many requests at a time, and how many models, it may be given for now."""
        return self._allowance

    def probe_succeeded(self, now: float) -> bool:
        self.checked_at = now
        self._failures = 0
        self._successes += 1
        if self.state is ServerState.UP or (self.state is ServerState.DOWN and self._successes < _RISE):
            return False
        if self.state is ServerState.DOWN:
            self._allowance = 1
        self._become(ServerState.UP, "", now)
        return True

    def probe_failed(self, now: float, reason: str) -> bool:
        self.checked_at = now
        self._successes = 0
        self._failures += 1
        if self.state is ServerState.DOWN:
            self.reason = reason
            return False
        if self.state is ServerState.STARTING or self._failures >= _FALL:
            self._become(ServerState.DOWN, reason, now)
            return True
        return False

    def request_failed(self, now: float, reason: str, *, unreachable: bool) -> bool:
        """A request could not reach the server, or broke off."""
        if self.state is not ServerState.UP:
            return False  # known: what was on its way when it broke down is one failure, however many requests it was
        if not unreachable:
            self.breaker.failed(now)
        self._become(ServerState.SUSPECTED, reason, now)
        # Whoever could not reach it has made one probe already.
        self._failures = int(unreachable)
        return True

    def request_succeeded(self, now: float) -> bool:
        """A request has had its whole answer."""
        closed = self.breaker.succeeded(now)
        if closed:
            self._allowance = 1
        if self._allowance >= _FULL:
            return closed
        self._allowance *= 2
        return True

    def next_probe_s(self, *, busy: bool) -> float:
        """How long until the server is probed again. `busy`: it has been used lately."""
        if (
            self.state is ServerState.SUSPECTED
            or (self.state is ServerState.DOWN and self._successes)
            or (self.state is ServerState.UP and self._failures)
        ):
            pause_s = _DOUBT_S
        elif self.state is ServerState.UP:
            pause_s = _BUSY_S if busy else _QUIET_S
        else:
            pause_s = min(_LONGEST_DOWN_S, _DOWN_S * max(1, self._failures - 1))
        return pause_s * (1.0 - _JITTER / 2 + _JITTER * self._draw())

    def _become(self, state: ServerState, reason: str, now: float) -> None:
        self.state, self.reason, self.since = state, reason, now
        self._failures = self._successes = 0
