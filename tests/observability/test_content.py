from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from namel3ss.observability.capture import ContentCapture, content_capture
from namel3ss.observability.content import (
    RequestContent,
    content_limit,
    json_within,
    structured,
)
from namel3ss.observability.metrics import register_metric_listener, unregister_metric_listener
from namel3ss.observability.telemetry import Telemetry
from tests.observability.receivers import Listener, MemorySdk, chat

if TYPE_CHECKING:
    from collections.abc import Iterator

    from namel3ss.observability.content import Json

CANARY = "canary-4711-prompt"
CONTENT = RequestContent(
    messages=[
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": CANARY, "images": ["aGVsbG8="]},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"function": {"name": "look", "arguments": {"at": 1}}}],
        },
        {"role": "tool", "content": "a cat", "tool_name": "look"},
    ],
    answer={"role": "assistant", "content": "A cat.", "thinking": "Hm."},
    finish_reason="stop",
    tools=[{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}],
)


@pytest.fixture(params=list(ContentCapture))
def sdk(request: pytest.FixtureRequest) -> Iterator[MemorySdk]:
    memory = MemorySdk(capture=request.param)
    yield memory
    memory.close()


def test_content_is_recorded_where_the_switch_says_and_nowhere_else(sdk: MemorySdk) -> None:
    observation = chat(sdk.telemetry)
    observation.capture(lambda: CONTENT)
    wanted = observation.wants_content
    observation.finish()

    capture = sdk.telemetry.capture
    assert wanted is (capture.on_span or capture.on_event)
    assert (CANARY in sdk.spans()[0].to_json()) is capture.on_span
    assert [CANARY in event.to_json() for event in sdk.events()] == ([True] if capture.on_event else [])


def test_content_of_a_span_that_nobody_records_is_not_asked_for() -> None:
    telemetry = Telemetry(
        tracer_provider=TracerProvider(ALWAYS_OFF, shutdown_on_exit=False),
        capture=ContentCapture.SPAN_ONLY,
        environ={},
    )

    assert not chat(telemetry).wants_content


def test_by_default_prompts_are_in_no_signal_and_in_no_log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", raising=False)
    sdk = MemorySdk()
    listener = register_metric_listener(Listener())
    with caplog.at_level(logging.DEBUG):
        observation = chat(sdk.telemetry)
        observation.capture(lambda: pytest.fail("content was asked for"))
        observation.end_with(ValueError(CANARY))
    unregister_metric_listener(listener)

    assert not observation.wants_content
    told = [*(span.to_json() for span in sdk.spans()), caplog.text, str(listener), str(sdk.metrics())]
    assert not any(CANARY in text for text in told)
    assert sdk.events() == []
    sdk.close()


def test_the_event_belongs_to_the_span_and_is_structured() -> None:
    sdk = MemorySdk(capture=ContentCapture.EVENT_ONLY)
    observation = chat(sdk.telemetry)
    observation.capture(lambda: CONTENT)
    observation.finish()

    (event,) = sdk.events()
    record = event.log_record
    assert record.event_name == "gen_ai.client.inference.operation.details"
    assert record.span_id == sdk.spans()[0].context.span_id
    recorded: dict[str, Any] = dict(record.attributes or {})
    assert recorded["gen_ai.operation.name"] == "chat"
    assert recorded["gen_ai.output.messages"][0]["finish_reason"] == "stop"
    sdk.close()


