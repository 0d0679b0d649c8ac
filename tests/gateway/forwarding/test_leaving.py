"""Callers that leave, at every stage: the server is left at once, and the slot is free or drains."""

from __future__ import annotations

import asyncio
import random
import socket
import time
from typing import TYPE_CHECKING

import pytest

from namel3ss.gateway.serving.limits import ConnectionLimits
from tests.gateway.forwarding.play import Client, Gateway, calling, eventually, open_gateway, request
from tests.gateway.forwarding.sayings import DONE, PROMPT, pieces, stream, token
from tests.support.scripted_server import Gate, ScriptedServer, Send, chunk, document, stall

if TYPE_CHECKING:
    from collections.abc import Callable

# The promise is a quarter of a second; a busy machine must not decide the test.
SOON_S = 2.0


def generations(server: ScriptedServer) -> int:
    return server.paths().count("/api/generate")


async def sent(server: ScriptedServer, count: int) -> None:
    await eventually(lambda: generations(server) >= count)


async def is_left(server: ScriptedServer, number: int = 0) -> float:
    """When the server saw its client leave."""
    requests = [each for each in server.requests if each.path == "/api/generate"]
    return await requests[number].aborted.reached()


async def free_slots(gateway: Gateway) -> tuple[int, int, int]:
    statistics = await gateway.scheduler.statistics()
    return statistics.waiting, statistics.running, statistics.draining


def close(client: Client) -> None:
    client.writer.close()


def half_close(client: Client) -> None:
    client.writer.write_eof()


def reset(client: Client) -> None:
    client.leave_at_once()


@pytest.mark.fault(50)
@pytest.mark.parametrize("leave", [close, half_close, reset])
async def test_caller_who_leaves_mid_stream_frees_the_slot_and_the_server(
    leave: Callable[[Client], None],
) -> None:
    with ScriptedServer() as server:
        server.on("/api/generate", [*pieces(token("a"), token("b")), stall()], stream(DONE))
        async with open_gateway(server) as gateway, calling(gateway, "/api/generate", PROMPT) as client:
            await client.until(token("b"))
            left_at = time.monotonic()
            leave(client)

            assert await is_left(server) - left_at < SOON_S
            await eventually(gateway.is_at_rest)
            assert await free_slots(gateway) == (0, 0, 0)
            [event] = gateway.books.events
            assert (event.outcome, event.usage.completion_tokens, event.usage.estimated) == (
                "cancelled",
                2,
                True,
            )
            assert (await gateway.ask("/api/generate", PROMPT)).status == 200


@pytest.mark.parametrize("leave", [close, reset])
async def test_caller_who_leaves_at_the_last_word_has_had_a_whole_answer(
    leave: Callable[[Client], None],
) -> None:
    with ScriptedServer() as server:
        server.on("/api/generate", [*pieces(token("a"), DONE), stall()])
        async with open_gateway(server) as gateway, calling(gateway, "/api/generate", PROMPT) as client:
            await client.until(DONE)
            leave(client)

            await is_left(server)
            await eventually(gateway.is_at_rest)
            assert await free_slots(gateway) == (0, 0, 0)
            [event] = gateway.books.events
            assert (event.outcome, event.status, event.usage.estimated) == ("ok", 200, False)


@pytest.mark.fault(49)
async def test_caller_who_leaves_before_the_first_token_leaves_a_slot_that_drains() -> None:
    with ScriptedServer() as server:
        server.on("/api/generate", [stall()])
        async with open_gateway(server) as gateway:
            async with calling(gateway, "/api/generate", PROMPT):
                await sent(server, 1)
            await is_left(server)

            await eventually(gateway.is_at_rest)
            assert await free_slots(gateway) == (0, 0, 1)


@pytest.mark.fault(51)
async def test_caller_who_leaves_an_answer_in_one_piece_leaves_the_server_too() -> None:
    with ScriptedServer() as server:
        server.on("/api/generate", [stall()])
        async with open_gateway(server) as gateway:
            async with calling(gateway, "/api/generate", {**PROMPT, "stream": False}):
                await sent(server, 1)
            await is_left(server)

            await eventually(gateway.is_at_rest)
            [event] = gateway.books.events
            assert (event.outcome, event.status, event.usage.estimated) == ("cancelled", 499, True)


