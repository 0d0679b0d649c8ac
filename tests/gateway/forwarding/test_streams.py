"""Answers in pieces: what goes on at once, what is held, and how a stream ends that cannot go on."""

from __future__ import annotations

import json

import pytest

from tests.gateway.forwarding.play import calling, eventually, open_gateway
from tests.gateway.forwarding.sayings import (
    CHAT,
    DONE,
    END_OF_CHAT,
    MESSAGE_DELTA,
    MESSAGE_START,
    MESSAGES,
    PROMPT,
    STOP,
    delta,
    pieces,
    stream,
    token,
)
from tests.support.scripted_server import (
    LAST_CHUNK,
    Close,
    Gate,
    Reset,
    ScriptedServer,
    Send,
    Step,
    chunk,
    document,
    head,
)


async def test_stream_comes_through_byte_for_byte_and_leaves_nothing_behind() -> None:
    with ScriptedServer() as server:
        server.on("/api/generate", stream(token("Hel"), token("lo"), DONE))
        async with open_gateway(server) as gateway:
            answer = await gateway.ask("/api/generate", PROMPT)

            assert (answer.status, answer.body) == (200, token("Hel") + token("lo") + DONE)
            assert answer.header("content-type") == "application/x-ndjson"
            assert await gateway.is_at_rest()
            [event] = gateway.books.events
            assert (event.outcome, event.usage.prompt_tokens, event.usage.completion_tokens) == ("ok", 5, 2)


async def test_server_that_breaks_off_after_its_last_word_has_answered() -> None:
    with ScriptedServer() as server:
        server.on("/api/generate", [*pieces(token("Hello"), DONE), Close()])
        async with open_gateway(server) as gateway:
            answer = await gateway.ask("/api/generate", PROMPT)

            assert (answer.status, answer.body) == (200, token("Hello") + DONE)
            assert await gateway.is_at_rest()
            assert [event.outcome for event in gateway.books.events] == ["ok"]


async def test_each_piece_goes_on_before_the_next_has_come() -> None:
    first, second = Gate(), Gate()
    with ScriptedServer() as server:
        server.on(
            "/api/generate",
            [
                *pieces(token("a")),
                first,
                Send(chunk(token("b"))),
                second,
                Send(chunk(token("c") + DONE)),
                Send(LAST_CHUNK),
            ],
        )
        async with open_gateway(server) as gateway, calling(gateway, "/api/generate", PROMPT) as client:
            await client.until(token("a"))
            first.open()
            await client.until(token("b"))
            second.open()
            await client.until(DONE)


@pytest.mark.fault(35)
async def test_only_whole_lines_go_on_and_the_rest_of_a_line_is_held() -> None:
    cut = len(token("b")) - 10
    gate = Gate()
    with ScriptedServer() as server:
        server.on(
            "/api/generate",
            [
                *pieces(token("a") + token("b")[:cut]),
                gate,
                Send(chunk(token("b")[cut:] + DONE)),
                Send(LAST_CHUNK),
            ],
        )
        async with open_gateway(server) as gateway, calling(gateway, "/api/generate", PROMPT) as client:
            await client.until(token("a"))
            await gate.arrived.reached()
            assert token("b")[:cut] not in client.received
            gate.open()
            await client.until(token("b") + DONE)


@pytest.mark.fault(36, 37)
async def test_characters_that_break_splitters_and_bytes_that_are_no_text_stay() -> None:
    odd = b'{"response":"a\xc2\x85b\xe2\x80\xa8c\x1cd\xff\xfe","done":false}\n'
    with ScriptedServer() as server:
        server.on("/api/generate", stream(odd, DONE))
        async with open_gateway(server) as gateway:
            assert (await gateway.ask("/api/generate", PROMPT)).body == odd + DONE


