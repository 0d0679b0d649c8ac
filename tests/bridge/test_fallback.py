"""Another model in place of the bridge's own: only where it is declared and allowed, and never twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from namel3ss.bridge import AnthropicBridge, BridgeFallback, BridgeTimeoutError, OllamaBridge, bridge_for
from namel3ss.caching import ResponseCache
from namel3ss.errors import ProgramError, UsageError
from namel3ss.observability.metrics import register_metric_listener, unregister_metric_listener
from namel3ss.providers.anthropic import AnthropicServerError, AnthropicUnreachableError
from namel3ss.providers.local.ollama import (
    OllamaModelNotFoundError,
    OllamaServerUnreachableError,
    OllamaStreamInterruptedError,
)
from namel3ss.scheduling import Policy, QueueFullError, RequestQueue
from tests.bridge.answers import HELLO, answer, installed, part
from tests.support.anthropic_events import HELLO as HELLO_EVENTS
from tests.support.anthropic_events import events, refusal
from tests.support.eventually import eventually
from tests.support.scripted_server import (
    Close,
    Gate,
    Reset,
    ScriptedServer,
    Send,
    chunk,
    document,
    head,
    line,
    lines,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE = """
ai model local {{
    provider: ollama
    model: "m"
    config: {{ base_url: "{local}" }}
    fallback: {{ model: cloud, when: {{ wait_over: 20ms, server_down: true }} }}
}}

