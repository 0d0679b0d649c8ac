"""Another server in place of one that failed: only where nothing has run and nothing has gone out, and not without end."""

from __future__ import annotations

import contextlib

import pytest

from tests.gateway.forwarding.play import Gateway, eventually, open_gateway
from tests.gateway.forwarding.sayings import DONE, PROMPT, pieces, stream, token
from tests.support.scripted_server import Close, Reset, ScriptedServer, Send, Step, document, head, stall

ANSWER = stream(token("other"), DONE)
NOTHING_RAN: dict[str, list[Step]] = {
    "busy": document({"error": "server busy, please try again.  maximum pending requests exceeded"}, 503),
    "no memory": document({"error": "model requires more system memory (8 GiB) than is available"}, 500),
    "model gone": document({"error": "model 'tiny' not found"}, 404),
    "no memory, said in a stream": stream(b'{"error":"CUDA error: out of memory"}\n'),
}
PERHAPS_RAN: dict[str, list[Step]] = {
    "closed": [Close()],
    "reset": [Reset()],
    "closed after the head": [Send(head(chunked=True)), Close()],
    "runner crashed": document({"error": "llama runner process has terminated: exit status 2"}, 500),
}


def asked(*servers: ScriptedServer) -> int:
    return sum(server.paths().count("/api/generate") for server in servers)


async def until_both_are_used(gateway: Gateway) -> None:
    await eventually(lambda: all(gateway.backends.is_usable(name) for name in gateway.backends.names))


@pytest.mark.fault(18, 62, 65)
@pytest.mark.parametrize("case", NOTHING_RAN)
async def test_request_that_one_server_turns_away_is_answered_by_the_other(case: str) -> None:
    with ScriptedServer() as one, ScriptedServer() as two:
        one.on("/api/generate", NOTHING_RAN[case])
        two.on("/api/generate", ANSWER)
        async with open_gateway(one, two) as gateway:
            await until_both_are_used(gateway)
            answers = [await gateway.ask("/api/generate", PROMPT) for _ in range(3)]

            assert [(answer.status, answer.body) for answer in answers] == [(200, token("other") + DONE)] * 3
            assert await gateway.is_at_rest()
            assert [(event.outcome, event.usage.total_tokens) for event in gateway.books.events] == [
                ("ok", 7)
            ] * 3


@pytest.mark.security(30)
async def test_model_that_one_caller_spells_as_no_server_finds_it_stays_there_for_the_others() -> None:
    with ScriptedServer() as server:
        server.on("/api/embeddings", NOTHING_RAN["model gone"])
        server.on("/api/generate", ANSWER)
        async with open_gateway(server) as gateway:
            await until_both_are_used(gateway)
            server.on("/api/tags", [stall()])
            mistaken = await gateway.ask("/api/embeddings", {"model": "Tiny", "prompt": "x"})
            answer = await gateway.ask("/api/generate", PROMPT)

            assert (mistaken.status, answer.status) == (404, 200)


@pytest.mark.fault(58)
async def test_request_goes_to_the_other_server_when_one_refuses_connections() -> None:
    with ScriptedServer() as two, contextlib.ExitStack() as first:
        one = first.enter_context(ScriptedServer())
        two.on("/api/generate", ANSWER)
        async with open_gateway(one, two) as gateway:
            await until_both_are_used(gateway)
            first.close()
            answers = [await gateway.ask("/api/generate", PROMPT) for _ in range(3)]

            assert [answer.body for answer in answers] == [token("other") + DONE] * 3


@pytest.mark.fault(15)
@pytest.mark.parametrize("case", PERHAPS_RAN)
async def test_request_that_may_have_run_is_never_sent_again(case: str) -> None:
    with ScriptedServer() as one, ScriptedServer() as two:
        one.on("/api/generate", PERHAPS_RAN[case])
        two.on("/api/generate", PERHAPS_RAN[case])
        async with open_gateway(one, two) as gateway:
            await until_both_are_used(gateway)
            answer = await gateway.ask("/api/generate", PROMPT)

            assert answer.status in (500, 502)
            assert asked(one, two) == 1
            assert await gateway.is_at_rest()


@pytest.mark.fault(29)
async def test_stream_that_has_begun_is_never_begun_again_elsewhere() -> None:
    with ScriptedServer() as one, ScriptedServer() as two:
        for server in (one, two):
            server.on("/api/generate", [*pieces(token("Hel")), Close()])
        async with open_gateway(one, two) as gateway:
            await until_both_are_used(gateway)
            answer = await gateway.ask("/api/generate", PROMPT)

            assert answer.body.startswith(token("Hel"))
            assert asked(one, two) == 1


@pytest.mark.fault(18)
async def test_only_server_that_is_busy_says_so_itself() -> None:
    with ScriptedServer() as server:
        server.on("/api/generate", NOTHING_RAN["busy"])
        async with open_gateway(server) as gateway:
            answer = await gateway.ask("/api/generate", PROMPT)

            assert answer.status == 503
            assert answer.json == {
                "error": "server busy, please try again.  maximum pending requests exceeded"
            }
            assert int(answer.header("retry-after") or "") >= 1
            assert asked(server) == 1


async def test_servers_that_all_turn_away_are_asked_three_times_at_most() -> None:
    with contextlib.ExitStack() as running:
        servers = [running.enter_context(ScriptedServer()) for _ in range(5)]
        for server in servers:
            server.on("/api/generate", NOTHING_RAN["busy"])
        async with open_gateway(*servers) as gateway:
            await until_both_are_used(gateway)
            answer = await gateway.ask("/api/generate", PROMPT)

            assert answer.status == 503
            assert asked(*servers) <= 3


async def test_attempts_of_many_requests_stay_within_a_budget() -> None:
    with ScriptedServer() as one, ScriptedServer() as two:
        for server in (one, two):
            server.on("/api/generate", NOTHING_RAN["busy"])
        async with open_gateway(one, two) as gateway:
            await until_both_are_used(gateway)
            answers = [await gateway.ask("/api/generate", PROMPT) for _ in range(60)]

            assert {answer.status for answer in answers} == {503}
            # A fifth more, and ten at the beginning; in the seconds of a slow machine a few more are earned.
            assert asked(one, two) <= 60 * 1.2 + 10 + 20
