"""How often somebody may try to log in: counted before the password is looked at, given back where it was right.

Counted by user and address together, so that nobody locks another person out from afar; by address, for one who tries
many names; and by user, against many addresses at once.
"""

from __future__ import annotations

import ipaddress
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from namel3ss.gateway.errors import Reason, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from namel3ss.gateway.front.addresses import Address

__all__ = ["LoginAttempts"]

WINDOW_S: Final = 300.0
PER_USER_AND_ADDRESS: Final = 5
PER_ADDRESS: Final = 20
PER_USER: Final = 100
_MOST: Final = 10_000
# Whoever has one address of such a network has all of them.
_V6_PREFIX: Final = 64


class LoginAttempts:
    """Failed attempts of the last five minutes, bounded in number."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: dict[tuple[str, str], deque[float]] = {}

    def begin(self, user: str, address: Address) -> Callable[[], None]:
        """Count one attempt; what is returned takes it back. Raises Refusal where there were too many."""
        now = self._clock()
        place = _network(address)
        limits = {
            (user, place): PER_USER_AND_ADDRESS,
            ("", place): PER_ADDRESS,
            (user, ""): PER_USER,
        }
        for key, limit in limits.items():
            times = self._recent(key, now)
            if len(times) >= limit:
                raise Refusal(
                    Reason.rate_limited,
                    "There were too many attempts to log in.",
                    suggestion="Wait some minutes. An administrator can set another password.",
                    retry_after_s=times[0] + WINDOW_S - now,
                )
        for key in limits:
            self._make_room()
            self._failures.setdefault(key, deque()).append(now)

        def take_back() -> None:
            for key in limits:
                times = self._failures.get(key)
                if times is not None and now in times:
                    times.remove(now)

        return take_back

    def _recent(self, key: tuple[str, str], now: float) -> deque[float]:
        times = self._failures.get(key, deque())
        while times and times[0] <= now - WINDOW_S:
            times.popleft()
        if not times:
            self._failures.pop(key, None)
        return times

    def _make_room(self) -> None:
        while len(self._failures) >= _MOST:
            del self._failures[next(iter(self._failures))]


def _network(address: Address) -> str:
    if address.version == 6:
        return str(ipaddress.IPv6Network((address, _V6_PREFIX), strict=False))
    return str(address)
