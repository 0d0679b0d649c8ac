"""`ResponseCache`: hits, joined requests, bounds, and who never disturbs whom."""

from __future__ import annotations

import os
import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from opentelemetry.sdk.metrics.export import NumberDataPoint

from namel3ss.caching import Flight, Outcome, ResponseCache
from namel3ss.errors import UsageError
from namel3ss.observability.metrics import register_metric_listener, unregister_metric_listener
from namel3ss.observability.telemetry import use_telemetry
from tests.observability.receivers import MemorySdk, attributes
from tests.scheduling.clocks import ManualClock

KEY = b"key"


def fill(cache: ResponseCache, key: bytes, *pieces: bytes) -> None:
    taken = cache.take(key)
    assert taken.outcome is Outcome.MISS
    for piece in pieces:
        taken.seat.flight.add(piece)
    taken.seat.flight.complete()
    taken.seat.leave()


def test_second_request_gets_the_same_pieces_without_a_flight_of_its_own() -> None:
    cache = ResponseCache()
    fill(cache, KEY, b"a", b"b")

    for _ in range(2):
        taken = cache.take(KEY)
        assert taken.outcome is Outcome.HIT
        assert list(taken.seat) == [b"a", b"b"]
        taken.seat.leave()
    assert cache.take(b"other").outcome is Outcome.MISS


async def test_coroutines_and_threads_share_one_cache() -> None:
    cache = ResponseCache()
    leading = cache.take_async(KEY)
    joined = cache.take(KEY)
    assert (leading.outcome, joined.outcome) == (Outcome.MISS, Outcome.JOINED)
    leading.seat.flight.add(b"a")
    leading.seat.flight.complete()

    assert [piece async for piece in leading.seat] == list(joined.seat) == [b"a"]
    assert [piece async for piece in cache.take_async(KEY).seat] == [b"a"]


def test_equal_requests_of_many_threads_are_sent_once() -> None:
    cache = ResponseCache()
    sent = []
    ready = threading.Barrier(16)

    def ask() -> tuple[Outcome, list[bytes]]:
        ready.wait(10)
        taken = cache.take(KEY)
        if taken.outcome is Outcome.MISS:
            sent.append(1)
            for piece in (b"a", b"b", b"c"):
                taken.seat.flight.add(piece)
            taken.seat.flight.complete()
        return taken.outcome, list(taken.seat)

    with ThreadPoolExecutor(16) as threads:
        answers = [future.result(10) for future in [threads.submit(ask) for _ in range(16)]]

    assert len(sent) == 1
    assert all(pieces == [b"a", b"b", b"c"] for _, pieces in answers)
    outcomes = Counter(outcome for outcome, _ in answers)
    assert outcomes[Outcome.MISS] == 1
    assert outcomes[Outcome.HIT] + outcomes[Outcome.JOINED] == 15


def test_failure_reaches_those_who_joined_and_is_not_kept() -> None:
    cache = ResponseCache()
    leading, joined = cache.take(KEY), cache.take(KEY)
    leading.seat.flight.fail(KeyError("broken"))

    for taken in (leading, joined):
        with pytest.raises(KeyError):
            taken.seat.next_piece()
    assert cache.take(KEY).outcome is Outcome.MISS


def test_abandoned_answer_is_not_kept_and_not_joined() -> None:
    cache = ResponseCache()
    first = cache.take(KEY)
    first.seat.flight.add(b"half")
    first.seat.leave()

    second = cache.take(KEY)
    assert second.outcome is Outcome.MISS
    # The one that was given up ends late, and takes nothing away from its successor.
    first.seat.flight.complete()
    assert cache.take(KEY).outcome is Outcome.JOINED


def test_answer_grows_too_old() -> None:
    clock = ManualClock()
    cache = ResponseCache(ttl_s=60, clock=clock.now)
    fill(cache, KEY, b"a")

    clock.advance(60)
    assert cache.take(KEY).outcome is Outcome.HIT
    clock.advance(0.1)
    assert cache.take(KEY).outcome is Outcome.MISS
    assert cache.statistics().size_bytes == 0


def test_least_recently_used_answers_make_room_and_a_giant_is_not_kept() -> None:
    cache = ResponseCache(max_bytes=10_000)
    for name in (b"1", b"2", b"3"):
        fill(cache, name, b"x" * 2500)
    assert list(cache.take(b"1").seat)
    fill(cache, b"4", b"x" * 2500)

    assert cache.take(b"2").outcome is Outcome.MISS
    assert cache.take(b"1").outcome is Outcome.HIT
    assert cache.statistics().entries == 3
    fill(cache, b"giant", b"x" * 10_000)
    assert cache.statistics().entries == 3
    assert cache.statistics().size_bytes <= 10_000


