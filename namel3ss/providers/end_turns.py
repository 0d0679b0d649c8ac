"""The ends of answers take turns, one in each turn of the event loop.

An end costs as much as dozens of pieces: the call is recorded, and its connection made fit for the next. Where many
answers end together, the pieces of the others that have arrived meanwhile go first.
"""

from __future__ import annotations

import asyncio
import weakref
from collections import deque

__all__ = ["take_turn"]


class _Turns:
    """Those who wait in one event loop. While anybody does, a callback is scheduled."""

    __slots__ = ("_loop", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(loop)
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def take(self, loop: asyncio.AbstractEventLoop) -> None:
        turn = loop.create_future()
        self._waiting.append(turn)
        if len(self._waiting) == 1:
            loop.call_soon(self._let_one_go)
        await turn

    def _let_one_go(self) -> None:
        waiting = self._waiting
        turn = waiting.popleft()
        # Who was cancelled meanwhile needs no turn.
        while turn.done() and waiting:
            turn = waiting.popleft()
        if not turn.done():
            turn.set_result(None)
        if waiting and (loop := self._loop()) is not None:
            loop.call_soon(self._let_one_go)


_turns: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Turns] = weakref.WeakKeyDictionary()


async def take_turn() -> None:
    """Wait until it is this end's turn: the next one of the loop at the earliest."""
    loop = asyncio.get_running_loop()
    turns = _turns.get(loop)
    if turns is None:
        turns = _turns[loop] = _Turns(loop)
    await turns.take(loop)
