"""Positions in a long queue are not played anew for every look; what is told meanwhile are bounds that hold."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from namel3ss.scheduling.core import SchedulerCore
from namel3ss.scheduling.values import Policy, Request, Server, reasons_for_move

if TYPE_CHECKING:
    from collections.abc import Callable

    from namel3ss.scheduling.values import Lease, Position

POLICY = Policy(classes=(0, 5, 9), max_waiting=10_000, max_waiting_per_user=10_000, max_wait_s=None)
LONG = 250


class Play:
    """A core under a load that depends on the seed alone: two played to the same step are in the same state."""

    def __init__(self, *, models: int, loaded: int, seed: int = 7) -> None:
        servers = [Server(name=name, slots=2, max_loaded_models=loaded) for name in ("gpu1", "gpu2")]
        self.core = SchedulerCore(POLICY, servers)
        self.now = 0.0
        self._random = random.Random(seed)
        self._models = models
        self._leases: list[Lease] = []
        self._arrived = 0

    def step(self) -> str:
        """One arrival, and sometimes the end of a request; the arrival's id."""
        draw = self._random
        self.now += 0.002
        self._arrived += 1
        name = f"r{self._arrived}"
        model, user = f"m{draw.randrange(self._models)}", f"u{draw.randrange(40)}"
        cost, priority = draw.uniform(50, 500), draw.choice(POLICY.classes)
        self.core.submit(Request(id=name, model=model, user=user, cost=cost, priority=priority), self.now)
        self._collect()
        tokens = draw.uniform(50, 500)
        if self._arrived % 3 == 0 and self._leases:
            self.core.release(self._leases.pop(0), self.now, tokens=tokens)
            self._collect()
        if self._arrived % 17 == 0:
            self.core.cancel(f"r{draw.randrange(self._arrived) + 1}", self.now)
            self._collect()
        return name

    def position(self, name: str) -> Position | None:
        return self.core.position(name, self.now)

    def _collect(self) -> None:
        self._leases.extend(ticket.lease for _, ticket in self.core.take_events() if ticket.lease is not None)


@pytest.mark.parametrize(("models", "loaded"), [(1, 1), (4, 4), (4, 2)])
def test_bounds_hold_the_exact_position(models: int, loaded: int) -> None:
    watched = Play(models=models, loaded=loaded)
    names = [watched.step() for _ in range(LONG)]
    inexact = 0
    for turn in range(LONG):
        names.append(watched.step())
        told = [(name, watched.position(name)) for name in (names[-1], names[turn])]
        if turn % 50:
            continue
        for name, position in told:
            exact = exactly(Play(models=models, loaded=loaded), len(names), name)
            assert (position is None) == (exact is None)
            if position is not None and exact is not None:
                assert position.at_least <= exact.at_least <= exact.at_most <= position.at_most
                assert 0 <= position.at_least <= position.at_most < position.total == exact.total
                inexact += not position.exact

    assert inexact, "every look was played anew"


def test_where_models_take_turns_every_look_is_exact() -> None:
    watched = Play(models=8, loaded=1)
    names = [watched.step() for _ in range(LONG)]
    for turn in range(0, 100, 20):
        names.append(watched.step())
        for name in (names[-1], names[turn]):
            found = watched.position(name)
            anew = exactly(Play(models=8, loaded=1), len(names), name)
            assert (found is None) == (anew is None)
            if found is not None and anew is not None:
                assert (found.at_least, found.at_most) == (anew.at_least, anew.at_most)
                assert found.exact


def exactly(play: Play, steps: int, name: str) -> Position | None:
    for _ in range(steps):
        play.step()
    return play.position(name)


def waiting(core: SchedulerCore, count: int, now: float = 0.0) -> None:
    for number in range(count):
        core.submit(Request(id=f"r{number}", model="m", user=f"u{number % 7}", cost=10.0), now)


def position_of(core: SchedulerCore) -> Callable[[str, float], Position]:
    def ask(name: str, now: float) -> Position:
        position = core.position(name, now)
        assert position is not None
        return position

    return ask


def test_short_queues_are_exact_at_every_moment() -> None:
    core = SchedulerCore(POLICY, [Server(name="gpu1")])
    ask = position_of(core)
    waiting(core, 150)
    ask("r149", 0.0)

    core.submit(Request(id="late", model="m", user="u0", priority=0, cost=10.0), 0.0)

    assert ask("late", 0.0).exact
    assert ask("r149", 0.0).exact


def test_long_queues_are_exact_again_a_moment_later() -> None:
    core = SchedulerCore(POLICY, [Server(name="gpu1")])
    ask = position_of(core)
    waiting(core, LONG)
    first = ask("r249", 0.0)

    core.submit(Request(id="late", model="m", user="u0", priority=0, cost=10.0), 0.0)
    meanwhile, later = ask("r249", 0.1), ask("r249", 1.1)

    assert first.exact
    assert (meanwhile.at_least, meanwhile.at_most) == (first.at_least, first.at_least + 1)
    assert (later.at_least, later.at_most) == (first.at_least + 1,) * 2
    assert reasons_for_move(meanwhile, later)


def test_newcomers_are_put_in_their_places_without_playing() -> None:
    core = SchedulerCore(POLICY, [Server(name="gpu1")])
    ask = position_of(core)
    waiting(core, LONG)
    ask("r249", 0.0)

    core.submit(Request(id="urgent", model="m", user="ada", priority=0, cost=10.0), 0.0)
    urgent = ask("urgent", 0.0)
    core.submit(Request(id="next", model="m", user="ada", priority=0, cost=10.0), 0.0)
    following = ask("next", 0.0)

    assert (urgent.at_least, urgent.at_most) == (0, 0)
    assert (following.at_least, following.at_most) == (1, 1)


def test_changed_servers_are_seen_at_once() -> None:
    core = SchedulerCore(POLICY, [Server(name="gpu1")])
    ask = position_of(core)
    waiting(core, LONG)
    ask("r249", 0.0)

    core.put_server(Server(name="gpu2"), 0.0)
    core.take_events()

    assert ask("r249", 0.0).exact
