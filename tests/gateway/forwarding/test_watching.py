"""The watch over requests under way: none loses its limits to another."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from namel3ss.gateway.forwarding.interruption import Interruption
from namel3ss.gateway.forwarding.watching import Look, Watch

if TYPE_CHECKING:
    from namel3ss.gateway.exchange import Exchange


class Scripted(Look):
    """Looks as it is told, without a caller to listen to."""

    def __init__(self, interruption: Interruption, error: Exception | None = None) -> None:
        super().__init__(cast("Exchange", None), interruption)
        self.seen_often = asyncio.Event()
        self._error = error
        self._count = 0

    def look(self, now: float) -> None:
        self._count += 1
        if self._count == 3:
            self.seen_often.set()
        if self._error is not None:
            raise self._error


async def test_a_look_that_fails_ends_its_own_request_and_the_others_are_looked_after() -> None:
    watch = Watch()
    error = ValueError("no number")

    async def request(failing: bool) -> None:
        interruption = Interruption()
        look = Scripted(interruption, error if failing else None)
        watch.add(look)
        try:
            await look.seen_often.wait()
        except asyncio.CancelledError:
            interruption.explain()
            raise
        finally:
            interruption.end()
            watch.remove(look)

    async with asyncio.timeout(10):
        ends = await asyncio.gather(*(request(failing=n % 2 == 0) for n in range(6)), return_exceptions=True)

    assert ends == [error, None, error, None, error, None]


async def test_once_nobody_is_looked_after_a_new_request_is() -> None:
    watch = Watch()
    for _ in range(2):
        look = Scripted(Interruption())
        watch.add(look)
        async with asyncio.timeout(10):
            await look.seen_often.wait()
        watch.remove(look)
