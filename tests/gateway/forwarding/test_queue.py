"""Waiting for a slot: what is told of it, how it is refused, and that nobody goes beyond the slots."""

from __future__ import annotations

import contextlib
import time

import pytest

from namel3ss.scheduling import Policy
from tests.gateway.forwarding.play import calling, eventually, key_of, open_gateway
from tests.gateway.forwarding.sayings import (
    CHAT,
    DONE,
    END_OF_CHAT,
    PROMPT,
    STOP,
    delta,
    pieces,
    stream,
    token,
)
from tests.support.scripted_server import LAST_CHUNK, Gate, ScriptedServer, Send, chunk

# The promise for a refusal is 50 ms; a busy machine must not decide the test.
AT_ONCE_S = 2.0


async def test_answer_that_did_not_wait_says_so() -> None:
    with ScriptedServer() as server:
        server.on("/api/generate", stream(token("a"), DONE))
        async with open_gateway(server) as gateway:
            answer = await gateway.ask("/api/generate", PROMPT)

            told = [answer.header(f"x-queue-{what}") for what in ("position", "eta", "wait")]
            assert told == ["0", "0", "0"]


async def test_waiting_request_is_told_its_place_at_arrival_and_its_wait() -> None:
    gate = Gate()
    with ScriptedServer() as server:
        first = [*pieces(token("a")), gate, Send(chunk(DONE)), Send(LAST_CHUNK)]
        server.on("/api/generate", first, stream(token("b"), DONE))
        async with open_gateway(server) as gateway, calling(gateway, "/api/generate", PROMPT) as running:
            await running.until(token("a"))
            async with (
                calling(gateway, "/api/generate", PROMPT) as next_one,
                calling(gateway, "/api/generate", PROMPT) as last_one,
            ):
                await eventually(lambda: len(gateway.live.by_id) == 3)
                gate.open()
                heads = [
                    (await client.until(DONE)).partition(b"\r\n\r\n")[0] for client in (next_one, last_one)
                ]

            places = sorted(
                line for head in heads for line in head.split(b"\r\n") if b"x-queue-position" in line
            )
            assert places == [b"x-queue-position: 0", b"x-queue-position: 1"]
            assert all(b"\r\nx-queue-wait: 0.000\r\n" not in head for head in heads)
            assert all(event.wait_s > 0 for event in gateway.books.events[1:])


async def test_never_more_than_the_slots_are_with_the_server() -> None:
    gate = Gate()
    with ScriptedServer() as server:
        server.on("/api/generate", [*pieces(token("a")), gate, *stream(DONE)[1:]])
        async with open_gateway(server, slots=2) as gateway, contextlib.AsyncExitStack() as callers:
            clients = [
                await callers.enter_async_context(calling(gateway, "/api/generate", PROMPT)) for _ in range(6)
            ]
            await eventually(lambda: len(gateway.live.by_id) == 6)
            await eventually(lambda: server.paths().count("/api/generate") == 2)
            statistics = await gateway.scheduler.statistics()
            gate.open()
            for client in clients:
                await client.until(DONE)

            assert (statistics.running, statistics.waiting) == (2, 4)


async def test_wait_beyond_max_wait_is_503_with_retry_after() -> None:
    gate = Gate()
    with ScriptedServer() as server:
        server.on("/api/generate", [*pieces(token("a")), gate, *stream(DONE)[1:]])
        async with (
            open_gateway(server, policy=Policy(max_wait_s=0.1)) as gateway,
            calling(gateway, "/api/generate", PROMPT) as running,
        ):
            await running.until(token("a"))
            answer = await gateway.ask("/api/generate", PROMPT)

            assert (answer.status, answer.reason) == (503, "wait_timeout")
            assert int(answer.header("retry-after") or "") >= 1
            assert "in the queue without getting a slot" in answer.json["error"]
            gate.open()
            await running.until(DONE)


@pytest.mark.fault(55)
@pytest.mark.security(30)
async def test_own_cap_is_429_and_a_full_queue_503_at_once_and_others_still_get_in() -> None:
    gate = Gate()
    keys = {"secret": key_of("ann"), "bobs": key_of("bob"), "cays": key_of("cay")}
    policy = Policy(max_waiting=2, max_waiting_per_user=1)
    with ScriptedServer() as server:
        server.on("/api/generate", [*pieces(token("a")), gate, *stream(DONE)[1:]], stream(DONE))
        async with (
            open_gateway(server, policy=policy, keys=keys) as gateway,
            calling(gateway, "/api/generate", PROMPT) as running,
        ):
            await running.until(token("a"))
            async with calling(gateway, "/api/generate", PROMPT) as waiting:
                await eventually(lambda: len(gateway.live.by_id) == 2)
                began_at = time.monotonic()
                own = await gateway.ask("/api/generate", PROMPT)
                assert time.monotonic() - began_at < AT_ONCE_S
                async with calling(gateway, "/api/generate", PROMPT, key="bobs") as other:
                    await eventually(lambda: len(gateway.live.by_id) == 3)
                    full = await gateway.ask("/api/generate", PROMPT, key="cays")
                    gate.open()
                    await waiting.until(DONE)
                    await other.until(DONE)

            assert (own.status, own.reason) == (429, "user_queue_full")
            assert (full.status, full.reason) == (503, "queue_full")
            assert all(int(answer.header("retry-after") or "") >= 1 for answer in (own, full))


