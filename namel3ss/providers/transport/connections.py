"""Connections of aiohttp that a request can rely on: none that the server has closed, none that outlives its answer.

Whoever uses aiohttp to reach a server of a provider uses these two, through httpx's types (`library`) or without.
"""

from __future__ import annotations

import contextlib
import select
import warnings
import weakref
from typing import TYPE_CHECKING, Final

import aiohttp
from aiohttp.http_exceptions import TransferEncodingError

if TYPE_CHECKING:
    import asyncio

    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

__all__ = ["Connector", "Response"]

# Long enough for the pauses of a conversation; servers drop idle connections later or not at all.
_KEEP_ALIVE_S: Final = 15.0


class Connector(aiohttp.TCPConnector):
    """Never sends a request on a kept connection that the server has closed meanwhile.

    Such a request would fail without an answer, and nobody could tell whether the server had begun to work on it. The
    end of a connection is noticed by the event loop; one that has come since its last turn is looked for here.
    """

    def __init__(self) -> None:
        super().__init__(limit=0, keepalive_timeout=_KEEP_ALIVE_S)
        self._used: weakref.WeakSet[object] = weakref.WeakSet()

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol = connection.protocol
            if protocol is not None and protocol not in self._used:
                self._used.add(protocol)
                if protocol.closed is not None:
                    protocol.closed.add_done_callback(_look_at)
                return connection
            if not _has_something_to_read(connection.transport):
                return connection
            connection.close()

    def __del__(self, *_: object) -> None:
        # aiohttp would also write an error into the log of the loop. This happens only where a collection of garbage finds
        # the connector before the provider, which otherwise warns and closes.
        if self._closed or not self._conns:
            return
        with contextlib.suppress(StopIteration):
            next(self.close().__await__())
        warnings.warn(
            "Connections of a provider that was not closed", ResourceWarning, source=self, stacklevel=2
        )


def _look_at(lost: asyncio.Future[None]) -> None:
    """How a connection ended is told to whoever waits; as a mere future it would be complained about."""
    if not lost.cancelled():
        lost.exception()


def _has_something_to_read(transport: asyncio.Transport | None) -> bool:
    """Whether the other side has closed or reset a connection, or sent what nobody asked for."""
    connection = transport.get_extra_info("socket") if transport is not None else None
    if connection is None:
        return True
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([connection], [], [], 0)[0])
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))


class Response(aiohttp.ClientResponse):
    """Does two things that aiohttp's own does not.

    It closes an unfinished answer by dropping its connection, which is what stops the server. And it ends the wait for
    more of an answer whose chunks break the rules: aiohttp then closes the connection, and tells nobody who waits.
    """

    _lost: asyncio.Future[None] | None = None

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        protocol = connection.protocol
        await super().start(connection)
        self._lost = protocol.closed if protocol is not None else None
        if self._lost is None:
            self._end_the_wait()
        else:
            self._lost.add_done_callback(self._end_the_wait)
        return self

    def _end_the_wait(self, lost: asyncio.Future[None] | None = None) -> None:
        if not self.content.is_eof() and self.content.exception() is None:
            self.content.set_exception(TransferEncodingError("its chunks break the rules"))

    def release(self) -> object:
        self._abort()
        return super().release()

    def close(self) -> None:
        self._abort()
        super().close()

    def _abort(self) -> None:
        if self._lost is not None:
            self._lost.remove_done_callback(self._end_the_wait)
            self._lost = None
        connection = self.connection
        if connection is not None and connection.transport is not None:
            # Still ours, so the body has not ended. Closing would first wait for what is still to be sent.
            connection.transport.abort()
