"""One server: everything that is known of it. Its `Health`, what it has, what is on its way through it."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from namel3ss.gateway.backends.breaker import Breaker
from namel3ss.gateway.backends.catalogue import Catalogue
from namel3ss.gateway.backends.evidence import Blame
from namel3ss.gateway.backends.first_tokens import FirstTokenTimes
from namel3ss.gateway.backends.health import Health, ServerState
from namel3ss.providers.local.ollama import model_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from namel3ss.gateway.backends.attempts import Attempt
    from namel3ss.gateway.plan import BackendPlan
    from namel3ss.gateway.upstream import Upstream

__all__ = ["Backend"]

# What an Ollama server keeps loaded where nobody has set OLLAMA_MAX_LOADED_MODELS, without or with one GPU.
_USUALLY_LOADED = 3
_BUSY_FOR_S = 60.0


class Backend:
    """Lives from the moment the server is added until it is removed. Changed by `Backends` and its own attempts only."""

    def __init__(
        self,
        plan: BackendPlan,
        upstream: Upstream,
        *,
        now: Callable[[], float],
        draw: Callable[[], float],
        changed: Callable[[], None],
    ) -> None:
        self.plan = plan
        self.upstream = upstream
        self.now = now
        self._draw = draw
        self._changed = changed
        self.health = Health(now(), draw)
        self.catalogue = Catalogue()
        self.first_tokens = FirstTokenTimes()
        self.attempts: set[Attempt] = set()
        self.enabled = True
        self.version: str | None = None
        self.used_at = -math.inf
        self._models = None if plan.models is None else frozenset(map(model_key, plan.models))
        self._breakers: dict[str, Breaker] = {}
        self._draining: dict[str, float] = {}
        self._most_loaded = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def __repr__(self) -> str:
        return f"<Backend {self.name} {self.health.state}{'' if self.enabled else ', not in use'}>"

    @property
    def name(self) -> str:
        return self.plan.name

    @property
    def is_up(self) -> bool:
        return self.enabled and self.health.state is ServerState.UP

    @property
    def is_busy(self) -> bool:
        """Whether it is in use, or was just now."""
        return bool(self.attempts) or self.now() - self.used_at < _BUSY_FOR_S

    @property
    def max_loaded_models(self) -> int:
        return self.plan.max_loaded_models or max(_USUALLY_LOADED, self._most_loaded)

    # -- what it has ------------------------------------------------------------------------------------------

    def offers(self, name: str) -> bool:
        """Whether it is for a model, and not known to lack it."""
        return self.is_for(name) and not self.catalogue.lacks(name)

    def is_for(self, name: str) -> bool:
        return self._models is None or model_key(name) in self._models

    def runner_of(self, name: str) -> str | None:
        return self.catalogue.runner_of(name) if self.offers(name) else None

    def saw_loaded(self, count: int) -> None:
        self._most_loaded = max(self._most_loaded, count)

    # -- what happens to its requests -------------------------------------------------------------------------

    def begin(self, attempt: Attempt) -> None:
        self.attempts.add(attempt)
        self.used_at = attempt.sent_at
        self._idle.clear()

    def end(self, attempt: Attempt) -> bool:
        """Whether it had not ended before."""
        if attempt not in self.attempts:
            return False
        self.attempts.discard(attempt)
        if not self.attempts:
            self._idle.set()
        return True

    async def idle(self) -> None:
        """Wait until no request is on its way through it."""
        await self._idle.wait()

    def request_succeeded(self, key: str) -> None:
        now = self.now()
        changed = self.health.request_succeeded(now)
        breaker = self._breakers.get(key)
        if breaker is not None and breaker.succeeded(now):
            changed = True
        if changed:
            self._changed()

    def request_failed(self, attempt: Attempt, blame: Blame, reason: str) -> bool:
        """Take in what a failed request says; whether that changes what the server may be given."""
        now = self.now()
        if blame is Blame.UNREACHABLE or blame is Blame.SERVER:
            return self.health.request_failed(now, reason, unreachable=blame is Blame.UNREACHABLE)
        if blame is Blame.MISSING:
            return self.catalogue.lost(attempt.model, attempt.spelling)
        if blame is Blame.NOBODY:
            return False
        return self.rest_model(attempt.key, at_once=blame is Blame.MEMORY or blame is Blame.BUSY)

    def rest_model(self, key: str, *, at_once: bool) -> bool:
        """Count a failure of one model here; whether it is left alone from now on."""
        breaker = self._breakers.get(key)
        if breaker is None:
            breaker = self._breakers[key] = Breaker(self._draw)
        return breaker.failed(self.now(), at_once=at_once)

    def breaker_of(self, key: str) -> Breaker | None:
        return self._breakers.get(key)

    def abandoned(self, attempt: Attempt) -> float:
        """How long the server may still be busy with a request that nobody waits for any more."""
        if attempt.first_at is not None:
            return 0.0
        now = self.now()
        drain_s = self.first_tokens.drain_s(attempt.silence, now - attempt.sent_at, attempt.prompt_tokens)
        if drain_s:
            self._draining[attempt.key] = max(now + drain_s, self._draining.get(attempt.key, now))
        return drain_s

    def is_quiet(self, key: str) -> bool:
        """Whether nothing of ours is being answered for a model here, nor may still be after its caller left."""
        return self._draining.get(key, -math.inf) <= self.now() and not any(
            attempt.first_at is not None for attempt in self.attempts if attempt.key == key
        )

    def silent(self, key: str) -> list[Attempt]:
        """The requests for a model of which nothing has come back."""
        return [attempt for attempt in self.attempts if attempt.key == key and attempt.first_at is None]

    def next_opening(self, now: float) -> float:
        """When the next rest of something here ends."""
        breakers = (self.health.breaker, *self._breakers.values())
        return min(
            (b.open_until for b in breakers if b.open_until is not None and b.open_until > now),
            default=math.inf,
        )

    def restarted(self) -> None:
        """It was gone: nothing is loaded there."""
        self.catalogue.loaded = ()
        self._draining.clear()
