"""Answers that are given again, and those that are not."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from namel3ss.gateway.principal import Scope
from tests.gateway.forwarding.play import Gateway, calling, eventually, key_of, open_gateway
from tests.gateway.forwarding.sayings import DONE, pieces, stream, token
from tests.support.scripted_server import LAST_CHUNK, Gate, Reset, ScriptedServer, Send, chunk, document

if TYPE_CHECKING:
    from tests.gateway.front.door import Answer

CACHE = "cache: { ttl: 10m }"
GENERATE = "/api/generate"
ZERO = {"model": "tiny", "prompt": "hi", "options": {"temperature": 0}}
ANSWER = {"model": "tiny", "response": "Hello", "done": True, "prompt_eval_count": 5, "eval_count": 2}


def how(answer: Answer) -> str | None:
    return answer.header("x-namel3ss-cache")


def asked(server: ScriptedServer, path: str = GENERATE) -> int:
    return sum(request.path == path for request in server.requests)


async def until_listed(gateway: Gateway) -> None:
    """The gateway has learnt what its server's models are, without which nothing is kept."""
    await eventually(lambda: gateway.backends.digest("tiny") is not None)


async def test_stream_is_given_again_as_a_stream_byte_for_byte_and_costs_nothing() -> None:
    with ScriptedServer() as server:
        server.on(GENERATE, stream(token("Hel"), token("lo"), DONE))
        async with open_gateway(server, settings=CACHE) as gateway:
            await until_listed(gateway)
            first = await gateway.ask(GENERATE, ZERO)
            again = await gateway.ask(GENERATE, ZERO)

            assert (how(first), how(again), asked(server)) == ("miss", "hit", 1)
            assert again.body == first.body == token("Hel") + token("lo") + DONE
            assert again.header("content-type") == "application/x-ndjson"
            assert [event.usage.total_tokens for event in gateway.books.events] == [7, 0]
            assert await gateway.is_at_rest()


async def test_whole_answer_is_given_again_with_its_headers() -> None:
    with ScriptedServer() as server:
        server.on(GENERATE, document(ANSWER))
        async with open_gateway(server, settings=CACHE) as gateway:
            await until_listed(gateway)
            answers = [await gateway.ask(GENERATE, ZERO | {"stream": False}) for _ in range(2)]

            assert [how(answer) for answer in answers] == ["miss", "hit"]
            assert answers[0].body == answers[1].body
            assert answers[1].header("content-length") == str(len(answers[1].body))


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (GENERATE, {"prompt": "hi"}),
        (GENERATE, {"prompt": "hi", "options": {"temperature": 0.1}}),
        (GENERATE, {"prompt": "hi", "options": {"seed": -1}}),
        (GENERATE, {"prompt": "", "options": {"seed": 1}}),
        ("/v1/messages", {"messages": [{}], "max_tokens": 5, "seed": 1}),
        ("/v1/responses", {"input": "hi", "seed": 1}),
    ],
)
async def test_request_that_may_have_several_answers_is_always_sent(path: str, body: dict[str, Any]) -> None:
    with ScriptedServer() as server:
        server.on(path, document(ANSWER))
        async with open_gateway(server, settings=CACHE) as gateway:
            await until_listed(gateway)
            answers = [await gateway.ask(path, {"model": "tiny"} | body) for _ in range(2)]

            assert [how(answer) for answer in answers] == [None, None]
            assert asked(server, path) == 2


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (GENERATE, {"prompt": "hi", "options": {"seed": 7}}),
        ("/api/embed", {"input": "hi"}),
        ("/v1/embeddings", {"input": "hi"}),
        ("/v1/chat/completions", {"messages": [{}], "seed": 1}),
        ("/v1/completions", {"prompt": "hi", "temperature": 0}),
        ("/v1/messages", {"messages": [{}], "max_tokens": 5, "temperature": 0}),
        ("/v1/responses", {"input": "hi", "temperature": 0.0}),
        ("/api/chat", {"message": "hi", "options": {"seed": 1}}),
    ],
)
async def test_request_that_has_one_answer_is_sent_once(path: str, body: dict[str, Any]) -> None:
    with ScriptedServer() as server:
        server.on(path, document(ANSWER))
        async with open_gateway(server, settings=CACHE) as gateway:
            await until_listed(gateway)
            for _ in range(2):
                assert (await gateway.ask(path, {"model": "tiny"} | body)).status == 200
            assert asked(server, path) == 1


async def test_what_a_declaration_fills_in_decides_as_well() -> None:
    models = 'ai model sure { provider: ollama  model: "tiny"  config: { temperature: 0 } }\n'
    with ScriptedServer() as server:
        server.on(GENERATE, document(ANSWER))
        async with open_gateway(server, settings=CACHE, models=models) as gateway:
            await until_listed(gateway)
            for name in ("sure", "sure", "tiny", "tiny"):
                await gateway.ask(GENERATE, {"model": name, "prompt": "hi"})
            assert asked(server) == 3


