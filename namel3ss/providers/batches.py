"""Many requests of one provider, a few at a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

__all__ = ["run_batch"]

ItemT = TypeVar("ItemT")
AnswerT = TypeVar("AnswerT")
ErrorT = TypeVar("ErrorT", bound=Exception)


async def run_batch(
    items: Sequence[ItemT],
    answer: Callable[[ItemT], Awaitable[AnswerT]],
    *,
    limit: int,
    expected: type[ErrorT],
) -> list[AnswerT | ErrorT]:
    """An answer, or the `expected` error, for each item, in their order; at most `limit` run at the same time.

    Any other exception, and a cancellation, end them all.
    """
    results: list[AnswerT | ErrorT | None] = [None] * len(items)
    waiting = iter(enumerate(items))

    async def work() -> None:
        for index, item in waiting:
            try:
                results[index] = await answer(item)
            except expected as error:
                results[index] = error

    async with asyncio.TaskGroup() as group:
        for _ in range(min(limit, len(items))):
            group.create_task(work())
    return [result for result in results if result is not None]
