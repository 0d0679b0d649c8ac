from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from namel3ss.errors import UsageError
from namel3ss.observability.metrics import register_metric_listener, unregister_metric_listener
from namel3ss.providers.base import ProviderResponse
from namel3ss.providers.local.ollama import (
    OllamaBadResponseError,
    OllamaError,
    OllamaModelNotFoundError,
    OllamaProvider,
    OllamaRequestTimeoutError,
    OllamaRunnerError,
    OllamaStreamInterruptedError,
)
from tests.support.ollama_lines import TOTALS, chat_answer, chat_end, chat_line, generate_line
from tests.support.scripted_server import Gate, ScriptedServer, document, lines, stall

if TYPE_CHECKING:
    from collections.abc import Iterator

ANSWER = lines(*chat_answer("Hell", "o"))
MISSING = document({"error": "model 'tiny' not found"}, 404)
PULLED = lines({"status": "pulling manifest"}, {"status": "success"})
LISTED = document({"models": [{"name": "tiny:latest", "size": 1}, {"name": "tiny-tools:latest", "size": 1}]})


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


@pytest.fixture
def heard() -> Iterator[list[tuple[str, dict[str, float], dict[str, str]]]]:
    """What metric listeners are told."""
    found: list[tuple[str, dict[str, float], dict[str, str]]] = []

    def listen(name: str, values: dict[str, float], labels: dict[str, str]) -> None:
        found.append((name, values, labels))

    register_metric_listener(listen)
    yield found
    unregister_metric_listener(listen)


def provider(server: ScriptedServer, **config: Any) -> OllamaProvider:
    return OllamaProvider("x", "tiny", {"base_url": server.url, "auto_pull_model": False, **config})


def drop(holder: list[Any]) -> None:
    """Let go of the only reference there is, and of cycles."""
    holder.clear()
    gc.collect()


# -- making it ------------------------------------------------------------------------------------------------


def test_settings_of_the_guide_are_readable_attributes() -> None:
    ollama = OllamaProvider(
        name="my_ollama",
        model="llama3:8b",
        config={
            "base_url": "http://localhost:11434",
            "temperature": 0.7,
            "num_ctx": 4096,
            "auto_pull_model": True,
            "deployment_config": {"keep_alive": "10m", "num_thread": 8},
        },
    )

    assert (ollama.name, ollama.model, ollama.base_url) == (
        "my_ollama",
        "llama3:8b",
        "http://localhost:11434",
    )
    assert (ollama.temperature, ollama.num_ctx) == (0.7, 4096)
    assert (ollama.auto_pull_model, ollama.auto_start_server) == (True, False)
    assert (ollama.config.keep_alive, ollama.config.num_thread) == ("10m", 8)


def test_setting_that_nobody_wrote_is_none() -> None:
    ollama = OllamaProvider("x", "tiny")

    assert (ollama.temperature, ollama.num_ctx) == (None, None)


@pytest.mark.parametrize(
    ("model", "config"),
    [
        ("", None),
        ("a b", None),
        ("tiny", {"temprature": 1}),
        ("tiny", {"num_ctx": 0}),
        ("tiny", {"base_url": "ftp://x"}),
    ],
)
def test_wrong_model_or_setting_is_a_usage_error(model: str, config: dict[str, Any] | None) -> None:
    with pytest.raises(UsageError):
        OllamaProvider("x", model, config)


def test_secrets_and_passwords_show_nowhere() -> None:
    ollama = OllamaProvider("x", "tiny", {"base_url": "http://me:pass-word@h:1", "api_key": "sesame"})

    shown = repr(ollama) + repr(ollama.config) + ollama.base_url
    assert "pass-word" not in shown
    assert "sesame" not in shown


async def test_secrets_are_sent(server: ScriptedServer) -> None:
    server.on("/api/chat", ANSWER)

    async with provider(server, api_key="sesame", headers={"X-Team": "a"}) as ollama:
        await ollama.generate("hi")

    assert server.requests[0].header("authorization") == "Bearer sesame"
    assert server.requests[0].header("x-team") == "a"


