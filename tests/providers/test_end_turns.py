"""Ends of answers: one in each turn of the loop, whatever becomes of those who wait."""

from __future__ import annotations

import asyncio

from namel3ss.providers.end_turns import take_turn


class Counted:
    """Counts the turns of the running loop."""

    def __init__(self) -> None:
        self.turns = 0
        self._loop = asyncio.get_running_loop()
        self._handle = self._loop.call_soon(self._count)

    def _count(self) -> None:
        self.turns += 1
        self._handle = self._loop.call_soon(self._count)

    def stop(self) -> None:
        self._handle.cancel()


async def test_two_ends_never_happen_in_one_turn_of_the_loop_and_keep_their_order() -> None:
    counted = Counted()
    ended: list[tuple[int, int]] = []

    async def end(number: int) -> None:
        await take_turn()
        ended.append((number, counted.turns))

    await asyncio.gather(*(end(number) for number in range(20)))
    counted.stop()

    assert [number for number, _ in ended] == list(range(20))
    assert len({turn for _, turn in ended}) == 20


async def test_an_end_that_is_cancelled_while_it_waits_takes_nobody_else_s_turn() -> None:
    first, second, third = (asyncio.ensure_future(take_turn()) for _ in range(3))
    await asyncio.sleep(0)
    second.cancel()

    await asyncio.wait_for(asyncio.gather(first, third), 5)
    assert second.cancelled()

    last = asyncio.ensure_future(take_turn())
    await asyncio.sleep(0)
    last.cancel()
    await asyncio.wait([last])
    await asyncio.wait_for(take_turn(), 5)


def test_every_event_loop_has_turns_of_its_own() -> None:
    for _ in range(2):
        asyncio.run(asyncio.wait_for(take_turn(), 5))
