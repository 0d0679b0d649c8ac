"""ollama-python, unmodified: only the address and a key are told to it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from tests.gateway.clients.gateways import (
    EMBEDDED,
    HELLO,
    SCRIPTED,
    WEATHER,
    ClientGateway,
    client_gateway,
    gateway_without_servers,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import ollama

pytestmark = pytest.mark.long

USER = {"role": "user", "content": "hi"}


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[ClientGateway]:
    with client_gateway(tmp_path) as running:
        yield running


@contextlib.contextmanager
def client_of(gateway: ClientGateway, key: str | None = None) -> Iterator[ollama.Client]:
    import ollama

    with ollama.Client(gateway.url, headers={"Authorization": f"Bearer {key or gateway.key}"}) as client:
        yield client


def test_answers_whole_and_streamed_and_with_thoughts(gateway: ClientGateway) -> None:
    with client_of(gateway) as client:
        assert client.chat("tiny", [USER]).message.content == HELLO
        assert client.generate("tiny", "hi").response == HELLO
        chunks = list(client.chat("tiny", [USER], stream=True))
        assert "".join(chunk.message.content or "" for chunk in chunks) == HELLO
        assert (chunks[-1].done, chunks[-1].eval_count) == (True, 7)
        thought = client.chat("tiny-thinker", [USER], think=True).message
        assert (thought.thinking, thought.content) == ("The user greets me", "Hi there!")


def test_tools_go_there_and_back(gateway: ClientGateway) -> None:
    tool = {"type": "function", "function": WEATHER}
    with client_of(gateway) as client:
        [call] = client.chat("tiny-tools", [USER], tools=[tool]).message.tool_calls or []
        assert (call.function.name, call.function.arguments) == ("get_weather", {"city": "Paris"})
        answer = {"role": "tool", "content": "18 C", "tool_name": "get_weather"}
        final = client.chat("tiny-tools", [USER, answer], tools=[tool])
        assert final.message.content == "It is 18 C in Paris."


def test_embeddings_lists_and_details(gateway: ClientGateway) -> None:
    with client_of(gateway) as client:
        vectors = client.embed("tiny-embed", ["a", "b"]).embeddings
        assert [len(vector) for vector in vectors] == [EMBEDDED] * 2
        assert len(client.embeddings("tiny-embed", "hello").embedding) == EMBEDDED
        assert "tiny:latest" in {model.model for model in client.list().models}
        assert client.show("tiny").capabilities == ["completion"]


def test_errors_have_the_status_and_words_that_the_client_looks_for(gateway: ClientGateway) -> None:
    import ollama

    refused = []
    with client_of(gateway) as client, client_of(gateway, "n3_wrong") as stranger:
        asked: list[Callable[[], object]] = [
            lambda: client.chat("nope", [USER]),
            lambda: client.chat("tiny", [USER], options={"num_ctx": 10**9}),
            lambda: client.chat("tiny", [USER], tools=[{"type": "function", "function": WEATHER}]),
            lambda: stranger.chat("tiny", [USER]),
            lambda: client.ps(),
        ]
        for ask in asked:
            with pytest.raises(ollama.ResponseError) as caught:
                ask()
            refused.append((caught.value.status_code, caught.value.error))

    assert [status for status, _ in refused] == [404, 400, 400, 401, 403]
    assert refused[0][1] == "model 'nope' not found"
    assert "`num_ctx` is 1000000000" in refused[1][1]
    assert refused[2][1] == "registry.ollama.ai/library/tiny:latest does not support tools"


@pytest.mark.fault(76)
@pytest.mark.parametrize("fault", ["cut:after=3", "no-done"])
def test_stream_that_breaks_off_raises_instead_of_ending(tmp_path: Path, fault: str) -> None:
    import ollama

    with client_gateway(tmp_path, fault) as gateway, client_of(gateway) as client:
        stream = client.generate("tiny", "hi", stream=True)
        with pytest.raises(ollama.ResponseError, match="ended its answer"):
            list(stream)


def test_answers_of_the_fallback_are_the_protocols_own(tmp_path: Path) -> None:
    with gateway_without_servers(tmp_path) as gateway, client_of(gateway) as client:
        answer = client.chat("tiny", [USER])
        assert (answer.model, answer.message.content, answer.done) == ("big", SCRIPTED, True)
        parts = list(client.generate("tiny", "hi", stream=True))
        assert "".join(part.response or "" for part in parts) == SCRIPTED
        assert parts[-1].done_reason == "stop"


def test_client_that_leaves_a_stream_stops_the_server(tmp_path: Path) -> None:
    with client_gateway(tmp_path, tokens_per_second=200) as gateway:
        with client_of(gateway) as client:
            next(iter(client.generate("tiny-endless", "hi", stream=True)))
            assert [request["model"] for request in gateway.requests()] == ["tiny-endless"]

        gateway.wait_until_nothing_runs()


async def test_asynchronous_client_streams_and_is_cancelled(tmp_path: Path) -> None:
    import ollama

    with client_gateway(tmp_path, tokens_per_second=200) as gateway:
        headers = {"Authorization": f"Bearer {gateway.key}"}
        async with ollama.AsyncClient(gateway.url, headers=headers) as client:
            stream = await client.chat("tiny", [USER], stream=True)
            assert "".join([chunk.message.content or "" async for chunk in stream]) == HELLO

            endless: Any = await client.chat("tiny-endless", [USER], stream=True)
            await anext(endless)
            await endless.aclose()

            gateway.wait_until_nothing_runs()