# -- generate -------------------------------------------------------------------------------------------------


async def test_answer_has_everything_the_server_said(server: ScriptedServer) -> None:
    server.on("/api/chat", ANSWER)

    async with provider(server, temperature=0.5) as ollama:
        response = await ollama.generate([{"role": "user", "content": "hi"}], temperature=0.1)

    assert (response.output_text, response.model, response.finish_reason) == ("Hello", "tiny", "stop")
    assert response.metadata["provider"] == "ollama"
    assert response.metadata["base_url"] == server.url
    assert server.requests[0].json == {
        "model": "tiny",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "truncate": False,
        "options": {"temperature": 0.1},
    }


async def test_plain_wire_asks_for_one_object(server: ScriptedServer) -> None:
    server.on("/api/chat", document(chat_end("Hello")))

    async with provider(server, wire="plain") as ollama:
        response = await ollama.generate("hi")

    assert server.requests[0].json["stream"] is False
    assert (response.output_text, response.usage.total_tokens) == ("Hello", 13)
    assert response.timings.first_token_s is None


@pytest.mark.parametrize(
    ("script", "cls", "partial_text"),
    [
        (document(chat_line("Hello")), OllamaStreamInterruptedError, "Hello"),
        (document({"error": "an error was encountered while running the model: EOF"}), OllamaRunnerError, ""),
        (document(b"[]"), OllamaBadResponseError, ""),
        (document(b'{"message'), OllamaStreamInterruptedError, ""),
        ([stall()], OllamaRequestTimeoutError, ""),
    ],
    ids=["not done", "error in a 200", "no object", "cut", "silence"],
)
async def test_plain_wire_fails_with_the_same_types(
    server: ScriptedServer, script: Any, cls: type[OllamaError], partial_text: str
) -> None:
    server.on("/api/chat", script)

    async with provider(server, wire="plain", total_timeout=0.1) as ollama:
        with pytest.raises(cls) as raised:
            await ollama.generate("hi")

    assert raised.value.partial_text == partial_text


async def test_raw_prompt_goes_to_generate(server: ScriptedServer) -> None:
    server.on("/api/generate", lines(generate_line("Hell"), generate_line("o", done=True, **TOTALS)))

    async with provider(server) as ollama:
        response = await ollama.generate("<|user|>hi", raw=True)

    assert response.output_text == "Hello"
    assert server.requests[0].json["prompt"] == "<|user|>hi"


async def test_image_travels_as_base64(server: ScriptedServer) -> None:
    server.on("/api/chat", ANSWER)
    large = bytes(range(256)) * 8000  # above what is sent in one piece

    async with provider(server) as ollama:
        await ollama.generate("what is this?", images=[b"\xff\x00", large])

    sent = server.requests[0].json["messages"][0]["images"]
    assert sent[0] == "/wA="
    assert len(sent[1]) == len(large) * 4 // 3 + 2 - (len(large) * 4 // 3 + 2) % 4


async def test_given_transport_replaces_the_network() -> None:
    def reply(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=chat_end(request.url.path))

    ollama = OllamaProvider("x", "tiny", {"base_url": "http://h:1"}, transport=httpx.MockTransport(reply))

    assert (await ollama.generate("hi")).output_text == "/api/chat"
    await ollama.aclose()


# -- batch and embed ------------------------------------------------------------------------------------------


async def test_batch_keeps_order_and_gives_result_or_error_for_each(server: ScriptedServer) -> None:
    failure = document({"error": "an error was encountered while running the model: EOF"}, 500)
    server.on("/api/chat", ANSWER, failure, ANSWER)

    async with provider(server) as ollama:
        results = await ollama.generate_batch(
            ["a", "b", [{"role": "user", "content": "c"}]], max_concurrency=1
        )

    assert [type(result) for result in results] == [ProviderResponse, OllamaRunnerError, ProviderResponse]
    assert [request.json["messages"][0]["content"] for request in server.requests] == ["a", "b", "c"]


