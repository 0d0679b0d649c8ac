"""Time, so that tests can let models expire without waiting."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from functools import lru_cache

__all__ = ["Clock", "timestamp"]


class Clock:
    """The machine's clocks."""

    def now_ns(self) -> int:
        """Wall-clock time since 1970."""
        return time.time_ns()

    def ticks_ns(self) -> int:
        """For measuring; never goes back."""
        return time.perf_counter_ns()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def timestamp(nanoseconds: int) -> str:
    """RFC 3339 in UTC with as many decimals as are needed."""
    seconds, fraction = divmod(nanoseconds, 1_000_000_000)
    decimals = f"{fraction:09d}".rstrip("0")
    return f"{_moment(seconds)}.{decimals}Z" if decimals else f"{_moment(seconds)}Z"


@lru_cache(maxsize=8)
def _moment(seconds: int) -> str:
    # Every chunk carries a timestamp, and many are made in one second.
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