async def test_answers_belong_to_the_key_that_asked() -> None:
    keys = {
        "ann": key_of("ann", Scope.USE),
        "ann2": key_of("ann", Scope.USE, key_id="other"),
        "bob": key_of("bob", Scope.USE),
    }
    with ScriptedServer() as server:
        server.on(GENERATE, document(ANSWER))
        async with open_gateway(server, settings=CACHE, keys=keys) as gateway:
            await until_listed(gateway)
            for key in keys:
                assert how(await gateway.ask(GENERATE, ZERO, key=key)) == "miss"
            assert asked(server) == 3


async def test_without_a_declaration_nothing_is_kept() -> None:
    with ScriptedServer() as server:
        server.on(GENERATE, document(ANSWER))
        async with open_gateway(server) as gateway:
            await until_listed(gateway)
            assert [how(await gateway.ask(GENERATE, ZERO)) for _ in range(2)] == [None, None]


async def test_equal_requests_at_the_same_time_are_one_and_outlive_the_first_of_them() -> None:
    more = Gate()
    with ScriptedServer() as server:
        server.on(GENERATE, [*pieces(token("a")), more, Send(chunk(token("b") + DONE)), Send(LAST_CHUNK)])
        async with open_gateway(server, settings=CACHE) as gateway:
            await until_listed(gateway)
            async with calling(gateway, GENERATE, ZERO) as first, calling(gateway, GENERATE, ZERO) as second:
                await first.until(b'"a"')
                await second.until(b'"a"')
                await first.leave()
                more.open()
                text = await second.until(DONE)

            assert b"x-namel3ss-cache: joined" in text
            assert token("b") in text
            assert asked(server) == 1
            await eventually(gateway.is_at_rest)
            assert how(await gateway.ask(GENERATE, ZERO)) == "hit"


async def test_who_joined_reads_on_when_the_first_leaves_after_its_departure_was_watched_for() -> None:
    more = Gate()
    with ScriptedServer() as server:
        server.on(GENERATE, [*pieces(token("a")), more, Send(chunk(token("b") + DONE)), Send(LAST_CHUNK)])
        async with open_gateway(server, settings=CACHE) as gateway:
            await until_listed(gateway)
            async with calling(gateway, GENERATE, ZERO) as first, calling(gateway, GENERATE, ZERO) as second:
                await first.until(b'"a"')
                await second.until(b'"a"')
                [look] = gateway.forwarder.watch._looks
                await eventually(lambda: look._is_listening)
                await first.leave()
                await eventually(lambda: gateway.front.running == 1)
                more.open()
                text = await second.until(LAST_CHUNK)

            assert token("b") + DONE in text
            await eventually(gateway.is_at_rest)


async def test_answer_is_stopped_when_who_joined_last_leaves_last() -> None:
    with ScriptedServer() as server:
        server.on(GENERATE, [*pieces(token("a")), Gate()])
        async with open_gateway(server, settings=CACHE) as gateway:
            await until_listed(gateway)
            async with calling(gateway, GENERATE, ZERO) as first, calling(gateway, GENERATE, ZERO) as second:
                await first.until(b'"a"')
                await second.until(b'"a"')
                await first.leave()
                await eventually(lambda: gateway.front.running == 1)
                await second.leave()
                await eventually(gateway.is_at_rest)
                await server.requests[-1].aborted.reached()


async def test_request_that_nobody_reads_any_more_is_stopped_and_not_kept() -> None:
    more = Gate()
    with ScriptedServer() as server:
        server.on(GENERATE, [*pieces(token("a")), more, Send(chunk(DONE)), Send(LAST_CHUNK)])
        async with open_gateway(server, settings=CACHE) as gateway:
            await until_listed(gateway)
            async with calling(gateway, GENERATE, ZERO) as client:
                await client.until(b'"a"')
            await eventually(gateway.is_at_rest)

            [event] = gateway.books.events
            assert event.outcome == "cancelled"
            more.open()
            assert how(await gateway.ask(GENERATE, ZERO)) == "miss"


@pytest.mark.parametrize("end", [b"", b'{"error":"out of memory"}\n'])
async def test_answer_that_breaks_off_reaches_its_reader_and_is_not_kept(end: bytes) -> None:
    with ScriptedServer() as server:
        server.on(GENERATE, stream(token("a"), *([end] if end else [])))
        async with open_gateway(server, settings=CACHE) as gateway:
            await until_listed(gateway)
            for _ in range(2):
                answer = await gateway.ask(GENERATE, ZERO)
                assert how(answer) == "miss"
                assert list(json.loads(answer.body.splitlines()[-1])) == ["error"]


async def test_refusals_reach_everybody_and_are_not_kept() -> None:
    with ScriptedServer() as server:
        server.on(GENERATE, document({"error": "no memory"}, status=500))
        async with open_gateway(server, settings=CACHE) as gateway:
            await until_listed(gateway)
            answers = await asyncio.gather(*(gateway.ask(GENERATE, ZERO) for _ in range(3)))
            assert {(answer.status, answer.body) for answer in answers} == {(500, b'{"error": "no memory"}')}

            server.on(GENERATE, [Reset()])
            assert (await gateway.ask(GENERATE, ZERO)).status in {502, 503}
            assert await gateway.is_at_rest()
