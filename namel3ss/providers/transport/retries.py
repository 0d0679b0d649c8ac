"""How much may be tried again, and after which pause: pure but for the pause, with the clock given."""

from __future__ import annotations

import asyncio
import enum
import logging
import random
from typing import TYPE_CHECKING, Final, TypeVar

from namel3ss.providers.base import ProviderError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["Again", "Retries", "RetryBudget", "pause_s"]

T = TypeVar("T")

logger = logging.getLogger(__name__)

_FIRST_PAUSE_S: Final = 0.25
_LONGEST_PAUSE_S: Final = 8.0
_LONGEST_ASKED_PAUSE_S: Final = 30.0


class RetryBudget:
    """Keeps retries from multiplying the load on servers that are already in trouble.

    Retries may be a fifth of all requests, and a few more after a quiet time. `clock` is monotonic, in seconds.
    """

    _SHARE: Final = 0.2
    _FLOOR: Final = 10.0  # so many may be made without any requests before them
    _CEILING: Final = 100.0
    _REFILL_PER_S: Final = 0.5

    __slots__ = ("_clock", "_left", "_looked_at")

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._left = self._FLOOR
        self._looked_at = clock()

    def request_made(self) -> None:
        """A first attempt is made; it earns a fifth of a retry."""
        self._left = min(self._CEILING, self._left + self._SHARE)

    def take(self) -> bool:
        """Whether one more retry is allowed; it is then counted."""
        now = self._clock()
        if self._left < self._FLOOR:
            self._left = min(self._FLOOR, self._left + (now - self._looked_at) * self._REFILL_PER_S)
        self._looked_at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


class Again(enum.Enum):
    """Whether a request that failed may be sent again, before anything of its answer has arrived.

    A connection that was closed before the first byte, and a proxy's 502, do not tell: the server may have begun, and
    would compute the answer twice. So that is a NEVER too.
    """

    NEVER = "the server has begun, may have begun, or would only refuse again"
    AFTER_A_PAUSE = "the server turned it away and has not begun"


class Retries:
    """Sends the requests of one provider to its one server, again where it has certainly not begun.

    `clock` as for the budget.
    """

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._budget = RetryBudget(clock=clock)

    async def run(
        self,
        send: Callable[[], Awaitable[T]],
        *,
        max_retries: int,
        again: Callable[[ProviderError], Again],
        asked_pause_s: Callable[[ProviderError], float | None],
    ) -> T:
        """What `send` returns. Raises the last error when it fails for good."""
        self._budget.request_made()
        retries = 0
        while True:
            try:
                return await send()
            except ProviderError as error:
                if again(error) is Again.NEVER or retries >= max_retries or not self._budget.take():
                    raise
                retries += 1
                seconds = pause_s(retries, asked_pause_s(error))
                logger.info("Retrying in %.1f s: %s", seconds, error.message)
            await asyncio.sleep(seconds)


def pause_s(retries: int, asked_s: float | None) -> float:
    """How long to wait before the retry of that number. What a server asks for is honoured up to half a minute; a
    little is added at random, so that not everybody comes back at once.
    """
    if asked_s is not None:
        return min(asked_s, _LONGEST_ASKED_PAUSE_S) * random.uniform(1.0, 1.1)
    return random.uniform(0, min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2**retries))