def test_messages_take_the_form_of_the_conventions_without_images_and_schemas() -> None:
    assert structured(CONTENT) == {
        "gen_ai.input.messages": [
            {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
            {
                "role": "user",
                "parts": [{"type": "text", "content": CANARY}, {"type": "images_left_out", "count": 1}],
            },
            {
                "role": "assistant",
                "parts": [{"type": "tool_call", "id": None, "name": "look", "arguments": {"at": 1}}],
            },
            {"role": "tool", "parts": [{"type": "tool_call_response", "response": "a cat"}]},
        ],
        "gen_ai.output.messages": [
            {
                "role": "assistant",
                "parts": [{"type": "reasoning", "content": "Hm."}, {"type": "text", "content": "A cat."}],
                "finish_reason": "stop",
            }
        ],
        "gen_ai.tool.definitions": [{"type": "function", "name": "look"}],
    }


def test_content_that_cannot_be_built_disturbs_no_request(caplog: pytest.LogCaptureFixture) -> None:
    sdk = MemorySdk(capture=ContentCapture.SPAN_ONLY)
    observation = chat(sdk.telemetry)
    observation.capture(
        lambda: RequestContent(messages=[{"tool_calls": [{"function": {"arguments": object()}}]}])
    )

    observation.finish()

    assert "could not record what was said" in caplog.text
    assert len(sdk.spans()) == 1
    sdk.close()


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("", ContentCapture.NO_CONTENT),
        ("no_content", ContentCapture.NO_CONTENT),
        ("SPAN_ONLY", ContentCapture.SPAN_ONLY),
        (" event_only ", ContentCapture.EVENT_ONLY),
        ("SPAN_AND_EVENT", ContentCapture.SPAN_AND_EVENT),
        ("true", ContentCapture.NO_CONTENT),
    ],
)
def test_the_standard_switch_is_read_and_an_unknown_word_records_nothing(
    word: str, expected: ContentCapture
) -> None:
    assert content_capture({"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": word}) is expected


@pytest.mark.parametrize(
    ("environ", "limit"),
    [
        ({}, 65_536),
        ({"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "1000"}, 1_000),
        ({"OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": "500", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "1000"}, 500),
        ({"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "10000000"}, 65_536),
        ({"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "many"}, 65_536),
    ],
)
def test_content_stays_below_the_limit_at_which_the_sdk_cuts(environ: dict[str, str], limit: int) -> None:
    assert content_limit(environ) == limit


texts = st.text(max_size=300) | st.just("\ud800 lone surrogate")
messages = st.lists(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(["user", "tool"]),
            "parts": st.lists(st.dictionaries(texts, texts, max_size=3)),
        }
    ),
    max_size=8,
)


@settings(max_examples=80, deadline=None)
@given(messages, st.integers(min_value=2, max_value=2_000))
def test_cut_content_is_valid_json_within_the_limit(items: list[Json], limit: int) -> None:
    text = json_within(items, limit)

    assert len(text) <= limit
    assert isinstance(json.loads(text), list)


def test_long_texts_are_cut_and_say_how_much_is_missing() -> None:
    items: list[Json] = [{"role": "user", "parts": [{"type": "text", "content": "x" * 10_000}]}]

    text = json_within(items, 200)

    assert 150 < len(text) <= 200
    assert json.loads(text)[0]["role"] == "user"
    assert " more)" in text


def test_words_that_carry_structure_are_not_cut() -> None:
    parts: list[Json] = [{"type": "tool_call_response", "response": "x" * 500}]

    (message,) = json.loads(json_within([{"role": "tool", "parts": parts}], 84))

    assert message["parts"][0]["type"] == "tool_call_response"
    assert message["parts"][0]["response"].endswith(" more)")


def test_an_answer_that_broke_off_has_ended_by_an_error() -> None:
    broken = RequestContent(messages=[], answer={"role": "assistant", "content": "Hel"})

    assert structured(broken)["gen_ai.output.messages"] == [
        {"role": "assistant", "parts": [{"type": "text", "content": "Hel"}], "finish_reason": "error"}
    ]


def test_when_cutting_is_not_enough_the_oldest_messages_are_left_out() -> None:
    items: list[Json] = [{"role": "user", "n": number} for number in range(1_000)]

    kept = json.loads(json_within(items, 500))

    assert kept[-1]["n"] == 999
    assert len(kept) < 30
