"""Counting in plain numbers: no lock, no object for each label, nothing but a dict and an addition on the data path."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

    from namel3ss.gateway.metrics.families import Family

__all__ = ["Counter", "Histogram", "Labels"]

Labels: TypeAlias = "tuple[str, ...]"
"""Values, in the order of the family's labels."""


class Counter:
    """Sums by labels. For one event loop."""

    __slots__ = ("family", "sums")

    def __init__(self, family: Family) -> None:
        self.family = family
        self.sums: dict[Labels, float] = {}
        if not family.labels:
            # A family without labels is shown as 0 before anything has happened, so that its rate can be computed.
            self.sums[()] = 0

    def add(self, labels: Labels, amount: float = 1) -> None:
        self.sums[labels] = self.sums.get(labels, 0) + amount


class Histogram:
    """Observations by labels, in the family's fixed buckets. For one event loop."""

    __slots__ = ("_bounds", "_counts", "_sums", "family")

    def __init__(self, family: Family) -> None:
        self.family = family
        self._bounds = family.buckets
        self._counts: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}

    def observe(self, labels: Labels, value: float) -> None:
        counts = self._counts.get(labels)
        if counts is None:
            counts = self._counts[labels] = [0] * (len(self._bounds) + 1)
            self._sums[labels] = 0.0
        counts[bisect_left(self._bounds, value)] += 1
        self._sums[labels] += value

    def series(self) -> Iterator[tuple[Labels, list[tuple[str, float]], float]]:
        """For each series its labels, its cumulative buckets by upper bound, and the sum of what was observed."""
        bounds = [*(str(float(bound)) for bound in self._bounds), "+Inf"]
        for labels, counts in self._counts.items():
            yield labels, list(zip(bounds, accumulate(map(float, counts)), strict=True)), self._sums[labels]
