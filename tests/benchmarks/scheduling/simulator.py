"""Plays a load through a discipline, event by event, on servers that take as long as the load says."""

from __future__ import annotations

import heapq
import itertools
import statistics
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from namel3ss.scheduling.fairness import steps_aged
from tests.benchmarks.scheduling.loads import CLASSES

if TYPE_CHECKING:
    from tests.benchmarks.scheduling.disciplines import Discipline
    from tests.benchmarks.scheduling.loads import Arrival, Load

AGEING_S = 60.0
# Below this an estimate is as good as right: nobody plans by fractions of a second.
NEGLIGIBLE_S = 1.0


@dataclass
class Run:
    """What happened: waits by request, who was served when, how often a model was loaded."""

    load: Load
    arrivals: list[Arrival] = field(default_factory=list)
    waits: dict[str, float] = field(default_factory=dict)
    served: list[tuple[float, float, str, float]] = field(default_factory=list)  # from, until, user, tokens
    loads: int = 0
    inversions: int = 0
    estimates: list[tuple[float, float]] = field(default_factory=list)  # expected, real

    @property
    def swaps(self) -> int:
        """Loads beyond the first one of each place for a model."""
        return self.loads - sum(server.max_loaded_models for server in self.load.servers)

    def mean_wait_s(self, *, without: str) -> float:
        kept = [self.waits[a.id] for a in self.arrivals if a.user != without]
        return statistics.fmean(kept)

    def p95_wait_s(self, priority: int) -> float | None:
        waits = sorted(self.waits[a.id] for a in self.arrivals if a.priority == priority)
        return waits[int(0.95 * len(waits))] if waits else None

    def fairness(self) -> float:
        """Jain's index of what each user got of its fair share, while requests came in.

        A user's fair share is the larger of equal shares or, if it asked for less than one, what it asked for.
        """
        end = max(arrival.at_s for arrival in self.arrivals)
        asked: dict[str, float] = defaultdict(float)
        for arrival in self.arrivals:
            asked[arrival.user] += arrival.tokens
        got: dict[str, float] = defaultdict(float)
        for start, until, user, tokens in self.served:
            if start < end:
                got[user] += tokens * min(1.0, (end - start) / (until - start))
        fair = _water_fill(asked, sum(got.values()))
        shares = [got[user] / fair[user] for user in asked]
        return sum(shares) ** 2 / (len(shares) * sum(share**2 for share in shares))

    def estimates_within(self, factor: float) -> float | None:
        """The share of estimates, made on arrival, that were not further off than the factor."""
        if not self.estimates:
            return None
        good = sum(
            abs(expected - real) <= NEGLIGIBLE_S or real / factor <= expected <= real * factor
            for expected, real in self.estimates
        )
        return good / len(self.estimates)


def play(load: Load, discipline: Discipline) -> Run:
    run = Run(load)
    speeds = dict(zip((server.name for server in load.servers), load.speeds, strict=True))
    numbers = itertools.count()
    events: list[tuple[float, int, Arrival, bool]] = [
        (arrival.at_s, next(numbers), arrival, True) for arrival in load.arrivals
    ]
    people = {person.user: (person, person.questions()) for person in load.people}

    def ask(user: str, now: float) -> None:
        """Let a person think, and then ask the next question."""
        person, questions = people[user]
        pause_s, question = next(questions)
        if now + pause_s < person.until_s:
            asked = replace(question, at_s=now + pause_s)
            heapq.heappush(events, (asked.at_s, next(numbers), asked, True))

    heapq.heapify(events)
    for user in people:
        ask(user, 0.0)
    waiting: dict[str, Arrival] = {}
    lines = _Lines()
    expected: dict[str, float] = {}
    load_ends = max([a.at_s for a in load.arrivals] + [person.until_s for person in load.people])
    while events:
        now, _, arrival, arrives = heapq.heappop(events)
        if arrives:
            run.arrivals.append(arrival)
            waiting[arrival.id] = arrival
            lines.add(arrival)
            discipline.submit(arrival, now)
        else:
            discipline.finish(arrival.id, now, arrival.tokens)
            if arrival.user in people:
                ask(arrival.user, now)
        for start in discipline.starts():
            begun = waiting.pop(start.id)
            run.inversions += lines.start(begun, now)
            run.waits[begun.id] = now - begun.at_s
            run.loads += start.cold
            # Once nobody comes any more it goes faster than anybody could have expected.
            if begun.id in expected and now <= load_ends:
                run.estimates.append((expected[begun.id], now - begun.at_s))
            took = begun.tokens / speeds[start.server] + (load.load_s if start.cold else 0.0)
            run.served.append((now, now + took, begun.user, begun.tokens))
            heapq.heappush(events, (now + took, next(numbers), begun, False))
        if arrives and arrival.id in waiting:
            estimate = discipline.expected_wait_s(arrival.id, now)
            if estimate is not None:
                expected[arrival.id] = estimate
    return run


class _Lines:
    """What waits, by user, class and model."""

    def __init__(self) -> None:
        self._lines: dict[tuple[str, int, str], list[Arrival]] = defaultdict(list)

    def add(self, arrival: Arrival) -> None:
        self._lines[_line(arrival)].append(arrival)

    def start(self, arrival: Arrival, now: float) -> bool:
        """Take out a request; whether the rules put another one for the same model first."""
        own = self._lines[_line(arrival)]
        rank = self._rank(arrival.priority, now)
        inverted = own[0] is not arrival or any(
            line and key[2] == arrival.model and self._rank(key[1], now) < rank
            for key, line in self._lines.items()
        )
        own.remove(arrival)
        return inverted

    def _rank(self, priority: int, now: float) -> int:
        """Where a class stands: what its oldest request has waited improves it."""
        oldest = min(line[0].at_s for key, line in self._lines.items() if line and key[1] == priority)
        return max(0, CLASSES.index(priority) - steps_aged(oldest, now, AGEING_S))


def _line(arrival: Arrival) -> tuple[str, int, str]:
    return (arrival.user, arrival.priority, arrival.model)


def _water_fill(asked: dict[str, float], capacity: float) -> dict[str, float]:
    fair: dict[str, float] = {}
    left = dict(sorted(asked.items(), key=lambda item: item[1]))
    while left:
        share = capacity / len(left)
        user, wish = next(iter(left.items()))
        fair[user] = min(wish, share)
        capacity -= fair[user]
        del left[user]
    return fair