async def test_batch_never_runs_more_at_once_than_allowed(server: ScriptedServer) -> None:
    gate = Gate()
    server.on("/api/chat", [gate, *ANSWER])

    async with provider(server, max_concurrency=3) as ollama:
        task = asyncio.create_task(ollama.generate_batch(["x"] * 8))
        await server.requests_reached(3)
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(server.requests) == 3
        gate.open()
        assert len(await task) == 8


async def test_cancelled_batch_stops_every_request(server: ScriptedServer) -> None:
    server.on("/api/chat", [stall()])

    async with provider(server) as ollama:
        task = asyncio.create_task(ollama.generate_batch(["x"] * 8))
        await server.requests_reached(4)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.connections_reached(0)

    assert len(server.requests) == 4


@pytest.mark.parametrize(
    ("batch", "keywords"),
    [("abc", {}), (["a", 5], {}), (["a"], {"max_concurrency": 0}), (["a"], {"top_k": -1})],
)
async def test_wrong_batch_is_refused_before_anything_is_sent(
    server: ScriptedServer, batch: Any, keywords: dict[str, Any]
) -> None:
    async with provider(server) as ollama:
        with pytest.raises(UsageError):
            await ollama.generate_batch(batch, **keywords)

    assert server.connections_made == 0


async def test_empty_batch_is_an_empty_list(server: ScriptedServer) -> None:
    async with provider(server) as ollama:
        assert await ollama.generate_batch([]) == []


async def test_embedding_is_a_sequence_of_vectors(server: ScriptedServer) -> None:
    server.on(
        "/api/embed",
        document(
            {
                "model": "tiny",
                "embeddings": [[0.5, 1], [0, -1]],
                "prompt_eval_count": 14,
                "total_duration": 5e9,
            }
        ),
    )

    async with provider(server) as ollama:
        vectors = await ollama.embed(["a", "b"], dimensions=2)

    assert list(vectors) == [[0.5, 1.0], [0.0, -1.0]]
    assert (len(vectors), vectors[1], vectors.model) == (2, [0.0, -1.0], "tiny")
    assert vectors.usage.prompt_tokens == 14


@pytest.mark.parametrize(
    "body", [{"embeddings": [[1.0]]}, {"embeddings": "no"}, {"embedding": [1.0]}, b"<html>", b"[]"]
)
async def test_answer_without_a_vector_for_each_text_is_a_bad_response(
    server: ScriptedServer, body: Any
) -> None:
    server.on("/api/embed", document(body))

    async with provider(server) as ollama:
        with pytest.raises(OllamaBadResponseError):
            await ollama.embed(["a", "b"])


# -- a model that is missing ----------------------------------------------------------------------------------


async def test_missing_model_is_pulled_once_for_all_callers_and_the_requests_answered(
    server: ScriptedServer,
) -> None:
    gate = Gate()
    server.on("/api/chat", MISSING, MISSING, ANSWER).on("/api/pull", [gate, *PULLED]).on("/api/tags", LISTED)

    async with provider(server, auto_pull_model=True) as ollama:
        tasks = [asyncio.create_task(ollama.generate("hi")) for _ in range(2)]
        await gate.arrived.reached()
        await server.requests_reached(3)
        gate.open()
        answers = await asyncio.gather(*tasks)

    assert [answer.output_text for answer in answers] == ["Hello", "Hello"]
    assert server.paths().count("/api/pull") == 1
    assert server.paths().count("/api/chat") == 4


async def test_pull_of_a_call_reports_to_the_listener_of_the_provider(server: ScriptedServer) -> None:
    server.on("/api/chat", MISSING, ANSWER).on("/api/pull", PULLED).on("/api/tags", LISTED)
    progress: list[Any] = []

    async with provider(server, auto_pull_model=True) as ollama:
        ollama.on_pull_progress = progress.append
        async for _piece in ollama.stream("hi"):
            pass

    assert progress[-1].phase == "success"
    assert {one.model for one in progress} == {"tiny"}


