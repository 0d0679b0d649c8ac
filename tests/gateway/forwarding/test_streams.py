"""Answers in pieces: what goes on at once, what is held, and how a stream ends that cannot go on."""

from __future__ import annotations

from tests.gateway.forwarding.play import open_gateway
from tests.support.scripted_server import ScriptedServer, line, lines

PROMPT = {"model": "tiny", "prompt": "hi"}


def token(text: str) -> dict[str, object]:
    return {"model": "tiny", "created_at": "2026-01-01T00:00:00Z", "response": text, "done": False}


DONE = {
    "model": "tiny",
    "created_at": "2026-01-01T00:00:00Z",
    "response": "",
    "done": True,
    "done_reason": "stop",
    "prompt_eval_count": 5,
    "eval_count": 2,
}


async def test_stream_comes_through_byte_for_byte_and_leaves_nothing_behind() -> None:
    with ScriptedServer() as server:
        server.on("/api/generate", lines(token("Hel"), token("lo"), DONE))
        async with open_gateway(server) as gateway:
            answer = await gateway.ask("/api/generate", PROMPT)

            assert answer.status == 200
            assert answer.header("content-type") == "application/x-ndjson"
            assert answer.body == b"".join(map(line, (token("Hel"), token("lo"), DONE)))
            assert await gateway.is_at_rest()
            [event] = gateway.books.events
            assert (event.outcome, event.usage.prompt_tokens, event.usage.completion_tokens) == ("ok", 5, 2)
