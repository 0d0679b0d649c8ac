"""What is kept where the file says so: the caller's own words, and what came back, whoever answered."""

from __future__ import annotations

import pytest

from namel3ss.gateway.overheard import Overheard
from tests.gateway.forwarding.play import calling, eventually, open_gateway
from tests.gateway.forwarding.sayings import DONE, PROMPT, pieces, stream, token
from tests.support.scripted_server import Gate, ScriptedServer, document

SEEDED = {**PROMPT, "options": {"seed": 1, "temperature": 0}}


class Kept(list[Overheard]):
    """Takes what is kept."""

    def keep(self, overheard: Overheard) -> None:
        self.append(overheard)


async def test_an_answer_is_overheard_as_it_goes_out_and_nothing_of_it_changes() -> None:
    kept = Kept()
    with ScriptedServer() as server:
        server.on("/api/generate", stream(token("Hel"), token("lo"), DONE))
        async with open_gateway(server, transcripts=kept) as gateway:
            answer = await gateway.ask("/api/generate", PROMPT)

    [heard] = kept
    assert heard.answer == answer.body == token("Hel") + token("lo") + DONE
    assert b'"prompt": "hi"' in heard.request
    assert (heard.user, heard.model, heard.status, heard.is_cut) == ("ann", "tiny", 200, False)
    assert "prompt" not in repr(heard)


async def test_a_refusal_keeps_what_was_asked_with_its_status() -> None:
    kept = Kept()
    with ScriptedServer() as server:
        server.on("/api/generate", document({"error": "too hot"}, 500))
        async with open_gateway(server, transcripts=kept) as gateway:
            assert (await gateway.ask("/api/generate", PROMPT)).status == 500
            assert (await gateway.ask("/api/generate", {**PROMPT, "model": "none"})).status == 404

    assert [(heard.status, heard.answer) for heard in kept] == [(500, b'{"error": "too hot"}')]


async def test_a_caller_that_leaves_is_kept_with_what_it_got() -> None:
    kept, never = Kept(), Gate()
    with ScriptedServer() as server:
        server.on("/api/generate", [*pieces(token("Hel")), never])
        async with open_gateway(server, transcripts=kept) as gateway:
            async with calling(gateway, "/api/generate", PROMPT) as client:
                await client.until(b"Hel")
            await eventually(lambda: len(kept) == 1)

    assert kept[0].answer == token("Hel")


@pytest.mark.parametrize("settings", ["", "cache: { ttl: 1m }"])
async def test_answers_from_the_cache_are_kept_as_every_other(settings: str) -> None:
    kept = Kept()
    with ScriptedServer() as server:
        server.on("/api/generate", stream(token("Hello"), DONE))
        async with open_gateway(server, settings=settings, transcripts=kept) as gateway:
            for _ in range(2):
                await gateway.ask("/api/generate", SEEDED)

    assert [heard.answer for heard in kept] == [token("Hello") + DONE] * 2
