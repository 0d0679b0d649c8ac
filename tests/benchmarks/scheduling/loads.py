"""Made-up loads in the shape of published ones: bursts, long-tailed answers, one greedy user, mixed models.

A load is the same for every discipline: arrivals, estimates and real token counts are drawn once, from a seed.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from namel3ss.scheduling import Server

if TYPE_CHECKING:
    from collections.abc import Callable

CLASSES = (0, 5, 9)
TOKENS_PER_SECOND = 50.0
GREEDY = "greedy"
MEAN_TOKENS = 300
# How answers and estimates spread, as the deviation of their logarithms.
SPREAD, ESTIMATE_SPREAD = 0.8, 0.4


@dataclass(frozen=True)
class Arrival:
    """One request: its estimate is what the scheduler is told, `tokens` what it turns out to take."""

    at_s: float
    id: str
    user: str
    priority: int
    model: str
    estimate: float
    tokens: float


@dataclass(frozen=True)
class Person:
    """Somebody who reads an answer before asking again. The same questions come in every play."""

    user: str
    seed: int
    think_s: float
    until_s: float
    priority: int = 5
    model: str = "chat"

    def question(self, number: int) -> tuple[float, Arrival]:
        """Seconds of thinking, and what is asked then; the arrival's time is filled in by the simulator."""
        draw = _Draw(self.seed * 1000 + number)
        pause_s = draw.chance.expovariate(1 / self.think_s)
        draw.add(0.0, self.user, self.priority, self.model, MEAN_TOKENS)
        return pause_s, replace(draw.arrivals[0], id=f"{self.user}-{number}")


@dataclass(frozen=True)
class Load:
    name: str
    arrivals: tuple[Arrival, ...]
    servers: tuple[Server, ...]
    speeds: tuple[float, ...]
    """Tokens per second of one slot, by server."""
    load_s: float
    """Seconds to load a model."""
    people: tuple[Person, ...] = ()
    mean_tokens: float = MEAN_TOKENS

    def beneath(self, user: str) -> Load:
        """The same with one user's requests in the worst class."""
        moved = tuple(
            replace(arrival, priority=CLASSES[-1]) if arrival.user == user else arrival
            for arrival in self.arrivals
        )
        return replace(self, name=f"{self.name}, {user} last", arrivals=moved)

    def without(self, user: str) -> Load:
        kept = tuple(arrival for arrival in self.arrivals if arrival.user != user)
        return replace(self, name=f"{self.name} without {user}", arrivals=kept)


class _Draw:
    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.arrivals: list[Arrival] = []

    def add(self, at_s: float, user: str, priority: int, model: str, mean_tokens: float) -> None:
        # Published traces of answers have long tails: log-normal, the mean well above the median.
        tokens = self.chance.lognormvariate(math.log(mean_tokens) - SPREAD**2 / 2, SPREAD)
        estimate = tokens * self.chance.lognormvariate(0.0, ESTIMATE_SPREAD)
        name = f"{user}-{len(self.arrivals)}"
        self.arrivals.append(Arrival(at_s, name, user, priority, model, estimate, tokens))

    def stream(
        self, user: str, priority: int, model: str, mean_tokens: float, gap_s: float, until_s: float
    ) -> None:
        """Requests at random moments, `gap_s` apart on average."""
        now = self.chance.expovariate(1 / gap_s)
        while now < until_s:
            self.add(now, user, priority, model, mean_tokens)
            now += self.chance.expovariate(1 / gap_s)

    def load(self, name: str, servers: tuple[Server, ...], speeds: tuple[float, ...], load_s: float) -> Load:
        return Load(
            name, tuple(sorted(self.arrivals, key=lambda arrival: arrival.at_s)), servers, speeds, load_s
        )


def bursty(seed: int) -> Load:
    """Twelve users of three classes on one server of two slots; every five minutes twenty chats come at once."""
    draw = _Draw(seed)
    for number in range(12):
        priority = CLASSES[number % 3]
        draw.stream(f"user{number}", priority, "chat", 300, 80, 3600)
    for burst in range(300, 3600, 300):
        for number in range(20):
            draw.add(burst + draw.chance.random() * 5, f"user{number % 12}", 5, "chat", 300)
    return draw.load("bursty", (Server(name="gpu1", slots=2),), (TOKENS_PER_SECOND,), 8.0)


def greedy(seed: int) -> Load:
    """Twenty people who ask, read and think for a minute keep one server busy; another sends 300 requests at once."""
    draw = _Draw(seed)
    for _ in range(300):
        draw.add(300 + draw.chance.random() * 30, GREEDY, 5, "chat", 300)
    load = draw.load("greedy user", (Server(name="gpu1"),), (TOKENS_PER_SECOND,), 8.0)
    people = tuple(Person(f"user{number}", seed * 100 + number, 60.0, 3600.0) for number in range(20))
    return replace(load, people=people)


def greedy_beside_light_load(seed: int) -> Load:
    """The same on two slots, which the people keep busy two thirds of the time."""
    load = greedy(seed)
    return replace(load, name="greedy, two slots", servers=(Server(name="gpu1", slots=2),))


def mixed_models(seed: int) -> Load:
    """Nine users of three models on a server that holds one; loading takes eight seconds."""
    draw = _Draw(seed)
    for number in range(9):
        draw.stream(f"user{number}", 5, ("chat", "coder", "vision")[number % 3], 200, 50, 3600)
    load = draw.load("mixed models", (Server(name="gpu1"),), (TOKENS_PER_SECOND,), 8.0)
    return replace(load, mean_tokens=200)


def slow_server(seed: int) -> Load:
    """Two models over a fast and a slow server, on which loading takes thirty seconds."""
    draw = _Draw(seed)
    for number in range(10):
        priority = CLASSES[number % 2]
        draw.stream(f"user{number}", priority, ("chat", "coder")[number // 5], 300, 62, 3600)
    servers = (Server(name="fast", weight=3.0), Server(name="slow"))
    return draw.load("slow server", servers, (TOKENS_PER_SECOND * 1.5, TOKENS_PER_SECOND / 2), 30.0)


LOADS: tuple[Callable[[int], Load], ...] = (
    bursty,
    greedy,
    greedy_beside_light_load,
    mixed_models,
    slow_server,
)