async def test_model_that_is_still_missing_after_the_pull_is_an_error(server: ScriptedServer) -> None:
    server.on("/api/chat", MISSING).on("/api/pull", PULLED).on("/api/tags", LISTED)

    async with provider(server, auto_pull_model=True) as ollama:
        with pytest.raises(OllamaModelNotFoundError):
            await ollama.generate("hi")

    assert server.paths().count("/api/pull") == 1


async def test_without_auto_pull_the_error_names_the_command_and_the_nearest_models(
    server: ScriptedServer,
) -> None:
    server.on("/api/chat", document({"error": "model 'lama3' not found"}, 404))
    server.on("/api/tags", document({"models": [{"name": "llama3:8b"}]}))

    async with OllamaProvider("x", "lama3", {"base_url": server.url, "auto_pull_model": False}) as ollama:
        with pytest.raises(OllamaModelNotFoundError) as raised:
            await ollama.generate("hi")

    assert str(raised.value).startswith(
        f"Ollama model 'lama3' is not available locally.\nModel: lama3\nServer: {server.url}\n\nSuggestion: Run: ollama"
        " pull lama3\n"
    )
    assert raised.value.nearest == ("llama3:8b",)
    assert "/api/pull" not in server.paths()


async def test_embedding_pulls_too(server: ScriptedServer) -> None:
    missing = document({"error": 'model "tiny" not found, try pulling it first'}, 404)
    server.on("/api/embed", missing, document({"embeddings": [[1.0]]})).on("/api/pull", PULLED)
    server.on("/api/tags", LISTED)

    async with provider(server, auto_pull_model=True) as ollama:
        assert list(await ollama.embed("a")) == [[1.0]]


async def test_ready_means_that_the_model_is_there(server: ScriptedServer) -> None:
    server.on("/api/tags", LISTED)

    async with provider(server) as ollama:
        await ollama.ensure_ready()
        await ollama._cache.clear()
        assert await ollama._cache.get("tiny") is None

    assert server.paths() == ["/api/tags"]


# -- metrics --------------------------------------------------------------------------------------------------


async def test_stream_records_everything_once_at_its_end(
    server: ScriptedServer, heard: list[tuple[str, dict[str, float], dict[str, str]]]
) -> None:
    server.on("/api/chat", ANSWER)

    async with provider(server) as ollama:
        async for _piece in ollama.stream("hi"):
            pass

    values = {name: numbers["value"] for name, numbers, _ in heard}
    assert len(values) == len(heard)
    assert values["ollama.tokens.prompt"] == 6
    assert values["ollama.tokens.completion"] == 7
    assert values["ollama.tokens.total"] == 13
    assert values["ollama.throughput.tokens_per_second"] == 3.5
    assert values["ollama.stream.chunks"] == 2
    assert values["ollama.request.duration"] > 0
    assert {"ollama.stream.duration", "ollama.stream.tokens", "ollama.stream.throughput"} <= set(values)
    assert all((labels["model"], labels["provider"]) == ("tiny", "ollama") for _, _, labels in heard)


async def test_generate_records_no_stream_metrics_though_it_streams_on_the_wire(
    server: ScriptedServer, heard: list[tuple[str, dict[str, float], dict[str, str]]]
) -> None:
    server.on("/api/chat", ANSWER)

    async with provider(server) as ollama:
        await ollama.generate("hi")

    names = {name for name, _, _ in heard}
    assert "ollama.request.duration" in names
    assert not {name for name in names if name.startswith("ollama.stream.")}


async def test_count_that_the_server_did_not_send_is_not_recorded(
    server: ScriptedServer, heard: list[tuple[str, dict[str, float], dict[str, str]]]
) -> None:
    server.on("/api/chat", lines(chat_line("a"), chat_end(prompt_eval_count=None, eval_duration=None)))

    async with provider(server) as ollama:
        await ollama.generate("hi")

    names = {name for name, _, _ in heard}
    assert not {"ollama.tokens.prompt", "ollama.tokens.total", "ollama.throughput.tokens_per_second"} & names
    assert "ollama.tokens.completion" in names


