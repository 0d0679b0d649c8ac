"""Anthropic's client, unmodified, on the gateway's /v1/messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.gateway.clients.gateways import (
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

    import anthropic

pytestmark = pytest.mark.long

USER: Any = {"role": "user", "content": "hi"}
TOOL: Any = {"name": WEATHER["name"], "description": "d", "input_schema": WEATHER["parameters"]}


def client_of(gateway: ClientGateway, key: str | None = None) -> anthropic.Anthropic:
    import anthropic

    return anthropic.Anthropic(base_url=gateway.url, api_key=key or gateway.key, max_retries=0)


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[ClientGateway]:
    with client_gateway(tmp_path) as running:
        yield running


def test_answers_whole_and_streamed(gateway: ClientGateway) -> None:
    with client_of(gateway) as client:
        answer = client.messages.create(model="tiny", max_tokens=20, messages=[USER])
        assert [block.text for block in answer.content if block.type == "text"] == [HELLO]
        assert (answer.usage.output_tokens, answer.stop_reason) == (7, "end_turn")

        with client.messages.stream(model="tiny", max_tokens=20, messages=[USER]) as stream:
            assert "".join(stream.text_stream) == HELLO
            assert stream.get_final_message().usage.output_tokens == 7


def test_tools_go_there_and_back(gateway: ClientGateway) -> None:
    with client_of(gateway) as client:
        ask = client.messages.create
        asked = ask(model="tiny-tools", max_tokens=50, messages=[USER], tools=[TOOL])
        [call] = [block for block in asked.content if block.type == "tool_use"]
        assert (call.name, call.input, asked.stop_reason) == ("get_weather", {"city": "Paris"}, "tool_use")
        spoken: Any = {
            "role": "assistant",
            "content": [call.model_dump(include={"type", "id", "name", "input"})],
        }
        block = {"type": "tool_result", "tool_use_id": call.id, "content": "18 C"}
        result: Any = {"role": "user", "content": [block]}
        final = ask(model="tiny-tools", max_tokens=50, messages=[USER, spoken, result], tools=[TOOL])
        assert [each.text for each in final.content if each.type == "text"] == ["It is 18 C in Paris."]


def test_errors_are_the_clients_own_classes(gateway: ClientGateway) -> None:
    import anthropic

    with client_of(gateway) as client, client_of(gateway, "n3_wrong") as stranger:
        with pytest.raises(anthropic.NotFoundError, match="model 'nope' not found"):
            client.messages.create(model="nope", max_tokens=20, messages=[USER])
        with pytest.raises(anthropic.BadRequestError, match="`max_tokens` is 9999"):
            client.messages.create(model="tiny", max_tokens=9999, messages=[USER])
        with pytest.raises(anthropic.AuthenticationError):
            stranger.messages.create(model="tiny", max_tokens=20, messages=[USER])


@pytest.mark.fault(77)
@pytest.mark.parametrize("fault", ["cut:after=3", "runner_dies"])
def test_stream_that_breaks_off_raises_instead_of_ending(tmp_path: Path, fault: str) -> None:
    import anthropic

    with client_gateway(tmp_path, fault) as gateway, client_of(gateway) as client:
        stream = client.messages.create(model="tiny", max_tokens=20, messages=[USER], stream=True)
        with pytest.raises(anthropic.APIStatusError, match="ended its answer"):
            list(stream)


def test_answers_of_the_fallback_are_the_protocols_own(tmp_path: Path) -> None:
    with gateway_without_servers(tmp_path) as gateway, client_of(gateway) as client:
        answer = client.messages.create(model="tiny", max_tokens=20, messages=[USER])
        texts = [block.text for block in answer.content if block.type == "text"]
        assert (answer.model, texts, answer.stop_reason) == ("big", [SCRIPTED], "end_turn")
        with client.messages.stream(model="tiny", max_tokens=20, messages=[USER]) as stream:
            assert "".join(stream.text_stream) == SCRIPTED
            assert stream.get_final_message().stop_reason == "end_turn"


def test_client_that_leaves_a_stream_stops_the_server(tmp_path: Path) -> None:
    with client_gateway(tmp_path, tokens_per_second=200) as gateway, client_of(gateway) as client:
        stream = client.messages.create(model="tiny-endless", max_tokens=4000, messages=[USER], stream=True)
        for event in stream:
            if event.type == "content_block_delta":
                break
        assert [request["model"] for request in gateway.requests()] == ["tiny-endless"]

        stream.close()

        gateway.wait_until_nothing_runs()
