"""What has ended in the last minutes, for people who look at the moment rather than at a history."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from namel3ss.gateway.usage import UsageEvent

__all__ = ["Completions", "RecentCompletions"]

_WINDOW_S: Final = 300.0
_MOST_SECONDS: Final = 600


class Completions(NamedTuple):
    """How many ended well, and how long they took once they were sent; None where there were none."""

    number: int
    average_s: float | None


@dataclass(slots=True)
class _Second:
    """What ended in one second, and how long that took in all."""

    began_at: int
    number: int = 0
    seconds: float = 0.0


class RecentCompletions:
    """Requests that ended well within five minutes, summed up by seconds: kept one by one they would be thousands."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._sums: deque[_Second] = deque(maxlen=_MOST_SECONDS)

    def record(self, event: UsageEvent) -> None:
        if event.outcome == "ok":
            second = int(event.at)
            if not self._sums or self._sums[-1].began_at != second:
                self._sums.append(_Second(second))
            newest = self._sums[-1]
            newest.number += 1
            newest.seconds += max(0.0, event.duration_s - event.wait_s)

    def now(self) -> Completions:
        since = self._clock() - _WINDOW_S
        while self._sums and self._sums[0].began_at < since:
            self._sums.popleft()
        count = sum(each.number for each in self._sums)
        return Completions(count, sum(each.seconds for each in self._sums) / count if count else None)
