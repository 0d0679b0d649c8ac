"""Rows 44 and 45 for the providers of other protocols: cancelled at any point, nothing stays behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from namel3ss.providers.anthropic import AnthropicProvider
from namel3ss.providers.local.openai_compatible import OpenAICompatibleProvider
from tests.faults.stepping import CancelledAt, cancel_after, is_cancelled_at
from tests.providers.openai_compatible import making as openai
from tests.support import anthropic_events as anthropic
from tests.support.scripted_server import ScriptedServer, document

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from namel3ss.providers.base import N3Provider


def at_anthropic(server: ScriptedServer) -> AnthropicProvider:
    server.on("/v1/messages", anthropic.events(*anthropic.HELLO))
    server.on("/v1/models", document({"data": [{"id": "asked-model", "type": "model"}]}))
    return AnthropicProvider(
        "p", "asked-model", {"base_url": server.url, "api_key": "sk-ant-1", "max_retries": 0}, environ={}
    )


def at_openai(server: ScriptedServer) -> OpenAICompatibleProvider:
    server.on("/v1/chat/completions", openai.HELLO)
    server.on("/v1/models", document({"data": [{"id": "asked-model", "object": "model"}]}))
    vector = {"object": "embedding", "index": 0, "embedding": [0.5]}
    server.on("/v1/embeddings", document({"data": [vector], "model": "asked-model", "usage": openai.USAGE}))
    return OpenAICompatibleProvider(
        "p", "asked-model", {"base_url": f"{server.url}/v1", "max_retries": 0}, kind="vllm", environ={}
    )


async def read_all(provider: N3Provider) -> None:
    async with provider.stream("Hi") as stream:
        async for _ in stream:
            pass


async def leave_early(provider: N3Provider) -> None:
    async with provider.stream("Hi") as stream:
        await anext(stream)


CALLS: dict[str, Callable[[Any], Coroutine[Any, Any, object]]] = {
    "stream": read_all,
    "left early": leave_early,
    "generate": lambda provider: provider.generate("Hi"),
    "batch": lambda provider: provider.generate_batch(["a", "b", "c"], max_concurrency=2),
    "health": lambda provider: provider.health_check(force=True),
    "embed": lambda provider: provider.embed(["a"]),
}
CASES = [
    (make, name)
    for make in (at_anthropic, at_openai)
    for name in CALLS
    if (make, name) != (at_anthropic, "embed")
]


@pytest.fixture
async def provider(
    server: ScriptedServer, make: Callable[[ScriptedServer], N3Provider]
) -> AsyncIterator[N3Provider]:
    async with make(server) as made:
        yield made
    await server.connections_reached(0)


@pytest.mark.fault(44, 45)
@pytest.mark.timeout(20, method="signal")
@pytest.mark.parametrize(("make", "name"), CASES)
async def test_cancelling_at_any_step_or_turn_ends_the_call_and_leaves_the_provider_usable(
    provider: N3Provider, name: str
) -> None:
    call = CALLS[name]
    await call(provider)  # how many steps an undisturbed call takes
    counted: CancelledAt[object] = CancelledAt(call(provider))
    await counted

    for step in range(1, counted.steps + 1):
        assert await is_cancelled_at(call(provider), step), f"a cancellation at step {step} was swallowed"
        assert await is_cancelled_at(call(provider), step, step + 1, step + 2)

    for turns in range(40):  # what a call does in tasks of its own is no step of its caller
        await cancel_after(turns, call(provider))

    assert (await provider.generate("Hi")).output_text in ("Hello there.", "Hello")