@pytest.mark.fault(33)
@pytest.mark.security(22)
async def test_error_line_that_comes_first_becomes_a_status_without_the_servers_places() -> None:
    said = b'{"error":"llama runner at http://127.0.0.1:4711/x died: /root/.ollama/models/blobs/sha256-1 unreadable"}\n'
    with ScriptedServer() as server:
        server.on("/api/generate", stream(said))
        async with open_gateway(server) as gateway:
            answer = await gateway.ask("/api/generate", PROMPT)

            assert (answer.status, answer.reason) == (502, "bad_upstream")
            assert answer.header("content-type") == "application/json; charset=utf-8"
            assert "llama runner at (address) died" in answer.json["error"]
            assert "/root" not in answer.json["error"]
            assert "4711" not in answer.json["error"]
            assert await gateway.is_at_rest()
            assert gateway.books.events[0].usage.total_tokens == 0


@pytest.mark.fault(32)
async def test_error_line_in_the_middle_ends_the_stream_and_is_no_success() -> None:
    with ScriptedServer() as server:
        server.on("/api/generate", stream(token("Hel"), b'{"error":"an error was encountered"}\n'))
        async with open_gateway(server) as gateway:
            answer = await gateway.ask("/api/generate", PROMPT)

            assert answer.body == token("Hel") + b'{"error":"an error was encountered"}\n'
            [event] = gateway.books.events
            assert (event.outcome, event.status, event.usage.estimated) == ("interrupted", 200, True)


DIED: dict[str, list[Step]] = {
    "closed in a line": [Send(chunk(token("lo")[:10])), Close()],
    "closed after a line": [Close()],
    "reset": [Reset()],
    "ended without done": [Send(LAST_CHUNK)],
    "ended in a line": [Send(chunk(token("lo")[:10])), Send(LAST_CHUNK)],
    "a bad chunk": [Send(b"xyz\r\nhello\r\n"), Close()],
}


@pytest.mark.fault(29, 30, 31, 58, 76)
@pytest.mark.parametrize("case", DIED)
async def test_stream_that_dies_ends_with_an_error_line_and_never_half_a_line(case: str) -> None:
    gate = Gate()
    with ScriptedServer() as server:
        server.on("/api/generate", [*pieces(token("Hel")), gate, *DIED[case]])
        async with open_gateway(server) as gateway, calling(gateway, "/api/generate", PROMPT) as client:
            await client.until(token("Hel"))
            gate.open()
            await client.until(b"\r\n0\r\n\r\n")

            head_, _, body = client.received.partition(b"\r\n\r\n")
            assert head_.startswith(b"HTTP/1.1 200 OK")
            assert [piece for piece in body.split(b"\r\n")[1::2] if piece] == [
                token("Hel"),
                b'{"error":"The server ended its answer before it was complete."}\n',
            ]
            await eventually(gateway.is_at_rest)
            [event] = gateway.books.events
            assert (event.outcome, event.usage.completion_tokens) == ("interrupted", 1)
            assert event.usage.estimated


@pytest.mark.fault(30)
async def test_answer_without_a_length_that_is_cut_ends_with_an_error_line() -> None:
    with ScriptedServer() as server:
        server.on("/api/generate", [Send(head() + token("Hel") + token("lo")[:10]), Close()])
        async with open_gateway(server) as gateway:
            answer = await gateway.ask("/api/generate", PROMPT)

            first, last = answer.body.splitlines(keepends=True)
            assert first == token("Hel")
            assert json.loads(last) == {"error": "The server ended its answer before it was complete."}


@pytest.mark.fault(77)
async def test_chat_completion_that_dies_ends_with_an_error_event_and_without_done() -> None:
    with ScriptedServer() as server:
        server.on("/v1/chat/completions", stream(delta("Hel"), delta(""), sse=True))
        async with open_gateway(server) as gateway:
            answer = await gateway.ask("/v1/chat/completions", CHAT)

            sent, last = answer.body[: len(delta("Hel") + delta(""))], answer.body.split(b"\n\n")[-2]
            assert sent == delta("Hel") + delta("")
            assert json.loads(last.removeprefix(b"data: "))["error"]["type"] == "api_error"
            assert b"[DONE]" not in answer.body
            assert gateway.books.events[0].outcome == "interrupted"


