"""An engine whose calls take their time, as those of one that lives in a store do: the memory engine behind a wire."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from namel3ss.scheduling import MemoryEngine, Policy

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine, Iterable

    from namel3ss.scheduling import Lease, Position, Request, Server, Statistics
    from namel3ss.scheduling.cores import Outcome
    from namel3ss.scheduling.engine import Clock

__all__ = ["LateEngine"]

T = TypeVar("T")


class LateEngine:
    """Every call suspends for two turns on its way there, and for two on its way back."""

    def __init__(self, policy: Policy, servers: Iterable[Server] = (), *, clock: Clock | None = None) -> None:
        self.policy = policy
        self._engine = MemoryEngine(policy, servers, clock=clock)
        self._certain: set[asyncio.Task[bool]] = set()

    async def open(self, listener: Callable[[Outcome], None], changed: Callable[[], None]) -> None:
        await self._there_and_back(self._engine.open(listener, changed))

    async def submit(self, request: Request) -> None:
        await self._there_and_back(self._engine.submit(request))

    async def release(
        self, lease: Lease, *, tokens: float | None = None, drain_s: float = 0.0, completed: bool = True
    ) -> bool:
        return await self._certainly(
            self._engine.release(lease, tokens=tokens, drain_s=drain_s, completed=completed)
        )

    async def renew(self, lease: Lease) -> Lease | None:
        return await self._there_and_back(self._engine.renew(lease))

    async def cancel(self, request_id: str) -> bool:
        return await self._certainly(self._engine.cancel(request_id))

    async def position(self, request_id: str) -> Position | None:
        return await self._there_and_back(self._engine.position(request_id))

    async def statistics(self, lane: str | None = None) -> Statistics:
        return await self._there_and_back(self._engine.statistics(lane))

    async def put_server(self, server: Server) -> None:
        await self._there_and_back(self._engine.put_server(server))

    async def drop_server(self, name: str) -> None:
        await self._there_and_back(self._engine.drop_server(name))

    async def report_loaded(self, name: str, models: Collection[str]) -> None:
        await self._there_and_back(self._engine.report_loaded(name, models))

    async def aclose(self) -> None:
        if self._certain:
            await asyncio.wait(self._certain)
        await self._there_and_back(self._engine.aclose())

    async def _there_and_back(self, call: Coroutine[object, object, T]) -> T:
        try:
            await self._travel()
        except asyncio.CancelledError:
            call.close()
            raise
        result = await call
        await self._travel()
        return result

    async def _certainly(self, call: Coroutine[object, object, bool]) -> bool:
        """Takes effect also if whoever awaits it is cancelled."""
        task = asyncio.create_task(self._there_and_back(call))
        self._certain.add(task)
        task.add_done_callback(self._certain.discard)
        return await asyncio.shield(task)

    async def _travel(self) -> None:
        for _ in range(2):
            await asyncio.sleep(0)
