"""What the queue is told of each server: a value made from everything that is known. Pure, with the time given.

A server or model that keeps failing is left alone only as long as somebody else can do its work. Where nobody could, the
one whose rest ends first is tried in spite of it, one request at a time: refusing everything helps nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from namel3ss.gateway.backends.health import ServerState
from namel3ss.scheduling import Server

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from namel3ss.gateway.backends.backend import Backend

__all__ = ["place"]


def place(backends: Sequence[Backend], groups: Mapping[str, Sequence[str]], now: float) -> dict[str, Server]:
    """Each server as the queue should see it. `groups`: the keys that are served, with the models' names behind each."""
    offered = {
        backend: frozenset(key for key, names in groups.items() if all(map(backend.offers, names)))
        for backend in backends
    }
    up = [backend for backend in backends if backend.is_up]
    used = {backend for backend in up if not backend.health.breaker.is_resting(now)}
    for key in groups:
        able = [backend for backend in up if key in offered[backend]]
        if able and not used.intersection(able):
            used.add(_least_bad(able))
    absent = {backend: groups.keys() - offered[backend] for backend in backends}
    for key in groups:
        able = [backend for backend in up if key in offered[backend] and backend in used]
        resting = [backend for backend in able if _is_resting(backend, key, now)]
        if len(resting) == len(able) and resting:
            resting.remove(min(resting, key=lambda backend: _rests_until(backend, key)))
        for backend in resting:
            absent[backend] = absent[backend] | {key}
    return {
        backend.name: _server(backend, groups, frozenset(absent[backend]), accepting=backend in used)
        for backend in backends
    }


def _server(
    backend: Backend, groups: Mapping[str, Sequence[str]], missing: frozenset[str], *, accepting: bool
) -> Server:
    allowance = backend.health.allowance if backend.health.breaker.is_closed else 1
    slots = min(backend.plan.slots, allowance)
    return Server(
        name=backend.name,
        slots=slots,
        max_loaded_models=min(backend.max_loaded_models, allowance),
        weight=backend.plan.weight,
        # All but what it lacks: a request may still wait under a key that is none any more, since names were put together.
        missing=missing,
        model_slots={
            key: 1
            for key, names in groups.items()
            if slots > 1 and (_is_tried(backend, key) or any(map(backend.catalogue.one_at_a_time, names)))
        },
        accepting=accepting,
        expected_back=backend.enabled and backend.health.state is ServerState.SUSPECTED,
    )


def _is_resting(backend: Backend, key: str, now: float) -> bool:
    breaker = backend.breaker_of(key)
    return breaker is not None and breaker.is_resting(now)


def _is_tried(backend: Backend, key: str) -> bool:
    """Whether one request at a time has to show that the model works there again."""
    breaker = backend.breaker_of(key)
    return breaker is not None and not breaker.is_closed


def _rests_until(backend: Backend, key: str) -> float:
    breaker = backend.breaker_of(key)
    return 0.0 if breaker is None else breaker.open_until or 0.0


def _least_bad(backends: Iterable[Backend]) -> Backend:
    return min(backends, key=lambda backend: backend.health.breaker.open_until or 0.0)