async def test_failed_request_records_its_duration_with_the_kind_of_error(
    server: ScriptedServer, heard: list[tuple[str, dict[str, float], dict[str, str]]]
) -> None:
    server.on(
        "/api/chat",
        lines(chat_line("a"), {"error": "model requires more system memory (9 GiB) than is available"}),
    )

    async with provider(server) as ollama:
        with pytest.raises(OllamaError):
            await ollama.generate("hi")

    durations = [labels for name, _, labels in heard if name == "ollama.request.duration"]
    assert [labels["error_type"] for labels in durations] == ["resource_exhausted"]


# -- without asyncio, several loops, nobody closes ------------------------------------------------------------


def test_sync_mirrors_the_calls(server: ScriptedServer) -> None:
    server.on("/api/chat", ANSWER).on("/api/tags", LISTED).on("/api/embed", document({"embeddings": [[1.0]]}))
    ollama = provider(server)

    with ollama.sync as blocking:
        assert blocking.generate("hi").output_text == "Hello"
        assert [piece.output_text for piece in blocking.stream("hi")] == ["Hell", "o", ""]
        assert blocking.embed("a")[0] == [1.0]
        assert len(blocking.generate_batch(["a", "b"])) == 2
        assert [model["name"] for model in blocking.list_models()] == ["tiny:latest", "tiny-tools:latest"]
        assert blocking.health_check()["status"] == "unhealthy"

    with pytest.raises(RuntimeError, match="is closed"):
        ollama.sync.generate("hi")
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("namel3ss")]


def test_sync_works_beside_a_running_event_loop(server: ScriptedServer) -> None:
    server.on("/api/chat", ANSWER)
    ollama = provider(server)

    async def both() -> str:
        first = await ollama.generate("hi")
        return first.output_text + ollama.sync.generate("hi").output_text

    assert asyncio.run(both()) == "HelloHello"
    asyncio.run(ollama.aclose())
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("namel3ss")]


def test_leaving_a_blocking_stream_closes_its_connection(server: ScriptedServer) -> None:
    server.on("/api/chat", [*ANSWER[:2], stall()])

    with provider(server).sync as blocking, blocking.stream("hi") as stream:
        assert next(stream).output_text == "Hell"
        stream.cancel()
        server.requests[0].aborted.wait()


def test_provider_works_in_several_event_loops_one_after_the_other(server: ScriptedServer) -> None:
    server.on("/api/chat", ANSWER)
    ollama = provider(server)

    async def ask() -> str:
        return (await ollama.generate("hi")).output_text

    assert [asyncio.run(ask()) for _ in range(3)] == ["Hello"] * 3


async def test_provider_that_is_dropped_with_open_connections_warns(server: ScriptedServer) -> None:
    server.on("/api/chat", ANSWER)
    ollama = provider(server)
    await ollama.generate("hi")

    holder = [ollama]
    del ollama

    with pytest.warns(ResourceWarning, match="was not closed"):
        drop(holder)
    await server.connections_reached(0)


def test_guide_s_program_that_never_closes_ends_quietly(server: ScriptedServer) -> None:
    server.on("/api/chat", ANSWER)
    code = f"""
import asyncio
from namel3ss.providers.local.ollama import OllamaProvider

provider = OllamaProvider("x", "tiny", {{"base_url": {server.url!r}}})

async def main():
    asyncio.get_running_loop().slow_callback_duration = 60  # a busy machine is no finding
    async for chunk in provider.stream("hi"):
        print(chunk.output_text, end="")

asyncio.run(main())
"""

    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", code], capture_output=True, text=True, check=True
    )

    assert (done.stdout, done.stderr) == ("Hello", "")


def test_making_a_provider_loads_no_http_library() -> None:
    code = "import sys; from namel3ss.providers.local.ollama import OllamaProvider as P; P('x', 'tiny'); print(*sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert not {"httpx", "aiohttp"} & set(done.stdout.split())
