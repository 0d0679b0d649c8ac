"""Each listing of the two documents on many users, and what answers it here.

"Multi-User Support" shows settings and the queue's statistics; the "Step-by-Step Implementation Guide" a queue, a bridge, the
settings, the choice of the provider, statistics, words for a waiting user, a status page and tests of the two classes. The
tests bear the listings' names and do with the library what the listing does; those of the guide's own tests
(steps 8 and 9) are made without patching anything.

Not here: installing Ollama and pulling a model (`tests/end_to_end/test_models.py`), several servers and fallback
(`tests/scheduling/test_queue_pools.py`, `tests/bridge/test_fallback.py`).
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest

from namel3ss.bridge import OllamaBridge, bridge_for, waiting_message
from namel3ss.errors import UsageError
from namel3ss.sandbox import SandboxOptions, SandboxServer
from namel3ss.scheduling import RequestQueue
from tests.support.scripted_server import Gate, ScriptedServer, document

if TYPE_CHECKING:
    from collections.abc import Iterator

QUESTION = [{"role": "user", "content": "Hello"}]
ANSWER = {
    "model": "qwen",
    "message": {"role": "assistant", "content": "Hi there!"},
    "done": True,
    "eval_count": 2,
}
CALL = {"function": {"name": "test_tool", "arguments": {"test": "value"}}}
TOOL = {
    "name": "test_tool",
    "description": "A test tool",
    "parameters": {"type": "object", "properties": {"test": {"type": "string"}}},
}


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        server.on("/api/chat", document(ANSWER))
        yield server


@pytest.fixture
def busy() -> Iterator[tuple[ScriptedServer, Gate]]:
    """A server whose first answer waits for its gate."""
    gate = Gate()
    with ScriptedServer() as server:
        server.on("/api/chat", [gate, *document(ANSWER)], document(ANSWER))
        yield server, gate
        gate.open()


@pytest.fixture
def queue() -> Iterator[RequestQueue]:
    """The process's own, as the listings use it."""
    RequestQueue.reset_instance()
    yield RequestQueue.get_instance()
    RequestQueue.reset_instance()


def request(server: ScriptedServer) -> dict[str, Any]:
    return {
        "base_url": server.url,
        "body": {"model": "qwen", "messages": QUESTION, "temperature": 0.7, "max_tokens": 9},
    }


