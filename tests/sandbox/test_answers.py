"""What models answer that exist in name only."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from namel3ss.sandbox import SandboxOptions, SandboxServer
from tests.sandbox.client import ManualClock, ask, chat, generate, lines

_WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 3}},
            "required": ["city"],
        },
    },
}
_CLOCK = {
    "type": "function",
    "function": {"name": "tell_time", "description": "What time is it?", "parameters": {}},
}


def test_an_answer_says_that_it_is_made_up_and_echoes_the_request(server: SandboxServer) -> None:
    text = chat(server, "llama3:8b", "Why is the sky blue?")["message"]["content"]
    assert "made-up answer by the namel3ss sandbox" in text
    assert "llama3:8b" in text
    assert "You wrote: Why is the sky blue?" in text


def test_the_same_request_gets_the_same_answer(server: SandboxServer) -> None:
    first, second = (generate(server, "llama3:8b", "Hi", system="Be brief.") for _ in range(2))
    for answer in (first, second):
        for name in [name for name in answer if name == "created_at" or name.endswith("_duration")]:
            del answer[name]
    assert first == second


def test_a_stream_joins_to_the_plain_answer(server: SandboxServer) -> None:
    request = {"model": "llama3:8b", "messages": [{"role": "user", "content": "Grüße 👋🏽 \u2028 \x85 end"}]}
    streamed = lines(server, "/api/chat", request)
    plain = chat(server, "llama3:8b", request["messages"])  # type: ignore[arg-type]
    assert "".join(line["message"]["content"] for line in streamed) == plain["message"]["content"]
    assert [line["done"] for line in streamed] == [False] * (len(streamed) - 1) + [True]
    assert streamed[-1]["eval_count"] == plain["eval_count"] == len(streamed)


def test_a_long_request_is_echoed_in_part(server: SandboxServer) -> None:
    text = chat(server, "llama3:8b", "some words " * 1000)["message"]["content"]
    assert len(text) < 1000
    assert text.endswith("…")


def test_a_limit_ends_the_answer_with_its_reason(server: SandboxServer) -> None:
    answer = generate(server, "llama3:8b", "Hi", options={"num_predict": 5})
    assert (answer["done_reason"], answer["eval_count"]) == ("length", 5)


def test_a_stop_text_ends_the_answer_and_is_left_out(server: SandboxServer) -> None:
    answer = generate(server, "llama3:8b", "Hi", options={"stop": ["the namel3ss"]})
    assert answer["response"] == "This is a made-up answer by "
    assert answer["done_reason"] == "stop"


def test_an_empty_stop_text_ends_the_answer_before_its_first_word(server: SandboxServer) -> None:
    answer = generate(server, "tiny", "hi", options={"stop": ["", "zz"]})
    assert (answer["response"], answer["done_reason"], answer["eval_count"]) == ("", "stop", 1)


def test_counts_grow_with_the_prompt_about_as_a_real_tokenizer_counts(server: SandboxServer) -> None:
    sentence = "The quick brown fox jumps over the lazy dog, and nobody wonders why. "
    short, long = (generate(server, "llama3:8b", sentence * n)["prompt_eval_count"] for n in (1, 11))
    assert 3 < (len(sentence) * 10) / (long - short) < 5


def test_durations_and_counts_are_there_and_add_up(server: SandboxServer) -> None:
    answer = chat(server, "llama3:8b", "Hi")
    parts = answer["load_duration"] + answer["prompt_eval_duration"] + answer["eval_duration"]
    assert 0 < parts <= answer["total_duration"]


def test_the_pace_is_kept_and_shown_in_the_durations() -> None:
    clock = ManualClock()
    options = SandboxOptions(installed=("m",), tokens_per_second=10)
    with SandboxServer(options, clock=clock) as server:
        answer = generate(server, "m", "Hi", options={"num_predict": 20})
    assert answer["eval_duration"] == pytest.approx(2e9, rel=0.01)
    assert answer["eval_count"] / (answer["eval_duration"] / 1e9) == pytest.approx(10, rel=0.01)


def test_a_thinking_model_thinks_unless_told_not_to(server: SandboxServer) -> None:
    thought = chat(server, "qwen3:4b", "Hi")["message"]
    assert "I am a sandbox" in thought["thinking"]
    assert thought["content"].startswith("This is a made-up answer")
    assert "thinking" not in chat(server, "qwen3:4b", "Hi", think=False)["message"]


def test_a_thinking_model_held_to_a_form_thinks_first(server: SandboxServer) -> None:
    message = chat(
        server, "qwen3:4b", "Hi", format={"type": "object", "properties": {"a": {"type": "integer"}}}
    )["message"]
    assert json.loads(message["content"]) == {"a": 1}
    assert message["thinking"]


@pytest.mark.parametrize(
    ("asked", "whole", "streamed"),
    [
        ({"effort": "low"}, {"effort": "low"}, {"effort": "low", "summary": None}),
        ({"summary": "auto"}, {"summary": "auto"}, {"effort": None, "summary": "auto"}),
        ({}, None, None),
    ],
)
def test_responses_say_again_how_much_to_think_and_streams_with_nulls(
    server: SandboxServer,
    asked: dict[str, str],
    whole: dict[str, str] | None,
    streamed: dict[str, str | None] | None,
) -> None:
    request = {"model": "tiny-thinker", "input": "Hi", "reasoning": asked}
    _, answer = ask(server, "POST", "/v1/responses", request)
    _, text = ask(server, "POST", "/v1/responses", {**request, "stream": True})
    events = [json.loads(line[6:]) for line in text.split("\n") if line.startswith("data: ")]

    assert answer["reasoning"] == whole
    assert [event["response"]["reasoning"] for event in events if "response" in event] == [streamed] * 3


def test_json_mode_gives_json_that_says_it_is_made_up(server: SandboxServer) -> None:
    document = json.loads(chat(server, "llama3:8b", "Hi", format="json")["message"]["content"])
    assert document["you_wrote"] == "Hi"
    assert "made up" in document["answer"]


def test_offered_tools_are_called_with_arguments_that_fit(server: SandboxServer) -> None:
    message = chat(server, "llama3:8b", "What is the weather in Paris?", tools=[_CLOCK, _WEATHER])["message"]
    [call] = message["tool_calls"]
    assert call["function"]["name"] == "get_weather"
    assert isinstance(call["function"]["arguments"]["city"], str)
    assert call["function"]["arguments"]["days"] >= 3
    assert message["content"] == ""


def test_tools_are_given_the_numbers_and_quoted_words_of_the_question(server: SandboxServer) -> None:
    fields = {
        "count": {"type": "integer"},
        "price": {"type": "number", "description": "in euros"},
        "name": {"type": "string"},
        "size": {"type": "string", "enum": ["large"]},
    }
    parameters = {"type": "object", "properties": fields, "required": list(fields)}
    tool = {"type": "function", "function": {"name": "order", "parameters": parameters}}

    [call] = chat(server, "llama3:8b", "Order 3 of '你好' at 9.5 each", tools=[tool])["message"]["tool_calls"]

    assert call["function"]["arguments"] == {"count": 3, "price": 9.5, "name": "你好", "size": "large"}


def test_a_made_up_number_is_whole_for_tools_that_count_with_it(server: SandboxServer) -> None:
    fields = {"limit": {"type": "number"}, "share": {"type": "number", "maximum": 0.5}}
    parameters = {"type": "object", "properties": fields, "required": list(fields)}
    tool = {"type": "function", "function": {"name": "run", "parameters": parameters}}

    message = chat(server, "llama3:8b", "Hello", tools=[tool])["message"]

    assert json.dumps(message["tool_calls"][0]["function"]["arguments"]) == '{"limit": 1, "share": 0.5}'


def test_after_the_tool_has_answered_the_model_speaks(server: SandboxServer) -> None:
    call = {"id": "c1", "function": {"name": "tell_time", "arguments": {}}}
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "What time is it?"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_name": "tell_time", "tool_call_id": "c1", "content": "12:30"},
    ]
    message = chat(server, "llama3:8b", messages, tools=[_CLOCK])["message"]
    assert "The tool said: 12:30" in message["content"]
    assert "tool_calls" not in message


def test_numbers_with_a_fraction_may_stand_in_tools_and_in_earlier_calls_of_them(
    server: SandboxServer,
) -> None:
    amount = {"type": "number", "minimum": 0.5, "default": 1e21}
    parameters = {"type": "object", "properties": {"amount": amount}}
    tool = {"type": "function", "function": {"name": "pay", "parameters": parameters}}
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "Pay."},
        {"role": "assistant", "tool_calls": [{"function": {"name": "pay", "arguments": {"amount": 9.5}}}]},
        {"role": "tool", "tool_name": "pay", "content": "done"},
    ]
    for model in ("llama3:8b", "tiny-tools"):
        assert chat(server, model, messages, tools=[tool])["message"]["role"] == "assistant"


def test_every_tool_that_is_offered_alone_can_be_called(server: SandboxServer) -> None:
    forms: list[dict[str, Any]] = [{}, {"type": "object"}, {"properties": {}}, {"properties": {"a": {}}}]
    for parameters in forms:
        tool = {"type": "function", "function": {"name": "act", "parameters": parameters}}
        [call] = chat(server, "llama3:8b", "go", tools=[tool])["message"]["tool_calls"]
        assert call["function"]["name"] == "act"


def test_images_are_mentioned(server: SandboxServer) -> None:
    content = chat(server, "llava:7b", [{"role": "user", "content": "See?", "images": ["aGk=", "aGk="]}])[
        "message"
    ]
    assert content["content"].endswith("(with 2 images)")


def test_a_model_that_fills_in_takes_a_suffix(server: SandboxServer) -> None:
    assert "made up" in generate(server, "codellama:7b", "def f(", suffix="return 1")["response"]


def test_a_raw_prompt_is_echoed_and_gives_no_context(server: SandboxServer) -> None:
    answer = generate(server, "llama3:8b", "[INST] raw [/INST]", raw=True)
    assert "[INST] raw [/INST]" in answer["response"]
    assert "context" not in answer


def test_the_context_of_an_answer_can_be_sent_back(server: SandboxServer) -> None:
    first = generate(server, "llama3:8b", "Remember the word Ararat.")
    again = generate(server, "llama3:8b", "Go on.", context=first["context"], _debug_render_only=True)
    assert "Ararat" in again["_debug_info"]["rendered_template"]


def test_logprobs_come_for_every_piece(server: SandboxServer) -> None:
    answer = generate(server, "llama3:8b", "Hi", logprobs=True, top_logprobs=3, options={"num_predict": 4})
    assert [len(entry["top_logprobs"]) for entry in answer["logprobs"]] == [3] * 4
    assert "".join(entry["token"] for entry in answer["logprobs"]) == answer["response"]


def _embedded(server: SandboxServer, texts: list[str], **more: object) -> list[list[float]]:
    status, answer = ask(server, "POST", "/api/embed", {"model": "nomic-embed-text", "input": texts, **more})
    assert status == 200
    vectors: list[list[float]] = answer["embeddings"]
    return vectors


def test_embeddings_have_length_one_and_depend_on_the_text_alone(server: SandboxServer) -> None:
    first, again, other = _embedded(server, ["a cat", "a cat", "a dog"])
    assert first == again != other
    for vector in (first, other):
        assert math.hypot(*vector) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(("window", "status"), [(-1, 400), (0, 400), (2, 400), (3, 200)])
def test_a_text_to_embed_is_cut_to_the_window_that_was_asked_for(
    server: SandboxServer, window: int, status: int
) -> None:
    body = {"model": "tiny-embed", "input": "why is the sky blue", "options": {"num_ctx": window}}
    found, answer = ask(server, "POST", "/api/embed", body)

    assert found == status
    if found == 200:
        assert answer["prompt_eval_count"] == window
    else:
        assert answer == {"error": "input after truncation exceeds maximum context length"}


def test_fewer_dimensions_are_normalised_again(server: SandboxServer) -> None:
    [vector] = _embedded(server, ["a cat"], dimensions=16)
    assert len(vector) == 16
    assert math.hypot(*vector) == pytest.approx(1, abs=1e-5)


def test_texts_that_share_words_are_nearer_than_those_that_do_not(server: SandboxServer) -> None:
    one, near, far = _embedded(server, ["the quick brown fox", "the slow brown fox", "tensor algebra rocks"])
    assert _dot(one, near) > _dot(one, far)


def _dot(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))
