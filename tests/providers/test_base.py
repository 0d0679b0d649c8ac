"""Values that all providers share."""

from __future__ import annotations

import dataclasses
import json
import pickle

import pytest

from namel3ss.providers.anthropic import AnthropicProvider
from namel3ss.providers.base import ProviderMessage, ProviderResponse, ToolCall, Usage
from namel3ss.providers.local.ollama import OllamaModelManager, OllamaProvider, OllamaServerManager
from namel3ss.providers.local.openai_compatible import OpenAICompatibleProvider


def test_usage_has_only_what_was_reported() -> None:
    assert dict(Usage()) == {}
    assert dict(Usage(3)) == {"prompt_tokens": 3}
    assert dict(Usage(3, 4)) == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    assert dict(Usage(3, 4, cache_read_tokens=0, cache_creation_tokens=2)) == {
        "prompt_tokens": 3,
        "completion_tokens": 4,
        "total_tokens": 7,
        "cache_read_tokens": 0,
        "cache_creation_tokens": 2,
    }
    assert Usage(3).cache_read_tokens is None


def test_usage_survives_pickling() -> None:
    usage = Usage(3, 4, cache_read_tokens=1)

    assert pickle.loads(pickle.dumps(usage)) == usage


def test_answer_is_a_turn_of_the_conversation() -> None:
    call = ToolCall("now", {}, "c1")
    blocks = [{"type": "text", "text": "Hi"}]

    plain = ProviderResponse("Hi", "m", tool_calls=(call,), thinking="Hm.")
    with_blocks = ProviderResponse("Hi", "m", metadata={"provider": "anthropic", "content": blocks})

    assert plain.as_message() == ProviderMessage("assistant", "Hi", tool_calls=(call,), thinking="Hm.")
    assert with_blocks.as_message().blocks == blocks


def test_response_as_a_dict_is_made_of_plain_values() -> None:
    response = ProviderResponse("Hi", "tiny", usage=Usage(3, 4), tool_calls=(ToolCall("f", {"a": 1}),))

    written = json.loads(json.dumps(dataclasses.asdict(response)))

    assert written["usage"] == {
        "prompt_tokens": 3,
        "completion_tokens": 4,
        "total_tokens": 7,
        "cache_read_tokens": None,
        "cache_creation_tokens": None,
    }
    assert written["tool_calls"] == [{"name": "f", "arguments": {"a": 1}, "id": None, "index": None}]


def test_usage_is_read_only_and_compares_as_the_mapping_it_is() -> None:
    usage = Usage(3, 4)

    with pytest.raises(dataclasses.FrozenInstanceError):
        usage.prompt_tokens = 5  # type: ignore[misc]
    assert usage == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7} != Usage(3)
    assert "cache_read_tokens" not in usage
    assert usage.get("items") is None
    assert (len(usage), len(Usage()), bool(Usage())) == (3, 0, False)


@pytest.mark.parametrize(
    "provider",
    [
        OllamaProvider("p", "tiny", {"base_url": "http://a:1"}, environ={}),
        AnthropicProvider("p", "tiny", {"base_url": "http://a:1", "api_key": "k"}, environ={}),
        OpenAICompatibleProvider("p", "tiny", {"base_url": "http://a:1"}, environ={}),
        OllamaModelManager("http://a:1"),
        OllamaServerManager({"base_url": "http://a:1"}, environ={}),
    ],
    ids=lambda provider: type(provider).__name__,
)
def test_address_cannot_be_changed_under_open_connections(provider: object) -> None:
    with pytest.raises(AttributeError, match="base_url"):
        provider.base_url = "http://b:2"  # type: ignore[attr-defined]

    assert provider.base_url.startswith("http://a:1")  # type: ignore[attr-defined]
