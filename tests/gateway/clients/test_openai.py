"""OpenAI's client, unmodified, on the gateway's /v1."""

from __future__ import annotations

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
    from collections.abc import Iterator
    from pathlib import Path

    import openai

pytestmark = pytest.mark.long

USER: Any = {"role": "user", "content": "hi"}
TOOL: Any = {"type": "function", "function": WEATHER}


def client_of(gateway: ClientGateway, key: str | None = None) -> openai.OpenAI:
    import openai

    return openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=key or gateway.key, max_retries=0)


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[ClientGateway]:
    with client_gateway(tmp_path) as running:
        yield running


def test_answers_whole_and_streamed(gateway: ClientGateway) -> None:
    with client_of(gateway) as client:
        answer = client.chat.completions.create(model="tiny", messages=[USER])
        assert answer.choices[0].message.content == HELLO
        assert answer.usage is not None
        assert answer.usage.completion_tokens == 7

        chunks = list(
            client.chat.completions.create(
                model="tiny", messages=[USER], stream=True, stream_options={"include_usage": True}
            )
        )
        text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
        assert text == HELLO
        assert chunks[-1].usage is not None
        assert client.completions.create(model="tiny", prompt="hi").choices[0].text == HELLO


def test_responses_whole_and_streamed(gateway: ClientGateway) -> None:
    with client_of(gateway) as client:
        assert client.responses.create(model="tiny", input="hi").output_text == HELLO
        events = list(client.responses.create(model="tiny", input="hi", stream=True))
        assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == HELLO
        assert events[-1].type == "response.completed"


def test_tools_go_there_and_back(gateway: ClientGateway) -> None:
    with client_of(gateway) as client:
        ask = client.chat.completions.create
        message = ask(model="tiny-tools", messages=[USER], tools=[TOOL]).choices[0].message
        [call] = message.tool_calls or []
        assert call.type == "function"
        assert (call.function.name, call.function.arguments) == ("get_weather", '{"city":"Paris"}')
        spoken: Any = message.model_dump(exclude_none=True)
        result: Any = {"role": "tool", "tool_call_id": call.id, "content": "18 C"}
        final = ask(model="tiny-tools", messages=[USER, spoken, result], tools=[TOOL])
        assert final.choices[0].message.content == "It is 18 C in Paris."


def test_embeddings_and_models(gateway: ClientGateway) -> None:
    with client_of(gateway) as client:
        # The client asks for base64 and unpacks it.
        data = client.embeddings.create(model="tiny-embed", input=["a", "b"]).data
        assert [len(each.embedding) for each in data] == [EMBEDDED] * 2
        assert "tiny:latest" in {model.id for model in client.models.list()}
        assert client.models.retrieve("tiny").id == "tiny"


def test_errors_are_the_clients_own_classes(gateway: ClientGateway) -> None:
    import openai

    with client_of(gateway) as client, client_of(gateway, "n3_wrong") as stranger:
        with pytest.raises(openai.NotFoundError, match="model 'nope' not found"):
            client.chat.completions.create(model="nope", messages=[USER])
        with pytest.raises(openai.BadRequestError, match="`max_tokens` is 1000000"):
            client.chat.completions.create(model="tiny", messages=[USER], max_tokens=10**6)
        with pytest.raises(openai.AuthenticationError):
            stranger.chat.completions.create(model="tiny", messages=[USER])


@pytest.mark.fault(77)
@pytest.mark.parametrize("fault", ["cut:after=3", "runner_dies"])
def test_stream_that_breaks_off_raises_instead_of_ending(tmp_path: Path, fault: str) -> None:
    import openai

    with client_gateway(tmp_path, fault) as gateway, client_of(gateway) as client:
        stream = client.chat.completions.create(model="tiny", messages=[USER], stream=True)
        with pytest.raises(openai.APIError, match="ended its answer"):
            list(stream)


def test_answers_of_the_fallback_are_the_protocols_own(tmp_path: Path) -> None:
    with gateway_without_servers(tmp_path) as gateway, client_of(gateway) as client:
        ask = client.chat.completions.create
        answer = ask(model="tiny", messages=[USER])
        assert (answer.model, answer.choices[0].message.content) == ("big", SCRIPTED)
        chunks = list(ask(model="tiny", messages=[USER], stream=True, stream_options={"include_usage": True}))
        assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices) == SCRIPTED
        assert chunks[-1].usage is not None
        assert client.completions.create(model="tiny", prompt="hi").choices[0].text == SCRIPTED


def test_client_that_leaves_a_stream_stops_the_server(tmp_path: Path) -> None:
    with client_gateway(tmp_path, tokens_per_second=200) as gateway, client_of(gateway) as client:
        stream = client.chat.completions.create(model="tiny-endless", messages=[USER], stream=True)
        next(iter(stream))
        assert [request["model"] for request in gateway.requests()] == ["tiny-endless"]

        stream.close()

        gateway.wait_until_nothing_runs()
