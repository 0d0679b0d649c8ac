"""How well anybody could estimate: somebody who knows the rules, the speeds, and who will come when, but no lengths.

At some arrivals it plays the rest of the load many times with the real scheduler, each time with other lengths of what is
not over, drawn from the distribution that the load's own lengths were drawn from, given the estimates and how far the
running answers have come. Its estimate is the one that would have been near most often.
"""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

from tests.benchmarks.scheduling.loads import ESTIMATE_SPREAD, SPREAD
from tests.benchmarks.scheduling.simulator import Game, is_near

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.benchmarks.scheduling.disciplines import Discipline
    from tests.benchmarks.scheduling.loads import Arrival, Load

FUTURES = 8
EVERY = 20


def estimates_within(load: Load, discipline: Discipline, factor: float) -> float:
    """The share of the waits it looked at that its estimate was near to."""
    game = Game(load, discipline, estimates=False)
    other_tokens = _Lengths(load.mean_tokens)
    guesses: dict[str, float] = {}
    last_s = max([arrival.at_s for arrival in load.arrivals] + [person.until_s for person in load.people])
    seen = 0
    while game.events:
        arrival = game.step()
        if arrival is None:
            continue
        seen += 1
        if seen % EVERY == 0:
            guesses[arrival.id] = _guess(game, arrival, other_tokens, factor)
    at_s = {arrival.id: arrival.at_s for arrival in game.run.arrivals}
    near = [
        is_near(guess, game.run.waits[name], factor)
        for name, guess in guesses.items()
        if at_s[name] + game.run.waits[name] <= last_s
    ]
    return sum(near) / len(near) if near else math.nan


def _guess(
    game: Game, arrival: Arrival, other_tokens: Callable[[Arrival, float], float], factor: float
) -> float:
    waits = []
    for _ in range(FUTURES):
        future = game.fork(other_tokens)
        while arrival.id not in future.run.waits:
            future.step()
        waits.append(future.run.waits[arrival.id])
    tries = [wait * stretch for wait in waits for stretch in (1.0, 1.2, 1.44)]
    return max(tries, key=lambda guess: sum(is_near(guess, wait, factor) for wait in waits))


class _Lengths:
    """Draws a length again, given its estimate and what is known of it."""

    def __init__(self, mean_tokens: float) -> None:
        self._chance = random.Random(7)
        self._middle = math.log(mean_tokens) - SPREAD**2 / 2
        trust = SPREAD**2 / (SPREAD**2 + ESTIMATE_SPREAD**2)
        self._trust = trust
        self._spread = SPREAD * math.sqrt(1 - trust)

    def __call__(self, arrival: Arrival, at_least: float) -> float:
        middle = self._middle + self._trust * (math.log(arrival.estimate) - self._middle)
        for _ in range(200):
            tokens = self._chance.lognormvariate(middle, self._spread)
            if tokens > at_least:
                return tokens
        return at_least * 1.1
