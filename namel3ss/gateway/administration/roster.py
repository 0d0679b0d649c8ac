"""Has the gateway use the servers that are stored beside the file's: at its start, and after each change of any process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Final, Self

from namel3ss.gateway.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from namel3ss.gateway.backends.backends import Backends
    from namel3ss.gateway.plan import BackendPlan, GatewayPlan
    from namel3ss.gateway.store import Keyring

__all__ = ["Roster"]

_logger: Final = logging.getLogger("namel3ss.gateway")


class Roster:
    """An async context manager: inside it `backends` follows the store. What the file declares it never touches."""

    def __init__(self, plan: GatewayPlan, keyring: Keyring, backends: Backends) -> None:
        self._keyring = keyring
        self._backends = backends
        self._declared = frozenset(backend.name for backend in plan.backends)
        self._used: dict[str, BackendPlan] = {}
        self._news = asyncio.Event()
        self._following = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._keyring.on_changed(self._news.set)
        await self.follow()
        self._task = asyncio.create_task(self._follow_on(), name="gateway roster")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def follow(self) -> None:
        """Use exactly what is stored and not disabled."""
        async with self._following:
            wanted = self._wanted()
            for name, plan in list(self._used.items()):
                if wanted.get(name) != plan:
                    del self._used[name]
                    await self._backends.remove(name)
            for name, plan in wanted.items():
                if name not in self._used:
                    await self._backends.add(plan)
                    self._used[name] = plan

    def _wanted(self) -> Mapping[str, BackendPlan]:
        # A name that the file has taken since counts as the file says.
        stored = self._keyring.snapshot.servers
        return {server.name: server.backend for server in stored if server.name not in self._declared}

    async def _follow_on(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                await self.follow()
            except Refusal as refusal:
                _logger.warning("The stored servers are not followed: %s", refusal.message)
