"""What is known about installed models: for how long, and asked how often."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from namel3ss.errors import UsageError
from namel3ss.providers.local.ollama._availability import ModelAvailabilityCache
from tests.support.clock import ManualClock


async def test_an_unknown_model_is_none_and_a_known_one_is_remembered():
    cache = ModelAvailabilityCache(ttl=60)

    assert await cache.get("llama3:8b") is None
    await cache.set("llama3:8b", True)
    await cache.set("mistral", False)

    assert await cache.get("llama3:8b") is True
    assert await cache.get("mistral") is False


async def test_an_entry_expires_after_its_time():
    clock = ManualClock()
    cache = ModelAvailabilityCache(ttl=60, clock=clock)
    await cache.set("llama3", True)

    clock.advance(59.9)
    assert await cache.get("llama3") is True
    clock.advance(0.1)
    assert await cache.get("llama3") is None


async def test_a_time_to_live_of_nothing_remembers_nothing():
    cache = ModelAvailabilityCache(ttl=0)
    await cache.set("llama3", True)

    assert await cache.get("llama3") is None


async def test_two_spellings_of_one_model_are_one_entry():
    cache = ModelAvailabilityCache()
    await cache.set("LLAMA3", True)

    assert await cache.get("library/llama3:latest") is True
    await cache.invalidate("llama3:latest")
    assert await cache.get("LLAMA3") is None


async def test_clear_forgets_everything():
    cache = ModelAvailabilityCache()
    await cache.set("a", True)
    await cache.set("b", True)

    await cache.clear()

    assert await cache.get("a") is None
    assert repr(cache) == "<ModelAvailabilityCache ttl=60 s, 0 models>"


async def test_memory_is_bounded_and_the_oldest_goes_first():
    cache = ModelAvailabilityCache()
    for number in range(1100):
        await cache.set(f"m{number}", True)

    assert await cache.get("m0") is None
    assert await cache.get("m1099") is True


class Server:
    """Answers look-ups when told to, and counts them."""

    def __init__(self, answer: bool = True) -> None:
        self.answer = answer
        self.asked = 0
        self.started = asyncio.Event()
        self.release = asyncio.Event()
        self.cancelled = False

    async def __call__(self) -> bool:
        self.asked += 1
        self.started.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return self.answer


async def test_concurrent_misses_share_one_look_up():
    cache, server = ModelAvailabilityCache(), Server()
    callers = [asyncio.ensure_future(cache.look_up(name, server)) for name in ("llama3", "LLAMA3:latest")]
    await server.started.wait()

    server.release.set()

    assert await asyncio.gather(*callers) == [True, True]
    assert server.asked == 1
    assert await cache.get("llama3") is True


async def test_a_cancelled_caller_does_not_cancel_the_others():
    cache, server = ModelAvailabilityCache(), Server()
    first, second = [asyncio.ensure_future(cache.look_up("llama3", server)) for _ in range(2)]
    await server.started.wait()

    first.cancel()
    await asyncio.wait({first})
    server.release.set()

    assert await second is True
    assert not server.cancelled


async def test_the_last_caller_that_leaves_cancels_the_look_up():
    cache, server = ModelAvailabilityCache(), Server()
    callers = [asyncio.ensure_future(cache.look_up("llama3", server)) for _ in range(2)]
    await server.started.wait()

    for caller in callers:
        caller.cancel()
    await asyncio.wait(callers)

    assert server.cancelled
    assert await cache.get("llama3") is None


async def test_a_failed_look_up_reaches_everybody_and_is_not_remembered():
    cache = ModelAvailabilityCache()

    async def fail() -> bool:
        raise OSError("down")

    answers = await asyncio.gather(*(cache.look_up("llama3", fail) for _ in range(2)), return_exceptions=True)

    assert [str(answer) for answer in answers] == ["down", "down"]
    with pytest.raises(OSError, match="down"):
        await cache.look_up("llama3", fail)


async def test_an_invalidation_during_a_look_up_wins():
    cache, server = ModelAvailabilityCache(), Server()
    caller = asyncio.ensure_future(cache.look_up("llama3", server))
    await server.started.wait()

    await cache.invalidate("llama3")
    server.release.set()

    assert await caller is True
    assert await cache.get("llama3") is None


def test_one_cache_serves_several_event_loops():
    cache = ModelAvailabilityCache()

    async def ask() -> bool:
        return True

    assert asyncio.run(cache.look_up("llama3", ask)) is True
    assert asyncio.run(cache.get("llama3")) is True


@pytest.mark.parametrize("ttl", [-1, "5", None, True, float("nan")])
def test_a_time_to_live_that_is_none_is_refused(ttl: Any):
    with pytest.raises(UsageError, match="ttl must be a number of seconds"):
        ModelAvailabilityCache(ttl=ttl)


async def test_what_is_no_name_and_no_answer_is_refused():
    cache: Any = ModelAvailabilityCache()

    with pytest.raises(UsageError, match="name of a model must be a text"):
        await cache.get(None)
    with pytest.raises(UsageError, match="available must be True or False"):
        await cache.set("llama3", "yes")
