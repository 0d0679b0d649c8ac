"""Whatever a server sends as events, reading it ends in an answer or in an error of ours."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from namel3ss.providers.anthropic import AnthropicError
from namel3ss.providers.anthropic._answer import Answer
from namel3ss.providers.transport.events import ServerSentEvent
from tests.support.clock import ManualClock

_ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 5)
    | st.sampled_from(["", "x", "{", '{"a": 1}', "max_tokens"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["type", "x"]), inner),
    max_leaves=4,
)
_TYPES = st.sampled_from(
    [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "ping",
        "error",
        "new",
    ]
)
_BLOCKS = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "thinking", "tool_use", "server_tool_use", "new"])},
    optional={
        "id": _ANYTHING,
        "name": _ANYTHING,
        "input": _ANYTHING,
        "text": _ANYTHING,
        "thinking": _ANYTHING,
    },
)
_DELTAS = st.dictionaries(
    st.sampled_from(
        ["type", "text", "thinking", "signature", "partial_json", "citation", "stop_reason", "stop_sequence"]
    ),
    st.sampled_from(["", "a", "{", '"}', "max_tokens", "tool_use"]) | _ANYTHING,
)
_EVENTS = st.fixed_dictionaries(
    {"type": _TYPES | _ANYTHING},
    optional={
        "index": st.integers(-1, 2) | _ANYTHING,
        "content_block": _BLOCKS | _ANYTHING,
        "delta": _DELTAS | _ANYTHING,
        "usage": st.dictionaries(st.sampled_from(["input_tokens", "output_tokens_details"]), _ANYTHING),
        "message": _ANYTHING,
        "error": _ANYTHING,
    },
)


@given(st.lists(st.one_of(_EVENTS.map(lambda event: json.dumps(event).encode()), st.binary(max_size=8))))
def test_any_events_are_an_answer_or_an_error(sent: list[bytes]) -> None:
    answer = Answer("m", clock=ManualClock())
    try:
        for data in sent:
            answer.take(ServerSentEvent(data))
    except AnthropicError as error:
        answer.attach_to(error)

    response = answer.response()
    json.dumps(response.metadata["content"])
    assert response.as_message().role == "assistant"
    assert answer.last_chunk().metadata["done"] is answer.has_ended()
