"""A running answer: how it is read, left, cancelled and closed, and what the server sees of that."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from namel3ss.providers.local.ollama import OllamaProvider
from namel3ss.providers.local.ollama._errors import (
    OllamaBadResponseError,
    OllamaError,
    OllamaInterTokenTimeoutError,
    OllamaRunnerError,
    OllamaServerUnreachableError,
    OllamaStreamInterruptedError,
)
from tests.support.ollama_lines import chat_answer, chat_end, chat_line
from tests.support.scripted_server import (
    LAST_CHUNK,
    Gate,
    Reset,
    ScriptedServer,
    Send,
    Step,
    chunk,
    document,
    head,
    line,
    lines,
    refusing_url,
    stall,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from namel3ss.providers.base import ProviderChunk


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


def provider(server: ScriptedServer, **config: Any) -> OllamaProvider:
    return OllamaProvider(
        "x", "tiny", {"base_url": server.url, "auto_pull_model": False, "max_retries": 0, **config}
    )


def two_pieces_then(*steps: Step) -> list[Step]:
    return [*lines(chat_line("Hell"), chat_line("o"))[:3], *steps]


def shown(chunks: list[ProviderChunk]) -> list[str]:
    return [chunk.output_text for chunk in chunks]


async def test_pieces_come_as_they_arrive_and_the_last_has_the_totals(server: ScriptedServer) -> None:
    gate = Gate()
    script = lines(*chat_answer("Hell", "o"))
    server.on("/api/chat", [*script[:2], gate, *script[2:]])

    async with provider(server) as ollama, ollama.stream("hi") as stream:
        first = await anext(stream)
        assert not gate.opened.is_set()
        gate.open()
        rest = [piece async for piece in stream]

    assert shown([first, *rest]) == ["Hell", "o", ""]
    assert first.metadata == {}
    assert rest[-1].metadata["done"] is True
    assert rest[-1].metadata["tokens"] == {"prompt": 6, "completion": 7, "total": 13}


async def test_nothing_is_sent_before_the_first_await(server: ScriptedServer) -> None:
    async with provider(server) as ollama:
        ollama.stream("hi")

        assert server.connections_made == 0


async def test_result_reads_what_is_left_and_holds_everything(server: ScriptedServer) -> None:
    server.on("/api/chat", lines(*chat_answer("Hell", "o")))

    async with provider(server) as ollama:
        stream = ollama.stream("hi")
        await anext(stream)
        response = await stream.result()

    assert (response.output_text, response.finish_reason) == ("Hello", "stop")
    assert (await stream.result()).output_text == "Hello"


async def test_finished_streams_share_one_connection(server: ScriptedServer) -> None:
    server.on("/api/chat", lines(*chat_answer("a")))

    async with provider(server) as ollama:
        for _ in range(3):
            async for _piece in ollama.stream("hi"):
                pass
            await ollama.generate("hi")
        async with ollama.stream("hi") as stream:
            await stream.result()

    assert server.connections_made == 1


@pytest.mark.parametrize(
    "together",
    [
        [
            Send(
                head(chunked=True)
                + b"".join(chunk(line(one)) for one in chat_answer("Hell", "o"))
                + LAST_CHUNK
            )
        ],
        [
            Send(head(chunked=True)),
            *(
                Send(chunk(byte))
                for byte in [bytes([b]) for b in b"".join(line(one) for one in chat_answer("Hell", "o"))]
            ),
            Send(LAST_CHUNK),
        ],
        [
            Send(head(chunked=True)),
            Send(
                chunk(
                    b"\xef\xbb\xbf"
                    + b"\r\n".join(line(one).strip() for one in chat_answer("Hell", "o"))
                    + b"\r\n\n"
                )
            ),
            Send(LAST_CHUNK),
        ],
    ],
    ids=["one packet", "one byte each", "mark and CRLF"],
)
async def test_answer_is_the_same_however_it_is_packed(server: ScriptedServer, together: list[Step]) -> None:
    server.on("/api/chat", together)

    async with provider(server) as ollama:
        response = await ollama.generate("hi")

    assert (response.output_text, response.usage.total_tokens) == ("Hello", 13)


async def test_what_follows_the_last_line_is_ignored(server: ScriptedServer) -> None:
    server.on(
        "/api/chat",
        lines(
            chat_line("a"),
            chat_end(),
            chat_line("b"),
            chat_end(eval_count=99),
            {"error": "late"},
            together=True,
        ),
    )

    async with provider(server) as ollama:
        pieces = [piece async for piece in ollama.stream("hi")]

    assert shown(pieces) == ["a", ""]
    assert pieces[-1].metadata["tokens"]["completion"] == 7


# -- what interrupts an answer --------------------------------------------------------------------------------

INTERRUPTIONS: list[tuple[str, list[Step], type[OllamaError], str]] = [
    ("no last line", two_pieces_then(Send(LAST_CHUNK)), OllamaStreamInterruptedError, "stream_incomplete"),
    ("reset", two_pieces_then(Reset()), OllamaStreamInterruptedError, "stream_reset"),
    ("silence", two_pieces_then(stall()), OllamaInterTokenTimeoutError, "idle_timeout"),
    (
        "error line",
        two_pieces_then(
            Send(chunk(line({"error": "an error was encountered while running the model: EOF"})))
        ),
        OllamaRunnerError,
        "upstream_error",
    ),
    ("not JSON", two_pieces_then(Send(chunk(b"<html>\n"))), OllamaBadResponseError, "invalid_response"),
]


@pytest.mark.parametrize(
    ("script", "cls", "error_type"), [pytest.param(*case[1:], id=case[0]) for case in INTERRUPTIONS]
)
@pytest.mark.parametrize("is_streamed", [True, False])
async def test_interrupted_answer_is_a_typed_error_that_keeps_the_text_so_far(
    server: ScriptedServer, script: list[Step], cls: type[OllamaError], error_type: str, is_streamed: bool
) -> None:
    server.on("/api/chat", script)
    pieces: list[str] = []

    async with provider(server, idle_timeout=0.1) as ollama:
        stream = ollama.stream("hi")
        if is_streamed:
            pieces += [(await anext(stream)).output_text, (await anext(stream)).output_text]
        with pytest.raises(cls) as raised:
            await (anext(stream) if is_streamed else ollama.generate("hi"))
        if is_streamed:
            with pytest.raises(cls):
                await stream.result()
            with pytest.raises(StopAsyncIteration):
                await anext(stream)

    error = raised.value
    assert pieces == (["Hell", "o"] if is_streamed else [])
    assert (error.partial_text, error.chunks, error.error_type) == ("Hello", 2, error_type)
    assert (error.model, error.base_url) == ("tiny", server.url)
    await server.connections_reached(0)


async def test_unreachable_server_is_the_same_error_for_stream_and_generate() -> None:
    with refusing_url() as url:
        ollama = OllamaProvider("x", "tiny", {"base_url": url})
        with pytest.raises(OllamaServerUnreachableError) as generated:
            await ollama.generate("hi")
        with pytest.raises(OllamaServerUnreachableError) as streamed:
            await anext(ollama.stream("hi"))
        await ollama.aclose()

    assert str(generated.value) == str(streamed.value)


# -- leaving it -----------------------------------------------------------------------------------------------


async def test_leaving_the_context_closes_the_connection_at_once(server: ScriptedServer) -> None:
    server.on("/api/chat", two_pieces_then(stall()))

    async with provider(server) as ollama:
        async with ollama.stream("hi") as stream:
            await anext(stream)
        await server.requests[0].aborted.reached()


async def test_exception_inside_the_loop_closes_the_connection(server: ScriptedServer) -> None:
    server.on("/api/chat", two_pieces_then(stall()))

    async def fail(ollama: OllamaProvider) -> None:
        async with ollama.stream("hi") as stream:
            async for _piece in stream:
                raise ValueError("the consumer failed")

    async with provider(server) as ollama:
        with pytest.raises(ValueError, match="the consumer failed"):
            await fail(ollama)
        await server.requests[0].aborted.reached()


async def test_cancelling_the_task_closes_the_connection(server: ScriptedServer) -> None:
    gate = stall()
    server.on("/api/chat", two_pieces_then(gate))

    async with provider(server) as ollama:
        task = asyncio.create_task(ollama.generate("hi"))
        await gate.arrived.reached()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.requests[0].aborted.reached()


async def test_second_reader_is_told_so_and_the_first_gets_everything(server: ScriptedServer) -> None:
    gate = Gate()
    server.on("/api/chat", [gate, *lines(*chat_answer("a", "b"))])

    async with provider(server) as ollama:
        stream = ollama.stream("x")
        first = asyncio.create_task(stream.result())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="is being read already"):
            await anext(stream)
        gate.open()
        response = await first

    assert response.output_text == "ab"


async def test_stream_is_closed_as_generators_are(server: ScriptedServer) -> None:
    gate = stall()
    server.on("/api/chat", two_pieces_then(gate))

    async with provider(server) as ollama, contextlib.aclosing(ollama.stream("hi")) as stream:
        async for _ in stream:
            break

        await stream.aclose()
        await server.requests[0].aborted.reached()


def test_blocking_stream_is_closed_as_generators_are(server: ScriptedServer) -> None:
    gate = stall()
    server.on("/api/chat", two_pieces_then(gate))

    with provider(server).sync as ollama:
        with contextlib.closing(ollama.stream("hi")) as stream:
            next(stream)

        assert len(list(stream)) <= 1  # what had arrived with the first piece; it would stall without the end


async def test_cancel_from_another_task_ends_the_loop_and_keeps_what_arrived(server: ScriptedServer) -> None:
    gate = stall()
    server.on("/api/chat", two_pieces_then(gate))

    async with provider(server) as ollama:
        stream = ollama.stream("hi")
        pieces: list[ProviderChunk] = []

        async def read() -> None:
            pieces.extend([piece async for piece in stream])

        task = asyncio.create_task(read())
        await gate.arrived.reached()
        await stream.cancel()
        await task
        response = await stream.result()

        await stream.cancel()
        await server.requests[0].aborted.reached()

    assert response.output_text == "Hello"
    assert response.metadata["done"] is False


async def test_cancel_from_another_task_before_the_answer_begins_closes_the_connection(
    server: ScriptedServer,
) -> None:
    gate = stall()
    server.on("/api/chat", [gate])

    async with provider(server) as ollama:
        stream = ollama.stream("hi")
        task = asyncio.create_task(stream.result())
        await gate.arrived.reached()
        await stream.cancel()
        response = await task
        await server.requests[0].aborted.reached()

    assert (response.output_text, response.metadata["done"]) == ("", False)
    assert task.cancelling() == 0


async def test_task_that_is_cancelled_together_with_its_stream_is_cancelled(server: ScriptedServer) -> None:
    gate = stall()
    server.on("/api/chat", [gate])

    async with provider(server) as ollama:
        stream = ollama.stream("hi")
        task = asyncio.create_task(stream.result())
        await gate.arrived.reached()
        await stream.cancel()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.requests[0].aborted.reached()


async def test_cancel_from_another_task_on_any_turn_of_the_loop_ends_the_stream(
    server: ScriptedServer,
) -> None:
    server.on("/api/chat", lines(*chat_answer("a", "b", "c")))

    async with provider(server) as ollama:
        await ollama.generate("hi")
        for turns in range(60):
            stream = ollama.stream("hi")
            task = asyncio.create_task(stream.result())
            for _ in range(turns):
                await asyncio.sleep(0)
            await stream.cancel()
            async with asyncio.timeout(5.0):
                response = await task
            assert "abc".startswith(response.output_text)
        response = await ollama.generate("hi")

    assert response.output_text == "abc"
    await server.connections_reached(0)


async def test_stream_cancelled_while_its_whole_answer_is_looked_at_gives_out_no_end(
    server: ScriptedServer,
) -> None:
    gate = Gate()
    server.on("/api/chat", lines(chat_line("a"), chat_end(prompt_eval_count=2000)))
    server.on("/api/ps", [gate, *document({"models": []})])

    async with provider(server) as ollama:
        stream = ollama.stream("hi")
        assert (await anext(stream)).output_text == "a"
        task = asyncio.create_task(anext(stream, None))
        await gate.arrived.reached()
        await stream.cancel()
        gate.open()
        assert await task is None
        assert "cancelled" in repr(stream)


async def test_cancel_before_the_first_await_sends_nothing(server: ScriptedServer) -> None:
    async with provider(server) as ollama:
        stream = ollama.stream("hi")
        await stream.cancel()

        assert [piece async for piece in stream] == []
    assert server.connections_made == 0


async def test_dropped_stream_warns_and_closes_its_connection(server: ScriptedServer) -> None:
    server.on("/api/chat", two_pieces_then(stall()))

    async with provider(server) as ollama:
        stream = ollama.stream("hi")
        await anext(stream)

        with pytest.warns(ResourceWarning, match="was dropped before its end"):
            del stream
        await server.requests[0].aborted.reached()


async def test_closing_the_provider_ends_streams_that_have_not_begun_with_the_same_error(
    server: ScriptedServer,
) -> None:
    gate = stall()
    server.on("/api/chat", [gate])
    ollama = provider(server)

    task = asyncio.create_task(ollama.stream("hi").result())
    await gate.arrived.reached()
    await ollama.aclose()

    with pytest.raises(OllamaStreamInterruptedError, match="provider was closed"):
        await task


async def test_closing_the_provider_ends_running_streams_with_an_error_that_says_so(
    server: ScriptedServer,
) -> None:
    gate = stall()
    server.on("/api/chat", two_pieces_then(gate))
    ollama = provider(server)
    stream = ollama.stream("hi")

    task = asyncio.create_task(stream.result())
    await gate.arrived.reached()
    await ollama.aclose()

    with pytest.raises(OllamaStreamInterruptedError, match="provider was closed") as raised:
        await task
    assert raised.value.partial_text == "Hello"
    await server.connections_reached(0)


async def test_closed_provider_refuses_new_calls() -> None:
    ollama = OllamaProvider("mine", "tiny")
    stream = ollama.stream("hi")
    await ollama.aclose()
    await ollama.aclose()

    for call in (
        ollama.generate("hi"),
        ollama.embed("hi"),
        ollama.generate_batch(["hi"]),
        ollama.ensure_ready(),
    ):
        with pytest.raises(RuntimeError, match="'mine' is closed"):
            await call
    with pytest.raises(RuntimeError, match="'mine' is closed"):
        ollama.stream("hi")
    with pytest.raises(RuntimeError, match="'mine' is closed"):
        await anext(stream)


async def test_cancelling_at_any_step_leaves_nothing_behind(server: ScriptedServer) -> None:
    server.on("/api/chat", lines(*chat_answer("a", "b", "c")))

    async with provider(server) as ollama:
        await ollama.generate("hi")
        for steps in range(40):
            task = asyncio.create_task(ollama.generate("hi"))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        response = await ollama.generate("hi")

    assert response.output_text == "abc"
    await server.connections_reached(0)


async def test_slow_consumer_holds_the_server_back_and_loses_nothing(server: ScriptedServer) -> None:
    texts = [f"{number:05d}" for number in range(2000)]
    server.on("/api/chat", lines(*chat_answer(*texts), together=True))

    async with provider(server, idle_timeout=0.2) as ollama, ollama.stream("hi") as stream:
        await anext(stream)
        await asyncio.sleep(0.3)  # longer than the idle limit, which counts only waiting
        rest = [piece.output_text async for piece in stream]

    assert rest == [*texts[1:], ""]
