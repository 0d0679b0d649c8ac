"""What admitting and releasing cost, beside a bare heap and asyncio's priority queue; and the memory of waiting."""

from __future__ import annotations

import asyncio
import gc
import heapq
import itertools
import math
import time
import tracemalloc
from dataclasses import dataclass
from typing import TYPE_CHECKING

from namel3ss.scheduling.core import SchedulerCore
from namel3ss.scheduling.values import Policy, Request, Server

if TYPE_CHECKING:
    from collections.abc import Callable

USERS = 50
# Rounds are short, so that some of them are disturbed by nobody.
CYCLES = 100
ROUNDS = 400


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
    """Microseconds of processor time; the best of many short rounds, in turn, because other programs can only add."""
    cycles = (_core(waiting), _heap(waiting), _asyncio(waiting))
    best = [math.inf] * len(cycles)
    for _ in range(ROUNDS):
        for number, cycle in enumerate(cycles):
            started = time.thread_time()
            cycle()
            best[number] = min(best[number], time.thread_time() - started)
    return Cost(waiting, *(seconds / CYCLES * 1e6 for seconds in best))


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


class Turnover:
    """A core in which so many wait; for each request that comes one ends, and another starts."""

    def __init__(self, waiting: int) -> None:
        self._core = _filled(waiting)
        self._lease = self._core.take_events()[0][1].lease
        self._requests = itertools.cycle([_request(number) for number in range(USERS)])
        self._now = 0.0

    def play(self, cycles: int) -> None:
        core, requests, lease, now = self._core, self._requests, self._lease, self._now
        for _ in range(cycles):
            now += 0.0005
            core.submit(next(requests), now)
            assert lease is not None
            core.release(lease, now, tokens=320.0)
            lease = core.take_events()[0][1].lease
        self._lease, self._now = lease, now


def _core(waiting: int) -> Callable[[], None]:
    turnover = Turnover(waiting)
    return lambda: turnover.play(CYCLES)


def _heap(waiting: int) -> Callable[[], None]:
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

    return cycle


def _asyncio(waiting: int) -> Callable[[], None]:
    numbers = itertools.count()
    item = object()
    queue: asyncio.PriorityQueue[tuple[int, int, object]] = asyncio.PriorityQueue()
    for number in range(waiting):
        queue.put_nowait((number % 2, next(numbers), item))

    def cycle() -> None:
        for number in range(CYCLES):
            queue.put_nowait((number % 2, next(numbers), item))
            queue.get_nowait()

    return cycle
