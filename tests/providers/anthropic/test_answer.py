"""Recorded answers of a real server, read event by event."""

from __future__ import annotations

from typing import Any

import pytest

from namel3ss.providers.anthropic import AnthropicStreamInterruptedError
from namel3ss.providers.anthropic._answer import Answer
from namel3ss.providers.anthropic._refusals import error_from_answer
from namel3ss.providers.base import ToolCall, Usage
from namel3ss.providers.transport.events import EventSplitter, ServerSentEvent
from tests.contract.recordings import all_recordings, recording
from tests.support.anthropic_events import HELLO, data_of
from tests.support.clock import ManualClock

RECORDED = "ollama-0.24.0"


def read(data: bytes, *, size: int | None = None) -> Answer:
    """The answer that these bytes are, arriving so many at a time."""
    answer = Answer("tiny", clock=ManualClock())
    splitter = EventSplitter()
    step = size or max(len(data), 1)
    for start in range(0, len(data), step):
        for event in splitter.feed(data[start : start + step]):
            answer.take(event)
    return answer


def bytes_of(name: str) -> bytes:
    lines: list[str] = recording(f"{RECORDED}/{name}").response["lines"]
    return "\n".join(lines).encode()


@pytest.mark.parametrize("size", [None, 1, 7])
def test_recorded_stream_is_read_however_it_arrives(size: int | None) -> None:
    response = read(bytes_of("anthropic/stream"), size=size).response()

    assert response.output_text == "Hello from a tiny model."
    assert response.usage == Usage(6, 7)
    assert response.finish_reason == "stop"
    assert response.metadata["done"] is True


def test_recorded_call_of_a_tool_is_read() -> None:
    response = read(bytes_of("anthropic/tools-stream")).response()

    (call,) = response.tool_calls
    assert (call.name, call.arguments, call.index) == ("get_weather", {"city": "Paris"}, 0)
    assert (call.id or "").startswith("call_")
    assert response.finish_reason == "tool_calls"
    assert response.usage == Usage(116, 8)


def test_answer_of_a_server_that_died_is_not_complete() -> None:
    answer = read(bytes_of("died/anthropic-stream"))

    assert not answer.has_ended()
    assert isinstance(answer.interrupted(), AnthropicStreamInterruptedError)
    assert answer.response().output_text == " w32 w33"
    assert answer.response().finish_reason is None


def test_every_recorded_refusal_has_an_error_of_its_own_kind() -> None:
    kinds = {
        each.name: type(
            error_from_answer(
                each.response["status"],
                {},
                each.response["body"].encode(),
                model="tiny",
                base_url="http://server",
            )
        ).__name__
        for each in all_recordings()
        if each.request["path"].startswith("/v1/messages") and each.response["status"] != 200
    }

    assert kinds == {
        f"{RECORDED}/anthropic/bad-json": "AnthropicRequestError",
        f"{RECORDED}/anthropic/no-max-tokens": "AnthropicRequestError",
        f"{RECORDED}/anthropic/not-found": "AnthropicModelNotFoundError",
        f"{RECORDED}/busy/anthropic-queue-full": "AnthropicBusyError",
        "ollama-0.33.0-rc2/anthropic/no-max-tokens": "AnthropicRequestError",
    }


def test_nothing_counts_after_the_last_event() -> None:
    answer = read(b"".join(data_of(event) for event in HELLO))

    assert answer.has_ended()
    assert answer.response() == answer.response()


def test_block_that_begins_with_content_loses_none_of_it() -> None:
    answer = Answer("tiny", clock=ManualClock())
    events: list[dict[str, Any]] = [
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "He"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "llo"}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "content_block_start",
            "index": 1,
            "content_block": {"type": "tool_use", "id": "t", "name": "now", "input": {"zone": "UTC"}},
        },
        {"type": "content_block_stop", "index": 1},
    ]

    chunks = [answer.take(ServerSentEvent(data_of(event).split(b"data: ")[1])) for event in events]

    assert [chunk.output_text for chunk in chunks if chunk and not chunk.tool_calls] == ["He", "llo"]
    assert answer.response().tool_calls == (ToolCall("now", {"zone": "UTC"}, "t", 0),)
    assert answer.response().metadata["content"][0] == {"type": "text", "text": "Hello"}


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "refusal"),
        ("pause_turn", "pause_turn"),
    ],
)
def test_reason_to_stop_is_the_common_word_and_the_api_s(reason: str, word: str) -> None:
    answer = Answer("tiny", clock=ManualClock())
    delta = {"stop_reason": reason, "stop_sequence": "END" if reason == "stop_sequence" else None}
    event = {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 1}}

    answer.take(ServerSentEvent(data_of(event).split(b"data: ")[1]))

    response = answer.response()
    assert (response.finish_reason, response.metadata["stop_reason"]) == (word, reason)
    assert response.metadata.get("stop_sequence") == delta["stop_sequence"]
