"""Looking after one server: probes, and what it has, as seldom as will do.

A probe is a question for the version, on its own short timeout: an answer with status 200 that is no version of Ollama's
is a failure. What is loaded is asked for with the probes while the server is in use; the list of models now and then, and
whenever something says that it has changed.
"""

from __future__ import annotations

import asyncio
import logging
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from namel3ss.gateway.backends.asking import fetch
from namel3ss.gateway.backends.catalogue import (
    UnreadableAnswerError,
    read_details,
    read_listing,
    read_version,
)
from namel3ss.gateway.backends.health import ServerState
from namel3ss.gateway.backends.versions import version_warning
from namel3ss.gateway.upstream import UpstreamError
from namel3ss.providers.local.ollama import model_key

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from namel3ss.gateway.backends.backend import Backend
    from namel3ss.scheduling.engine import Alarm, Clock

__all__ = ["Prober", "Timing"]

_log: Final = logging.getLogger("namel3ss.gateway.backends")
_TROUBLE: Final = (UpstreamError, UnreadableAnswerError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long the gateway's own questions may take, in seconds."""

    probe_s: float = 2.0
    question_s: float = 10.0
    second_try_s: float = 10.0
    """How long a tiny request must get nothing, so that its model counts as hanging."""
    unload_s: float = 10.0
    listing_every_s: float = 60.0
    """While the server is in use; else five times as seldom."""
    listing_again_s: float = 2.0
    """At the soonest, as long as somebody misses a model."""


class Prober:
    """The watch over one server. One probe at a time; whoever wants one while it runs gets its result.

    `changed` is awaited after each probe that changed what the server may be given, and after each look at its models;
    `became` is told each new state.
    """

    def __init__(
        self,
        backend: Backend,
        names: Callable[[], tuple[str, ...]],
        changed: Callable[[Backend], Awaitable[None]],
        became: Callable[[Backend], None],
        clock: Clock,
        timing: Timing,
    ) -> None:
        self.backend = backend
        self._names = names
        self._changed = changed
        self._became = became
        self._clock = clock
        self._timing = timing
        self._alarm: Alarm | None = None
        self._alarm_at = math.inf
        self._running: asyncio.Task[None] | None = None
        self._again = False
        self._closed = False
        self._listed_at = -math.inf
        self._missed_at = -math.inf

    async def aclose(self) -> None:
        self._closed = True
        self._stop_alarm()
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    def probe_soon(self) -> None:
        """Probe now, or once more after the probe that runs."""
        self._stop_alarm()
        if self._closed:
            return
        if self._running is not None:
            self._again = True
        else:
            self._running = asyncio.create_task(self._round())
            self._running.add_done_callback(self._ended)

    def wake(self) -> None:
        """It comes into use: probe as often as that asks for, and not when it was to be at rest."""
        if self._alarm is not None:
            due = self._clock.now() + self.backend.health.next_probe_s(busy=True)
            if due < self._alarm_at:
                self._alarm.cancel()
                self._set_alarm(due)

    async def probed(self) -> None:
        """Wait for the end of the probe that runs, if one does."""
        if self._running is not None:
            await asyncio.wait([self._running])

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running = None
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            # A mistake of ours: it must be seen, and the server must go on being watched.
            _log.error("Watching the server %s failed", self.backend.name, exc_info=error)
        if self._closed:
            return
        if self._again:
            self._again = False
            self.probe_soon()
            return
        pause_s = self.backend.health.next_probe_s(busy=self.backend.is_busy)
        self._set_alarm(self._clock.now() + pause_s)

    def _set_alarm(self, when: float) -> None:
        self._alarm, self._alarm_at = self._clock.call_at(when, self._ring), when

    def _ring(self) -> None:
        self._alarm = None
        self.probe_soon()

    def _stop_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    # -- one round --------------------------------------------------------------------------------------------

    async def _round(self) -> None:
        backend, health = self.backend, self.backend.health
        before = health.state
        try:
            body = await fetch(backend.upstream, "GET", "/api/version", timeout_s=self._timing.probe_s)
            version = read_version(body)
        except _TROUBLE as error:
            if health.probe_failed(backend.now(), _reason(error)):
                await self._changed(backend)
            self._tell_state(before)
            return
        self._take_version(version)
        if before is not ServerState.UP or backend.is_busy or self._is_listing_due():
            # Before it is used: what is sent there should find its model.
            await self.look()
        if health.probe_succeeded(backend.now()):
            await self._changed(backend)
        self._tell_state(before)

    async def look(self) -> None:
        """Read again what is loaded and, where that is due, what is installed."""
        backend = self.backend
        try:
            if self._is_listing_due():
                await self._read_installed()
            loaded = read_listing(await self._get("/api/ps"))
        except _TROUBLE as error:
            _log.warning("The server %s does not say what it has: %s", backend.name, _reason(error))
        else:
            backend.catalogue.loaded = loaded
            backend.saw_loaded(len(loaded))
        await self._changed(backend)

    def list_soon(self) -> None:
        """The list of models is to be read again at the next opportunity."""
        self._listed_at = -math.inf

    def look_for_more(self) -> None:
        """Somebody misses a model that may have come since: list them now, unless somebody did a moment ago."""
        now = self.backend.now()
        if now - self._missed_at >= self._timing.listing_again_s:
            self._missed_at = now
            self.list_soon()
            self.probe_soon()

    async def _read_installed(self) -> None:
        backend = self.backend
        changed = backend.catalogue.take_installed(read_listing(await self._get("/api/tags")))
        self._listed_at = backend.now()
        for name in self._names():
            if model_key(name) in changed:
                _log.info("The server %s has another version of %s", backend.name, name)
                backend.first_tokens.forget(name)
            model = backend.catalogue.find(name)
            if model is None or backend.catalogue.details(model) is not None:
                continue
            shown = await fetch(
                backend.upstream,
                "POST",
                "/api/show",
                {"model": model.name},
                timeout_s=self._timing.question_s,
            )
            backend.catalogue.learn(model, read_details(shown))

    async def _get(self, path: str) -> bytes:
        return await fetch(self.backend.upstream, "GET", path, timeout_s=self._timing.question_s)

    def _is_listing_due(self) -> bool:
        every_s = self._timing.listing_every_s * (1 if self.backend.is_busy else 5)
        return self.backend.now() - self._listed_at >= every_s

    def _take_version(self, version: str) -> None:
        if version == self.backend.version:
            return
        self.backend.version = version
        self._listed_at = -math.inf
        if (warning := version_warning(version)) is not None:
            _log.warning("The server %s: %s", self.backend.name, warning)

    def _tell_state(self, before: ServerState) -> None:
        health = self.backend.health
        if health.state is not before:
            self._became(self.backend)
            why = f" ({health.reason})" if health.reason else ""
            _log.log(
                logging.WARNING if health.state is ServerState.DOWN else logging.INFO,
                "The server %s is %s%s",
                self.backend.name,
                health.state,
                why,
            )


def _reason(error: UpstreamError | UnreadableAnswerError) -> str:
    """In words that hold no address."""
    return error.kind.value if isinstance(error, UpstreamError) else str(error)
