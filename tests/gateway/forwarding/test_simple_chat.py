"""One message in, one text out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from namel3ss.gateway.principal import Scope
from tests.gateway.forwarding.play import key_of, open_gateway
from tests.gateway.forwarding.sayings import stream
from tests.support.scripted_server import ScriptedServer, document, line

MODELS = """
ai model helper { provider: ollama  model: "tiny"  system: "Be kind."  config: { temperature: 0.5 } }
ai model other { provider: ollama  model: "tiny-embed" }
"""


def saying(text: str, *, done: bool = True, **counts: int) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {"model": "tiny", "created_at": "2026-01-01T00:00:00Z", "message": message, "done": done} | counts


def sent(server: ScriptedServer) -> dict[str, Any]:
    [asked] = [each for each in server.requests if each.path == "/api/chat"]
    body: dict[str, Any] = json.loads(asked.body)
    return body


async def test_answer_is_a_text_with_what_the_server_counted() -> None:
    with ScriptedServer() as server:
        server.on("/api/chat", document(saying("Hello you", prompt_eval_count=6, eval_count=7)))
        async with open_gateway(server, models=MODELS) as gateway:
            answer = await gateway.ask("/api/chat", {"message": "hi", "max_tokens": 9})

            assert answer.status == 200
            assert json.loads(answer.body) == {
                "response": "Hello you",
                "model": "tiny",
                "provider": "ollama",
                "usage": {"prompt_tokens": 6, "completion_tokens": 7, "total_tokens": 13, "estimated": False},
            }
            assert sent(server) == {
                "model": "tiny",
                "messages": [
                    {"role": "system", "content": "Be kind."},
                    {"role": "user", "content": "hi"},
                ],
                "stream": False,
                "options": {"temperature": 0.5, "num_predict": 9},
            }
            assert [event.usage.total_tokens for event in gateway.books.events] == [13]


async def test_document_of_the_users_guide_is_understood() -> None:
    with ScriptedServer() as server:
        server.on("/api/chat", document(saying("Well.", prompt_eval_count=6, eval_count=7)))
        async with open_gateway(server, models=MODELS) as gateway:
            answer = await gateway.ask(
                "/api/chat",
                {
                    "message": "Hello, how are you?",
                    "provider": "ollama",
                    "model": "tiny",
                    "system_prompt": "You are a helpful AI assistant.",
                },
            )

            assert answer.status == 200
            assert sent(server) == {
                "model": "tiny",
                "messages": [
                    {"role": "system", "content": "You are a helpful AI assistant."},
                    {"role": "user", "content": "Hello, how are you?"},
                ],
                "stream": False,
            }


async def test_without_the_servers_count_words_are_counted_and_marked_as_an_estimate() -> None:
    with ScriptedServer() as server:
        server.on("/api/chat", document(saying("one two three four five six seven eight nine ten")))
        async with open_gateway(server, models=MODELS) as gateway:
            answer = await gateway.ask("/api/chat", {"message": "a b c", "model": "tiny"})

            usage = {"prompt_tokens": 3, "completion_tokens": 13, "total_tokens": 16, "estimated": True}
            assert json.loads(answer.body)["usage"] == usage
            [event] = gateway.books.events
            assert (event.usage.total_tokens, event.usage.estimated) == (16, True)


async def test_stream_on_request_is_lines_of_text_with_the_usage_in_the_last() -> None:
    lines = [
        line(saying("Hel", done=False)),
        line(saying("lo", done=False)),
        line(saying("", prompt_eval_count=6, eval_count=2)),
    ]
    with ScriptedServer() as server:
        server.on("/api/chat", stream(lines[0][:30], lines[0][30:] + lines[1], lines[2]))
        async with open_gateway(server, models=MODELS) as gateway:
            answer = await gateway.ask("/api/chat", {"message": "hi", "stream": True})

            shown = {"model": "tiny", "provider": "ollama"}
            usage = {"prompt_tokens": 6, "completion_tokens": 2, "total_tokens": 8, "estimated": False}
            assert answer.header("content-type") == "application/x-ndjson"
            assert [json.loads(each) for each in answer.body.splitlines()] == [
                {"response": "Hel", "done": False} | shown,
                {"response": "lo", "done": False} | shown,
                {"response": "", "done": True, "usage": usage} | shown,
            ]
            assert sent(server)["stream"] is True
            assert await gateway.is_at_rest()


@pytest.mark.fault(76)
async def test_stream_that_breaks_off_ends_in_an_error_and_is_charged_by_its_words() -> None:
    with ScriptedServer() as server:
        server.on("/api/chat", stream(line(saying("one two three four", done=False))))
        async with open_gateway(server, models=MODELS) as gateway:
            answer = await gateway.ask("/api/chat", {"message": "a b c", "stream": True, "model": "tiny"})

            assert list(json.loads(answer.body.splitlines()[-1])) == ["error"]
            [event] = gateway.books.events
            assert (event.usage.prompt_tokens, event.usage.completion_tokens) == (3, 5)
            assert event.usage.estimated


async def test_first_model_is_the_first_that_the_key_may_use() -> None:
    keys = {
        "secret": key_of("ann", Scope.USE, models=("other",)),
        "none": key_of("bob", Scope.USE, models=("x",)),
    }
    with ScriptedServer() as server:
        server.on("/api/chat", document(saying("yes", prompt_eval_count=1, eval_count=1)))
        async with open_gateway(server, models=MODELS, keys=keys) as gateway:
            answer = await gateway.ask("/api/chat", {"message": "hi"})
            assert json.loads(answer.body)["model"] == "tiny-embed"

            answer = await gateway.ask("/api/chat", {"message": "hi"}, key="none")
            assert (answer.status, answer.header("x-namel3ss-error")) == (403, "model_not_allowed")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"messages": []}, "both `message` and `messages`"),
        ({"provider": "openai"}, "`provider` is 'openai'"),
        ({"system_prompt": 7}, "`system_prompt` must be a text"),
        ({"max_tokens": "many"}, "`max_tokens` must be a whole number"),
        ({"max_tokens": 10_000}, "`max_tokens` is 10000"),
    ],
)
async def test_what_cannot_be_meant_is_refused_naming_it(more: dict[str, Any], words: str) -> None:
    with ScriptedServer() as server:
        async with open_gateway(server, models=MODELS) as gateway:
            answer = await gateway.ask("/api/chat", {"message": "hi"} | more)
            assert answer.status == 400
            assert words in json.loads(answer.body)["error"]


async def test_servers_refusal_and_its_nonsense_come_through_as_errors() -> None:
    with ScriptedServer() as server:
        server.on("/api/chat", document({"error": "model requires more system memory"}, status=500))
        async with open_gateway(server, models=MODELS) as gateway:
            answer = await gateway.ask("/api/chat", {"message": "hi"})
            assert (answer.status, json.loads(answer.body)) == (
                500,
                {"error": "model requires more system memory"},
            )

            server.on("/api/chat", document(["no", "answer"]))
            answer = await gateway.ask("/api/chat", {"message": "hi"})
            assert answer.status == 502
            assert await gateway.is_at_rest()
