"""A clock that goes forward only when a test says so."""

from __future__ import annotations

__all__ = ["ManualClock"]


class ManualClock:
    """Seconds, as `time.monotonic` counts them; `advance()` moves it."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds
