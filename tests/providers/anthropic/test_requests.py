"""What is sent: messages, tools, schemas and settings in the API's form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel, Field

from namel3ss.errors import UsageError
from namel3ss.providers.anthropic._config import AnthropicConfig
from namel3ss.providers.anthropic._images import load_images
from namel3ss.providers.anthropic._requests import message_call
from namel3ss.providers.base import ProviderMessage, ToolCall
from tests.providers.anthropic.making import MODEL, WEATHER

if TYPE_CHECKING:
    from pathlib import Path

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 8
PNG_64 = "iVBORw0KGgoAAAAAAAAAAA=="
PNG_BLOCK = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG_64}}


def body_of(messages: object, config: dict[str, Any] | None = None, **overrides: Any) -> dict[str, Any]:
    return message_call(MODEL, AnthropicConfig.from_mapping(config), messages, overrides).body


def turns_of(messages: object, **overrides: Any) -> list[dict[str, Any]]:
    turns: list[dict[str, Any]] = body_of(messages, **overrides)["messages"]
    return turns


# -- messages --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "messages",
    [
        "Hi",
        ProviderMessage("user", "Hi"),
        {"role": "user", "content": "Hi"},
        [{"role": "User", "content": [{"type": "text", "text": "Hi"}]}],
        [{"role": "user", "content": ["Hi"]}],
        [{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}],
    ],
)
def test_text_in_any_form_is_a_text(messages: object) -> None:
    assert turns_of(messages) == [{"role": "user", "content": "Hi"}]


def test_instructions_become_the_system_prompt() -> None:
    body = body_of(
        [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "Hi"},
            {"role": "developer", "content": "And brief."},
        ]
    )

    assert body["system"] == [{"type": "text", "text": "Be kind."}, {"type": "text", "text": "And brief."}]
    assert body["messages"] == [{"role": "user", "content": "Hi"}]


def test_system_of_a_call_replaces_that_of_the_conversation() -> None:
    messages = [ProviderMessage("system", "Be kind."), ProviderMessage("user", "Hi")]
    cached = [{"type": "text", "text": "Long.", "cache_control": {"type": "ephemeral"}}]

    assert body_of(messages)["system"] == "Be kind."
    assert body_of(messages, system="Be brief.")["system"] == "Be brief."
    assert body_of(messages, system=cached)["system"] == cached
    assert "system" not in body_of(messages, system="")


def test_blocks_of_the_api_pass_unchanged() -> None:
    blocks = [
        {"type": "thinking", "thinking": "Hm.", "signature": "abc", "unknown": 1},
        {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "x"}},
        {"type": "web_search_tool_result", "tool_use_id": "s1", "content": [{"x": 1}]},
        {"type": "text", "text": "So.", "citations": [{"type": "char_location"}]},
    ]

    turns = turns_of([{"role": "user", "content": "?"}, {"role": "assistant", "content": blocks}])

    assert turns[1] == {"role": "assistant", "content": blocks}


def test_calls_of_tools_keep_their_ids_and_get_one_where_they_have_none() -> None:
    turns = turns_of(
        [
            ProviderMessage("user", "?"),
            ProviderMessage(
                "assistant", "Wait.", tool_calls=[ToolCall("a", {"x": 1}, "id-1"), ToolCall("b", {})]
            ),
            {"role": "tool", "tool_name": "b", "content": "B"},
            {"role": "tool", "content": "A"},
        ]
    )

    assert turns[1:] == [
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "Wait."},
                {"type": "tool_use", "id": "id-1", "name": "a", "input": {"x": 1}},
                {"type": "tool_use", "id": "call_2", "name": "b", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "call_2", "content": "B"},
                {"type": "tool_result", "tool_use_id": "id-1", "content": "A"},
            ],
        },
    ]


def test_calls_in_openai_form_become_blocks() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "a", "arguments": '{"x": 1}'}}

    turns = turns_of(
        [
            {"role": "user", "content": "?"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "1"}, PNG_BLOCK]},
        ]
    )

    assert turns[1]["content"] == [{"type": "tool_use", "id": "c1", "name": "a", "input": {"x": 1}}]
    result = {"type": "tool_result", "tool_use_id": "c1"}
    assert turns[2]["content"] == [{**result, "content": [{"type": "text", "text": "1"}, PNG_BLOCK]}]


def test_empty_answer_of_the_model_is_left_out() -> None:
    messages = [ProviderMessage("user", "a"), ProviderMessage("assistant", ""), ProviderMessage("user", "b")]

    assert [turn["content"] for turn in turns_of(messages)] == ["a", "b"]


def test_thinking_without_a_signature_is_not_sent() -> None:
    messages = [ProviderMessage("user", "a"), ProviderMessage("assistant", "b", thinking="hm")]

    assert turns_of(messages)[1] == {"role": "assistant", "content": "b"}


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([], "messages holds nothing to answer."),
        ([ProviderMessage("system", "x")], "messages holds nothing to answer."),
        ("", r"messages\[0\] has no content."),
        (7, "messages must be a text or a list of messages"),
        ([7], r"messages\[0\] must be a message"),
        ([{"role": "robot", "content": "x"}], r"messages\[0\].role is 'robot'."),
        ([{"role": "user", "content": 7}], r"messages\[0\].content must be a text or a list of blocks"),
        ([{"role": "user", "content": [7]}], r"messages\[0\].content\[0\] is not a block of content."),
        ([{"role": "user", "content": [{"type": "text"}]}], "a block of type text needs text."),
        ([{"role": "assistant", "content": [{"type": "tool_use", "id": "x"}]}], "needs name"),
        ([{"role": "user", "content": "\ud800"}], "half of a surrogate pair"),
        ([{"role": "tool", "content": "x"}], r"messages\[0\] answers no call of a tool."),
        ([{"role": "user", "content": "x", "images": ["data:image/png;base64,!"]}], "is not base64"),
        ([{"role": "user", "content": "x", "images": [b"GIF"]}], "none of jpeg, png, gif, webp"),
        (
            [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "/etc/passwd"}}]}],
            "neither a data URI nor an address on the web",
        ),
    ],
)
def test_message_that_no_server_should_see_is_named(messages: object, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        turns_of(messages)


# -- images ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("image", [PNG, bytearray(PNG), PNG_64, f"data:image/jpeg;base64,{PNG_64}"])
def test_kind_of_an_image_is_told_by_its_bytes(image: object) -> None:
    turns = turns_of([ProviderMessage("user", "What is it?", images=[image])])

    assert turns == [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, PNG_BLOCK]}]


def test_image_on_the_web_is_left_to_the_api() -> None:
    url = "https://example.com/a.png"
    web = {"type": "image", "source": {"type": "url", "url": url}}
    part = {"type": "image_url", "image_url": {"url": url}}

    assert turns_of("?", images=[url])[0]["content"][1] == web
    assert turns_of([{"role": "user", "content": [part]}])[0]["content"] == [web]


@pytest.mark.usefixtures("_threads_of_the_loop_end")
async def test_image_is_read_from_its_file_before_it_is_sent(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    turns = turns_of("?", images=[tmp_path / "a.png"])

    await load_images(turns)

    assert turns[0]["content"][1] == PNG_BLOCK
    with pytest.raises(UsageError, match=r"b\.png' cannot be read"):
        await load_images(turns_of("?", images=[tmp_path / "b.png"]))


# -- tools -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tool",
    [
        WEATHER,
        {"type": "custom", **WEATHER},
        {
            "name": "get_weather",
            "description": "The weather of a city",
            "parameters": WEATHER["input_schema"],
        },
        {
            "type": "function",
            "function": {
                "name": "get_weather",
                "description": "The weather of a city",
                "parameters": WEATHER["input_schema"],
            },
        },
    ],
    ids=["anthropic", "custom", "bare", "openai"],
)
def test_tool_in_any_form_is_the_api_s(tool: dict[str, Any]) -> None:
    assert body_of("?", tools=[tool])["tools"] == [WEATHER]


def test_tool_of_the_api_s_own_passes_unchanged() -> None:
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}

    assert body_of("?", {"tools": [search]})["tools"] == [search]


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("auto", {"type": "auto"}),
        ("any", {"type": "any"}),
        ("required", {"type": "any"}),
        ("none", {"type": "none"}),
        ("get_weather", {"type": "tool", "name": "get_weather"}),
        ({"type": "tool", "name": "get_weather"}, {"type": "tool", "name": "get_weather"}),
        (
            {"type": "function", "function": {"name": "get_weather"}},
            {"type": "tool", "name": "get_weather"},
        ),
    ],
)
def test_choice_among_tools(choice: object, sent: dict[str, Any]) -> None:
    assert body_of("?", tools=[WEATHER], tool_choice=choice)["tool_choice"] == sent


def test_one_tool_at_a_time() -> None:
    body = body_of("?", tools=[WEATHER], parallel_tool_calls=False)

    assert body["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}


def test_tool_that_is_not_offered_cannot_be_chosen() -> None:
    with pytest.raises(UsageError, match="names the tool 'get_whether', which is not offered") as raised:
        body_of("?", tools=[WEATHER], tool_choice="get_whether")

    assert "get_weather" in (raised.value.suggestion or "")


# -- typed answers ---------------------------------------------------------------------------------------------


class _City(BaseModel):
    """A city."""

    name: str = Field(min_length=1, description="Its name")
    people: int = Field(ge=0)
    tags: list[str] = Field(max_length=3)


def test_schema_is_made_fit_for_the_api() -> None:
    """Objects are closed, and limits that it refuses are said in words."""
    output = body_of("?", format=_City)["output_config"]

    schema = output["format"]["schema"]
    assert output["format"]["type"] == "json_schema"
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["name", "people", "tags"]
    assert schema["properties"]["name"] == {
        "type": "string",
        "title": "Name",
        "description": "Its name\n(minLength: 1)",
    }
    assert schema["properties"]["people"]["description"] == "(minimum: 0)"
    assert schema["properties"]["tags"]["items"] == {"type": "string"}


def test_schema_is_followed_into_its_parts() -> None:
    inner = {"type": "object", "properties": {"x": {"type": "integer", "maximum": 3}}}
    schema = {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/inner"}, "b": {"oneOf": [inner, {"type": "null"}]}},
        "$defs": {"inner": inner},
        "$schema": "https://json-schema.org/draft/2020-12/schema",
    }

    fitted = body_of("?", format=schema)["output_config"]["format"]["schema"]

    closed = {
        "type": "object",
        "properties": {"x": {"type": "integer", "description": "(maximum: 3)"}},
        "additionalProperties": False,
    }
    assert fitted == {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/inner"}, "b": {"anyOf": [closed, {"type": "null"}]}},
        "$defs": {"inner": closed},
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ("json", "no JSON mode without a schema"),
        ({"type": "json_object"}, "no JSON mode without a schema"),
        (7, "format is not a JSON Schema"),
        (
            {"type": "object", "properties": {"data": {"type": "object"}}},
            "format.data is an object of any form",
        ),
    ],
)
def test_format_that_the_api_does_not_have(wanted: object, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        body_of("?", format=wanted)


def test_format_in_openai_form_and_none_at_all() -> None:
    schema = {"type": "array", "items": {"type": "string"}}
    openai = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}

    assert body_of("?", response_format=openai)["output_config"]["format"]["schema"] == schema
    assert "output_config" not in body_of("?", response_format={"type": "text"})
    assert "output_config" not in body_of("?", format=None)


# -- settings --------------------------------------------------------------------------------------------------


def test_settings_go_under_the_names_of_the_api() -> None:
    body = body_of(
        "?",
        {
            "max_tokens": 9000,
            "temperature": 0.5,
            "top_p": 0.9,
            "top_k": 40,
            "stop": "END",
            "thinking": 2048,
            "thinking_display": "omitted",
            "effort": "low",
            "cache_control": "1h",
            "service_tier": "standard_only",
            "user_id": "u-1",
            "extra": {"container": "c1"},
        },
    )

    assert body == {
        "model": MODEL,
        "max_tokens": 9000,
        "messages": [{"role": "user", "content": "?"}],
        "stream": True,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "service_tier": "standard_only",
        "stop_sequences": ["END"],
        "metadata": {"user_id": "u-1"},
        "cache_control": {"type": "ephemeral", "ttl": "1h"},
        "thinking": {"type": "enabled", "budget_tokens": 2048, "display": "omitted"},
        "output_config": {"effort": "low"},
        "container": "c1",
    }


@pytest.mark.parametrize(
    ("overrides", "sent"),
    [
        ({"stop_sequences": ["a", "b"]}, {"stop_sequences": ["a", "b"]}),
        ({"metadata": {"user_id": "u"}}, {"metadata": {"user_id": "u"}}),
        ({"num_predict": 5}, {"max_tokens": 5}),
        ({"think": True}, {"thinking": {"type": "adaptive"}}),
        ({"think": False}, {"thinking": {"type": "disabled"}}),
        ({"thinking": "between_tools"}, {"thinking": {"type": "between_tools"}}),
        ({"think": "high"}, {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}),
        ({"reasoning_effort": "minimal"}, {"output_config": {"effort": "low"}}),
        ({"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
        ({"temperature": None, "think": None, "format": None}, {}),
    ],
)
def test_names_that_others_use_are_understood(overrides: dict[str, Any], sent: dict[str, Any]) -> None:
    assert body_of("?", **overrides) == body_of("?") | sent


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"temprature": 0.5}, "Unknown setting `temprature`"),
        ({"thinking": 8000}, "thinking: 8000 leaves nothing for the answer"),
        ({"think": 7}, "think is 7"),
        ({"reasoning_effort": "huge"}, "reasoning_effort is 'huge'"),
        ({"system": 7}, "system must be a text"),
        ({"images": "a.png"}, "images must be a list"),
        ({"format": {}, "response_format": {}}, "mean the same"),
        ({"tools": "all"}, "tools must be a list of tools"),
    ],
)
def test_override_that_nobody_knows_is_named(overrides: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        body_of("?", **overrides)