class TestStep1CreateRequestQueueClass:
    def test_get_instance_is_one_for_all(self, queue: RequestQueue) -> None:
        found: list[RequestQueue] = []
        threads = [
            threading.Thread(target=lambda: found.append(RequestQueue.get_instance())) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert set(map(id, found)) == {id(queue)}

    def test_add_request_and_get_result_bring_the_servers_own_json(
        self, server: ScriptedServer, queue: RequestQueue
    ) -> None:
        request_id = queue.add_request(request(server))

        assert isinstance(request_id, str)
        assert queue.get_result(request_id) == ANSWER

    def test_wait_that_takes_too_long_is_the_documents_error(
        self, busy: tuple[ScriptedServer, Gate], queue: RequestQueue
    ) -> None:
        request_id = queue.add_request(request(busy[0]))

        assert queue.get_result(request_id, timeout=0.05)["error"] == "Request timed out"
        assert queue.get_queue_position(request_id) == {"position": None, "status": "timeout"}

    def test_get_queue_position_counts_those_before_and_says_processing(
        self, busy: tuple[ScriptedServer, Gate], queue: RequestQueue
    ) -> None:
        server, gate = busy
        ids = [queue.add_request(request(server)) for _ in range(3)]

        where = [queue.get_queue_position(request_id) or {} for request_id in ids]

        assert [found["position"] for found in where] == ["processing", 0, 1]
        assert [found["total"] for found in where[1:]] == [2, 2]
        assert queue.get_queue_position("unknown") is None
        gate.open()
        assert all(queue.get_result(request_id)["done"] for request_id in ids)

    def test_old_results_are_cleaned_up_five_minutes_after_delivery_or_after_thirty(
        self, server: ScriptedServer
    ) -> None:
        seconds = [1000.0]
        with RequestQueue(clock=lambda: seconds[0]) as own:
            left, fetched = own.add_request(request(server)), own.add_request(request(server))
            own.get_result(fetched)

            seconds[0] += 301.0
            own.get_result(own.add_request(request(server)))
            assert own.get_queue_position(fetched) is None
            assert own.get_queue_position(left) == {"position": None, "status": "completed"}

            seconds[0] += 1500.0
            own.get_result(own.add_request(request(server)))
            assert own.get_queue_position(left) is None


class TestStep2CreateOllamaBridgeClass:
    def test_generate_response_goes_through_the_queue_in_anthropics_shape(
        self, server: ScriptedServer, queue: RequestQueue
    ) -> None:
        bridge = OllamaBridge(base_url=server.url, model="qwen")

        response = bridge.generate_response(QUESTION, system_prompt="You are a helpful assistant.")

        sent = server.requests[0].json
        assert [message["role"] for message in sent["messages"]] == ["system", "user"]
        assert bridge.extract_text_content(response) == "Hi there!"
        assert bridge.extract_tool_calls(response) == []
        assert response.usage.output_tokens == 2
        assert queue.get_queue_stats()["recent_completions"] == 1


class TestStep3UpdateConfigStructureAndStep4ModifyMainForProviderSelection:
    @pytest.mark.parametrize("provider", ["ollama", "anthropic"])
    def test_provider_of_the_settings_chooses_the_bridge(self, provider: str, server: ScriptedServer) -> None:
        settings = {
            "api": {
                "provider": provider,
                "model": "claude-3-sonnet-20240229",
                "ollama_url": server.url,
                "ollama_model": "qwen",
            }
        }

        bridge = bridge_for(settings, environ={"ANTHROPIC_API_KEY": "key"})

        assert type(bridge).__name__ == {"ollama": "OllamaBridge", "anthropic": "AnthropicBridge"}[provider]

    def test_other_provider_is_an_error_and_not_the_cloud(self) -> None:
        with pytest.raises(UsageError, match="olama"):
            bridge_for({"api": {"provider": "olama", "ollama_model": "qwen"}})


class TestStep5AddQueueStatusInformationAndQueueStatistics:
    def test_statistics_have_the_documents_keys(self, server: ScriptedServer, queue: RequestQueue) -> None:
        assert queue.get_queue_stats() | {"queue_size": 0, "active_requests": 0, "recent_completions": 0} == (
            queue.get_queue_stats()
        )
        assert queue.get_queue_stats()["avg_processing_time"] is None

        queue.get_result(queue.add_request(request(server)))

        stats = queue.get_queue_stats()
        assert (stats["queue_size"], stats["active_requests"], stats["recent_completions"]) == (0, 0, 1)
        assert stats["avg_processing_time"] > 0


class TestStep6AddQueueStatusToConversation:
    def test_waiting_user_is_told_how_many_go_first(
        self, busy: tuple[ScriptedServer, Gate], queue: RequestQueue
    ) -> None:
        server, gate = busy
        ids = [queue.add_request(request(server)) for _ in range(3)]

        words = waiting_message(queue, ids[2])

        assert words is not None
        assert words.startswith("Your request is in a queue with 1 other request.")
        gate.open()
        assert all(queue.get_result(request_id)["done"] for request_id in ids)


class TestStep7CreateSimpleMonitoringEndpoint:
    """`GET /api/status`; the whole application stands in `examples/chat_service.py`."""

    def test_status_page_of_the_listing(self, queue: RequestQueue) -> None:
        page = {
            "status": "ok",
            "provider": "ollama",
            "queue_stats": RequestQueue.get_instance().get_queue_stats(),
        }

        assert set(page["queue_stats"]) >= {
            "queue_size",
            "active_requests",
            "avg_processing_time",
            "recent_completions",
        }


class TestStep8CreateTestForOllamaBridge:
    def test_tools_and_calls_pass_both_ways(self, queue: RequestQueue) -> None:
        message = {"role": "assistant", "content": "Test response", "tool_calls": [CALL]}
        with ScriptedServer() as server:
            server.on("/api/chat", document(ANSWER | {"message": message}))
            bridge = OllamaBridge(base_url=server.url, model="test-model")

            response = bridge.generate_response(QUESTION, tools=[TOOL])

            assert server.requests[0].json["tools"][0]["function"]["name"] == "test_tool"
        assert [block["type"] for block in response.content] == ["text", "tool_use"]
        assert response.content[0].get("text") == "Test response"
        (call,) = bridge.extract_tool_calls(response)
        assert (call["tool_name"], call["input"]) == ("test_tool", {"test": "value"})


class TestCustomModelSettingsAndTimeoutErrors:
    def test_settings_reach_the_server(self, server: ScriptedServer, queue: RequestQueue) -> None:
        bridge = bridge_for(
            {
                "api": {
                    "provider": "ollama",
                    "ollama_url": server.url,
                    "ollama_model": "llama3",
                    "temperature": 0.7,
                    "max_tokens": 2000,
                    "timeout": 120,
                }
            }
        )

        bridge.generate_response(QUESTION)

        sent = server.requests[0].json
        assert sent["model"] == "llama3"
        assert (sent["options"]["temperature"], sent["options"]["num_predict"]) == (0.7, 2000)


class TestStep9CreateTestForRequestQueue:
    """The listing keeps the worker from working and looks inside; here what it puts in fails at once, and says why."""

    def test_add_request_takes_a_placeholder(self, queue: RequestQueue) -> None:
        request_id = queue.add_request({"test": "data"})

        result = queue.get_result(request_id, timeout=0.1)
        assert (result["kind"], result["request_id"]) == ("bad_request", request_id)
        assert "`test`" in result["error"]
        assert "body" in result["suggestion"]
        assert isinstance(queue.failure(request_id), UsageError)
        assert queue.get_queue_position(request_id) == {"position": None, "status": "error"}
        assert queue.get_queue_stats()["queue_size"] == 0


class TestStep12TestTheIntegration:
    """`python main.py --log-level=DEBUG` shows what the queue does; here the loggers are Python's own."""

    def test_whole_conversation_on_a_server(
        self, queue: RequestQueue, caplog: pytest.LogCaptureFixture
    ) -> None:
        with SandboxServer(SandboxOptions(installed=("qwen",))) as sandbox, caplog.at_level(logging.DEBUG):
            bridge = OllamaBridge(base_url=sandbox.url, model="qwen")
            pieces: list[str] = []

            response = bridge.generate_response(QUESTION, stream=True, callback=pieces.append, max_tokens=20)

        assert "".join(pieces) == bridge.extract_text_content(response) != ""
