"""What has ended in the last minutes, for people who look at the moment rather than at a history."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from namel3ss.gateway.usage import UsageEvent

__all__ = ["Completions", "RecentCompletions"]

_WINDOW_S: Final = 300.0
_MOST: Final = 10_000


class Completions(NamedTuple):
    """How many ended well, and how long they took once they were sent; None where there were none."""

    number: int
    average_s: float | None


class RecentCompletions:
    """Requests that ended well within five minutes, the last ten thousand at most."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._ended: deque[tuple[float, float]] = deque(maxlen=_MOST)

    def record(self, event: UsageEvent) -> None:
        if event.outcome == "ok":
            self._ended.append((event.at, max(0.0, event.duration_s - event.wait_s)))

    def now(self) -> Completions:
        since = self._clock() - _WINDOW_S
        while self._ended and self._ended[0][0] < since:
            self._ended.popleft()
        count = len(self._ended)
        return Completions(count, sum(seconds for _, seconds in self._ended) / count if count else None)
