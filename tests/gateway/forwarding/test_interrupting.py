"""Requests ended from outside: by their id, with their key, at the gateway's end; and servers that fall silent."""

from __future__ import annotations

import json

import pytest

from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.forwarding import ForwardingLimits
from tests.gateway.forwarding.play import calling, eventually, key_of, open_gateway
from tests.gateway.forwarding.sayings import (
    CHAT,
    DONE,
    MESSAGE_DELTA,
    MESSAGE_START,
    MESSAGES,
    PROMPT,
    delta,
    pieces,
    stream,
    token,
)
from tests.support.scripted_server import Drip, Gate, ScriptedServer, stall

CANCELLED = Refusal(Reason.cancelled, "The request was cancelled.")
REVOKED = Refusal(Reason.bad_key, "The key was revoked.")
SAID = {
    "/api/generate": (PROMPT, (token("Hel"),)),
    "/v1/chat/completions": (CHAT, (delta("Hel"),)),
    "/v1/messages": (MESSAGES, (MESSAGE_START, MESSAGE_DELTA)),
}
ENDS = {
    "/api/generate": b'{"error":"The request was cancelled."}\n',
    "/v1/chat/completions": b'data: {"error":{"message":"The request was cancelled.","type":',
    "/v1/messages": b'event: error\ndata: {"type":"error","error":{"type":',
}


@pytest.mark.parametrize("path", SAID)
async def test_running_stream_that_is_cancelled_ends_with_its_protocols_error(path: str) -> None:
    body, said = SAID[path]
    with ScriptedServer() as server:
        server.on(path, [*pieces(*said, sse=path != "/api/generate"), stall()])
        async with open_gateway(server) as gateway, calling(gateway, path, body) as client:
            await client.until(said[-1])
            [live] = gateway.live.by_id.values()
            live.interrupt(CANCELLED)
            whole = await client.until(b"\r\n0\r\n\r\n")

            assert ENDS[path] in whole
            await eventually(gateway.is_at_rest)
            assert gateway.books.events[0].outcome == "cancelled"
            requests = [each for each in server.requests if each.path == path]
            await requests[0].aborted.reached()


async def test_waiting_request_that_is_cancelled_gets_the_refusal() -> None:
    gate = Gate()
    with ScriptedServer() as server:
        server.on("/api/generate", [*pieces(token("a")), gate, *stream(DONE)[1:]])
        async with open_gateway(server) as gateway, calling(gateway, "/api/generate", PROMPT) as running:
            await running.until(token("a"))
            named = [("X-Request-Id", "waits")]
            async with calling(gateway, "/api/generate", PROMPT, headers=named) as waiting:
                await eventually(lambda: "waits" in gateway.live.by_id)
                gateway.live.by_id["waits"].interrupt(CANCELLED)
                said = await waiting.until(b"}")
            gate.open()
            await running.until(DONE)

            assert b" 499 " in said
            assert server.paths().count("/api/generate") == 1


@pytest.mark.security(6)
async def test_requests_of_a_revoked_key_end_and_others_go_on() -> None:
    gate = Gate()
    keys = {"secret": key_of("ann"), "bobs": key_of("bob")}
    with ScriptedServer() as server:
        server.on("/api/generate", [*pieces(token("a")), gate, *stream(DONE)[1:]])
        async with (
            open_gateway(server, slots=2, keys=keys) as gateway,
            calling(gateway, "/api/generate", PROMPT) as anns,
            calling(gateway, "/api/generate", PROMPT, key="bobs") as bobs,
        ):
            await anns.until(token("a"))
            await bobs.until(token("a"))
            gateway.front.interrupt(REVOKED, key_id="key-ann")
            assert b"The key was revoked." in await anns.until(b"\r\n0\r\n\r\n")
            gate.open()
            assert b"revoked" not in await bobs.until(DONE)


async def test_interrupted_before_the_first_piece_gets_a_status() -> None:
    with ScriptedServer() as server:
        server.on("/api/generate", [stall()])
        async with open_gateway(server) as gateway, calling(gateway, "/api/generate", PROMPT) as client:
            await eventually(lambda: server.paths().count("/api/generate") == 1)
            stopping = Refusal(Reason.shutting_down, "The gateway is being stopped.", retry_after_s=5)
            gateway.front.interrupt(stopping)
            said = await client.until(b"}")

            assert said.startswith(b"HTTP/1.1 503 ")
            assert b"retry-after: 5" in said


@pytest.mark.fault(26, 59)
async def test_server_that_is_silent_at_first_is_504_and_left() -> None:
    with ScriptedServer() as server:
        server.on("/api/generate", [stall()], stream(token("a"), DONE))
        limits = ForwardingLimits(first_token_s=0.2)
        async with open_gateway(server, limits=limits) as gateway:
            answer = await gateway.ask("/api/generate", PROMPT)

            assert (answer.status, answer.reason) == (504, "upstream_timeout")
            [request] = [each for each in server.requests if each.path == "/api/generate"]
            await request.aborted.reached()
            assert await gateway.is_at_rest()


@pytest.mark.fault(27, 28, 59)
@pytest.mark.parametrize("then", [stall(), Drip(b"1\r\nx\r\n" * 1000, 0.02)], ids=["silent", "dripping"])
async def test_server_that_falls_silent_or_drips_ends_the_stream_with_an_error(then: Gate | Drip) -> None:
    with ScriptedServer() as server:
        server.on("/api/generate", [*pieces(token("Hel")), then])
        limits = ForwardingLimits(idle_s=0.3)
        async with open_gateway(server, limits=limits) as gateway:
            answer = await gateway.ask("/api/generate", PROMPT)

            first, last = answer.body.splitlines(keepends=True)
            assert first == token("Hel")
            said = "The server fell silent, and its answer was ended before it was complete."
            assert json.loads(last) == {"error": said}
            assert gateway.books.events[0].outcome == "interrupted"
            assert await gateway.is_at_rest()


@pytest.mark.fault(64)
@pytest.mark.parametrize("written", ["0.2", "200ms"])
async def test_times_of_a_models_declaration_hold_for_it(written: str) -> None:
    declared = (
        'ai model tiny_model { provider: ollama  model: "tiny"'
        f"  config: {{ first_token_timeout: {written}  idle_timeout: none }} }}\n"
    )
    with ScriptedServer() as server:
        server.on("/api/generate", [stall()])
        async with open_gateway(server, models=declared) as gateway:
            answer = await gateway.ask("/api/generate", PROMPT)

            assert (answer.status, answer.reason) == (504, "upstream_timeout")
