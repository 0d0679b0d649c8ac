from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from namel3ss.providers.local.ollama import OllamaProvider
from namel3ss.providers.local.ollama._context import PromptSize, is_worth_asking, was_cut
from namel3ss.providers.local.ollama._errors import (
    OllamaContextTruncatedError,
    OllamaContextWindowExceededError,
)
from tests.support.ollama_lines import chat_answer
from tests.support.scripted_server import ScriptedServer, document, lines

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGE = PromptSize(text_bytes=60_000, messages=1, images=0)
PROMPT = "word " * 4000  # 20,000 bytes


# -- arithmetic -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("window", "counts"),
    [
        (4096, [4096, 4095, 2050, 2051]),
        (8192, [8192, 8191, 4098, 4099]),
        (32768, [32768, 32767, 16386, 16387]),
        (64, [64, 63]),
    ],
)
def test_counts_that_a_cut_leaves_are_recognised(window: int, counts: list[int]) -> None:
    size = PromptSize(window * 4, 1, 0)

    assert [count for count in counts if not was_cut(count, window, size)] == []


@pytest.mark.parametrize("num_keep", [0, 24, 4095, 9999, -1])
def test_number_of_kept_tokens_changes_the_count(num_keep: int) -> None:
    kept = 4095 if num_keep < 0 else min(num_keep, 4095)

    assert was_cut(4096 - max((4096 - kept) // 2, 1), 4096, LARGE, num_keep=num_keep)


@pytest.mark.parametrize("count", [6, 1000, 2049, 3000, 4094])
def test_other_counts_are_no_sign_of_a_cut(count: int) -> None:
    assert not was_cut(count, 4096, PromptSize(12_000, 1, 0))


def test_prompt_with_fewer_bytes_than_the_window_has_tokens_was_never_cut() -> None:
    assert not was_cut(2050, 4096, PromptSize(4096, 1, 0))


def test_count_far_below_what_the_text_must_have_is_a_cut() -> None:
    assert was_cut(3000, 4096, LARGE)
    assert not was_cut(3000, 16_384, LARGE)  # it fitted: a server may count only what it had not cached


@pytest.mark.parametrize("count", [64, 63, 66, 67, 1024, 2050, 5000])
def test_counts_that_may_come_from_a_cut_are_worth_a_question(count: int) -> None:
    assert is_worth_asking(count)


@pytest.mark.parametrize("count", [0, 1, 6, 13, 100, 500, 1000])
def test_ordinary_small_counts_are_not(count: int) -> None:
    assert not is_worth_asking(count)


# -- against a server -----------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        running.on("/api/ps", document({"models": []}))
        yield running


def provider(server: ScriptedServer, **config: Any) -> OllamaProvider:
    return OllamaProvider("x", "tiny", {"base_url": server.url, "auto_pull_model": False, **config})


OVERFLOW = document({"error": "the input length exceeds the context length"}, 400)
SHOW = {
    "model_info": {"general.architecture": "llama", "llama.context_length": 8192},
    "capabilities": ["completion"],
}


def loaded(tokens: int) -> list[Any]:
    return document({"models": [{"name": "tiny:latest", "context_length": tokens}]})


async def test_overflow_names_window_source_size_and_remedies_in_order(server: ScriptedServer) -> None:
    larger = {
        "model_info": {"general.architecture": "a", "a.context_length": 32768},
        "capabilities": ["completion"],
    }
    server.on("/api/chat", OVERFLOW).on("/api/ps", loaded(4096))
    server.on("/api/tags", document({"models": [{"name": "tiny:latest"}, {"name": "big:latest"}]}))
    server.on("/api/show", document(SHOW), document(larger))

    async with provider(server) as ollama:
        with pytest.raises(OllamaContextWindowExceededError) as raised:
            await ollama.generate(PROMPT)

    error = raised.value
    assert error.message == (
        "Input is too large for model's context window: the prompt has about 5008 tokens, the window is 4096 tokens"
        " (allocated by the server for the loaded model)."
    )
    assert error.suggestion == (
        "Raise num_ctx: 8192 (the model was trained for 8192 tokens).\n"
        "Shorten the input, or leave out the oldest messages.\n"
        "Use an installed model with a larger window: big:latest (32768 tokens)."
    )
    assert (error.window, error.prompt_tokens, error.prompt_tokens_estimate) == (4096, None, 5008)


async def test_numbers_in_the_servers_answer_are_exact_and_win(server: ScriptedServer) -> None:
    text = "request (5003 tokens) exceeds the available context size (2048 tokens), try increasing it"
    server.on("/api/chat", document({"error": text}, 400)).on("/api/ps", loaded(4096))

    async with provider(server) as ollama:
        with pytest.raises(OllamaContextWindowExceededError) as raised:
            await ollama.generate(PROMPT)

    assert "has 5003 tokens, the window is 2048 tokens (the server's answer)" in raised.value.message


async def test_own_num_ctx_is_named_where_the_server_tells_nothing(server: ScriptedServer) -> None:
    server.on("/api/chat", OVERFLOW)

    async with provider(server, num_ctx=512) as ollama:
        with pytest.raises(OllamaContextWindowExceededError) as raised:
            await ollama.generate(PROMPT)

    assert "the window is 512 tokens (num_ctx)" in raised.value.message


async def test_window_that_nobody_reports_is_unknown(server: ScriptedServer) -> None:
    server.on("/api/chat", OVERFLOW)

    async with provider(server) as ollama:
        with pytest.raises(OllamaContextWindowExceededError) as raised:
            await ollama.generate(PROMPT)

    assert "the window has an unknown size" in raised.value.message
    assert raised.value.window_source == "unknown"


async def test_overflow_inside_a_stream_is_explained_too(server: ScriptedServer) -> None:
    server.on("/api/chat", lines({"error": "the input length exceeds the context length"}))

    async with provider(server, num_ctx=512) as ollama:
        with pytest.raises(OllamaContextWindowExceededError, match="the window is 512 tokens"):
            await ollama.generate(PROMPT)


async def test_silent_cut_raises_with_the_answer_attached(server: ScriptedServer) -> None:
    server.on("/api/chat", lines(*chat_answer("Hell", "o", prompt_eval_count=2050)))

    async with provider(server, num_ctx=4096) as ollama:
        with pytest.raises(OllamaContextTruncatedError) as raised:
            await ollama.generate(PROMPT)

    error = raised.value
    assert "Input is too large for model's context window" in error.message
    assert error.response is not None
    assert error.response.output_text == "Hello"
    assert error.response.metadata["context"]["truncated"] is True


async def test_silent_cut_ends_a_stream_with_the_same_error(server: ScriptedServer) -> None:
    server.on("/api/chat", lines(*chat_answer("Hell", "o", prompt_eval_count=4096)))

    async with provider(server, num_ctx=4096) as ollama, ollama.stream(PROMPT) as stream:
        texts = [(await anext(stream)).output_text, (await anext(stream)).output_text]
        with pytest.raises(OllamaContextTruncatedError):
            await anext(stream)

    assert texts == ["Hell", "o"]


@pytest.mark.parametrize(("policy", "warnings"), [("warn", 1), ("truncate", 0)])
async def test_cut_that_is_allowed_is_shown_in_the_metadata(
    server: ScriptedServer, caplog: pytest.LogCaptureFixture, policy: str, warnings: int
) -> None:
    server.on("/api/chat", lines(*chat_answer("Hello", prompt_eval_count=2050)))

    async with provider(server, num_ctx=4096, on_context_overflow=policy) as ollama:
        with caplog.at_level(logging.WARNING, logger="namel3ss"):
            response = await ollama.generate(PROMPT)

    assert response.metadata["context"] == {"window": 4096, "window_source": "num_ctx", "truncated": True}
    assert len(caplog.records) == warnings
    assert server.requests[0].json["truncate"] is True


async def test_window_that_nobody_set_is_learnt_once_from_the_server(server: ScriptedServer) -> None:
    server.on("/api/chat", lines(*chat_answer("Hi", prompt_eval_count=5000))).on("/api/ps", loaded(8192))

    async with provider(server) as ollama:
        first = await ollama.generate(PROMPT)
        await ollama.generate(PROMPT)

    assert first.metadata["context"]["window"] == 8192
    assert first.metadata["context"]["truncated"] is False
    assert server.paths() == ["/api/chat", "/api/ps", "/api/chat"]


async def test_small_prompt_asks_nothing(server: ScriptedServer) -> None:
    server.on("/api/chat", lines(*chat_answer("Hi")))

    async with provider(server) as ollama:
        response = await ollama.generate("hi")

    assert server.paths() == ["/api/chat"]
    assert "context" not in response.metadata


def test_estimate_counts_text_messages_tools_and_images() -> None:
    ollama = OllamaProvider("x", "tiny")
    tool = {"type": "function", "function": {"name": "f", "description": "d" * 400}}

    assert ollama.count_tokens_estimate("x" * 400) == 108
    assert ollama.count_tokens_estimate("x" * 400, images=[b"png"]) == 108 + 768
    assert ollama.count_tokens_estimate("x" * 400, tools=[tool]) > 200