@pytest.mark.fault(77)
async def test_message_that_dies_ends_with_an_error_event() -> None:
    with ScriptedServer() as server:
        server.on("/v1/messages", [*pieces(MESSAGE_START, MESSAGE_DELTA, sse=True), Close()])
        async with open_gateway(server) as gateway:
            answer = await gateway.ask("/v1/messages", MESSAGES)

            assert answer.body.startswith(MESSAGE_START + MESSAGE_DELTA + b"event: error\ndata: ")
            assert answer.body.endswith(b"}\n\n")


async def test_whole_chat_completion_ends_as_the_server_ends_it() -> None:
    said = (delta("Hel"), delta("lo"), STOP, END_OF_CHAT)
    with ScriptedServer() as server:
        server.on("/v1/chat/completions", stream(*said, sse=True))
        async with open_gateway(server) as gateway:
            answer = await gateway.ask("/v1/chat/completions", CHAT)

            assert answer.body == b"".join(said)
            assert answer.header("content-type") == "text/event-stream"
            assert gateway.books.events[0].outcome == "ok"


@pytest.mark.fault(34)
async def test_what_comes_after_the_end_makes_no_success_a_failure() -> None:
    with ScriptedServer() as server:
        server.on("/api/generate", stream(token("Hel"), DONE, DONE))
        async with open_gateway(server) as gateway:
            answer = await gateway.ask("/api/generate", PROMPT)

            assert answer.body == token("Hel") + DONE + DONE
            assert gateway.books.events[0].outcome == "ok"


@pytest.mark.fault(38)
async def test_line_above_the_limit_ends_the_stream() -> None:
    with ScriptedServer() as server:
        endless = [Send(chunk(b"x" * 1_000_000)) for _ in range(9)]
        server.on("/api/generate", [*pieces(token("Hel"), b'{"response":"'), *endless, Gate()])
        async with open_gateway(server) as gateway:
            answer = await gateway.ask("/api/generate", PROMPT)

            assert answer.body.startswith(token("Hel"))
            assert json.loads(answer.body.splitlines()[-1]) == {
                "error": "The server sent a line of more than 8 MiB."
            }
            assert await gateway.is_at_rest()


async def test_answer_that_is_not_streamed_goes_and_comes_unchanged() -> None:
    whole = {"model": "tiny", "response": "Hello", "done": True, "prompt_eval_count": 3, "eval_count": 4}
    body = b'{ "model" : "tiny","prompt":"hi",\n"stream":false }'
    with ScriptedServer() as server:
        server.on("/api/generate", document(whole))
        async with open_gateway(server) as gateway:
            answer = await gateway.ask("/api/generate", body)

            assert answer.json == whole
            assert answer.header("content-length") == str(len(answer.body))
            [sent] = [request for request in server.requests if request.path == "/api/generate"]
            assert sent.body == body
            assert gateway.books.events[0].usage.total_tokens == 7


async def test_empty_stream_is_a_refusal() -> None:
    with ScriptedServer() as server:
        server.on("/api/generate", stream())
        async with open_gateway(server) as gateway:
            answer = await gateway.ask("/api/generate", PROMPT)

            assert (answer.status, answer.reason) == (502, "bad_upstream")


@pytest.mark.security(28)
async def test_stream_ends_with_an_error_where_its_key_has_no_tokens_left() -> None:
    never = Gate()
    with ScriptedServer() as server:
        server.on("/api/generate", [*pieces(*[token(str(number)) for number in range(600)]), never])
        async with open_gateway(server) as gateway:
            gateway.books.most = 550
            answer = await gateway.ask("/api/generate", PROMPT)

            lines = [json.loads(each) for each in answer.body.splitlines()]
            assert "no tokens left" in lines[-1]["error"]
            assert 0 < len(lines[:-1]) <= 550  # how many come in one read is chance
            assert gateway.books.events[0].outcome == "over_budget"
            await eventually(gateway.is_at_rest)


async def test_answer_that_says_how_long_it_may_be_is_not_cut_at_its_end() -> None:
    with ScriptedServer() as server:
        server.on("/api/generate", stream(token("a"), token("b"), DONE))
        async with open_gateway(server) as gateway:
            gateway.books.most = 0
            answer = await gateway.ask("/api/generate", {**PROMPT, "options": {"num_predict": 2}})

            assert answer.body.endswith(DONE)
