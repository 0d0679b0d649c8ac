"""Many requests of one provider, a few at a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from namel3ss.errors import UsageError
from namel3ss.providers.call_parts import check_batch, check_count

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

__all__ = ["run_batch"]

ItemT = TypeVar("ItemT")
AnswerT = TypeVar("AnswerT")
ErrorT = TypeVar("ErrorT", bound=Exception)


async def run_batch(
    batch: Sequence[ItemT],
    answer: Callable[[ItemT], Awaitable[AnswerT]],
    *,
    check: Callable[[ItemT], object],
    limit: int,
    expected: type[ErrorT],
) -> list[AnswerT | ErrorT]:
    """An answer, or the `expected` error, for each item, in their order; at most `limit` run at the same time.

    All are checked before the first is sent. Any other exception, and a cancellation, end them all. Raises UsageError for
    what is no batch, or no number of requests.
    """
    check_count(limit, "max_concurrency")
    check_batch(batch)
    items = list(batch)
    for index, item in enumerate(items):
        try:
            check(item)
        except UsageError as error:
            raise UsageError(f"batch[{index}]: {error.message}", suggestion=error.suggestion) from None
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
