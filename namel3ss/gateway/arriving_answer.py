"""An answer on its way: pieces that its connection has brought, and that whoever asked has not read yet."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from namel3ss.gateway.upstream_answer import UpstreamAnswer, UpstreamError
from namel3ss.providers.transport.failure_kinds import Failure

__all__ = ["ArrivingAnswer", "Line"]

# Beyond this the server waits until the caller has read.
_BUFFER_BYTES: Final = 256 * 1024


class Line(Protocol):
    """The connection, as its answer sees it."""

    def resume(self) -> None:
        """There is room for more."""

    def abort(self) -> None:
        """Nobody reads any more."""


class ArrivingAnswer(UpstreamAnswer):
    """Whoever asked reads, and the connection tells what has come. It lets go of the connection at the end."""

    __slots__ = (
        "_connection",
        "_ended",
        "_error",
        "_pieces",
        "_size",
        "_timeout_s",
        "_waiter",
    )

    def __init__(self, server: str, connection: Line, timeout_s: float | None) -> None:
        self.server = server
        self.status = 0
        self.content_type = b""
        self.retry_after = None
        self._connection: Line | None = connection
        self._timeout_s = timeout_s
        self._pieces: list[bytes] = []
        self._size = 0
        self._waiter: asyncio.Future[None] | None = None
        self._ended = False
        self._error: UpstreamError | None = None

    async def begun(self) -> None:
        """Wait for the status and the headers. Raises UpstreamError."""
        while not self.status:
            await self._wait(is_answering=False)

    async def read_piece(self) -> bytes:
        while not self._pieces:
            if self._ended:
                return b""
            await self._wait(is_answering=True)
        pieces = self._pieces
        piece = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._size = 0
        if self._connection is not None:
            self._connection.resume()
        return piece

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()

    async def _wait(self, *, is_answering: bool) -> None:
        if self._error is not None:
            raise self._error
        waiter = self._waiter = asyncio.get_running_loop().create_future()
        try:
            if self._timeout_s is None:
                await waiter
            else:
                async with asyncio.timeout(self._timeout_s):
                    await waiter
        except TimeoutError:
            raise UpstreamError(
                self.server, Failure.TIMEOUT, f"silent for {self._timeout_s:g} s", is_answering=is_answering
            ) from None
        finally:
            self._waiter = None

    # -- what the connection tells ------------------------------------------------------------------------------

    def begin(self, status: int) -> None:
        self.status = status
        self._wake()

    def take(self, piece: bytes) -> bool:
        """False where more should not come before somebody has read."""
        self._pieces.append(piece)
        self._size += len(piece)
        if len(self._pieces) == 1:  # else whoever reads has been woken
            self._wake()
        return self._size <= _BUFFER_BYTES

    def end(self) -> None:
        """It is whole, and the connection another's."""
        self._ended = True
        self._connection = None
        self._wake()

    def fail(self, kind: Failure, reason: str) -> None:
        if self._error is None and not self._ended:
            self._error = UpstreamError(self.server, kind, reason, is_answering=self.status != 0)
            self._connection = None
            self._wake()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
