"""What is known about which models a server has, for a while."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from namel3ss.errors import UsageError
from namel3ss.providers.local.ollama._names import model_key
from namel3ss.providers.local.ollama._single_flight import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["ModelAvailabilityCache"]

_MAX_ENTRIES = 1024


class ModelAvailabilityCache:
    """Remembers for `ttl` seconds whether the server has a model. Two spellings of one model are one entry.

    Lives as long as its provider. Concurrent misses share one look-up, and a failed look-up is not remembered.
    May be used from several event loops. `clock` counts seconds and only ever goes forward.
    """

    def __init__(self, ttl: float = 60.0, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.ttl = _seconds(ttl)
        self._clock = clock
        self._known: dict[str, tuple[bool, float]] = {}
        self._look_ups: SingleFlight[bool] = SingleFlight()
        self._generation = 0

    async def get(self, model: str) -> bool | None:
        """Whether the server has the model; None when that is not known or no longer."""
        entry = self._known.get(_key(model))
        if entry is None:
            return None
        available, learnt_at = entry
        return available if self._clock() - learnt_at < self.ttl else None

    async def set(self, model: str, available: bool) -> None:
        """Remember what was just learnt."""
        if not isinstance(available, bool):
            raise UsageError(f"available must be True or False, not {available!r:.40}.")
        self._remember(_key(model), available)

    async def look_up(self, model: str, ask: Callable[[], Coroutine[object, object, bool]]) -> bool:
        """Whether the server has the model: known to be so, else what `ask()` finds out, once for all callers that
        come meanwhile. A model known to be missing is asked for again, since somebody may have pulled it.
        """
        if await self.get(model):
            return True
        return await self._look_ups.run((_key(model), self._generation), lambda: self._ask(model, ask))

    async def invalidate(self, model: str) -> None:
        """Forget one model. A look-up under way no longer counts."""
        self._generation += 1
        self._known.pop(_key(model), None)

    async def clear(self) -> None:
        """Forget everything. A look-up under way no longer counts."""
        self._generation += 1
        self._known.clear()

    async def _ask(self, model: str, ask: Callable[[], Coroutine[object, object, bool]]) -> bool:
        generation = self._generation
        available = await ask()
        if generation == self._generation:
            self._remember(_key(model), available)
        return available

    def _remember(self, key: str, available: bool) -> None:
        self._known.pop(key, None)
        self._known[key] = (available, self._clock())
        while len(self._known) > _MAX_ENTRIES:
            self._known.pop(
                next(iter(self._known), ""), None
            )  # the oldest: a dict keeps the order of arrival

    def __repr__(self) -> str:
        return f"<ModelAvailabilityCache ttl={self.ttl:g} s, {len(self._known)} models>"


def _seconds(ttl: object) -> float:
    if isinstance(ttl, bool) or not isinstance(ttl, int | float) or not ttl >= 0:
        raise UsageError(f"ttl must be a number of seconds, not {ttl!r:.40}.")
    return ttl


def _key(model: object) -> str:
    if not isinstance(model, str):
        raise UsageError(f"The name of a model must be a text, not a value of type {type(model).__name__}.")
    return model_key(model)
