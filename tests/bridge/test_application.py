"""An application as the documents show it, with tools and streaming: its configuration alone chooses who answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from namel3ss.bridge import bridge_for, waiting_message
from tests.bridge.answers import answer, part
from tests.support.anthropic_events import (
    events,
    message_end,
    message_start,
    text_block,
    thinking_block,
    tool_block,
)
from tests.support.scripted_server import ScriptedServer, lines

if TYPE_CHECKING:
    from namel3ss.scheduling import RequestQueue

CONFIG = """
api:
  provider: "{provider}"  # Options: "anthropic", "ollama"
  model: "claude-3-sonnet-20240229"
  ollama_url: "{url}"
  ollama_model: "qwen"  # Model to use with Ollama
"""

WEATHER = {
    "name": "weather",
    "description": "The weather in a city.",
    "openai_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}


class Conversation:
    """The application. Nothing in it knows who answers."""

    def __init__(self, config: str, queue: RequestQueue, environ: dict[str, str]) -> None:
        self.llm_bridge = bridge_for(config, queue=queue, environ=environ)
        self.messages: list[dict[str, Any]] = []
        self.shown: list[str] = []

    def say(self, words: str) -> str:
        self.messages.append({"role": "user", "content": words})
        while True:
            response = self.llm_bridge.generate_response(
                messages=self.messages,
                system_prompt="You are a helpful assistant.",
                max_tokens=200,
                tools=[WEATHER],
                stream=True,
                callback=self.shown.append,
                cache_control={"type": "ephemeral"},
                dynamic_content="It is Monday.",
            )
            self.messages.append({"role": "assistant", "content": response.content})
            results = [
                {
                    "type": "tool_result",
                    "tool_use_id": call["id"],
                    "content": f"18 C in {call['input']['city']}",
                }
                for call in self.llm_bridge.extract_tool_calls(response)
                if call["tool_name"] == "weather"
            ]
            if not results:
                return self.llm_bridge.extract_text_content(response)
            self.messages.append({"role": "user", "content": results})

    def status(self) -> dict[str, Any]:
        """The document asks the bridge whether it has a queue."""
        if not hasattr(self.llm_bridge, "request_queue"):
            return {}
        statistics: dict[str, Any] = self.llm_bridge.request_queue.get_queue_stats()
        return statistics


@pytest.fixture
def models(server: ScriptedServer) -> ScriptedServer:
    """Both kinds of model: each calls the tool, then says what it has found."""
    call = {"id": "call_1", "function": {"name": "weather", "arguments": {"city": "Paris"}}}
    server.on(
        "/api/chat",
        lines(part("I look."), answer("", tool_calls=[call])),
        lines(part("It is "), part("18 C."), answer("")),
    )
    server.on(
        "/v1/messages",
        events(
            message_start(),
            *thinking_block(0, "hm"),
            *text_block(1, "I look."),
            *tool_block(2, "toolu_1", "weather", '{"city": "Paris"}'),
            *message_end("tool_use"),
        ),
        events(message_start(), *text_block(0, "It is ", "18 C."), *message_end()),
    )
    return server


@pytest.mark.parametrize("provider", ["ollama", "anthropic"])
def test_same_application_talks_to_either_provider(
    models: ScriptedServer, queue: RequestQueue, provider: str
) -> None:
    config = CONFIG.format(provider=provider, url=models.url)
    conversation = Conversation(config, queue, {"ANTHROPIC_BASE_URL": models.url})
    with conversation.llm_bridge:
        assert conversation.say("What is the weather in Paris?") == "It is 18 C."
        status = conversation.status()

    assert "".join(conversation.shown) == "I look.It is 18 C."
    assert [message["role"] for message in conversation.messages] == [
        "user",
        "assistant",
        "user",
        "assistant",
    ]
    path = {"ollama": "/api/chat", "anthropic": "/v1/messages"}[provider]
    assert models.paths() == [path, path]
    second = models.requests[1].json["messages"]
    if provider == "ollama":
        assert second[1:] == [
            {"role": "user", "content": "What is the weather in Paris?"},
            {
                "role": "assistant",
                "content": "I look.",
                "tool_calls": [
                    {"id": "call_1", "function": {"name": "weather", "arguments": {"city": "Paris"}}}
                ],
            },
            {
                "role": "tool",
                "content": "18 C in Paris",
                "tool_call_id": "call_1",
                "tool_name": "weather",
            },
        ]
        assert second[0] == {"role": "system", "content": "You are a helpful assistant.\n\nIt is Monday."}
        assert status["recent_completions"] == 2
    else:
        thinking, said, used = second[1]["content"]
        assert (thinking["type"], thinking["signature"]) == ("thinking", "c2lnbmF0dXJl")
        assert said == {"type": "text", "text": "I look."}
        assert used == {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Paris"}}
        assert second[2]["content"] == [
            {"type": "tool_result", "tool_use_id": "toolu_1", "content": "18 C in Paris"}
        ]
        assert models.requests[1].json["system"] == [
            {
                "type": "text",
                "text": "You are a helpful assistant.",
                "cache_control": {"type": "ephemeral"},
            },
            {"type": "text", "text": "It is Monday."},
        ]
        assert status == {}


def test_waiting_words_are_none_for_an_unknown_request(queue: RequestQueue) -> None:
    assert waiting_message(queue, "nobody") is None
