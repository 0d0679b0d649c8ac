"""`AnthropicBridge` on a server that speaks Anthropic's API: the same face, another model behind it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from namel3ss.bridge import AnthropicBridge, ContentBlock
from namel3ss.errors import UsageError
from namel3ss.providers.anthropic import (
    AnthropicAuthError,
    AnthropicKeyMissingError,
    AnthropicRequestTimeoutError,
)
from tests.bridge.answers import HELLO
from tests.support.anthropic_events import (
    HELLO as HELLO_EVENTS,
)
from tests.support.anthropic_events import (
    event_head,
    events,
    message_end,
    message_start,
    refusal,
    text_block,
    thinking_block,
    tool_block,
)
from tests.support.scripted_server import Gate, ScriptedServer, Send, chunk

if TYPE_CHECKING:
    from collections.abc import Iterator

MODEL = "claude-sonnet-4-5"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
MARK = {"type": "ephemeral"}


@pytest.fixture
def bridge(server: ScriptedServer) -> Iterator[AnthropicBridge]:
    server.on("/v1/messages", events(*HELLO_EVENTS))
    with AnthropicBridge(MODEL, base_url=server.url, environ={}) as bridge:
        yield bridge


def sent(server: ScriptedServer) -> dict[str, Any]:
    body: dict[str, Any] = server.requests[-1].json
    return body


def test_answer_has_the_shape_of_the_other_bridge(bridge: AnthropicBridge, server: ScriptedServer) -> None:
    response = bridge.generate_response(HELLO, "Be kind.", temperature=0.5, max_tokens=9)

    assert [block.type for block in response.content] == ["text"]
    assert response.content[0]["text"] == response.content[0].text == "Hello there."
    assert (response.usage.input_tokens, response.usage.output_tokens) == (12, 7)
    assert (response.stop_reason, response.role, response.model) == ("end_turn", "assistant", MODEL)
    assert response.id == "msg_01"
    assert response.metadata == {"provider": "anthropic", "server": server.url}
    assert bridge.extract_text_content(response) == "Hello there."
    assert bridge.extract_tool_calls(response) == response.tool_calls == []
    assert sent(server) == {
        "model": MODEL,
        "max_tokens": 9,
        "temperature": 0.5,
        "system": "Be kind.",
        "messages": [{"role": "user", "content": "Hello"}],
        "stream": True,
    }


def test_streamed_text_comes_in_pieces_on_the_callers_thread_and_whole(bridge: AnthropicBridge) -> None:
    seen: list[str] = []

    response = bridge.generate_response(HELLO, stream=True, callback=seen.append)

    assert seen == ["Hello", " there."]
    assert bridge.extract_text_content(response) == "Hello there."
    assert response.usage.output_tokens == 7


def test_failing_callback_reaches_the_caller_and_stops_the_answer(
    bridge: AnthropicBridge, server: ScriptedServer
) -> None:
    begun = [Send(event_head()), *events(*HELLO_EVENTS)[1:5], Gate()]
    server.on("/v1/messages", begun)

    def fail(text: str) -> None:
        raise KeyError(text)

    with pytest.raises(KeyError):
        bridge.generate_response(HELLO, stream=True, callback=fail)
    server.requests[0].aborted.wait()


def test_tools_thinking_and_cache_counts_come_as_the_api_gives_them(
    bridge: AnthropicBridge, server: ScriptedServer
) -> None:
    server.on(
        "/v1/messages",
        events(
            message_start(MODEL, cache_read_input_tokens=5, cache_creation_input_tokens=3),
            *thinking_block(0, "hm", signature="c2ln"),
            *text_block(1, "I look."),
            *tool_block(2, "toolu_1", "weather", '{"city":', '"Paris"}'),
            *message_end("tool_use"),
        ),
    )
    tools = [
        {"name": "weather", "description": "d", "input_schema": SCHEMA, "cache_control": MARK},
        {"name": "old", "description": "d", "parameters": SCHEMA},
        {"type": "web_search_20250305", "name": "web_search"},
    ]

    response = bridge.generate_response(HELLO, tools=tools)

    assert [block.type for block in response.content] == ["thinking", "text", "tool_use"]
    assert response.content[0].signature == "c2ln"
    assert bridge.extract_tool_calls(response) == [
        {"id": "toolu_1", "tool_name": "weather", "input": {"city": "Paris"}}
    ]
    assert response.tool_calls == [
        {"id": "toolu_1", "function": {"name": "weather", "arguments": {"city": "Paris"}}}
    ]
    usage = response.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (
        12,
        5,
        3,
    )
    assert response.stop_reason == "tool_use"
    assert sent(server)["tools"] == [
        {"name": "weather", "description": "d", "input_schema": SCHEMA, "cache_control": MARK},
        {"name": "old", "description": "d", "input_schema": SCHEMA},
        {"type": "web_search_20250305", "name": "web_search"},
    ]


@pytest.mark.parametrize(
    ("prompt", "dynamic", "mark", "expected"),
    [
        ("Be kind.", None, None, "Be kind."),
        (None, "It is Monday.", None, "It is Monday."),
        (None, "It is Monday.", MARK, "It is Monday."),
        ("Be kind.", None, MARK, [{"type": "text", "text": "Be kind.", "cache_control": MARK}]),
        (
            "Be kind.",
            "It is Monday.",
            MARK,
            [
                {"type": "text", "text": "Be kind.", "cache_control": MARK},
                {"type": "text", "text": "It is Monday."},
            ],
        ),
        (
            [{"type": "text", "text": "a", "cache_control": MARK}, {"type": "text", "text": "b"}],
            "c",
            None,
            [
                {"type": "text", "text": "a", "cache_control": MARK},
                {"type": "text", "text": "b"},
                {"type": "text", "text": "c"},
            ],
        ),
        ("", None, None, None),
    ],
)
def test_what_changes_stands_behind_what_is_kept(
    bridge: AnthropicBridge,
    server: ScriptedServer,
    prompt: Any,
    dynamic: str | None,
    mark: dict[str, str] | None,
    expected: object,
) -> None:
    bridge.generate_response(HELLO, prompt, cache_control=mark, dynamic_content=dynamic)

    assert sent(server).get("system") == expected


def test_blocks_go_back_as_they_came_from_dicts_objects_and_responses(
    bridge: AnthropicBridge, server: ScriptedServer
) -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
    signed = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
    conversation = [
        SimpleNamespace(role="user", content=[SimpleNamespace(type="text", text="Look."), image]),
        {
            "role": "assistant",
            "content": [
                ContentBlock(type="thinking", thinking="of a local model", signature=""),
                signed,
                ContentBlock(type="tool_use", id="toolu_1", name="weather", input={"city": "Paris"}),
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_1",
                    "content": "18 C",
                    "cache_control": MARK,
                },
                {"type": "text", "text": "And in Rome?"},
            ],
        },
    ]

    bridge.generate_response(conversation)

    assert sent(server)["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "Look."}, image]},
        {
            "role": "assistant",
            "content": [
                signed,
                {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Paris"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_1",
                    "content": "18 C",
                    "cache_control": MARK,
                },
                {"type": "text", "text": "And in Rome?"},
            ],
        },
    ]


def test_errors_are_the_providers_and_hold_no_key(server: ScriptedServer) -> None:
    server.on("/v1/messages", refusal(401, "authentication_error", "invalid x-api-key"))
    with AnthropicBridge(MODEL, base_url=server.url, api_key="sk-secret", environ={}) as bridge:
        with pytest.raises(AnthropicAuthError) as refused:
            bridge.generate_response(HELLO)
        assert server.requests[0].header("x-api-key") == "sk-secret"
        assert "sk-secret" not in repr(bridge) + str(refused.value)


def test_key_comes_from_the_environment_and_nothing_is_sent_without_one() -> None:
    with AnthropicBridge(MODEL, environ={}) as bridge, pytest.raises(AnthropicKeyMissingError):
        bridge.generate_response(HELLO)


def test_answer_that_takes_too_long_is_given_up(server: ScriptedServer) -> None:
    server.on("/v1/messages", [Send(event_head()), Send(chunk(b": wait\n\n")), Gate()])
    with (
        AnthropicBridge(MODEL, base_url=server.url, timeout=0.05, environ={}) as bridge,
        pytest.raises(AnthropicRequestTimeoutError),
    ):
        bridge.generate_response(HELLO)


@pytest.mark.parametrize(
    "wrong",
    [
        {"messages": "Hello"},
        {"messages": None},
        {"messages": [5]},
        {"messages": []},
        {"messages": [{"role": "user", "content": [object()]}]},
        {"messages": HELLO, "system_prompt": [{"type": "image", "source": {}}]},
        {"messages": HELLO, "temperature": 3},
    ],
)
def test_wrong_call_is_refused_before_anything_is_sent(
    bridge: AnthropicBridge, server: ScriptedServer, wrong: dict[str, Any]
) -> None:
    with pytest.raises(UsageError):
        bridge.generate_response(**wrong)
    assert server.requests == []


def test_bridge_without_a_model_is_refused() -> None:
    with pytest.raises(UsageError, match="model"):
        AnthropicBridge()
