"""Messages and tools in Anthropic's shape become Ollama's, in the same order."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from namel3ss.bridge import ContentBlock
from namel3ss.bridge.conversation import to_messages, to_system_text, to_tools
from namel3ss.errors import UsageError

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def result(words: object, **more: object) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": "toolu_1", "content": words, **more}


def test_plain_messages_keep_their_roles_and_order_behind_the_system_prompt() -> None:
    messages = [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi"},
        {"role": "user", "content": [text("a"), text("b")]},
    ]

    assert to_messages(messages, "Be short.") == [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi"},
        {"role": "user", "content": "a\nb"},
    ]


def test_tool_results_follow_their_calls_and_the_users_words_come_after_them_as_the_users() -> None:
    messages = [
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": ""},
                text("I look."),
                {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Paris"}},
            ],
        },
        {"role": "user", "content": [text("And in Rome?"), result("18 C")]},
    ]

    assert to_messages(messages, None) == [
        {
            "role": "assistant",
            "content": "I look.",
            "thinking": "hm",
            "tool_calls": [
                {"id": "toolu_1", "function": {"name": "weather", "arguments": {"city": "Paris"}}},
            ],
        },
        {"role": "tool", "content": "18 C", "tool_call_id": "toolu_1", "tool_name": "weather"},
        {"role": "user", "content": "And in Rome?"},
    ]


def test_blocks_may_be_objects_and_results_hold_blocks_images_and_errors() -> None:
    block = SimpleNamespace(type="text", text="look")
    messages = [
        SimpleNamespace(role="user", content=[block, ContentBlock(type="text", text="here"), IMAGE]),
        {
            "role": "user",
            "content": [result([text("a"), IMAGE]), result("broken", is_error=True), result(None)],
        },
    ]

    assert to_messages(messages, None) == [
        {"role": "user", "content": "look\nhere", "images": ["aGk="]},
        {"role": "tool", "content": "a", "images": ["aGk="], "tool_call_id": "toolu_1"},
        {"role": "tool", "content": "Error: broken", "tool_call_id": "toolu_1"},
        {"role": "tool", "content": "", "tool_call_id": "toolu_1"},
    ]


def test_messages_in_openais_shape_pass_with_their_arguments_as_objects() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}
    messages = [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "1"},
    ]

    assert to_messages(messages, None) == [
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": {"x": 1}}}],
        },
        {"role": "tool", "content": "1", "tool_call_id": "c", "tool_name": "f"},
    ]


@pytest.mark.parametrize(
    "content",
    [[{"type": "document"}], [{"type": "image", "source": {"type": "url", "url": "http://x"}}], 5],
)
def test_what_no_model_can_read_is_refused_with_its_place(content: object) -> None:
    with pytest.raises(UsageError, match=r"messages\[0\]"):
        to_messages([{"role": "user", "content": content}], None)


@pytest.mark.parametrize(
    "calls", ["call", 5, {"function": {}}, ["call"], [{"id": "c"}], [{"function": "f"}], [None]]
)
def test_calls_of_no_known_shape_are_refused(calls: object) -> None:
    with pytest.raises(UsageError, match=r"tool_calls must be a list|A tool call must be a dict"):
        to_messages([{"role": "assistant", "content": None, "tool_calls": calls}], None)


def test_dynamic_content_that_is_no_text_is_refused() -> None:
    with pytest.raises(UsageError, match="dynamic_content must be a text"):
        to_system_text("Be kind.", cast("str", 5))


@pytest.mark.parametrize(
    ("prompt", "dynamic", "expected"),
    [
        ("Be kind.", "It is Monday.", "Be kind.\n\nIt is Monday."),
        (None, "It is Monday.", "It is Monday."),
        (
            [{**text("Be kind."), "cache_control": {"type": "ephemeral"}}, text("Always.")],
            None,
            "Be kind.\n\nAlways.",
        ),
        ("", None, None),
    ],
)
def test_dynamic_content_is_added_to_the_prompt_or_is_one(
    prompt: object, dynamic: str | None, expected: str | None
) -> None:
    assert to_system_text(prompt, dynamic) == expected


@pytest.mark.parametrize(
    "tool",
    [
        {
            "name": "weather",
            "description": "d",
            "openai_schema": SCHEMA,
            "input_schema": {},
            "parameters": {},
        },
        {"name": "weather", "description": "d", "input_schema": SCHEMA, "parameters": {}},
        {"name": "weather", "description": "d", "parameters": SCHEMA},
        {"openai_schema": {"name": "weather", "description": "d", "parameters": SCHEMA}},
        {
            "openai_schema": {
                "type": "function",
                "function": {"name": "weather", "description": "d", "parameters": SCHEMA},
            }
        },
        {
            "type": "function",
            "function": {"name": "weather", "description": "d", "parameters": SCHEMA},
        },
        SimpleNamespace(name="weather", description="d", input_schema=SCHEMA),
    ],
)
def test_schema_of_a_tool_is_found_in_this_order(tool: object) -> None:
    assert to_tools([tool]) == [
        {"type": "function", "function": {"name": "weather", "description": "d", "parameters": SCHEMA}}
    ]


def test_tool_without_a_schema_is_left_out_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert to_tools([{"name": "search", "description": "d"}]) == []
    assert "'search'" in caplog.text
    assert to_tools([{"type": "function", "function": {"name": "search"}}, "search", None]) == []
