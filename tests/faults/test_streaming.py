"""Rows 26 to 43, 61, 65 and 76: what can happen to an answer once it is awaited, and on its way."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from namel3ss.providers.local.ollama import (
    OllamaBadResponseError,
    OllamaFirstTokenTimeoutError,
    OllamaInterTokenTimeoutError,
    OllamaOutOfMemoryError,
    OllamaProvider,
    OllamaRequestError,
    OllamaRequestTimeoutError,
    OllamaRunnerError,
    OllamaServerBusyError,
    OllamaServerError,
    OllamaStreamInterruptedError,
)
from tests.faults.asking import Asked
from tests.support.ollama_lines import chat_answer, chat_end, chat_line
from tests.support.scripted_server import (
    LAST_CHUNK,
    Close,
    Drip,
    Gate,
    Reset,
    ScriptedServer,
    Send,
    Step,
    bytes_of,
    chunk,
    document,
    head,
    line,
    lines,
    stall,
)

if TYPE_CHECKING:
    from namel3ss.providers.local.ollama import OllamaError

PIECES = [chat_line("Hel"), chat_line("lo")]
ANSWER = lines(*chat_answer("Hel", "lo"))


def two_pieces_then(*steps: Step) -> list[Step]:
    return [*lines(*PIECES)[:3], *steps]


def loaded(*names: str) -> list[Step]:
    return document({"models": [{"name": name} for name in names]})


SILENCE = "Nothing of the answer came within 0.1 s."


@pytest.mark.fault(26, 64)
@pytest.mark.parametrize(
    "silence", [[stall()], [Send(head(chunked=True)), stall()]], ids=["no headers", "headers"]
)
async def test_silence_while_the_model_loads_is_told_as_such(server, connect, ask, silence):
    server.on("/api/chat", silence).on("/api/ps", loaded("another:latest"))

    failure = (await ask(connect(server, first_token_timeout=0.1, max_retries=5))).failure

    assert type(failure) is OllamaFirstTokenTimeoutError
    assert failure.model_state == "loading"
    assert str(failure) == (
        f"{SILENCE} Model 'tiny' is still loading: the server does not list it as loaded (/api/ps).\n"
        "Model: tiny\n"
        f"Server: {server.url}\n\n"
        "Suggestion: Retry in a moment, raise first_token_timeout, or load it beforehand: await provider.warm_up()"
    )
    assert server.paths().count("/api/chat") == 1, "a request that waited is not repeated"
    await server.requests[0].aborted.reached()


@pytest.mark.fault(26, 75)
async def test_silence_of_a_loaded_model_that_nobody_uses_names_the_lost_slot_and_its_cure(
    server, connect, ask
):
    server.on("/api/chat", [stall()]).on("/api/ps", loaded("TINY:latest"))

    failure = (await ask(connect(server, first_token_timeout=0.1))).failure

    assert isinstance(failure, OllamaFirstTokenTimeoutError)
    assert failure.model_state == "loaded"
    assert failure.message == (
        f"{SILENCE} Model 'tiny' is listed as loaded (/api/ps), so it is loading or busy; nothing else of this program runs on it."
    )
    assert failure.suggestion is not None
    assert failure.suggestion.endswith(
        "If nobody else uses it, the server has lost the model's slot and will not answer again until the model is"
        " unloaded: await provider.heal_model(), or: ollama stop tiny"
    )


@pytest.mark.fault(26, 64)
async def test_silence_of_a_model_that_answers_us_elsewhere_is_business(server, connect, ask):
    server.on("/api/chat", two_pieces_then(stall()), [stall()]).on("/api/ps", loaded("tiny:latest"))
    provider = connect(server)
    async with provider.stream("Hi") as other:
        await anext(other)

        failure = (await ask(provider, first_token_timeout=0.1)).failure

    assert failure.message == (
        f"{SILENCE} Model 'tiny' is loaded and busy: 1 more of this program's requests run on it."
    )


@pytest.mark.fault(26, 59)
async def test_silence_of_a_server_that_says_nothing_at_all_is_told_too(server, connect, ask):
    server.on("/api/chat", [stall()]).on("/api/ps", [Reset()])

    failure = (await ask(connect(server, first_token_timeout=0.1))).failure

    assert isinstance(failure, OllamaFirstTokenTimeoutError)
    assert failure.model_state == "unknown"
    assert failure.message == f"{SILENCE} The server does not say either what it is doing (/api/ps)."


@pytest.mark.fault(27)
async def test_pause_above_the_idle_limit_ends_the_answer_and_keeps_the_text(server, connect, ask):
    server.on("/api/chat", two_pieces_then(stall()))

    asked = await ask(connect(server, idle_timeout=0.1, max_retries=5))

    assert type(asked.failure) is OllamaInterTokenTimeoutError
    assert asked.text == "Hello"
    assert asked.failure.message == "The answer stopped: nothing came for 0.1 s."
    assert asked.failure.suggestion == "Retry, or raise idle_timeout."
    assert len(server.requests) == 1
    await server.requests[0].aborted.reached()


@pytest.mark.fault(28)
@pytest.mark.parametrize("limit", ["idle_timeout", "total_timeout"])
async def test_single_bytes_do_not_count_as_progress(server, connect, ask, limit):
    server.on("/api/chat", two_pieces_then(Drip(chunk(b" ") * 2000, 0.002)))

    asked = await ask(connect(server, **{limit: 0.15}))

    assert type(asked.failure) is (
        OllamaInterTokenTimeoutError if limit == "idle_timeout" else OllamaRequestTimeoutError
    )
    assert asked.text == "Hello"


@pytest.mark.fault(28)
async def test_single_bytes_are_no_first_piece(server, connect, ask):
    server.on("/api/chat", [Send(head(chunked=True)), Drip(chunk(b" ") * 2000, 0.002)])
    server.on("/api/ps", loaded())

    asked = await ask(connect(server, first_token_timeout=0.3))

    assert type(asked.failure) is OllamaFirstTokenTimeoutError
    assert asked.failure.message.startswith("Nothing of the answer came within 0.3 s.")


@pytest.mark.fault(29)
@pytest.mark.parametrize("end", [Close(), Reset()], ids=["closed", "reset"])
async def test_connection_lost_mid_stream_keeps_the_text_and_is_not_tried_again(server, connect, ask, end):
    server.on("/api/chat", two_pieces_then(end), ANSWER)

    asked = await ask(connect(server, max_retries=5))

    assert type(asked.failure) is OllamaStreamInterruptedError
    assert (asked.text, asked.failure.chunks) == ("Hello", 2)
    assert asked.failure.message == "The connection was lost before the answer was complete."
    assert len(server.requests) == 1


@pytest.mark.fault(29)
@pytest.mark.parametrize("together", [True, False], ids=["in one packet", "later"])
@pytest.mark.parametrize("begun", [True, False], ids=["after text", "before text"])
async def test_chunk_that_breaks_the_rules_ends_the_answer_at_once(server, connect, ask, together, begun):
    beginning = bytes_of(two_pieces_then() if begun else lines()[:1])
    gate = Gate()
    if together:
        gate.open()
        server.on("/api/chat", [Send(beginning + b"zz\r\n"), gate])
    else:
        server.on("/api/chat", [Send(beginning), gate, Send(b"zz\r\n")])
    provider = connect(server, first_token_timeout=60, idle_timeout=60)

    asking = asyncio.create_task(ask(provider))
    if not together:
        await gate.arrived.reached()
        gate.open()
    failure = (await asking).failure

    assert failure.error_type in ("invalid_response", "stream_reset")
    assert failure.partial_text in ("", "Hello")


@pytest.mark.fault(29, 30, 31)
@pytest.mark.timeout(30, method="signal")
@pytest.mark.parametrize("chunked", [True, False], ids=["chunked", "until close"])
async def test_answer_cut_at_any_byte_is_never_taken_for_a_whole_one(server, connect, chunked):
    whole = b"".join(line(one) for one in chat_answer("Hé", "llo"))
    prefix = head(chunked=True) if chunked else head(headers={"Connection": "close"})
    body = chunk(whole) if chunked else whole
    provider = connect(server, max_retries=0)
    ends_after = len(body) if chunked else len(whole.rstrip())
    for position in range(0, ends_after, 3):
        server.on("/api/chat", [Send(prefix + body[:position]), Close()])

        asked = await Asked.of(provider)

        complete = asked.error is None
        assert not complete or (chunked and b'"done": true' in body[:position]), f"cut after {position} bytes"


@pytest.mark.fault(30)
async def test_last_line_that_was_cut_is_an_interruption_and_its_piece_is_not_shown(server, connect, ask):
    server.on(
        "/api/chat",
        [Send(head(headers={"Connection": "close"}) + line(PIECES[0]) + line(PIECES[1])[:-20]), Close()],
    )

    asked = await ask(connect(server))

    assert type(asked.failure) is OllamaStreamInterruptedError
    assert asked.text == "Hel"
    assert asked.failure.message == "The answer was cut off in the middle of a line."


@pytest.mark.fault(31, 76)
@pytest.mark.parametrize("wire", ["stream", "plain"])
async def test_clean_end_without_done_is_an_interruption_and_never_a_success(server, connect, wire):
    script = two_pieces_then(Send(LAST_CHUNK)) if wire == "stream" else document(chat_line("Hello"))
    server.on("/api/chat", script)

    with pytest.raises(OllamaStreamInterruptedError) as raised:
        await connect(server, wire=wire, max_retries=5).generate("Hi")

    assert raised.value.message == "The answer ended without its last line; it is incomplete."
    assert raised.value.partial_text == "Hello"
    assert len(server.requests) == 1


@pytest.mark.fault(76)
async def test_model_that_repeats_itself_into_a_silent_end_is_named_as_the_cause(server, connect, ask):
    server.on("/api/chat", lines(*[chat_line(" spam")] * 30))

    asked = await ask(connect(server))

    assert type(asked.failure) is OllamaStreamInterruptedError
    assert asked.text == " spam" * 30
    assert asked.failure.suggestion == (
        "The model repeats itself, and the server has stopped it: raise repeat_penalty or temperature."
    )


@pytest.mark.fault(76)
async def test_silent_end_of_a_model_that_says_many_things_is_not_put_down_to_repeating(server, connect, ask):
    server.on("/api/chat", lines(*(chat_line(f" {number}") for number in range(30))))

    asked = await ask(connect(server))

    assert asked.failure.suggestion == "Retry. If it happens again, look at the server's log."


ERROR_LINES: list[tuple[int, str, type[OllamaError], str, str]] = [
    (
        32,
        "something nobody knows",
        OllamaServerError,
        "The Ollama server failed",
        "Look at the server's log.",
    ),
    (
        61,
        "model runner has unexpectedly stopped, this may be due to resource limitations or an internal error",
        OllamaOutOfMemoryError,
        "Not enough memory to run Ollama model 'tiny': model runner has unexpectedly stopped",
        "Use a smaller model",
    ),
    (
        61,
        "llama runner process has terminated: exit status 2",
        OllamaRunnerError,
        "Ollama could not run model 'tiny': llama runner process has terminated: exit status 2",
        "Look at the server's log.",
    ),
    (
        65,
        "CUDA error: out of memory",
        OllamaOutOfMemoryError,
        "Not enough memory to run Ollama model 'tiny': CUDA error: out of memory",
        "Use a smaller model, a smaller num_ctx, or free memory",
    ),
]


@pytest.mark.fault(32, 33, 61, 65)
@pytest.mark.parametrize("place", ["first", "middle", "status 500"])
@pytest.mark.parametrize(("text", "cls", "message", "advice"), [case[1:] for case in ERROR_LINES])
async def test_error_of_the_server_is_the_same_typed_error_wherever_it_stands(
    server, connect, ask, place, text, cls, message, advice
):
    if place == "status 500":
        server.on("/api/chat", document({"error": text}, 500))
    else:
        server.on("/api/chat", lines(*(PIECES if place == "middle" else []), {"error": text}))

    asked = await ask(connect(server, max_retries=5))

    assert type(asked.failure) is cls
    assert asked.failure.message.startswith(message)
    assert asked.failure.suggestion is not None
    assert asked.failure.suggestion.startswith(advice)
    assert asked.text == ("Hello" if place == "middle" else "")
    assert len(server.requests) == 1


@pytest.mark.fault(32, 33)
@pytest.mark.parametrize("place", ["first", "middle"])
@pytest.mark.parametrize(
    ("beside", "cls", "status"),
    [
        ({"status": 503}, OllamaServerBusyError, 503),
        ({"status": 422}, OllamaRequestError, 422),
        ({"status": 500}, OllamaServerError, 500),
        ({"status": "success"}, OllamaServerError, None),
        ({"status": True}, OllamaServerError, None),
        ({"status": 10**30}, OllamaServerError, None),
        ({}, OllamaServerError, None),
    ],
)
async def test_status_beside_an_error_in_a_stream_is_the_errors_status(
    server, connect, ask, place, beside, cls, status
):
    server.on("/api/chat", lines(*(PIECES if place == "middle" else []), {"error": "no luck", **beside}))

    asked = await ask(connect(server, max_retries=5))

    assert (type(asked.failure), asked.failure.status) == (cls, status)
    assert asked.failure.partial_text == ("Hello" if place == "middle" else "")
    assert len(server.requests) == 1


@pytest.mark.fault(65)
async def test_crash_of_one_models_runner_is_not_held_against_the_server(connect, ask):
    crash = document({"error": "llama runner process has terminated: signal: killed"}, 500)
    with ScriptedServer(crash) as first, ScriptedServer(ANSWER) as second:
        provider = connect(first, second)
        for _ in range(5):
            await ask(provider)

        assert (len(first.requests), len(second.requests)) == (5, 0)


@pytest.mark.fault(34)
async def test_first_end_wins_and_nothing_after_it_counts(server, connect, ask):
    server.on(
        "/api/chat",
        lines(*chat_answer("Hello"), chat_end("no", eval_count=999), {"error": "no"}, together=True),
    )

    asked = await ask(connect(server))

    assert (asked.text, asked.metadata["tokens"]["completion"]) == ("Hello", 7)


TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12) | st.sampled_from(
    ["\x85", "\u2028\u2029", "\x00", "\x0b\x0c\x1c\x1d\x1e", "🦙", "e\u0301", "\ufeff", "\\u0041", '"}\n{"']
)


@pytest.mark.fault(35, 37)
@pytest.mark.timeout(30)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    texts=st.lists(TEXTS, min_size=1, max_size=6),
    cuts=st.lists(st.integers(1, 60), max_size=30),
    chunked=st.booleans(),
    ends=st.sampled_from([b"\n", b"\r\n", b"\n\n", b"\r\n\r\n"]),
    mark=st.booleans(),
    ascii_only=st.booleans(),
)
def test_any_division_into_packets_and_chunks_gives_the_same_text(
    texts, cuts, chunked, ends, mark, ascii_only
):
    body = (b"\xef\xbb\xbf" if mark else b"") + b"".join(
        json.dumps(one, ensure_ascii=ascii_only).encode() + ends for one in chat_answer(*texts)
    )
    pieces: list[bytes] = []
    for size in cuts:
        pieces.append(body[:size])
        body = body[size:]
    pieces = [piece for piece in (*pieces, body) if piece]
    script: list[Step]
    if chunked:
        script = [Send(head(chunked=True)), *(Send(chunk(piece)) for piece in pieces), Send(LAST_CHUNK)]
    else:
        script = [Send(head(headers={"Connection": "close"})), *(Send(piece) for piece in pieces), Close()]

    async def run() -> Asked:
        async with OllamaProvider("x", "tiny", {"base_url": server.url}) as provider:
            return await Asked.of(provider)

    with ScriptedServer(script) as server:
        asked = asyncio.run(run())

    assert (asked.pieces[:-1], asked.error) == (texts, None)


@pytest.mark.fault(36, 37)
async def test_broken_utf8_is_replaced_and_half_surrogates_are_kept(server, connect, ask):
    server.on(
        "/api/chat",
        [
            Send(head(chunked=True) + chunk(line(chat_line("a?b")).replace(b"?", b"\xff"))),
            Send(chunk(b'{"message":{"content":"\\ud83e"},"done":false}\n')),
            Send(chunk(line(chat_end())) + LAST_CHUNK),
        ],
    )

    assert (await ask(connect(server))).pieces[:2] == ["a\ufffdb", "\ud83e"]


@pytest.mark.fault(38)
async def test_line_of_almost_eight_megabytes_passes_and_a_longer_one_is_refused_in_time(
    server, connect, ask
):
    long_text = "x" * (8 * 1024 * 1024 - 500)
    server.on("/api/chat", lines(chat_line(long_text), chat_end()))
    assert len((await ask(connect(server))).text) == len(long_text)

    server.on("/api/chat", [Send(head(chunked=True)), *[Send(chunk(b"x" * 1_000_000))] * 9, stall()])
    asked = await ask(connect(server))

    assert type(asked.failure) is OllamaBadResponseError
    assert asked.failure.message.startswith("In the answer a line is longer than 8388608 bytes: 'xxx")
    await server.requests[1].aborted.reached()


@pytest.mark.fault(39)
@pytest.mark.parametrize("count", [None, -1, 1.5, "7", True, 10**30])
async def test_count_that_makes_no_sense_is_left_out_and_never_zero(server, connect, count):
    server.on(
        "/api/chat", lines(*chat_answer("Hi", eval_count=count, eval_duration=count, total_duration=count))
    )

    response = await connect(server).generate("Hi")

    assert response.usage.completion_tokens in (None, 10**30)
    assert response.metadata["throughput"] == {} or count == 10**30


@pytest.mark.fault(40)
@pytest.mark.parametrize("reason", ["stop", "length", "load", "unload", "something new", None])
async def test_every_reason_to_stop_is_passed_on_and_an_empty_answer_is_an_answer(server, connect, reason):
    server.on("/api/chat", lines(chat_end(done_reason=reason)))

    response = await connect(server).generate("Hi")

    assert (response.output_text, response.finish_reason) == ("", reason)


@pytest.mark.fault(40)
async def test_thinking_and_tool_calls_alone_are_answers(server, connect):
    call = {"function": {"name": "clock", "arguments": {}}}
    server.on(
        "/api/chat",
        lines(chat_line(thinking="hm"), chat_end()),
        lines(chat_line(tool_calls=[call]), chat_end()),
    )
    provider = connect(server)

    thought, called = [await provider.generate("Hi") for _ in range(2)]

    assert (thought.output_text, thought.thinking) == ("", "hm")
    assert (called.output_text, called.finish_reason, called.tool_calls[0].name) == (
        "",
        "tool_calls",
        "clock",
    )


@pytest.mark.fault(41)
async def test_tool_call_that_is_no_json_is_an_error_that_keeps_the_text(server, connect, ask):
    broken = {"function": {"name": "clock", "arguments": '{"zone": '}}
    server.on("/api/chat", lines(*PIECES, chat_line(tool_calls=[broken]), chat_end()))

    asked = await ask(connect(server))

    assert type(asked.failure) is OllamaBadResponseError
    assert asked.failure.message.startswith(
        "A tool call of the model is broken (Input data was truncated): '"
    )
    assert asked.text == "Hello"


@pytest.mark.fault(42)
@pytest.mark.timeout(15)
async def test_consumer_that_pauses_holds_the_server_back_instead_of_filling_memory(server, connect):
    piece = Send(chunk(line(chat_line("x" * 1000)) * 100))
    sent_all = Gate()
    server.on("/api/chat", [Send(head(chunked=True)), *[piece] * 600, sent_all, stall()])
    async with connect(server).stream("Hi") as stream:
        await anext(stream)
        written = 0
        for _ in range(20):  # until nothing moves any more
            before, written = written, server.unsent_bytes()
            if before == written > 0:
                break
            await asyncio.sleep(0.02)

        assert written > 10_000_000, "the server still holds most of 60 MB"


@pytest.mark.fault(43)
@pytest.mark.parametrize("how", ["leaves the context", "raises", "cancels", "forgets"])
async def test_consumer_that_goes_away_stops_the_server_at_once(server, connect, how):
    server.on("/api/chat", two_pieces_then(stall()))
    provider = connect(server)

    if how == "forgets":
        with pytest.warns(ResourceWarning, match="dropped before its end"):
            await anext(provider.stream("Hi"))
    elif how == "cancels":
        stream = provider.stream("Hi")
        await anext(stream)
        await stream.cancel()
    else:
        try:
            async with provider.stream("Hi") as stream:
                await anext(stream)
                if how == "raises":
                    raise ZeroDivisionError
        except ZeroDivisionError:
            pass

    await server.requests[0].aborted.reached()


@pytest.mark.fault(43)
async def test_consumer_that_leaves_while_its_request_is_still_being_sent_ends_the_connection_at_once(
    connect,
):
    gone = asyncio.Event()

    async def answer_what_was_not_read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head(chunked=True) + chunk(line(chat_line("x" * 1000))) * 10_000)
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        gone.set()
        writer.close()

    upstream = await asyncio.start_server(answer_what_was_not_read, "127.0.0.1", limit=1024)
    provider = connect(f"http://127.0.0.1:{upstream.sockets[0].getsockname()[1]}")
    async with upstream:
        async with provider.stream("x" * 20_000_000) as stream:
            await anext(stream)

        await gone.wait()
