"""What a caller is told of its wait: headers, and comments in a stream of events for whoever asked for them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from namel3ss.gateway.dialects import EVENT_STREAM

if TYPE_CHECKING:
    from namel3ss.gateway.exchange import Exchange
    from namel3ss.scheduling import Position, Scheduler

__all__ = ["AT_ONCE", "NO_WAIT", "STREAM_HEADERS", "WaitNews", "headers_at_arrival", "wait_header"]

STREAM_HEADERS: Final = ((b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no"))

AT_ONCE: Final = ((b"x-queue-position", b"0"), (b"x-queue-eta", b"0"))
"""For a request that found a slot, or had it before anybody could look."""
NO_WAIT: Final = (*AT_ONCE, (b"x-queue-wait", b"0"))


def headers_at_arrival(position: Position) -> tuple[tuple[bytes, bytes], ...]:
    """How many requests go first, 0 for the next one, and in how many seconds a slot is expected for it."""
    place = (b"x-queue-position", _place(position).encode())
    if position.wait is None:
        return (place,)
    return (place, (b"x-queue-eta", b"%.1f" % position.wait.expected_s))


def wait_header(waited_s: float) -> tuple[bytes, bytes]:
    """How many seconds it really took."""
    return (b"x-queue-wait", b"%.3f" % waited_s)


class WaitNews:
    """Early headers, and a comment with each change of the position, while a request waits. Entered for the wait."""

    def __init__(
        self, exchange: Exchange, scheduler: Scheduler, headers: tuple[tuple[bytes, bytes], ...]
    ) -> None:
        self._exchange = exchange
        self._scheduler = scheduler
        self._headers = headers
        self._telling: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Commits the status: whatever goes wrong later comes as an event."""
        await self._exchange.start(200, [(b"content-type", EVENT_STREAM), *STREAM_HEADERS, *self._headers])
        await self._exchange.send_piece(b"")  # a head goes out with the first piece
        self._telling = asyncio.get_running_loop().create_task(self._tell())

    async def end(self) -> None:
        """The wait is over. No comment goes out after this."""
        telling, self._telling = self._telling, None
        if telling is not None:
            telling.cancel()
            await asyncio.wait([telling])

    async def _tell(self) -> None:
        async for move in self._scheduler.watch(self._exchange.id):
            await self._exchange.send_piece(_comment(move.position))


def _comment(position: Position) -> bytes:
    text = f": queue position={_place(position)}"
    if position.wait is not None:
        text += f" eta={position.wait.expected_s:.1f}"
    return text.encode() + b"\n\n"


def _place(position: Position) -> str:
    return str(position.at_least) if position.exact else f"{position.at_least}-{position.at_most}"
