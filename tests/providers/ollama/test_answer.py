from __future__ import annotations

import json
from typing import Any

import pytest

from namel3ss.providers.base import ProviderChunk, Timings, ToolCall
from namel3ss.providers.local.ollama._answer import Answer
from namel3ss.providers.local.ollama._errors import (
    OllamaBadResponseError,
    OllamaOutOfMemoryError,
    OllamaRunnerError,
    OllamaStreamInterruptedError,
)
from tests.contract.recordings import Recording, all_recordings
from tests.support.ollama_lines import chat_answer, chat_end, chat_line, generate_line
from tests.support.scripted_server import line


class Clock:
    """Goes on by one second at each look."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        self.now_s += 1.0
        return self.now_s


def answer(*values: object, is_chat: bool = True) -> Answer:
    collected = Answer("tiny", is_chat=is_chat, clock=Clock())
    collected.base_url = "http://h:1"
    for value in values:
        if not collected.is_complete:
            collected.take(line(value))
    return collected


def test_pieces_become_chunks_and_one_response() -> None:
    collected = Answer("tiny", is_chat=True, clock=Clock())

    chunks = [collected.take(line(value)) for value in chat_answer("Hell", "o")]

    assert chunks == [ProviderChunk(output_text="Hell"), ProviderChunk(output_text="o"), None]
    response = collected.response()
    assert response.output_text == "Hello"
    assert (response.model, response.finish_reason, response.thinking) == ("tiny", "stop", None)
    assert dict(response.usage) == {"prompt_tokens": 6, "completion_tokens": 7, "total_tokens": 13}
    assert response.timings == Timings(
        total_s=4.0, load_s=1.0, prompt_eval_s=0.5, eval_s=2.0, first_token_s=1.0, wall_s=2.0
    )


def test_last_chunk_carries_the_totals_as_in_the_guide() -> None:
    metadata = answer(*chat_answer("Hi")).last_chunk().metadata

    assert metadata["done"] is True
    assert metadata["provider"] == "ollama"
    assert metadata["tokens"] == {"prompt": 6, "completion": 7, "total": 13}
    assert metadata["throughput"] == {"tokens_per_second": 3.5}
    assert metadata["finish_reason"] == "stop"


@pytest.mark.parametrize("nonsense", [None, -5, 1.5, "7", True, [7], 10**30])
def test_count_that_makes_no_sense_is_left_out_and_never_zero(nonsense: Any) -> None:
    collected = answer(
        chat_line("Hi"),
        chat_end(prompt_eval_count=nonsense, eval_duration=nonsense)
        if nonsense != 10**30
        else chat_end(eval_count=None),
    )

    tokens, throughput = (collected.last_chunk().metadata[key] for key in ("tokens", "throughput"))
    assert all(isinstance(count, int) and count >= 0 for count in tokens.values())
    assert "total" not in tokens
    assert throughput == {}


def test_thinking_and_tool_calls_come_in_chunks_of_their_own() -> None:
    call = {"id": "call_1", "function": {"index": 0, "name": "f", "arguments": {"a": 1}}}
    collected = Answer("tiny", is_chat=True, clock=Clock())

    chunks = [
        collected.take(line(value))
        for value in (chat_line("", thinking="hm"), chat_line("", tool_calls=[call]), chat_end())
    ]

    tool_call = ToolCall("f", {"a": 1}, id="call_1", index=0)
    assert chunks == [ProviderChunk(thinking="hm"), ProviderChunk(tool_calls=(tool_call,)), None]
    response = collected.response()
    assert (response.output_text, response.thinking, response.tool_calls) == ("", "hm", (tool_call,))
    assert response.finish_reason == "tool_calls"


def test_content_on_the_last_line_is_not_lost() -> None:
    call = {"function": {"name": "f", "arguments": {}}}

    response = answer(chat_end("all at once", message={"tool_calls": [call]})).response()

    assert (response.output_text, response.tool_calls) == ("all at once", (ToolCall("f", {}),))


def test_tool_arguments_may_be_json_text() -> None:
    call = {"function": {"name": "f", "arguments": '{"a": [1]}'}}

    assert answer(chat_line("", tool_calls=[call])).response().tool_calls == (ToolCall("f", {"a": [1]}),)


@pytest.mark.parametrize("arguments", ["{", "[1]", "5"])
def test_broken_tool_arguments_are_an_error_and_the_text_is_kept(arguments: str) -> None:
    collected = answer(chat_line("so far"))

    with pytest.raises(OllamaBadResponseError) as raised:
        collected.take(line(chat_line("", tool_calls=[{"function": {"name": "f", "arguments": arguments}}])))

    assert collected.attach_to(raised.value).partial_text == "so far"


def test_lines_of_generate_are_read_alike() -> None:
    response = answer(
        generate_line("", thinking="hm"),
        generate_line("Hi"),
        generate_line(" there", done=True, done_reason="length", context=[1, 2]),
        is_chat=False,
    ).response()

    assert (response.output_text, response.thinking, response.finish_reason) == ("Hi there", "hm", "length")


def test_empty_pieces_make_no_chunk_and_do_not_count() -> None:
    collected = answer(chat_line(""), chat_line("x"), chat_end())

    assert collected.chunks == 1


def test_null_content_is_no_content() -> None:
    assert (
        answer({"message": {"role": "assistant", "content": None, "thinking": None}, "done": False}).chunks
        == 0
    )


@pytest.mark.parametrize(
    ("error", "cls"),
    [
        ("an error was encountered while running the model: unexpected EOF", OllamaRunnerError),
        ("model requires more system memory (9 GiB) than is available (3 GiB)", OllamaOutOfMemoryError),
        ({"message": "unexpected EOF; error was encountered while running the model"}, OllamaRunnerError),
    ],
)
def test_error_line_is_its_typed_error_and_the_text_is_kept(error: object, cls: type[Exception]) -> None:
    collected = answer(chat_line("so "), chat_line("far"))

    with pytest.raises(cls) as raised:
        collected.take(line({"error": error}))

    assert isinstance(raised.value, OllamaRunnerError)
    kept = collected.attach_to(raised.value)
    assert (kept.partial_text, kept.chunks, kept.status) == ("so far", 2, None)


@pytest.mark.parametrize(
    "bad",
    [
        b"[]",
        b"5",
        b'"text"',
        b"null",
        b"<html>",
        b"{",
        b'{"message": 5}',
        b'{"done": "yes"}',
        b'{"x": NaN}',
        b'{"a":' * 100_000,
    ],
)
def test_line_that_is_no_object_of_ollamas_is_quoted(bad: bytes) -> None:
    with pytest.raises(OllamaBadResponseError) as raised:
        answer(bad)

    assert bad[:20].decode() in raised.value.message
    assert len(raised.value.message) < 400


def test_characters_that_break_line_splitters_and_decoders_arrive_exactly() -> None:
    text = "\x85\u2028\u2029\0\x0b😀 é"

    assert answer(chat_line(text)).response().output_text == text


def test_broken_utf8_is_replaced_and_halves_of_an_emoji_are_kept() -> None:
    collected = answer(b'{"message":{"content":"a\xff"}}', b'{"message":{"content":"\\ud83d"}}')

    assert collected.response().output_text == "a\ufffd\ud83d"


def test_unknown_fields_and_repeated_keys_do_no_harm() -> None:
    assert answer(b'{"new":{"x":[1]},"message":{"content":"a"},"message":{"content":"b","y":1}}').chunks == 1


def test_model_that_repeats_itself_is_named_as_the_likely_cause() -> None:
    error = answer(*[chat_line(" again")] * 30).interrupted()

    assert type(error) is OllamaStreamInterruptedError
    assert "repeat_penalty" in str(error)
    assert "repeat_penalty" not in str(answer(chat_line("a"), chat_line("b")).interrupted())


def recorded_streams() -> list[Recording]:
    return [
        each
        for each in all_recordings()
        if each.request["path"] in ("/api/chat", "/api/generate")
        and each.response["status"] == 200
        and not each.response.get("lines_omitted")
    ]


@pytest.mark.parametrize("recorded", [pytest.param(each, id=each.name) for each in recorded_streams()])
def test_every_recorded_answer_is_read_whole_or_fails_with_a_type(recorded: Recording) -> None:
    response = recorded.response
    raw = response["lines"] if "lines" in response else [response["body"]]
    objects = [json.loads(text) for text in raw if text.strip()]
    is_chat = recorded.request["path"] == "/api/chat"
    collected = Answer("tiny", is_chat=is_chat, clock=Clock())
    failure: Exception | None = None

    for text in raw:
        try:
            if text.strip():
                collected.take(text.encode())
        except OllamaRunnerError as error:
            failure = error

    pieces = [one.get("message", one) for one in objects]
    assert collected.response().output_text == "".join(
        piece.get("content" if is_chat else "response", "") for piece in pieces
    )
    assert (collected.response().thinking or "") == "".join(piece.get("thinking", "") for piece in pieces)
    assert collected.is_complete == any(one.get("done") for one in objects)
    assert (failure is not None) == any("error" in one for one in objects)
    last = objects[-1]
    assert collected.usage.prompt_tokens == last.get("prompt_eval_count")
    assert collected.usage.completion_tokens == last.get("eval_count")