ai model cloud {{
    provider: anthropic
    model: "claude-sonnet-4-5"
    config: {{ base_url: "{cloud}" }}
}}
"""


@pytest.fixture
def cloud() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server.on("/v1/messages", events(*HELLO_EVENTS))


@pytest.fixture
def cloud_bridge(cloud: ScriptedServer) -> Iterator[AnthropicBridge]:
    with AnthropicBridge("claude-sonnet-4-5", base_url=cloud.url, environ={}) as bridge:
        yield bridge


@pytest.fixture
def gone() -> str:
    """An address where nobody listens."""
    with ScriptedServer() as server:
        return server.url


@pytest.fixture
def heard() -> Iterator[list[dict[str, str]]]:
    """The labels of every fallback that was measured."""
    found: list[dict[str, str]] = []

    def listen(name: str, values: dict[str, float], labels: dict[str, str]) -> None:
        if name == "namel3ss.bridge.fallbacks":
            found.append(labels)

    register_metric_listener(listen)
    yield found
    unregister_metric_listener(listen)


def bridge_to(url: str, queue: RequestQueue, instead: AnthropicBridge, **more: Any) -> OllamaBridge:
    rule = BridgeFallback(bridge=instead, wait_over=more.pop("wait_over", None), server_down=True)
    return OllamaBridge(url, "m", queue, fallback=rule, **more)


# -- private ---------------------------------------------------------------------------------------------------


def test_declared_fallback_is_not_used_unless_the_call_or_the_bridge_allows_it(
    tmp_path: Path, gone: str, cloud: ScriptedServer, queue: RequestQueue
) -> None:
    path = tmp_path / "app.ai"
    path.write_text(FILE.format(local=gone, cloud=cloud.url))
    with bridge_for(path, model="local", queue=queue, environ={}) as bridge:
        with pytest.raises(OllamaServerUnreachableError):
            bridge.generate_response(HELLO)
        assert cloud.requests == []
        assert bridge.extract_text_content(bridge.generate_response(HELLO, allow_fallback=True))
    with bridge_for(path, model="local", queue=queue, environ={}, allow_fallback=True) as bridge:
        with pytest.raises(OllamaServerUnreachableError):
            bridge.generate_response(HELLO, allow_fallback=False)
        assert len(cloud.requests) == 1
        assert bridge.generate_response(HELLO).metadata["provider"] == "anthropic"


def test_permission_without_a_fallback_changes_nothing(gone: str, queue: RequestQueue) -> None:
    with pytest.raises(OllamaServerUnreachableError):
        OllamaBridge(gone, "m", queue).generate_response(HELLO, allow_fallback=True)


def test_fallback_that_does_not_load_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "app.ai"
    path.write_text(FILE.format(local="http://127.0.0.1:9", cloud="not a URL"))
    with pytest.raises(ProgramError, match="cloud"):
        bridge_for(path, model="local")


# -- server_down -----------------------------------------------------------------------------------------------


def test_server_that_is_down_is_replaced_and_it_is_said(
    gone: str,
    cloud: ScriptedServer,
    cloud_bridge: AnthropicBridge,
    queue: RequestQueue,
    heard: list[dict[str, str]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    bridge = bridge_to(gone, queue, cloud_bridge, allow_fallback=True)
    seen: list[str] = []

    response = bridge.generate_response(
        HELLO, "Be kind.", max_tokens=9, stream=True, callback=seen.append, dynamic_content="Now."
    )

    assert seen == ["Hello", " there."]
    assert response.metadata == {
        "provider": "anthropic",
        "server": cloud.url,
        "fallback": {
            "reason": "server_down",
            "from": "m",
            "to": "claude-sonnet-4-5",
            "provider": "anthropic",
        },
    }
    assert heard == [
        {
            "model": "m",
            "reason": "server_down",
            "to_model": "claude-sonnet-4-5",
            "to_provider": "anthropic",
        }
    ]
    assert "A request for m goes to claude-sonnet-4-5 of anthropic: server_down." in caplog.text
    assert "Hello" not in caplog.text
    (request,) = cloud.requests
    assert request.json["max_tokens"] == 9
    assert request.json["messages"] == [{"role": "user", "content": "Hello"}]


def test_server_known_to_be_down_is_not_asked_first(
    server: ScriptedServer, cloud: ScriptedServer, cloud_bridge: AnthropicBridge
) -> None:
    server.on("/api/chat", [Reset()], document(answer()))
    with RequestQueue(clock=lambda: 0.0) as queue:  # no time passes, after which it would be tried again
        bridge = bridge_to(server.url, queue, cloud_bridge, allow_fallback=True)

        for _ in range(3):
            assert "fallback" in bridge.generate_response(HELLO).metadata

        assert len(server.requests) == 1
        assert "fallback" not in bridge.generate_response(HELLO, allow_fallback=False).metadata
        # It has answered: it is up.
        assert "fallback" not in bridge.generate_response(HELLO).metadata


@pytest.mark.parametrize("is_streamed", [False, True])
def test_failure_after_the_first_byte_stays_a_failure(
    server: ScriptedServer,
    cloud: ScriptedServer,
    cloud_bridge: AnthropicBridge,
    queue: RequestQueue,
    is_streamed: bool,
) -> None:
    server.on("/api/tags", document(installed()))
    server.on("/api/chat", [Send(head(chunked=True)), Send(chunk(line(part("H")))), Close()])
    cache = None if is_streamed else ResponseCache()
    bridge = bridge_to(server.url, queue, cloud_bridge, allow_fallback=True, cache=cache, temperature=0)

    with pytest.raises(OllamaStreamInterruptedError):
        bridge.generate_response(HELLO, stream=is_streamed)
    assert cloud.requests == []


def test_error_that_says_nothing_about_the_server_stays_one(
    server: ScriptedServer, cloud: ScriptedServer, cloud_bridge: AnthropicBridge, queue: RequestQueue
) -> None:
    server.on("/api/chat", document({"error": "model 'm' not found"}, 404))
    bridge = bridge_to(server.url, queue, cloud_bridge, allow_fallback=True)

    with pytest.raises(OllamaModelNotFoundError):
        bridge.generate_response(HELLO)
    assert cloud.requests == []


def test_reason_that_is_not_declared_is_none(
    gone: str, cloud_bridge: AnthropicBridge, queue: RequestQueue
) -> None:
    rule = BridgeFallback(bridge=cloud_bridge, wait_over=60)
    bridge = OllamaBridge(gone, "m", queue, fallback=rule, allow_fallback=True)

    with pytest.raises(OllamaServerUnreachableError):
        bridge.generate_response(HELLO)


def test_failing_fallback_is_asked_once_and_its_error_is_the_callers(
    gone: str, cloud: ScriptedServer, cloud_bridge: AnthropicBridge, queue: RequestQueue
) -> None:
    cloud.on("/v1/messages", refusal(400, "invalid_request_error", "credit balance is too low"))
    bridge = bridge_to(gone, queue, cloud_bridge, allow_fallback=True)

    with pytest.raises(Exception, match="credit") as failed:
        bridge.generate_response(HELLO)
    assert not isinstance(failed.value, AnthropicServerError | OllamaServerUnreachableError)
    assert len(cloud.requests) == 1


def test_fallback_may_be_another_ollama_whose_own_fallback_is_not_asked(
    gone: str, cloud: ScriptedServer, cloud_bridge: AnthropicBridge, queue: RequestQueue
) -> None:
    second = bridge_to(gone, queue, cloud_bridge, allow_fallback=True)
    rule = BridgeFallback(bridge=second, server_down=True)
    with ScriptedServer() as ended:
        other = ended.url
    bridge = OllamaBridge(other, "m", queue, fallback=rule, allow_fallback=True)

    with pytest.raises(OllamaServerUnreachableError):
        bridge.generate_response(HELLO)
    assert cloud.requests == []


@pytest.mark.parametrize("is_streamed", [False, True])
def test_cloud_that_cannot_be_reached_may_be_replaced_by_a_local_model(
    tmp_path: Path, gone: str, server: ScriptedServer, queue: RequestQueue, is_streamed: bool
) -> None:
    server.on("/api/chat", lines(answer()))
    path = tmp_path / "app.ai"
    path.write_text(
        f'''
        ai model cloud {{
            provider: anthropic
            model: "claude-sonnet-4-5"
            config: {{ base_url: "{gone}", max_retries: 0 }}
            fallback: local
        }}
        ai model local {{ provider: ollama, model: "m", config: {{ base_url: "{server.url}" }} }}
        '''
    )
    with bridge_for(path, model="cloud", queue=queue, environ={}) as bridge:
        with pytest.raises(AnthropicUnreachableError):
            bridge.generate_response(HELLO, stream=is_streamed)
        seen: list[str] = []
        response = bridge.generate_response(
            HELLO, stream=is_streamed, callback=seen.append, allow_fallback=True
        )

    assert response.metadata["fallback"]["to"] == "m"
    assert seen == (["Hi"] if is_streamed else [])


# -- wait_over -------------------------------------------------------------------------------------------------


def test_request_that_has_waited_too_long_leaves_the_queue_and_goes_elsewhere_once(
    server: ScriptedServer, cloud: ScriptedServer, cloud_bridge: AnthropicBridge, queue: RequestQueue
) -> None:
    gate = Gate()
    server.on("/api/chat", [gate, *document(answer())], document(answer()))
    bridge = bridge_to(server.url, queue, cloud_bridge, wait_over=0.02, allow_fallback=True)
    patient = OllamaBridge(server.url, "m", queue)
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(patient.generate_response, HELLO)
        gate.arrived.wait()
        response = bridge.generate_response(HELLO)
        gate.open()
        assert running.result(10).metadata["provider"] == "ollama"

    assert response.metadata["fallback"]["reason"] == "wait_over"
    assert (len(server.requests), len(cloud.requests)) == (1, 1)
    assert queue.get_queue_stats()["queue_size"] == 0


def test_expected_wait_is_enough_to_go_elsewhere_at_once(
    server: ScriptedServer, cloud: ScriptedServer, cloud_bridge: AnthropicBridge
) -> None:
    now = [0.0]
    gates = [Gate(), Gate(), Gate()]
    server.on("/api/chat", *([gate, *document(answer())] for gate in gates))
    with RequestQueue(clock=lambda: now[0]) as queue, ThreadPoolExecutor(1) as threads:
        bridge = bridge_to(server.url, queue, cloud_bridge, wait_over=30, allow_fallback=True)
        for gate in gates[:2]:  # the first loads the model, which teaches nothing about answers
            learning = threads.submit(bridge.generate_response, HELLO)
            gate.arrived.wait()
            now[0] += 300  # one answer takes five minutes, as far as the queue knows
            gate.open()
            learning.result(10)
        running = threads.submit(bridge.generate_response, HELLO)
        gates[2].arrived.wait()
        response = bridge.generate_response(HELLO)
        gates[2].open()
        running.result(10)

    assert response.metadata["fallback"]["reason"] == "wait_over"
    assert (len(server.requests), len(cloud.requests)) == (3, 1)


def test_request_that_got_its_turn_in_time_stays_however_long_it_takes(
    server: ScriptedServer, cloud: ScriptedServer, cloud_bridge: AnthropicBridge, queue: RequestQueue
) -> None:
    gate = Gate()
    server.on("/api/chat", [gate, *document(answer())])
    bridge = bridge_to(server.url, queue, cloud_bridge, wait_over=5.0, allow_fallback=True)
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(bridge.generate_response, HELLO)
        gate.arrived.wait()
        gate.open()
        assert "fallback" not in running.result(10).metadata
    assert cloud.requests == []


def test_full_queue_counts_as_a_long_wait(
    server: ScriptedServer, cloud: ScriptedServer, cloud_bridge: AnthropicBridge
) -> None:
    gate = Gate()
    server.on("/api/chat", [gate, *document(answer())])
    with RequestQueue(policy=Policy(max_waiting=0)) as queue:
        bridge = bridge_to(server.url, queue, cloud_bridge, wait_over=60, allow_fallback=True)
        with ThreadPoolExecutor(1) as threads:
            running = threads.submit(bridge.generate_response, HELLO)
            gate.arrived.wait()
            assert bridge.generate_response(HELLO).metadata["fallback"]["reason"] == "wait_over"
            with pytest.raises(QueueFullError):
                bridge.generate_response(HELLO, allow_fallback=False)
            gate.open()
            running.result(10)


def test_own_time_that_ends_before_the_wait_is_too_long_is_a_timeout(
    server: ScriptedServer, cloud: ScriptedServer, cloud_bridge: AnthropicBridge, queue: RequestQueue
) -> None:
    gate = Gate()
    server.on("/api/chat", [gate, *document(answer())], document(answer()))
    hasty = bridge_to(server.url, queue, cloud_bridge, wait_over=60, timeout=0.02, allow_fallback=True)
    running = queue.add_request({"base_url": server.url, "body": {"model": "m", "messages": HELLO}})
    gate.arrived.wait()

    with pytest.raises(BridgeTimeoutError, match="next in the queue"):
        hasty.generate_response(HELLO)
    gate.open()
    queue.get_result(running)
    assert cloud.requests == []


def test_one_who_goes_elsewhere_leaves_a_shared_request_to_the_others(
    server: ScriptedServer, cloud: ScriptedServer, cloud_bridge: AnthropicBridge, queue: RequestQueue
) -> None:
    gate = Gate()
    cache = ResponseCache()
    server.on("/api/tags", document(installed()))
    server.on("/api/chat", [gate, *lines(answer())], lines(answer()))
    bridge = bridge_to(server.url, queue, cloud_bridge, wait_over=0.02, cache=cache, temperature=0)
    with ThreadPoolExecutor(2) as threads:
        running = threads.submit(bridge.generate_response, HELLO, "other")
        gate.arrived.wait()
        patient = threads.submit(bridge.generate_response, HELLO)
        eventually(lambda: queue.get_queue_stats()["queue_size"] == 1)
        response = bridge.generate_response(HELLO, allow_fallback=True)
        assert response.metadata["fallback"]["reason"] == "wait_over"
        gate.open()
        assert running.result(10).metadata["cache"] == patient.result(10).metadata["cache"] == "miss"

    # What the cloud said is nobody's answer of this model.
    assert bridge.generate_response(HELLO).metadata["cache"] == "hit"
    assert len(cloud.requests) == 1


@pytest.mark.parametrize("wrong", [{}, {"wait_over": -1}, {"wait_over": "5"}, {"wait_over": float("nan")}])
def test_rule_without_a_reason_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        BridgeFallback(bridge=OllamaBridge(), **wrong)
