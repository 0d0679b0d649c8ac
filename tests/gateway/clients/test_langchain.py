"""langchain-ollama, unmodified: only the address and a key are told to it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from tests.gateway.clients.gateways import EMBEDDED, HELLO, WEATHER, ClientGateway, client_gateway

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import langchain_ollama

pytestmark = pytest.mark.long


def options_of(gateway: ClientGateway, key: str | None = None) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {key or gateway.key}"}
    return {"base_url": gateway.url, "client_kwargs": {"headers": headers}}


@contextlib.contextmanager
def model_of(
    gateway: ClientGateway, name: str = "tiny", key: str | None = None
) -> Iterator[langchain_ollama.ChatOllama]:
    """One that is closed at the end, for which it has no method of its own."""
    import langchain_ollama

    model = langchain_ollama.ChatOllama(model=name, **options_of(gateway, key))
    try:
        yield model
    finally:
        close(model)


def close(model: Any) -> None:
    model._client.close()
    asyncio.run(model._async_client.close())


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[ClientGateway]:
    with client_gateway(tmp_path) as running:
        yield running


def test_answers_whole_streamed_and_asynchronously(gateway: ClientGateway) -> None:
    with model_of(gateway) as model:
        answer = model.invoke("hi")
        assert answer.content == HELLO
        assert answer.usage_metadata is not None
        assert answer.usage_metadata["output_tokens"] == 7
        assert "".join(str(chunk.content) for chunk in model.stream("hi")) == HELLO


async def test_asynchronous_answers(gateway: ClientGateway) -> None:
    import langchain_ollama

    model: Any = langchain_ollama.ChatOllama(model="tiny", **options_of(gateway))
    assert (await model.ainvoke("hi")).content == HELLO
    await model._async_client.close()
    model._client.close()


def test_tools_go_there_and_back(gateway: ClientGateway) -> None:
    from langchain_core.messages import HumanMessage, ToolMessage

    with model_of(gateway, "tiny-tools") as plain:
        model = plain.bind_tools([{"type": "function", "function": WEATHER}])
        asked = model.invoke([HumanMessage("hi")])
        [call] = asked.tool_calls
        assert (call["name"], call["args"]) == ("get_weather", {"city": "Paris"})
        result = ToolMessage("18 C", tool_call_id=call["id"])
        assert model.invoke([HumanMessage("hi"), asked, result]).content == "It is 18 C in Paris."


def test_embeddings(gateway: ClientGateway) -> None:
    import langchain_ollama

    embeddings = langchain_ollama.OllamaEmbeddings(model="tiny-embed", **options_of(gateway))
    assert [len(vector) for vector in embeddings.embed_documents(["a", "b"])] == [EMBEDDED] * 2
    close(embeddings)


def test_errors_have_the_status_and_words_that_the_client_looks_for(gateway: ClientGateway) -> None:
    import ollama

    with model_of(gateway, "nope") as unknown, model_of(gateway, key="n3_wrong") as stranger:
        for model, status in ((unknown, 404), (stranger, 401)):
            with pytest.raises(ollama.ResponseError) as caught:
                model.invoke("hi")
            assert caught.value.status_code == status


def test_stream_that_breaks_off_raises_instead_of_ending(tmp_path: Path) -> None:
    import ollama

    with (
        client_gateway(tmp_path, "cut:after=3") as gateway,
        model_of(gateway) as model,
        pytest.raises(ollama.ResponseError, match="ended its answer"),
    ):
        list(model.stream("hi"))


def test_client_that_leaves_a_stream_stops_the_server(tmp_path: Path) -> None:
    with (
        client_gateway(tmp_path, tokens_per_second=200) as gateway,
        model_of(gateway, "tiny-endless") as model,
    ):
        stream: Any = model.stream("hi")
        next(stream)
        assert [request["model"] for request in gateway.requests()] == ["tiny-endless"]

        stream.close()

        gateway.wait_until_nothing_runs()
