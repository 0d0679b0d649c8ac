"""Looking after requests that are under way: whether their callers are still there, and their servers not silent.

Most requests are over sooner than a task could be started for each. So one timer for all of them looks around, and only
who is still there at its second look gets a listener of its own.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from namel3ss.gateway.exchange import CallerLeft
from namel3ss.gateway.upstream import UpstreamError
from namel3ss.providers.transport.failure_kinds import Failure

if TYPE_CHECKING:
    from namel3ss.gateway.exchange import Exchange
    from namel3ss.gateway.forwarding.interruption import Interruption

__all__ = ["Look", "Watch"]

_INTERVAL_S: Final = 0.05


class Look:
    """One request under way, as the watch sees it."""

    __slots__ = (
        "_is_listening",
        "_is_over",
        "_listener",
        "_looks",
        "_seen",
        "_since",
        "exchange",
        "interruption",
        "limit_s",
        "server",
        "steps",
    )

    def __init__(self, exchange: Exchange, interruption: Interruption) -> None:
        self.exchange = exchange
        self.interruption = interruption
        self.server = ""
        self.limit_s: float | None = None
        """How long the server may be silent; None: nothing is asked of it now."""
        self.steps = 0
        """Grows with everything that happens."""
        self._seen = -1
        self._since = 0.0
        self._looks = 0
        self._is_listening = self._is_over = False
        self._listener: asyncio.Task[None] | None = None

    def expect(self, server: str, limit_s: float | None) -> None:
        """A request has been sent; the server may be silent for so long."""
        self.server, self.limit_s = server, limit_s
        self.steps += 1

    def listen(self) -> None:
        """Notice from now on at once when the caller leaves. The request's body must have been read."""
        if self._is_listening:
            return
        self._is_listening = True
        if not self.exchange.call_on_departure(self._leave):
            self._listener = asyncio.get_running_loop().create_task(self._hear())

    def look(self, now: float) -> None:
        """Called from time to time."""
        self._looks += 1
        if not self._is_listening and self._looks > 1:
            self.listen()
        if self.steps != self._seen:
            self._seen, self._since = self.steps, now
        elif self.limit_s is not None and now - self._since > self.limit_s:
            self.interruption.interrupt(
                UpstreamError(
                    self.server, Failure.TIMEOUT, f"silent for {self.limit_s:g} s", is_answering=True
                )
            )

    def end(self) -> None:
        """Stop listening."""
        self._is_over = True
        if self._listener is not None:
            self._listener.cancel()

    async def _hear(self) -> None:
        await self.exchange.wait_for_departure()
        self._leave()

    def _leave(self) -> None:
        if not self._is_over:
            self.interruption.interrupt(CallerLeft("the caller left before its answer was complete"))


class Watch:
    """Looks at all requests that are with a server, as long as there are any."""

    def __init__(self) -> None:
        self._looks: set[Look] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, look: Look) -> None:
        self._looks.add(look)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_INTERVAL_S, self._look_around)

    def remove(self, look: Look) -> None:
        self._looks.discard(look)

    def _look_around(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for look in self._looks:
            try:
                look.look(now)
            except Exception as error:  # noqa: BLE001  # it ends its request, and takes no limit from the others
                look.interruption.interrupt(error)
        self._timer = loop.call_later(_INTERVAL_S, self._look_around) if self._looks else None
