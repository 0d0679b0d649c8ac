"""Models that hang: noticed, and cured by unloading them.

A server can lose a slot of a loaded model when a client leaves at the instant it is handed a piece. Later requests to that
model then wait for ever, while the server itself is well, and lists the model as loaded. Whoever knows all requests that
are really on their way can notice:

1. A request has been silent for `wedge_after_s` beyond the longest that the model took lately, and for a longer prompt
   in proportion.
2. Nothing else of ours is being answered by that model there, and nothing drains.
3. The server answers a probe, and says that the model is loaded.
4. A second, tiny request with the same loader options gets no byte either.

Then those who wait are told to let go of their connections (a model is unloaded when nobody holds it), the model is
unloaded, and they are told to send again. At most once in ten minutes, and never on a server that others use directly: what
keeps the model busy there may be theirs.
"""

from __future__ import annotations

import asyncio
import logging
import math
from typing import TYPE_CHECKING, Final

from namel3ss.gateway.backends.asking import ask, fetch
from namel3ss.gateway.backends.catalogue import UnreadableAnswerError, read_listing, read_version
from namel3ss.gateway.upstream import UpstreamError
from namel3ss.providers.local.ollama import model_key
from namel3ss.providers.transport.failure_kinds import Failure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from namel3ss.gateway.backends.attempts import Attempt
    from namel3ss.gateway.backends.backend import Backend
    from namel3ss.gateway.backends.probing import Timing
    from namel3ss.scheduling.engine import Alarm, Clock

__all__ = ["WedgeWatch"]

_log: Final = logging.getLogger("namel3ss.gateway.backends")
_UNLOAD_AT_MOST_EVERY_S: Final = 600.0
_LOOK_PAUSE_S: Final = 0.1
_TROUBLE: Final = (UpstreamError, UnreadableAnswerError)


class WedgeWatch:
    """Looks at silent requests when their time is over; between, nothing runs.

    `cured` is awaited with the outcome for each model that hung.
    """

    def __init__(
        self,
        backends: Callable[[], Iterable[Backend]],
        cured: Callable[[Backend, Attempt, bool], Awaitable[None]],
        *,
        clock: Clock,
        wedge_after_s: float,
        timing: Timing,
    ) -> None:
        self._backends = backends
        self._cured = cured
        self._clock = clock
        self._wedge_after_s = wedge_after_s
        self._timing = timing
        self._alarm: Alarm | None = None
        self._examining: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._unloaded_at: dict[tuple[str, str], float] = {}

    async def aclose(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        tasks = list(self._examining.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def sent(self) -> None:
        """A request is on its way: look again when the first could be overdue, unless that is arranged already."""
        if self._alarm is None:
            self._alarm = self._clock.call_at(self._clock.now() + self._wedge_after_s, self._look)

    def _look(self) -> None:
        self._alarm = None
        now = self._clock.now()
        next_at = math.inf
        for backend in self._backends():
            if backend.plan.shared:
                continue
            for attempt in [
                known for known in backend.attempts if known.first_at is None and known.on_wedged
            ]:
                due = self._overdue_at(backend, attempt)
                if due <= now:
                    self._examine_soon(backend, attempt)
                    due = now + self._wedge_after_s
                next_at = min(next_at, due)
        if next_at < math.inf:
            self._alarm = self._clock.call_at(next_at, self._look)

    def _overdue_at(self, backend: Backend, attempt: Attempt) -> float:
        longest_s = backend.first_tokens.longest_s(attempt.silence, attempt.prompt_tokens)
        return max(attempt.patient_until, attempt.sent_at + longest_s + self._wedge_after_s)

    # -- one model on one server ------------------------------------------------------------------------------

    def _examine_soon(self, backend: Backend, attempt: Attempt) -> None:
        place = (backend.name, attempt.key)
        if place in self._examining:
            return
        task = self._examining[place] = asyncio.create_task(self._examine(backend, attempt))
        task.add_done_callback(lambda _: self._examining.pop(place))

    async def _examine(self, backend: Backend, attempt: Attempt) -> None:
        if await self._hangs(backend, attempt):
            await self._cure(backend, attempt)
        else:
            for known in backend.silent(attempt.key):
                known.patient_until = self._clock.now() + self._wedge_after_s

    async def _hangs(self, backend: Backend, attempt: Attempt) -> bool:
        if not backend.is_up or not backend.is_quiet(attempt.key):
            return False
        try:
            read_version(await fetch(backend.upstream, "GET", "/api/version", timeout_s=self._timing.probe_s))
            if not await self._is_loaded(backend, attempt):
                return False
        except _TROUBLE:
            return False  # the server itself is not well: that is for its probes
        if not await self._is_silent_again(backend, attempt):
            return False
        return backend.is_quiet(attempt.key) and attempt in backend.silent(attempt.key)

    async def _is_loaded(self, backend: Backend, attempt: Attempt) -> bool:
        body = await fetch(backend.upstream, "GET", "/api/ps", timeout_s=self._timing.question_s)
        backend.catalogue.loaded = read_listing(body)
        digest = known.digest if (known := backend.catalogue.find(attempt.model)) is not None else None
        name = model_key(attempt.model)
        return any(
            model_key(model.name) == name or model.digest == digest for model in backend.catalogue.loaded
        )

    async def _is_silent_again(self, backend: Backend, attempt: Attempt) -> bool:
        """Whether a tiny request gets nothing either. It is loaded as those who wait, so that it makes no difference."""
        can = backend.catalogue.can(attempt.model)
        body: dict[str, object] = {"model": attempt.model, "stream": False}
        if can is not None and "completion" not in can:
            path, body["input"], body["options"] = "/api/embed", ".", dict(attempt.loader)
        else:
            path, body["prompt"], body["options"] = "/api/generate", ".", {**attempt.loader, "num_predict": 1}
        warm = attempt.silence._replace(cold=False, whole=False)
        timeout_s = max(self._timing.second_try_s, backend.first_tokens.known_s(warm, 1) or 0.0)
        try:
            await ask(backend.upstream, "POST", path, body, timeout_s=timeout_s)
        except UpstreamError as error:
            return error.kind is Failure.TIMEOUT
        return False

    async def _cure(self, backend: Backend, attempt: Attempt) -> None:
        place = (backend.name, attempt.key)
        now = self._clock.now()
        cure: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        is_cured = False
        try:
            for waiting in backend.silent(attempt.key):
                if waiting.on_wedged is not None:
                    waiting.on_wedged(cure)
            if now - self._unloaded_at.get(place, -math.inf) >= _UNLOAD_AT_MOST_EVERY_S:
                self._unloaded_at[place] = now
                is_cured = await self._unload(backend, attempt)
            await self._cured(backend, attempt, is_cured)
        finally:
            cure.set_result(is_cured)

    async def _unload(self, backend: Backend, attempt: Attempt) -> bool:
        """Whether the model is gone from memory. It goes when the last who holds it has let go."""
        body: dict[str, object] = {"model": attempt.model, "keep_alive": 0, "stream": False}
        try:
            async with asyncio.timeout(self._timing.unload_s):
                await fetch(backend.upstream, "POST", "/api/generate", body, timeout_s=self._timing.unload_s)
                while await self._is_loaded(backend, attempt):  # noqa: ASYNC110 - a server tells of it only when asked
                    await asyncio.sleep(_LOOK_PAUSE_S)
        except (*_TROUBLE, TimeoutError) as error:
            _log.warning(
                "%s could not be unloaded from the server %s: %s", attempt.model, backend.name, error
            )
            return False
        return True
