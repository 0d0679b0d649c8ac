"""Rows 44 to 47: a call may be cancelled at any point, twice, by anybody; nothing stays behind and the server sees it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from namel3ss.providers.local.ollama import OllamaError, OllamaProvider
from tests.benchmarks.provider import cancels
from tests.faults.stepping import CancelledAt, cancel_after, is_cancelled_at
from tests.support.ollama_lines import chat_answer, chat_line
from tests.support.scripted_server import (
    ScriptedServer,
    black_hole_url,
    document,
    lines,
    stall,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

ANSWER = lines(*chat_answer("Hel", "lo"))
PULLED = lines(
    {"status": "pulling manifest"},
    {"status": "pulling a", "digest": "sha256:a", "total": 10, "completed": 10},
    {"status": "success"},
)


async def read_all(provider: OllamaProvider) -> None:
    async with provider.stream("Hi") as stream:
        async for _ in stream:
            pass


CALLS: dict[str, Callable[[OllamaProvider], Coroutine[Any, Any, object]]] = {
    "stream": read_all,
    "generate": lambda provider: provider.generate("Hi"),
    "plain": lambda provider: provider.generate("Hi", wire="plain", raw=True),
    "batch": lambda provider: provider.generate_batch(["a", "b", "c"], max_concurrency=2),
    "embed": lambda provider: provider.embed(["a"]),
    "pull": lambda provider: provider.pull_model(),
    "health": lambda provider: provider.health_check(force=True),
    "heal": lambda provider: provider.heal_model(),
}


def play_everything(server: ScriptedServer) -> None:
    server.on("/api/chat", ANSWER)
    server.on("/api/embed", document({"model": "tiny", "embeddings": [[0.5]]}))
    server.on("/api/pull", PULLED)
    server.on("/api/tags", document({"models": [{"name": "tiny:latest", "size": 1}]}))
    server.on("/api/version", document({"version": "0.24.0"}))
    server.on("/api/generate", document({"done": True, "done_reason": "unload"}))
    server.on("/api/ps", document({"models": []}))


@pytest.mark.fault(44)
@pytest.mark.timeout(20, method="signal")
@pytest.mark.parametrize("name", CALLS)
async def test_cancelling_at_any_step_ends_the_call_and_leaves_the_provider_usable(server, connect, name):
    play_everything(server)
    provider = connect(server)
    await CALLS[name](provider)  # how many steps an undisturbed call takes
    counted: CancelledAt[object] = CancelledAt(CALLS[name](provider))
    await counted

    for step in range(1, counted.steps + 1):
        assert await is_cancelled_at(CALLS[name](provider), step), (
            f"a cancellation at step {step} was swallowed"
        )

    for turns in range(25):  # what a call does in tasks of its own is no step of its caller
        await cancel_after(turns, CALLS[name](provider))

    assert (await provider.generate("Hi")).output_text == "Hello"


@pytest.mark.fault(45)
@pytest.mark.timeout(20, method="signal")
@pytest.mark.parametrize("name", ["stream", "generate", "batch", "pull"])
async def test_second_cancellation_during_the_clean_up_changes_nothing(server, connect, name):
    play_everything(server)
    provider = connect(server)
    counted: CancelledAt[object] = CancelledAt(CALLS[name](provider))
    await counted

    for step in range(1, counted.steps + 1):
        assert await is_cancelled_at(CALLS[name](provider), step, step + 1, step + 2)

    assert (await provider.generate("Hi")).output_text == "Hello"


@pytest.mark.fault(45)
async def test_limit_of_the_caller_beats_a_limit_of_ours_that_is_longer(server, connect):
    server.on("/api/chat", [stall()]).on("/api/ps", document({"models": []}))
    provider = connect(server, first_token_timeout=5)

    with pytest.raises(TimeoutError) as raised:
        async with asyncio.timeout(0.05):
            await provider.generate("Hi")

    assert not isinstance(raised.value, OllamaError)
    await server.requests[0].aborted.reached()


@pytest.mark.fault(46)
@pytest.mark.timeout(20, method="signal")
async def test_thousand_requests_cancelled_while_connecting_leave_room_for_the_next(server, connect):
    server.on("/api/chat", ANSWER)
    with black_hole_url() as url:
        provider = connect(url, connect_timeout=30)
        for _ in range(25):
            tasks = [asyncio.create_task(provider.generate("Hi")) for _ in range(40)]
            for _ in range(3):
                await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)

    assert (await connect(server).generate("Hi")).output_text == "Hello"


@pytest.mark.fault(47)
async def test_stream_may_be_closed_by_another_task_and_its_reader_ends_quietly(server, connect):
    server.on("/api/chat", [*lines(chat_line("Hel"))[:2], stall()])
    stream = connect(server).stream("Hi")
    assert (await anext(stream)).output_text == "Hel"

    async def read_on() -> list[str]:
        return [piece.output_text async for piece in stream]

    reading = asyncio.create_task(read_on())
    await asyncio.sleep(0)
    await asyncio.create_task(stream.cancel())

    assert await reading == []
    await server.requests[0].aborted.reached()


@pytest.mark.fault(47)
async def test_stream_used_in_another_loop_says_so_and_can_still_be_closed(server, connect):
    server.on("/api/chat", [*lines(chat_line("Hel"))[:2], stall()])
    stream = connect(server).stream("Hi")
    await anext(stream)

    def elsewhere() -> str:
        async def read() -> None:
            await anext(stream)

        with pytest.raises(RuntimeError) as raised:
            asyncio.run(read())
        return str(raised.value)

    said = await asyncio.to_thread(elsewhere)

    assert said == (
        "The answer of 'tiny' belongs to the event loop in which it was begun; read and cancel it there."
    )
    await stream.cancel()
    await server.requests[0].aborted.reached()
    await asyncio.get_running_loop().shutdown_default_executor()


@pytest.mark.fault(44, 46)
@pytest.mark.timeout(30, method="signal")
async def test_random_cancels_all_reach_the_server_and_leave_nothing():
    report = await cancels.run(200)

    assert sum(report.cancelled.values()) == 200
    assert len(report.delays_s) > 50
    assert report.left_behind == {"connections": 0, "tasks": 0, "file descriptors": 0}
