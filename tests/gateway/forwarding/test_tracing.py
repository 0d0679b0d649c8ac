"""What OpenTelemetry learns of a request: where its time went, in the caller's own trace, and nothing of what was said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from namel3ss.gateway.principal import Scope
from namel3ss.observability.telemetry import use_telemetry
from namel3ss.providers.transport.client import import_libraries
from tests.gateway.forwarding.play import calling, eventually, key_of, open_gateway
from tests.gateway.forwarding.sayings import DONE, END_OF_CHAT, PROMPT, STOP, delta, stream, token
from tests.observability.receivers import MemorySdk, total
from tests.support.scripted_server import Gate, ScriptedServer, document, refusing_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.sdk.trace import ReadableSpan

TRACE = "0af7651916cd43dd8448eb211c80319c"
FALLING_BACK = {"yes": key_of("ann", Scope.USE, allows_fallback=True)}
CALLER = "b7ad6b7169203331"
SENT = (("traceparent", f"00-{TRACE}-{CALLER}-01"), ("tracestate", "shop=1"), ("baggage", "user=canary"))


@pytest.fixture(autouse=True, scope="module")
def _imported() -> None:
    """What the providers import at their first request they import on a thread, which outlives the test."""
    import_libraries()


@pytest.fixture
def sdk() -> Iterator[MemorySdk]:
    sdk = MemorySdk(propagate=True)
    replaced = use_telemetry(sdk.telemetry)
    yield sdk
    use_telemetry(replaced)
    sdk.close()


def by_name(sdk: MemorySdk) -> dict[str, ReadableSpan]:
    return {span.name: span for span in sdk.spans()}


@pytest.mark.security(24)
async def test_a_request_is_a_span_in_the_trace_of_its_caller_and_the_server_gets_its_own(
    sdk: MemorySdk,
) -> None:
    with ScriptedServer() as server:
        server.on("/api/generate", stream(token("canary"), DONE))
        async with open_gateway(server) as gateway:
            await gateway.ask("/api/generate", {**PROMPT, "prompt": "canary"}, headers=SENT)
        [asked] = [each for each in server.requests if each.path == "/api/generate"]

    spans = by_name(sdk)
    root, wait, sent = spans["POST /api/generate"], spans["queue"], spans["send tiny"]
    assert root.parent is not None
    assert f"{root.context.trace_id:032x}" == TRACE
    assert f"{root.parent.span_id:016x}" == CALLER
    assert wait.parent is not None
    assert sent.parent is not None
    assert wait.parent.span_id == sent.parent.span_id == root.context.span_id
    assert asked.header("traceparent") == f"00-{TRACE}-{sent.context.span_id:016x}-01"
    assert asked.header("tracestate") == "shop=1"
    assert asked.header("baggage") is None
    told = dict(root.attributes or {})
    assert (told["http.response.status_code"], told["namel3ss.gateway.outcome"]) == (200, "ok")
    assert (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"]) == (5, 2)
    assert dict(sent.attributes or {})["namel3ss.gateway.server"] == "gpu1"
    everything = "".join(span.to_json() for span in sdk.spans())
    assert "canary" not in everything
    assert '"ann"' not in everything


async def test_a_wait_and_each_attempt_have_their_spans_and_failures_their_words(sdk: MemorySdk) -> None:
    with refusing_url() as nobody, ScriptedServer() as server:
        server.on("/api/generate", document({"error": "model requires more memory"}, 500))
        async with open_gateway(server) as gateway:
            assert (await gateway.ask("/api/generate", PROMPT)).status == 500
        spans = by_name(sdk)
        assert dict(spans["send tiny"].attributes or {})["error.type"] == "500"
        assert dict(spans["POST /api/generate"].attributes or {})["error.type"] == "500"

        async with open_gateway(nobody) as gateway:
            answer = await gateway.ask("/api/generate", PROMPT)
        outcome = dict(by_name(sdk)["POST /api/generate"].attributes or {})
        assert outcome["namel3ss.gateway.outcome"] == answer.header("x-namel3ss-error")
        assert outcome["error.type"] == str(answer.status) == "503"


async def test_who_leaves_the_queue_has_a_wait_and_nothing_that_was_sent(sdk: MemorySdk) -> None:
    gate = Gate()
    with ScriptedServer() as server:
        server.on("/api/generate", [gate, *stream(token("a"), DONE)])
        async with open_gateway(server) as gateway, calling(gateway, "/api/generate", PROMPT) as first:
            await gate.arrived.reached()
            async with calling(gateway, "/api/generate", PROMPT, headers=[("x-request-id", "second")]):
                await eventually(lambda: len(gateway.live.by_id) == 2)
            await eventually(lambda: len(sdk.spans()) >= 3)
            gate.open()
            await first.until(DONE)
            await eventually(lambda: len(sdk.spans()) == 5)

    ended = [dict(span.attributes or {}).get("namel3ss.gateway.outcome") for span in sdk.spans()]
    assert sorted(outcome for outcome in ended if isinstance(outcome, str)) == ["cancelled", "ok"]
    waits = [dict(span.attributes or {}).get("error.type") for span in sdk.spans() if span.name == "queue"]
    assert waits == [None, "cancelled"]


async def test_durations_and_waits_are_measured(sdk: MemorySdk) -> None:
    with ScriptedServer() as server:
        server.on("/api/generate", stream(token("a"), DONE))
        async with open_gateway(server) as gateway:
            await gateway.ask("/api/generate", PROMPT)

    metrics = sdk.metrics()
    assert total(metrics["namel3ss.gateway.request.duration"]) > 0
    assert total(metrics["namel3ss.gateway.queue.wait"]) >= 0
    [point] = metrics["namel3ss.gateway.request.duration"].data.data_points
    assert dict(point.attributes or {}) == {
        "http.route": "/api/generate",
        "namel3ss.gateway.class": "default",
        "gen_ai.request.model": "tiny",
        "namel3ss.gateway.outcome": "ok",
    }


def cloud_at(url: str) -> str:
    config = f'config: {{ base_url: "{url}/v1"  max_retries: 0 }}'
    return (
        'ai model local { provider: ollama  model: "tiny" }\n'
        f'ai model cloud {{ provider: openai_compatible  model: "big"  {config} }}\n'
    )


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_answer_of_the_fallback_belongs_to_the_callers_request(
    sdk: MemorySdk, streamed: bool
) -> None:
    body = {"model": "local", "messages": [{"role": "user", "content": "hi"}], "stream": streamed}
    with refusing_url() as nobody, ScriptedServer() as cloud:
        cloud.on("/v1/chat/completions", stream(delta("Hello"), STOP, END_OF_CHAT, sse=True))
        async with open_gateway(
            nobody, settings="fallback: cloud", models=cloud_at(cloud.url), keys=FALLING_BACK
        ) as gateway:
            answer = await gateway.ask("/api/chat", body, key="yes", headers=SENT)

    assert answer.status == 200
    spans = by_name(sdk)
    root, asked = spans["POST /api/chat"], spans["chat big"]
    assert f"{root.context.trace_id:032x}" == f"{asked.context.trace_id:032x}" == TRACE
    assert asked.parent is not None
    assert asked.parent.span_id == root.context.span_id
    assert len([span for span in sdk.spans() if span.name == root.name]) == 1
    assert root.end_time is not None
    assert asked.end_time is not None
    assert root.end_time >= asked.end_time
    told = dict(root.attributes or {})
    assert (told["http.response.status_code"], told["namel3ss.gateway.outcome"]) == (200, "ok")
    assert "error.type" not in told


async def test_a_request_whose_fallback_fails_too_ends_as_what_its_caller_got(sdk: MemorySdk) -> None:
    with refusing_url() as nobody, refusing_url() as cloud:
        async with open_gateway(
            nobody, settings="fallback: cloud", models=cloud_at(cloud), keys=FALLING_BACK
        ) as gateway:
            body = {"model": "local", "messages": [{"role": "user", "content": "hi"}]}
            answer = await gateway.ask("/api/chat", body, key="yes")

    assert answer.status == 503
    spans = by_name(sdk)
    root, asked = spans["POST /api/chat"], spans["chat big"]
    assert asked.parent is not None
    assert asked.parent.span_id == root.context.span_id
    assert dict(root.attributes or {})["namel3ss.gateway.outcome"] == answer.header("x-namel3ss-error")
    assert len([span for span in sdk.spans() if span.name == "queue"]) == 1
