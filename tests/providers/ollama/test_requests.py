from __future__ import annotations

import logging
import math
from typing import Any

import pytest
from pydantic import BaseModel

from namel3ss.errors import UsageError
from namel3ss.providers.local.ollama._config import OllamaConfig
from namel3ss.providers.local.ollama._requests import check_options, embed_call, message_call

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}


def body(messages: object = "hi", config: dict[str, Any] | None = None, **overrides: Any) -> dict[str, Any]:
    return message_call("tiny", OllamaConfig.from_mapping(config), messages, overrides, is_streamed=True).body


def test_setting_that_nobody_wrote_is_not_sent() -> None:
    assert body() == {
        "model": "tiny",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "truncate": False,
    }


def test_settings_go_where_ollama_expects_them() -> None:
    config = {
        "temperature": 0.5,
        "max_tokens": 20,
        "stop": "END",
        "keep_alive": "300",
        "think": "low",
        "num_gpu": 3,
        "options": {"num_keep": 8},
    }

    sent = body(config=config)

    assert sent["options"] == {
        "temperature": 0.5,
        "num_predict": 20,
        "stop": ["END"],
        "num_gpu": 3,
        "num_keep": 8,
    }
    assert (sent["keep_alive"], sent["think"]) == (300, "low")
    assert "shift" not in sent


@pytest.mark.parametrize(("policy", "truncate"), [("error", False), ("warn", True), ("truncate", True)])
def test_prompt_may_be_cut_only_if_the_policy_says_so(policy: str, truncate: bool) -> None:
    assert body(on_context_overflow=policy)["truncate"] is truncate


def test_override_beats_the_setting_for_one_call() -> None:
    config = {"temperature": 0.5, "options": {"temperature": 0.7}}

    assert body(config=config, temperature=0.1)["options"] == {"temperature": 0.1}
    assert body(config=config)["options"] == {"temperature": 0.7}


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({"num_predict": 5}, {"options": {"num_predict": 5}}),
        ({"num_keep": 5}, {"options": {"num_keep": 5}}),
        ({"stop": ["a", "b"]}, {"options": {"stop": ["a", "b"]}}),
        ({"reasoning_effort": "none"}, {"think": False}),
        ({"reasoning_effort": "minimal"}, {"think": "low"}),
        ({"reasoning_effort": "xhigh"}, {"think": "max"}),
        ({"format": "json"}, {"format": "json"}),
        ({"response_format": {"type": "json_object"}}, {"format": "json"}),
        ({"response_format": {"type": "text"}}, {}),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "x", "schema": {"type": "array"}},
                }
            },
            {"format": {"type": "array"}},
        ),
        ({"format": {"type": "object"}}, {"format": {"type": "object"}}),
        ({"format": None, "tools": None}, {}),
        ({"tools": [TOOL]}, {"tools": [TOOL]}),
        ({"tools": [TOOL["function"]]}, {"tools": [TOOL]}),
        ({"tools": [TOOL], "tool_choice": "auto"}, {"tools": [TOOL]}),
        ({"tools": [TOOL], "tool_choice": "none"}, {}),
        ({"tools": []}, {}),
        ({"logprobs": True, "top_logprobs": 2}, {"logprobs": True, "top_logprobs": 2}),
    ],
)
def test_names_of_a_call_and_of_other_apis_are_understood(
    overrides: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert body(**overrides) == body() | expected


def test_format_may_be_a_pydantic_model_class() -> None:
    class City(BaseModel):
        name: str

    assert body(format=City)["format"] == City.model_json_schema()


def test_system_comes_first_or_replaces_the_one_that_is_there() -> None:
    conversation = [{"role": "system", "content": "old"}, {"role": "user", "content": "hi"}]

    assert body(system="new")["messages"][0] == {"role": "system", "content": "new"}
    assert body(conversation, system="new")["messages"] == [
        {"role": "system", "content": "new"},
        {"role": "user", "content": "hi"},
    ]


def test_images_of_a_call_belong_to_the_last_message_of_the_user() -> None:
    conversation = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]

    assert body(conversation, images=[b"png"])["messages"][0]["images"] == [b"png"]


