"""What admitting and releasing cost, beside a bare heap and asyncio's priority queue; and the memory of waiting."""

from __future__ import annotations

import asyncio
import gc
import heapq
import itertools
import time
import tracemalloc
from dataclasses import dataclass
from typing import TYPE_CHECKING

from namel3ss.scheduling.core import SchedulerCore
from namel3ss.scheduling.values import Policy, Request, Server

if TYPE_CHECKING:
    from collections.abc import Callable

USERS = 50
CYCLES = 2000
REPEATS = 7


@dataclass(frozen=True)
class Cost:
    """Microseconds for one in and one out, with `waiting` others there."""

    waiting: int
    core_us: float
    heap_us: float
    asyncio_us: float

    @property
    def times_heap(self) -> float:
        return self.core_us / self.heap_us


def measure(waiting: int) -> Cost:
    return Cost(waiting, _core(waiting), _heap(waiting), _asyncio(waiting))


def bytes_per_waiting(waiting: int = 20_000) -> float:
    """What one more waiting request keeps in memory, its own `Request` not counted."""
    requests = [_request(number) for number in range(waiting)]
    core = _filled(0)
    gc.collect()
    tracemalloc.start()
    for request in requests:
        core.submit(request, 0.0)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return kept / waiting


def _request(number: int) -> Request:
    return Request(model="m", user=f"user{number % USERS}", priority=5 * (number % 2), cost=300.0)


def _filled(waiting: int) -> SchedulerCore:
    policy = Policy(classes=(0, 5), max_waiting=10**6, max_waiting_per_user=10**6)
    core = SchedulerCore(policy, [Server(name="gpu1")])
    for number in range(waiting + 1):
        core.submit(_request(number), 0.0)
    return core


def _core(waiting: int) -> float:
    core = _filled(waiting)
    lease = core.take_events()[0][1].lease
    requests = itertools.cycle([_request(number) for number in range(USERS)])
    now = 0.0

    def cycle() -> None:
        nonlocal lease, now
        for _ in range(CYCLES):
            now += 0.0005
            core.submit(next(requests), now)
            assert lease is not None
            core.release(lease, now, tokens=320.0)
            lease = core.take_events()[0][1].lease

    return _best(cycle)


def _heap(waiting: int) -> float:
    numbers = itertools.count()
    item = object()
    heap = [(number % 2, 300.0 * number, next(numbers), item) for number in range(waiting)]
    heapq.heapify(heap)
    tag = 300.0 * waiting

    def cycle() -> None:
        nonlocal tag
        for number in range(CYCLES):
            tag += 300.0
            heapq.heappush(heap, (number % 2, tag, next(numbers), item))
            heapq.heappop(heap)

    return _best(cycle)


def _asyncio(waiting: int) -> float:
    numbers = itertools.count()
    item = object()
    queue: asyncio.PriorityQueue[tuple[int, int, object]] = asyncio.PriorityQueue()
    for number in range(waiting):
        queue.put_nowait((number % 2, next(numbers), item))

    def cycle() -> None:
        for number in range(CYCLES):
            queue.put_nowait((number % 2, next(numbers), item))
            queue.get_nowait()

    return _best(cycle)


def _best(cycle: Callable[[], None]) -> float:
    """Microseconds of processor time a cycle; the best of several rounds, because other programs can only add."""
    best = float("inf")
    for _ in range(REPEATS):
        started = time.thread_time()
        cycle()
        best = min(best, time.thread_time() - started)
    return best / CYCLES * 1e6