def test_many_tiny_pieces_count_with_what_they_cost() -> None:
    cache = ResponseCache(max_bytes=10_000)
    fill(cache, KEY, *[b""] * 1000)

    assert cache.statistics().entries == 0


def test_everything_is_counted_and_told_to_listeners() -> None:
    heard: list[tuple[str, float, dict[str, str]]] = []

    def listen(name: str, values: dict[str, float], labels: dict[str, str]) -> None:
        if name.startswith("namel3ss.cache."):
            heard.append((name, values["value"], labels))

    register_metric_listener(listen)
    try:
        cache = ResponseCache()
        leading, joined = cache.take(KEY), cache.take(KEY)
        leading.seat.flight.add(b"a")
        leading.seat.flight.complete()
        assert list(joined.seat) == list(cache.take(KEY).seat)
        statistics = cache.statistics()
        cache.clear()
    finally:
        unregister_metric_listener(listen)

    assert (statistics.hits, statistics.joined, statistics.misses, statistics.entries) == (1, 1, 1, 1)
    assert heard == [
        ("namel3ss.cache.requests", 1, {"outcome": "miss"}),
        ("namel3ss.cache.requests", 1, {"outcome": "joined"}),
        ("namel3ss.cache.size", statistics.size_bytes, {}),
        ("namel3ss.cache.requests", 1, {"outcome": "hit"}),
        ("namel3ss.cache.size", 0, {}),
    ]
    assert cache.statistics().entries == 0


@pytest.mark.parametrize(
    "wrong", [{"ttl_s": 0}, {"ttl_s": "5"}, {"ttl_s": float("nan")}, {"max_bytes": 0}, {"max_bytes": True}]
)
def test_bounds_that_are_none_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        ResponseCache(**wrong)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_forked_child_begins_with_an_empty_cache_though_a_thread_of_the_parent_held_the_lock() -> None:
    cache = ResponseCache()
    fill(cache, KEY, b"a")
    with cache._lock:
        child = os.fork()
        if child == 0:
            os._exit(0 if cache.take(KEY).outcome is Outcome.MISS else 1)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert cache.take(KEY).outcome is Outcome.HIT


def test_random_readers_that_leave_when_they_like_never_cut_the_others() -> None:
    cache = ResponseCache(max_bytes=5_000)
    pieces = [b"%d" % number for number in range(20)]
    feeders: list[threading.Thread] = []

    def send(flight: Flight) -> None:
        if all(flight.add(piece) for piece in pieces):
            flight.complete()

    def ask(seed: int) -> None:
        choose = random.Random(seed)
        for _ in range(30):
            taken = cache.take(b"%d" % choose.randrange(4))
            if taken.outcome is Outcome.MISS:
                feeder = threading.Thread(target=send, args=(taken.seat.flight,))
                feeders.append(feeder)
                feeder.start()
            wanted = choose.choice([0, 1, 7, 20])
            read = [taken.seat.next_piece(10) for _ in range(wanted)]
            assert read == pieces[:wanted]
            taken.seat.leave()

    with ThreadPoolExecutor(6) as threads:
        for future in [threads.submit(ask, seed) for seed in range(6)]:
            future.result(30)
    for feeder in feeders:
        feeder.join(10)

    statistics = cache.statistics()
    assert statistics.hits + statistics.joined + statistics.misses == 180
    assert statistics.size_bytes <= 5_000


def test_opentelemetry_gets_the_same_counts() -> None:
    sdk = MemorySdk()
    replaced = use_telemetry(sdk.telemetry)
    try:
        cache = ResponseCache()
        fill(cache, KEY, b"a")
        assert list(cache.take(KEY).seat) == [b"a"]
        metrics = sdk.metrics()
        size_bytes = cache.statistics().size_bytes
    finally:
        use_telemetry(replaced)
        sdk.close()

    assert attributes(metrics["namel3ss.cache.requests"]) == [{"outcome": "miss"}, {"outcome": "hit"}]
    (point,) = metrics["namel3ss.cache.size"].data.data_points
    assert isinstance(point, NumberDataPoint)
    assert point.value == size_bytes