@pytest.mark.parametrize(
    ("messages", "overrides", "fields"),
    [
        ("x", {"raw": True}, {"prompt": "x", "raw": True}),
        ("x", {"suffix": "y"}, {"prompt": "x", "suffix": "y"}),
        (
            "x",
            {"template": "{{ .Prompt }}", "system": "s"},
            {"prompt": "x", "template": "{{ .Prompt }}", "system": "s"},
        ),
        ("x", {"raw": True, "images": [b"png"]}, {"prompt": "x", "raw": True, "images": [b"png"]}),
    ],
)
def test_raw_suffix_and_template_go_to_generate(
    messages: str, overrides: dict[str, Any], fields: dict[str, Any]
) -> None:
    call = message_call("tiny", OllamaConfig.from_mapping({}), messages, overrides, is_streamed=True)

    assert call.path == "/api/generate"
    assert call.body == {"model": "tiny", **fields, "stream": True, "truncate": False}


def test_raw_false_stays_a_chat() -> None:
    assert "messages" in body(raw=False)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"temprature": 1}, "temperature"),
        ({"temperature": math.nan}, "temperature"),
        ({"options": {"top_k": math.inf}}, "finite"),
        ({"num_ctx": "many"}, "num_ctx must be"),
        ({"format": "xml"}, "neither 'json' nor a JSON Schema"),
        ({"format": {"minimum": math.nan}}, "finite"),
        ({"format": "json", "response_format": {"type": "text"}}, "mean the same"),
        ({"response_format": {"type": "json_schema"}}, "neither"),
        ({"tools": "f"}, "tools must be a list"),
        ({"tools": [None]}, "tools[0] does not describe a tool"),
        ({"tools": [len]}, "program.run_with_tools"),
        ({"tools": [{"function": {}}]}, "tools[0] does not describe a tool"),
        ({"tool_choice": "required", "tools": [TOOL]}, "which tool"),
        ({"tools": [TOOL], "raw": True}, "tools need a conversation"),
        ({"raw": True, "system": "s"}, "raw takes neither"),
        ({"raw": "yes"}, "raw must be"),
        ({"suffix": 5}, "suffix must be"),
        ({"logprobs": "yes"}, "logprobs must be"),
        ({"top_logprobs": 21}, "top_logprobs must be"),
        ({"reasoning_effort": "much"}, "reasoning_effort"),
        ({"images": b"png"}, "images must be a list"),
        ({"system": 5}, "must be a text"),
    ],
)
def test_wrong_override_is_a_usage_error_before_anything_is_sent(
    overrides: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError) as raised:
        body(**overrides)

    assert words in str(raised.value)


def test_tool_in_the_form_of_anthropic_keeps_its_schema() -> None:
    (tool,) = body(tools=[{"name": "f", "input_schema": {"type": "object"}}])["tools"]

    assert tool == {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def test_stop_may_be_a_tuple() -> None:
    assert body(stop=("a", "b"))["options"]["stop"] == ["a", "b"]


def test_raw_prompt_is_no_conversation() -> None:
    with pytest.raises(UsageError, match="takes one prompt"):
        body([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], raw=True)


def test_option_that_ollama_ignores_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        check_options({"temprature": 1, "mirostat": 2, "num_keep": 3})

    assert [record.getMessage() for record in caplog.records] == [
        "Ollama does not know the option 'temprature' and ignores it. Did you mean 'temperature'?",
        "Ollama no longer knows the option 'mirostat' and ignores it.",
    ]


# -- embed ----------------------------------------------------------------------------------------------------


def embed_body(texts: object, **keywords: Any) -> dict[str, Any]:
    dimensions = keywords.pop("dimensions", None)
    config = OllamaConfig.from_mapping(keywords.pop("config", {}))
    return embed_call("tiny", config, texts, dimensions=dimensions, overrides=keywords).body


def test_embedding_sends_texts_and_what_was_set() -> None:
    assert embed_body("a") == {"model": "tiny", "input": ["a"], "truncate": False}
    assert embed_body(("a", "b"), dimensions=4, config={"keep_alive": "5m", "think": True}) == {
        "model": "tiny",
        "input": ["a", "b"],
        "dimensions": 4,
        "truncate": False,
        "keep_alive": "5m",
    }


@pytest.mark.parametrize(
    ("texts", "keywords", "words"),
    [
        ([], {}, "texts is empty"),
        ([""], {}, "texts[0] is empty"),
        (["a", 5], {}, "texts[1] must be a text"),
        (5, {}, "texts must be"),
        (b"a", {}, "texts must be"),
        ("a", {"dimensions": 0}, "dimensions must be"),
        ("a", {"dimensions": True}, "dimensions must be"),
        ("a", {"format": "json"}, "format"),
    ],
)
def test_wrong_embedding_is_a_usage_error(texts: object, keywords: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as raised:
        embed_body(texts, **keywords)

    assert words in str(raised.value)
