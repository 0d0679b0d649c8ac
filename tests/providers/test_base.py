"""Values that all providers share."""

from __future__ import annotations

import pickle

from namel3ss.providers.base import ProviderMessage, ProviderResponse, ToolCall, Usage


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