@pytest.mark.fault(48)
async def test_caller_who_leaves_the_queue_is_never_sent_and_the_next_moves_up() -> None:
    gate = Gate()
    first = {**PROMPT, "prompt": "first"}
    with ScriptedServer() as server:
        server.on("/api/generate", [*pieces(token("a")), gate, *stream(DONE)[1:]], stream(DONE))
        async with open_gateway(server) as gateway, calling(gateway, "/api/generate", first) as running:
            await running.until(token("a"))
            async with calling(gateway, "/api/generate", {**PROMPT, "prompt": "leaves"}):
                await eventually(lambda: len(gateway.live.by_id) == 2)
            async with calling(gateway, "/api/generate", {**PROMPT, "prompt": "stays"}) as staying:
                await eventually(lambda: len(gateway.live.by_id) == 2)
                gate.open()
                await staying.until(DONE)

            prompts = [each.json["prompt"] for each in server.requests if each.path == "/api/generate"]
            assert prompts == ["first", "stays"]
            await eventually(gateway.is_at_rest)


@pytest.mark.fault(57)
async def test_connection_whose_caller_left_is_never_used_for_another_answer() -> None:
    with ScriptedServer() as server:
        server.on("/api/generate", [*pieces(token("old")), stall()], stream(token("new"), DONE))
        async with open_gateway(server) as gateway:
            async with calling(gateway, "/api/generate", PROMPT) as client:
                await client.until(token("old"))
            await is_left(server)
            answer = await gateway.ask("/api/generate", PROMPT)

            assert answer.body == token("new") + DONE
            generated = [each for each in server.requests if each.path == "/api/generate"]
            assert generated[0].connection != generated[1].connection


@pytest.mark.fault(42)
async def test_slow_reader_holds_the_server_back_and_is_let_go_after_its_time() -> None:
    flood = [Send(chunk(token("x" * 50_000) * 4)) for _ in range(400)]
    with ScriptedServer() as server:
        server.on("/api/generate", [*pieces(token("a")), *flood, stall()], stream(DONE))
        connections = ConnectionLimits(stuck_s=0.5)
        async with open_gateway(server, connections=connections) as gateway:
            async with calling(gateway, "/api/generate", PROMPT) as client:
                client.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                transport = client.writer.transport
                assert isinstance(transport, asyncio.Transport)
                transport.pause_reading()
                await sent(server, 1)
                await is_left(server)
                await eventually(gateway.is_at_rest)

            assert await free_slots(gateway) == (0, 0, 0)
            assert (await gateway.ask("/api/generate", PROMPT)).status == 200


@pytest.mark.fault(55)
async def test_half_of_many_callers_vanish_and_the_others_are_all_served() -> None:
    gate = Gate()
    with ScriptedServer() as server:
        server.on(
            "/api/generate", [gate, *document({"response": "a", "done": True})], document({"done": True})
        )
        body = {**PROMPT, "stream": False}
        async with open_gateway(server, settings="queue: { max_waiting_per_user: 500 }") as gateway:
            clients = [await asyncio.open_connection("127.0.0.1", gateway.port) for _ in range(60)]
            for _, writer in clients:
                writer.write(request("/api/generate", body))
            await eventually(lambda: len(gateway.live.by_id) == 60)
            for _, writer in clients[1::2]:
                writer.transport.abort()
            await eventually(lambda: len(gateway.live.by_id) == 30)
            gate.open()
            for reader, _ in clients[::2]:
                assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
            await eventually(gateway.is_at_rest)
            for _, writer in clients:
                writer.close()

            assert generations(server) == 30


@pytest.mark.long
@pytest.mark.fault(55)
async def test_thousand_callers_that_leave_anywhere_leak_no_slot_and_no_connection() -> None:
    chance = random.Random(7)
    said = stream(*(token(str(number)) for number in range(20)), DONE)
    with ScriptedServer() as server:
        server.on("/api/generate", said)
        settings = "queue: { max_waiting_per_user: 500 }"
        async with open_gateway(server, slots=4, settings=settings) as gateway:
            # So that it is known how soon the model begins, and no slot drains for long.
            for streamed in (True, False, True, False):
                await gateway.ask("/api/generate", {**PROMPT, "stream": streamed})

            async def come_and_go() -> None:
                for _ in range(50):
                    body = {**PROMPT, "stream": chance.random() < 0.8}
                    last = [("Connection", "close")]
                    async with calling(gateway, "/api/generate", body, headers=last) as client:
                        for _ in range(chance.randrange(4)):
                            await client.reader.read(chance.randrange(1, 2000))
                        if chance.random() < 0.5:
                            client.leave_at_once()

            async with asyncio.timeout(50), asyncio.TaskGroup() as callers:
                for _ in range(20):
                    callers.create_task(come_and_go())

            await eventually(gateway.is_at_rest)
            await eventually(lambda: is_free(gateway))
            assert len(gateway.books.events) >= 900  # some were gone before their request was read
            assert {event.outcome for event in gateway.books.events} <= {"ok", "cancelled"}
            assert (await gateway.ask("/api/generate", PROMPT)).body.endswith(DONE)


async def is_free(gateway: Gateway) -> bool:
    return await free_slots(gateway) == (0, 0, 0)
