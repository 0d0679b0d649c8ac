"""Plays a load through a discipline, event by event, on servers that take as long as the load says."""

from __future__ import annotations

import heapq
import itertools
import pickle
import statistics
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from namel3ss.scheduling.fairness import steps_aged
from tests.benchmarks.scheduling.loads import CLASSES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.benchmarks.scheduling.disciplines import Discipline, Expected, Start
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
    estimates: list[tuple[Expected, float]] = field(default_factory=list)  # and the real wait

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
        near = sum(is_near(told.middle_s, real, factor) for told, real in self.estimates)
        return near / len(self.estimates)

    def ranges_right(self) -> float | None:
        """The share of ranges, given on arrival, that held the wait, but for what is negligible."""
        ranges = [(told.range_s, real) for told, real in self.estimates if told.range_s is not None]
        if not ranges:
            return None
        held = sum(low - NEGLIGIBLE_S <= real <= high + NEGLIGIBLE_S for (low, high), real in ranges)
        return held / len(ranges)


class Begun(NamedTuple):
    """A request at work."""

    at_s: float
    server: str
    cold: bool


def is_near(expected: float, real: float, factor: float) -> bool:
    return abs(expected - real) <= NEGLIGIBLE_S or real / factor <= expected <= real * factor


def play(load: Load, discipline: Discipline) -> Run:
    """A whole load; every request is estimated on arrival."""
    game = Game(load, discipline)
    while game.events:
        game.step()
    return game.run


class Game:
    """A load half played. It can be forked as long as nobody has asked the discipline for an estimate."""

    def __init__(self, load: Load, discipline: Discipline, *, estimates: bool = True) -> None:
        self.load = load
        self.discipline = discipline
        self.run = Run(load)
        self.now = 0.0
        self.waiting: dict[str, Arrival] = {}
        self.running: dict[str, Begun] = {}
        self._speeds = dict(zip((server.name for server in load.servers), load.speeds, strict=True))
        self._numbers = itertools.count()
        self._lines = _Lines()
        self._expected: dict[str, Expected] = {}
        self._estimates = estimates
        self._people = {person.user: person for person in load.people}
        self._asked: Counter[str] = Counter()
        self.events: list[tuple[float, int, Arrival, bool]] = [
            (arrival.at_s, next(self._numbers), arrival, True) for arrival in load.arrivals
        ]
        heapq.heapify(self.events)
        for user in self._people:
            self._ask(user)
        self._load_ends = max([a.at_s for a in load.arrivals] + [person.until_s for person in load.people])

    def step(self) -> Arrival | None:
        """Play one event; the request that arrived and waits, if it is one."""
        self.now, _, arrival, arrives = heapq.heappop(self.events)
        now = self.now
        if arrives:
            self.run.arrivals.append(arrival)
            self.waiting[arrival.id] = arrival
            self._lines.add(arrival)
            self.discipline.submit(arrival, now)
        else:
            del self.running[arrival.id]
            self.discipline.finish(arrival.id, now, arrival.tokens)
            if arrival.user in self._people:
                self._ask(arrival.user)
        for start in self.discipline.starts():
            self._start(start)
        if not arrives or arrival.id not in self.waiting:
            return None
        if self._estimates:
            estimate = self.discipline.expected_wait(arrival.id, now)
            if estimate is not None:
                self._expected[arrival.id] = estimate
        return arrival

    def fork(self, other_tokens: Callable[[Arrival, float], float]) -> Game:
        """The same moment with other lengths of everything that is not over.

        `other_tokens` gets an arrival and how many tokens it is known to have at least.
        """
        twin = Game.__new__(Game)
        twin.__dict__.update(self.__dict__)
        twin.discipline = pickle.loads(pickle.dumps(self.discipline))
        twin._asked = Counter(self._asked)
        twin.run = Run(self.load)
        twin.waiting = {
            name: replace(arrival, tokens=other_tokens(arrival, 0.0))
            for name, arrival in self.waiting.items()
        }
        twin._lines = _Lines()
        for arrival in twin.waiting.values():
            twin._lines.add(arrival)
        twin.running, twin.events = {}, []
        for at_s, number, arrival, arrives in self.events:
            if arrives:
                changed = replace(arrival, tokens=other_tokens(arrival, 0.0))
                twin.events.append((at_s, number, changed, True))
                continue
            begun = self.running[arrival.id]
            answered_s = max(0.0, self.now - begun.at_s - (self.load.load_s if begun.cold else 0.0))
            changed = replace(arrival, tokens=other_tokens(arrival, answered_s * self._speeds[begun.server]))
            twin.running[arrival.id] = begun
            ends_s = max(self.now, begun.at_s + self._takes_s(changed, begun.server, cold=begun.cold))
            twin.events.append((ends_s, number, changed, False))
        heapq.heapify(twin.events)
        return twin

    def _ask(self, user: str) -> None:
        """Let a person think, and then ask the next question."""
        person = self._people[user]
        pause_s, question = person.question(self._asked[user])
        self._asked[user] += 1
        if self.now + pause_s < person.until_s:
            asked = replace(question, at_s=self.now + pause_s)
            heapq.heappush(self.events, (asked.at_s, next(self._numbers), asked, True))

    def _start(self, start: Start) -> None:
        run, now = self.run, self.now
        begun = self.waiting.pop(start.id)
        run.inversions += self._lines.start(begun, now)
        run.waits[begun.id] = now - begun.at_s
        run.loads += start.cold
        # Once nobody comes any more it goes faster than anybody could have expected.
        if begun.id in self._expected and now <= self._load_ends:
            run.estimates.append((self._expected[begun.id], now - begun.at_s))
        took = self._takes_s(begun, start.server, cold=start.cold)
        run.served.append((now, now + took, begun.user, begun.tokens))
        self.running[begun.id] = Begun(now, start.server, start.cold)
        heapq.heappush(self.events, (now + took, next(self._numbers), begun, False))

    def _takes_s(self, arrival: Arrival, server: str, *, cold: bool) -> float:
        return arrival.tokens / self._speeds[server] + (self.load.load_s if cold else 0.0)


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
