"""What the connections of one listener share: their limits, what each answer says, and who of them is idle."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from namel3ss.gateway.serving.connection import Connection
    from namel3ss.gateway.serving.limits import ConnectionLimits

__all__ = ["Room"]


class Room:
    """For one event loop. `aclose` is not needed once no connection is left."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self.is_closed = False
        """Whoever comes now shook hands for TLS while the address was closed, and is cut."""
        self.fixed_headers = b""
        """The lines that every answer has."""
        self.local: dict[tuple[str, int | None], tuple[str, int | None]] = {}
        """The addresses of this machine under which clients have come."""
        self.is_empty = asyncio.Event()
        self.is_empty.set()
        self._idle: dict[Connection, float] = {}
        """Since when, the longest first."""
        self._sweeper: asyncio.TimerHandle | None = None

    def rest(self, connection: Connection) -> None:
        """It has nothing to do until its client asks again."""
        loop = connection.loop
        self._idle[connection] = loop.time()
        if self._sweeper is None:
            # One timer for all: each of a thousand requests a second would set its own, and stop it again.
            self._sweeper = loop.call_later(self.limits.idle_s, self._sweep, loop)

    def wake(self, connection: Connection) -> None:
        """It is not idle any more."""
        self._idle.pop(connection, None)

    def empty(self) -> None:
        """No connection is left."""
        self.is_empty.set()
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None

    def make_place(self) -> bool:
        """Close the connection that has been idle longest; False where none is idle."""
        for connection in self._idle:
            del self._idle[connection]
            connection.close()
            return True
        return False

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close who has been idle for too long."""
        self._sweeper = None
        latest = loop.time() - self.limits.idle_s
        for connection in [each for each, since in self._idle.items() if since <= latest]:
            del self._idle[connection]
            connection.close()
        for since in self._idle.values():
            self._sweeper = loop.call_at(since + self.limits.idle_s, self._sweep, loop)
            break
