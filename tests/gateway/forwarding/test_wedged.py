"""A model that hangs on its server: it is unloaded, and whoever waits for it is sent again and answered."""

from __future__ import annotations

import pytest

from namel3ss.gateway.backends import Timing
from tests.gateway.forwarding.play import calling, eventually, open_gateway
from tests.gateway.forwarding.sayings import CHAT, DONE, END_OF_CHAT, PROMPT, STOP, delta, stream, token
from tests.support.scripted_server import ScriptedServer, document, stall

UNLOADED = document({"model": "tiny", "response": "", "done": True, "done_reason": "unload"})


@pytest.mark.fault(75)
async def test_request_to_a_hanging_model_is_sent_again_once_the_model_was_unloaded() -> None:
    with ScriptedServer() as server:
        server.on("/v1/chat/completions", stream(delta("a"), STOP, END_OF_CHAT, sse=True))
        server.on("/api/generate", [stall()], [stall()], UNLOADED, stream(token("cured"), DONE))
        async with open_gateway(
            server, settings="wedge_after: 0.1", timing=Timing(second_try_s=0.3, unload_s=2.0)
        ) as gateway:
            assert (await gateway.ask("/v1/chat/completions", CHAT)).status == 200
            async with calling(gateway, "/api/generate", PROMPT) as client:
                await eventually(lambda: server.paths().count("/api/generate") >= 3)
                server.on("/api/ps", document({"models": []}))
                whole = await client.until(DONE)

            assert whole.startswith(b"HTTP/1.1 200 ")
            assert token("cured") in whole
            sent = [each for each in server.requests if each.path == "/api/generate"]
            assert sent[2].json["keep_alive"] == 0
            assert sent[0].body == sent[3].body
            await sent[0].aborted.reached()
            await eventually(gateway.is_at_rest)
            assert [event.outcome for event in gateway.books.events] == ["ok", "ok"]


@pytest.mark.fault(75)
async def test_caller_may_leave_while_its_model_is_cured() -> None:
    with ScriptedServer() as server:
        server.on("/v1/chat/completions", stream(delta("a"), STOP, END_OF_CHAT, sse=True))
        server.on("/api/generate", [stall()], [stall()], UNLOADED, [stall()])
        async with open_gateway(
            server, settings="wedge_after: 0.1", timing=Timing(second_try_s=0.3, unload_s=2.0)
        ) as gateway:
            assert (await gateway.ask("/v1/chat/completions", CHAT)).status == 200
            async with calling(gateway, "/api/generate", PROMPT):
                await eventually(lambda: server.paths().count("/api/generate") >= 3)

            await eventually(gateway.is_at_rest)
            assert gateway.books.events[-1].outcome == "cancelled"
            assert server.paths().count("/api/generate") == 3
