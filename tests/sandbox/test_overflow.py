"""Prompts and answers that do not fit the window, as both recorded versions treat them."""

from __future__ import annotations

import json

import pytest

from namel3ss.sandbox import SandboxOptions, SandboxServer
from tests.sandbox.client import ask, chat, generate

_LONG = "alpha " * 400


def _newer() -> SandboxServer:
    return SandboxServer(SandboxOptions(installed=("llama3:8b",), ollama_version="0.33.0-rc2"))


def test_the_older_server_cuts_to_the_window_and_counts_what_is_left(server: SandboxServer) -> None:
    answer = generate(server, "llama3:8b", _LONG, options={"num_ctx": 100})
    assert answer["prompt_eval_count"] == 100


@pytest.mark.parametrize(("num_ctx", "count"), [(100, 53), (128, 67), (64, 35)])
def test_the_newer_server_cuts_to_about_half_the_window(num_ctx: int, count: int) -> None:
    with _newer() as server:
        answer = generate(server, "llama3:8b", _LONG, options={"num_ctx": num_ctx})
    assert answer["prompt_eval_count"] == count


@pytest.mark.parametrize("stream", [True, False])
def test_without_truncation_the_older_server_refuses(server: SandboxServer, stream: bool) -> None:
    request = {
        "model": "llama3:8b",
        "prompt": _LONG,
        "truncate": False,
        "stream": stream,
        "options": {"num_ctx": 99},
    }
    assert ask(server, "POST", "/api/generate", request) == (
        400,
        {"error": "the input length exceeds the context length"},
    )


def test_without_truncation_the_newer_server_says_how_long_it_was() -> None:
    request = {"model": "llama3:8b", "prompt": _LONG, "truncate": False, "options": {"num_ctx": 99}}
    with _newer() as server:
        status, answer = ask(server, "POST", "/api/generate", request)
    inner = json.loads(answer["error"])["error"]
    assert status == 400
    assert inner["type"] == "exceed_context_size_error"
    assert inner["n_ctx"] == 99 < inner["n_prompt_tokens"]
    assert str(inner["n_prompt_tokens"]) in inner["message"]


def test_the_newer_server_refuses_to_cut_what_may_not_be_shifted() -> None:
    request = {"model": "llama3:8b", "prompt": _LONG, "shift": False, "options": {"num_ctx": 99}}
    with _newer() as server:
        status, answer = ask(server, "POST", "/api/generate", request)
    assert status == 400
    assert answer["error"].startswith("the prompt is longer than the context length currently available")


def test_the_oldest_messages_are_left_out_and_the_system_message_stays(server: SandboxServer) -> None:
    messages = [{"role": "system", "content": "Be brief."}]
    messages += [{"role": ("user", "assistant")[n % 2], "content": f"message number {n}"} for n in range(21)]
    options = {"num_ctx": 120}
    prompt = chat(server, "llama3:8b", messages, options=options, _debug_render_only=True)["_debug_info"][
        "rendered_template"
    ]
    assert "Be brief." in prompt
    assert "number 20" in prompt
    assert "number 0" not in prompt
    assert chat(server, "llama3:8b", messages, options=options)["prompt_eval_count"] <= 121


def test_an_answer_that_reaches_the_window_ends_when_it_may_not_shift(server: SandboxServer) -> None:
    answer = generate(server, "tiny-endless", "hi", shift=False, options={"num_ctx": 48})
    assert (answer["done_reason"], answer["eval_count"]) == ("length", 43)


def test_an_endless_answer_ends_after_ten_windows(server: SandboxServer) -> None:
    answer = generate(server, "tiny-endless", "hi", options={"num_ctx": 48, "num_predict": -1})
    assert (answer["done_reason"], answer["eval_count"]) == ("length", 480)
