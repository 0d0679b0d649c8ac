"""What is learnt from finished requests: how many tokens and how many seconds a model's requests take.

Nothing is computed when a request ends; a bounded window of samples is kept, and fitted when somebody asks.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

__all__ = ["Duration", "History", "Pace", "Usage"]

WINDOW = 128
FIRST_COST = 512.0
_SMOOTHING = 0.1
# Below this share of explained variance the estimated tokens say too little about the duration to be used.
_MEANINGFUL = 0.1
_ENOUGH_TO_FIT = 8


@dataclass(frozen=True, slots=True)
class Duration:
    """An expected number of seconds and its variance."""

    mean_s: float
    variance: float


class Usage:
    """What a model's requests take: tokens over all servers, seconds by server."""

    __slots__ = ("_histories", "cost")

    def __init__(self) -> None:
        self.cost = FIRST_COST
        """Tokens that a request without an estimate is charged at first."""
        self._histories: dict[str, History] = {}

    def on(self, server: str) -> History:
        """The history to learn into."""
        history = self._histories.get(server)
        if history is None:
            history = self._histories[server] = History(self)
        return history

    def known_on(self, server: str) -> History:
        """The history to predict from: the server's own, else the one that knows most."""
        own = self.on(server)
        return own if own.samples else max(self._histories.values(), key=lambda history: history.samples)

    def forget(self, server: str) -> None:
        self._histories.pop(server, None)


class History:
    """The durations of one model's requests on one server."""

    __slots__ = ("_fitted", "_load_s", "_ratios", "_samples", "_usage")

    def __init__(self, usage: Usage) -> None:
        self._usage = usage
        self._samples: deque[tuple[float, float]] = deque(maxlen=WINDOW)
        self._load_s: float | None = None
        self._fitted: tuple[float, float, float, float] | None = None
        self._ratios: list[float] | None = None

    @property
    def samples(self) -> int:
        return len(self._samples)

    def learn(self, estimated_cost: float, duration_s: float, tokens: float | None, cold: bool) -> None:
        """Take in one request that ended well; `cold`: for which the model had to be loaded first."""
        if tokens is not None:
            usage = self._usage
            usage.cost += _SMOOTHING * (tokens - usage.cost)
        if cold:
            self._learn_loading(estimated_cost, duration_s)
        else:
            self._samples.append((estimated_cost, duration_s))
            self._fitted = None

    def _learn_loading(self, estimated_cost: float, duration_s: float) -> None:
        warm = self.duration(estimated_cost)
        load_s = max(0.0, duration_s - warm.mean_s) if warm else duration_s
        self._load_s = load_s if self._load_s is None else self._load_s + 0.3 * (load_s - self._load_s)

    @property
    def load_s(self) -> float:
        """Seconds that loading the model takes; 0 until one was measured."""
        return self._load_s or 0.0

    def duration(self, estimated_cost: float) -> Duration | None:
        """How long a request of that estimate takes when the model is loaded; None before the first sample."""
        if not self._samples:
            return None
        if self._fitted is None:
            self._fitted, self._ratios = self._fit(), None
        base, slope, centre, variance = self._fitted
        expected = base + slope * (estimated_cost - centre)
        return Duration(max(expected, base / 10), variance)

    def remaining(self, estimated_cost: float, elapsed_s: float) -> Duration | None:
        """How long one that runs already will still take: what those took that ran at least as long."""
        whole = self.duration(estimated_cost)
        if whole is None:
            return None
        if self._ratios is None:
            self._ratios = sorted(self._ratio(cost, seconds) for cost, seconds in self._samples)
        left = [
            ratio * whole.mean_s - elapsed_s for ratio in self._ratios if ratio * whole.mean_s > elapsed_s
        ]
        if not left:
            # Longer than anything seen: durations have long tails, so as long again as it is overdue, at least.
            return Duration(max(whole.mean_s / 4, elapsed_s / 4), whole.variance)
        mean = sum(left) / len(left)
        return Duration(mean, sum((value - mean) ** 2 for value in left) / len(left))

    def _ratio(self, cost: float, seconds: float) -> float:
        expected = self.duration(cost)
        return seconds / expected.mean_s if expected is not None and expected.mean_s > 0 else 1.0

    def _fit(self) -> tuple[float, float, float, float]:
        """A line through the samples: mean duration, seconds a token, mean estimate, variance around the line."""
        count = len(self._samples)
        centre = math.fsum(cost for cost, _ in self._samples) / count
        base = math.fsum(seconds for _, seconds in self._samples) / count
        spread = math.fsum((cost - centre) ** 2 for cost, _ in self._samples)
        total = math.fsum((seconds - base) ** 2 for _, seconds in self._samples)
        common = math.fsum((cost - centre) * (seconds - base) for cost, seconds in self._samples)
        if count >= _ENOUGH_TO_FIT and common > 0 and common * common > _MEANINGFUL * spread * total:
            slope = common / spread
            return base, slope, centre, max(0.0, total - slope * common) / count
        return base, 0.0, centre, total / count


class Pace:
    """How often waiting requests start."""

    __slots__ = ("_starts",)

    def __init__(self) -> None:
        self._starts: deque[float] = deque(maxlen=20)

    def learn_start(self, now: float) -> None:
        self._starts.append(now)

    @property
    def retry_after_s(self) -> float:
        """When a place in the queue should be free: whole seconds, 1 to 60."""
        starts = self._starts
        if len(starts) < 2:
            return 1.0
        return float(min(60, max(1, math.ceil((starts[-1] - starts[0]) / (len(starts) - 1)))))
