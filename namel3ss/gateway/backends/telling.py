"""Keeping the queue told of the servers: what each can take, what it has loaded, and what models are counted by."""

from __future__ import annotations

import asyncio
import logging
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from namel3ss.gateway.backends.grouping import group_models
from namel3ss.gateway.backends.placing import place
from namel3ss.providers.local.ollama import model_key
from namel3ss.scheduling import SchedulerClosedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from namel3ss.gateway.backends.backend import Backend
    from namel3ss.gateway.backends.catalogue import Installed
    from namel3ss.scheduling import Scheduler, Server
    from namel3ss.scheduling.engine import Alarm, Clock

__all__ = ["Teller"]

_log: Final = logging.getLogger("namel3ss.gateway.backends")


class Teller:
    """Tells the scheduler what has changed, and again by itself when something's rest is over.

    `models` are those that are served. `clock` is to be set before anything is told.
    """

    def __init__(
        self, scheduler: Scheduler, models: Sequence[str], backends: Callable[[], list[Backend]]
    ) -> None:
        self.clock: Clock | None = None
        self._scheduler = scheduler
        self._models = models
        self._backends = backends
        self._spelt = {name: model_key(name) for name in models}
        self._keys: dict[str, str] = {self._spelt[name]: name for name in reversed(models)}
        self._groups: dict[str, list[str]] = {}
        self._told: dict[str, Server] = {}
        self._lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._again = False
        self._alarm: Alarm | None = None

    async def aclose(self) -> None:
        self._wake_at(math.inf)
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def model_key(self, model: str) -> str:
        """What the queue counts a model by; one that is not served stands for itself."""
        key = self._keys.get(model)
        if key is not None:
            return key
        # By the spelling of the plan, which is asked for with every request; any other is read anew.
        return self._keys.get(self._spelt.get(model) or model_key(model), model)

    async def tell(self) -> None:
        """Have the queue see the servers as they are now."""
        async with self._lock:
            assert self.clock is not None  # set before anything is told
            backends, now = self._backends(), self.clock.now()
            self._group(backends)
            with suppress(SchedulerClosedError):
                for name, server in place(backends, self._groups, now).items():
                    if self._told.get(name) != server:
                        self._told[name] = server
                        await self._scheduler.put_server(server)
            self._wake_at(min((backend.next_opening(now) for backend in backends), default=math.inf))

    def tell_soon(self) -> None:
        """The same from where nothing can be awaited."""
        if self._task is not None:
            self._again = True
        else:
            self._task = asyncio.create_task(self.tell())
            self._task.add_done_callback(self._told_so)

    async def tell_loaded(self, backend: Backend) -> None:
        """Have the queue know what a server that it was told of has loaded."""
        if backend.name in self._told:
            loaded = {self._key_of(backend, model) for model in backend.catalogue.loaded}
            with suppress(SchedulerClosedError):
                await self._scheduler.report_loaded(backend.name, loaded)

    async def drop(self, server: str) -> None:
        """A server is gone; the others may have to do what it did."""
        self._told.pop(server, None)
        with suppress(SchedulerClosedError):
            await self._scheduler.drop_server(server)
        await self.tell()

    def _told_so(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            _log.error("The queue could not be told of the servers", exc_info=error)
        if self._again:
            self._again = False
            self.tell_soon()

    def _key_of(self, backend: Backend, loaded: Installed) -> str:
        """What the queue counts a loaded model by, be it loaded under a name that is not served."""
        key = self._keys.get(model_key(loaded.name))
        if key is not None:
            return key
        for name in self._models:
            known = backend.catalogue.find(name)
            if known is not None and known.digest == loaded.digest:
                return self.model_key(name)
        return loaded.name

    def _group(self, backends: list[Backend]) -> None:
        keys = group_models(self._models, backends)
        if keys == self._keys and self._groups:
            return
        self._keys = keys
        self._groups = {}
        for name, key in keys.items():
            self._groups.setdefault(key, []).append(name)

    def _wake_at(self, when: float) -> None:
        """Tell again when the next rest of something ends."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if when < math.inf and self.clock is not None:
            self._alarm = self.clock.call_at(when, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self.tell_soon()
