"""What telemetry says of requests to Anthropic."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.trace import StatusCode

from namel3ss.observability.capture import ContentCapture
from namel3ss.observability.telemetry import use_telemetry
from namel3ss.providers.anthropic import AnthropicBusyError, AnthropicServerError
from tests.observability.receivers import MemorySdk, attributes
from tests.providers.anthropic.making import KEY, MODEL, PATH, WEATHER
from tests.support.anthropic_events import (
    HELLO,
    data_of,
    event_head,
    events,
    message_end,
    message_start,
    refusal,
    thinking_block,
    tool_block,
)
from tests.support.scripted_server import ScriptedServer, Send, chunk, document, stall

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opentelemetry.sdk.trace import ReadableSpan

    from tests.providers.anthropic.making import Make


@pytest.fixture
def receive() -> Iterator[Callable[..., MemorySdk]]:
    """Makes an SDK in memory the receiver of the whole process."""
    made: list[MemorySdk] = []
    replaced = use_telemetry(None)

    def start(profile: Any = None, **more: Any) -> MemorySdk:
        sdk = MemorySdk(profile, **more)
        made.append(sdk)
        use_telemetry(sdk.telemetry)
        return sdk

    yield start
    use_telemetry(replaced)
    for sdk in made:
        sdk.close()


def told(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


async def test_tokens_that_were_counted_before_a_failure_are_told(
    server: ScriptedServer, make: Make, receive: Callable[..., MemorySdk]
) -> None:
    sdk = receive()
    failing = {"type": "error", "error": {"type": "api_error", "message": "Internal server error"}}
    server.on(PATH, events(message_start(), failing))

    with pytest.raises(AnthropicServerError):
        await make().stream("Hi").result()

    said_of_it = told(sdk.spans()[0])
    assert said_of_it["error.type"] == "upstream_error"
    assert said_of_it["gen_ai.usage.input_tokens"] == 12


async def test_span_names_anthropic_and_what_was_asked(
    server: ScriptedServer, make: Make, receive: Callable[..., MemorySdk]
) -> None:
    sdk = receive()
    server.on(PATH, events(*HELLO))

    await make(temperature=0.5, stop="END").stream("Hi").result()

    (span,) = sdk.spans()
    said_of_it = told(span)
    assert span.name == f"chat {MODEL}"
    assert said_of_it["gen_ai.provider.name"] == "anthropic"
    assert said_of_it["gen_ai.request.model"] == MODEL
    assert said_of_it["gen_ai.request.max_tokens"] == 4096
    assert said_of_it["gen_ai.request.temperature"] == 0.5
    assert said_of_it["gen_ai.request.stop_sequences"] == ("END",)
    assert said_of_it["gen_ai.usage.input_tokens"] == 12
    assert said_of_it["gen_ai.usage.output_tokens"] == 7
    assert said_of_it["gen_ai.response.finish_reasons"] == ("stop",)
    assert said_of_it["server.address"] == "127.0.0.1"
    assert said_of_it["server.port"] == server.port


async def test_failure_and_departure_are_told_apart(
    server: ScriptedServer, make: Make, receive: Callable[..., MemorySdk]
) -> None:
    sdk = receive()
    half = Send(event_head() + b"".join(chunk(data_of(event)) for event in HELLO[:4]))
    server.on(PATH, refusal(529, "overloaded_error", "Overloaded"), [half, stall()])
    provider = make(max_retries=0)

    with pytest.raises(AnthropicBusyError):
        await provider.generate("Hi")
    async with provider.stream("Hi") as stream:
        await anext(stream)

    failed, left = sdk.spans()
    assert told(failed)["error.type"] == "queue_full"
    assert failed.status.status_code is StatusCode.ERROR
    assert told(left)["error.type"] == "cancelled"


async def test_metrics_are_those_of_the_conventions(
    server: ScriptedServer, make: Make, receive: Callable[..., MemorySdk]
) -> None:
    sdk = receive()
    server.on(PATH, events(*HELLO))
    server.on("/v1/models?limit=1000", document({"data": [{"id": MODEL}]}))
    provider = make()

    await provider.generate("Hi")
    await provider.health_check()

    metrics = sdk.metrics()
    assert set(metrics) == {"gen_ai.client.operation.duration", "gen_ai.client.token.usage"}
    for metric in metrics.values():
        assert {each["gen_ai.provider.name"] for each in attributes(metric)} == {"anthropic"}


async def test_trace_goes_along_where_that_is_wanted(
    server: ScriptedServer, make: Make, receive: Callable[..., MemorySdk]
) -> None:
    receive(propagate=True)
    server.on(PATH, events(*HELLO))

    await make().generate("Hi")

    assert server.requests[0].header("traceparent")


async def test_content_is_recorded_only_on_demand_and_without_key_or_image(
    server: ScriptedServer, make: Make, receive: Callable[..., MemorySdk]
) -> None:
    sdk = receive(capture=ContentCapture.SPAN_ONLY)
    calls = tool_block(1, "toolu_1", "get_weather", '{"city": "Paris"}')
    server.on(PATH, events(message_start(), *thinking_block(0, "Hm."), *calls, *message_end("tool_use")))
    png = b"\x89PNG\r\n\x1a\n" + b"pixels"

    await make(tools=[WEATHER]).generate(
        [{"role": "user", "content": "Weather?", "images": [png]}], system="Be brief."
    )

    (span,) = sdk.spans()
    said_of_it = told(span)
    said = json.loads(said_of_it["gen_ai.input.messages"])
    (answer,) = json.loads(said_of_it["gen_ai.output.messages"])
    assert [message["role"] for message in said] == ["system", "user"]
    assert [part["type"] for part in said[1]["parts"]] == ["text", "images_left_out"]
    assert [part["type"] for part in answer["parts"]] == ["reasoning", "tool_call"]
    assert "get_weather" in said_of_it["gen_ai.tool.definitions"]
    assert KEY not in str(said_of_it)
    assert "pixels" not in str(said_of_it)