async def test_model_whose_servers_are_down_is_503_with_retry_after() -> None:
    server = ScriptedServer()
    with server:
        url = server.url
    async with open_gateway(url) as gateway:
        answer = await gateway.ask("/api/generate", PROMPT)

        assert (answer.status, answer.reason) == (503, "server_down")
        assert int(answer.header("retry-after") or "") >= 1
        assert await gateway.is_at_rest()


@pytest.mark.fault(56)
async def test_id_of_a_living_request_is_409_and_may_be_used_again_afterwards() -> None:
    gate = Gate()
    named = [("X-Request-Id", "my-own")]
    with ScriptedServer() as server:
        server.on("/api/generate", [*pieces(token("a")), gate, *stream(DONE)[1:]], stream(token("b"), DONE))
        async with open_gateway(server) as gateway:
            async with calling(gateway, "/api/generate", PROMPT, headers=named) as running:
                await running.until(token("a"))
                second = await gateway.ask("/api/generate", PROMPT, headers=named)
                gate.open()
                await running.until(DONE)
            await eventually(gateway.is_at_rest)
            third = await gateway.ask("/api/generate", PROMPT, headers=named)

            assert (second.status, second.reason) == (409, "duplicate_request")
            assert (third.status, third.body) == (200, token("b") + DONE)
            assert third.header("x-request-id") == "my-own"


async def test_caller_of_events_may_ask_for_news_of_its_wait() -> None:
    gate = Gate()
    with ScriptedServer() as server:
        said = (delta("Hel"), STOP, END_OF_CHAT)
        server.on("/api/generate", [*pieces(token("a")), gate, *stream(DONE)[1:]])
        server.on("/v1/chat/completions", stream(*said, sse=True))
        async with open_gateway(server) as gateway, calling(gateway, "/api/generate", PROMPT) as running:
            await running.until(token("a"))
            asked = [("X-Queue-Events", "1")]
            async with calling(gateway, "/v1/chat/completions", CHAT, headers=asked) as client:
                early = await client.until(b": queue position=0")
                assert early.startswith(b"HTTP/1.1 200 OK\r\n")
                assert b"content-type: text/event-stream" in early
                gate.open()
                whole = await client.until(END_OF_CHAT)

            assert delta("Hel") in whole
            assert not any(
                line.startswith(b"x-queue-wait") for line in early.partition(b"\r\n\r\n")[0].split(b"\r\n")
            )


async def test_news_are_for_events_only_and_only_where_asked_for() -> None:
    gate = Gate()
    with ScriptedServer() as server:
        server.on("/api/generate", [*pieces(token("a")), gate, *stream(DONE)[1:]], stream(token("b"), DONE))
        server.on("/v1/chat/completions", stream(STOP, END_OF_CHAT, sse=True))
        async with open_gateway(server) as gateway, calling(gateway, "/api/generate", PROMPT) as running:
            await running.until(token("a"))
            asked = [("X-Queue-Events", "1")]
            async with (
                calling(gateway, "/api/generate", PROMPT, headers=asked) as lines_,
                calling(gateway, "/v1/chat/completions", CHAT) as silent,
            ):
                await eventually(lambda: len(gateway.live.by_id) == 3)
                gate.open()
                assert b": queue" not in await lines_.until(DONE)
                assert b": queue" not in await silent.until(END_OF_CHAT)


async def test_refusal_after_news_of_the_wait_comes_as_an_event() -> None:
    gate = Gate()
    with ScriptedServer() as server:
        server.on("/api/generate", [*pieces(token("a")), gate, *stream(DONE)[1:]])
        async with (
            open_gateway(server, policy=Policy(max_wait_s=0.2)) as gateway,
            calling(gateway, "/api/generate", PROMPT) as running,
        ):
            await running.until(token("a"))
            asked = [("X-Queue-Events", "1")]
            async with calling(gateway, "/v1/chat/completions", CHAT, headers=asked) as client:
                said = await client.until(b"\r\n0\r\n\r\n")

            assert said.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b'data: {"error":{"message":"The request waited' in said
            gate.open()
            await running.until(DONE)
