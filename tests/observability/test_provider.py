"""What telemetry says of the real provider's requests, against servers on real sockets."""

from __future__ import annotations

import asyncio
import importlib
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from opentelemetry.trace import StatusCode, get_current_span

from namel3ss.observability.capture import ContentCapture
from namel3ss.observability.telemetry import use_telemetry
from namel3ss.providers.local.ollama import (
    OllamaBadResponseError,
    OllamaModelPullError,
    OllamaProvider,
    OllamaRunnerError,
    OllamaServerManager,
    OllamaServerStartFailedError,
    OllamaServerUnreachableError,
)
from namel3ss.providers.transport.client import import_libraries
from namel3ss.sandbox import SandboxOptions, SandboxServer
from tests.observability.receivers import Listener, MemorySdk, attributes, total
from tests.support.clock import ManualClock
from tests.support.ollama_lines import chat_answer, chat_end, chat_line
from tests.support.scripted_server import (
    LAST_CHUNK,
    Drip,
    Gate,
    ScriptedServer,
    Send,
    Step,
    chunk,
    document,
    head,
    line,
    lines,
    refusing_url,
)
from tests.support.stand_in_ollama import install_stand_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from opentelemetry.sdk.trace import ReadableSpan


@pytest.fixture(scope="module", autouse=True)
def _http_library_is_loaded() -> None:
    """The first request of a process loads it on a thread that lives as long as its event loop."""
    import_libraries()
    importlib.import_module("httpx_aiohttp")


@pytest.fixture
def receive() -> Iterator[Callable[..., MemorySdk]]:
    """Makes an SDK in memory the receiver of the whole process."""
    made: list[MemorySdk] = []
    replaced = use_telemetry(None)

    def start(profile: Any = None, **more: Any) -> MemorySdk:
        sdk = MemorySdk(profile, **more)
        made.append(sdk)
        use_telemetry(sdk.telemetry)
        return sdk

    yield start
    use_telemetry(replaced)
    for sdk in made:
        sdk.close()


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


def provider(server: ScriptedServer | SandboxServer, model: str = "tiny", **more: Any) -> OllamaProvider:
    config = {"base_url": server.url, "auto_pull_model": False, "max_retries": 0}
    return OllamaProvider("x", model, config, **more)


def seconds(span: ReadableSpan) -> float:
    assert span.end_time is not None
    assert span.start_time is not None
    return (span.end_time - span.start_time) / 1e9


def told(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def gated(*values: object) -> tuple[list[Step], list[Gate]]:
    """A streamed answer that waits before each of its lines until its gate is opened."""
    gates = [Gate() for _ in values]
    steps: list[Step] = [Send(head(chunked=True))]
    for gate, value in zip(gates, values, strict=True):
        steps += [gate, Send(chunk(line(value)))]
    return [*steps, Send(LAST_CHUNK)], gates


# -- the first token ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_streamed", [True, False])
async def test_first_token_of_an_answer_that_comes_all_at_once_has_a_time_too(
    server: ScriptedServer, listener: Listener, is_streamed: bool
) -> None:
    server.on("/api/chat", lines(*chat_answer("Hello"), together=True))
    async with provider(server) as asked:
        if is_streamed:
            async for _ in asked.stream("Hi"):
                pass
        else:
            await asked.generate("Hi")

    (timed,) = [values for name, values, _ in listener.calls if name == "ollama.request.duration"]
    assert 0.0 < timed["first_token"] <= timed["value"]


# -- pieces, and the span while they come ---------------------------------------------------------------------


async def test_pieces_are_those_that_the_reader_was_given(server: ScriptedServer, listener: Listener) -> None:
    server.on("/api/chat", lines(*chat_answer("Hel", "", "lo")))
    async with provider(server) as asked:
        given = [chunk async for chunk in asked.stream("Hi") if not chunk.metadata]

    assert len(given) == 2
    assert listener.values()["ollama.stream.chunks"] == 2


class WatchedTransport(httpx.AsyncBaseTransport, httpx.AsyncByteStream):
    """Answers, and remembers which span was current at each step that it was asked for."""

    def __init__(self) -> None:
        self.spans: list[int] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._look()
        return httpx.Response(200, headers={"Content-Type": "application/x-ndjson"}, stream=self)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for value in chat_answer("Hel", "lo"):
            self._look()
            yield line(value)

    def _look(self) -> None:
        self.spans.append(get_current_span().get_span_context().span_id)


async def test_span_is_current_for_whatever_happens_on_the_network_and_not_for_the_caller(
    receive: Callable[..., MemorySdk],
) -> None:
    sdk = receive()
    transport = WatchedTransport()
    async with OllamaProvider("x", "tiny", {}, transport=transport) as asked:
        callers = [get_current_span() async for _ in asked.stream("Hi")]

    (span,) = sdk.spans()
    assert transport.spans == [span.context.span_id] * 4
    assert not [caller for caller in callers if caller.get_span_context().is_valid]


# -- several servers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["stream", "plain", "embed"])
async def test_telemetry_names_the_server_that_answered_and_not_the_first_of_several(
    server: ScriptedServer, receive: Callable[..., MemorySdk], call: str
) -> None:
    server.on("/api/chat", lines(*chat_answer("Hello")))
    server.on("/api/embed", document({"model": "tiny", "embeddings": [[0.5]]}))
    if call == "plain":
        server.on("/api/chat", document(chat_end(content="Hello")))
    sdk = receive()
    with refusing_url() as refusing:
        model = OllamaProvider("x", "tiny", {"hosts": [refusing, server.url], "auto_pull_model": False})
        if call == "embed":
            await model.embed("Hi")
        else:
            await model.generate("Hi", wire="plain" if call == "plain" else "stream")
        await model.aclose()

    assert told(sdk.spans()[0])["server.port"] == server.port
    (measured,) = attributes(sdk.metrics()["gen_ai.client.operation.duration"])
    assert measured["server.port"] == server.port


@pytest.mark.parametrize("call", ["stream", "plain", "embed"])
async def test_failed_request_names_the_server_that_was_asked_last(
    receive: Callable[..., MemorySdk], call: str
) -> None:
    sdk = receive()
    with refusing_url() as first, refusing_url() as last:
        model = OllamaProvider("x", "tiny", {"hosts": [first, last], "auto_pull_model": False})
        with pytest.raises(OllamaServerUnreachableError):
            await (model.embed("Hi") if call == "embed" else model.generate("Hi", wire=call))
        await model.aclose()

        assert told(sdk.spans()[0])["server.port"] == int(last.rpartition(":")[2])


# -- durations ------------------------------------------------------------------------------------------------


class WatchedClock(ManualClock):
    """Tells when it is looked at: the provider does so before each read."""

    def __init__(self) -> None:
        super().__init__()
        self.looked_at = asyncio.Event()

    def __call__(self) -> float:
        self.looked_at.set()
        return super().__call__()


async def test_a_stream_lasts_as_long_as_it_takes_and_the_reader_s_own_time_is_told_apart(
    server: ScriptedServer, receive: Callable[..., MemorySdk], listener: Listener
) -> None:
    """Each piece takes the server one second; the reader keeps it for ten."""
    sdk, clock = receive(), WatchedClock()
    script, gates = gated(chat_line("one"), chat_line(" two"), chat_end(total_duration=None))
    server.on("/api/chat", script)

    async with provider(server, clock=clock) as asked:
        stream = asked.stream("Hi")
        for number, gate in enumerate(gates):
            clock.looked_at.clear()
            reading = asyncio.ensure_future(anext(stream))
            await gate.arrived.reached()
            await clock.looked_at.wait()
            clock.advance(1.0)
            gate.open()
            await reading
            if number < 2:
                clock.advance(10.0)
        await stream.result()

    (span,) = sdk.spans()
    measured = next(values for name, values, _ in listener.calls if name == "ollama.request.duration")
    assert measured == {"value": 23.0, "consumer": 20.0, "first_token": 1.0}
    assert seconds(span) == pytest.approx(23.0)
    assert told(span)["namel3ss.ollama.consumer.duration"] == 20.0


async def test_first_chunk_and_first_token_are_two_times(
    server: ScriptedServer, receive: Callable[..., MemorySdk]
) -> None:
    """The first chunk says nothing, and comes at once; the second comes byte after byte."""
    sdk = receive()
    slow = Drip(chunk(line(chat_line("one"))), 0.001)
    server.on(
        "/api/chat",
        [
            Send(head(chunked=True) + chunk(line(chat_line("")))),
            slow,
            Send(chunk(line(chat_end())) + LAST_CHUNK),
        ],
    )

    async with provider(server) as asked, asked.stream("Hi") as stream:
        await stream.result()

    facts = told(sdk.spans()[0])
    chunk_s = facts["gen_ai.response.time_to_first_chunk"]
    assert facts["namel3ss.ollama.time_to_first_token"] >= chunk_s + 0.05


async def test_the_times_of_a_stream_count_from_when_it_is_first_read(
    server: ScriptedServer, receive: Callable[..., MemorySdk], listener: Listener
) -> None:
    receive()
    clock = ManualClock()
    server.on("/api/chat", lines(*chat_answer("Hi")))

    async with OllamaProvider("x", "tiny", {"base_url": server.url}, clock=clock) as asked:
        stream = asked.stream("Hi")
        clock.advance(60)
        async with stream:
            timings = (await stream.result()).timings

    assert (timings.first_token_s, timings.wall_s) == (0.0, 0.0)
    assert [values["value"] for name, values, _ in listener.calls if name == "ollama.request.duration"] == [
        0.0
    ]


_FIRST_OF_A_PROCESS = """
import asyncio, sys
from namel3ss.observability.metrics import register_metric_listener
from namel3ss.providers.local.ollama import OllamaProvider

took = []
register_metric_listener(lambda name, values, _: took.append(values["value"]) if name == "ollama.request.duration" else None)

def clock():
    return 100.0 if "httpx_aiohttp" in sys.modules else 0.0

async def main():
    async with OllamaProvider("x", "tiny", {{"base_url": {url!r}}}, clock=clock) as asked:
        answer = await {call}
        print(took, answer.timings.wall_s)

asyncio.run(main())
"""


@pytest.mark.parametrize(
    "call", ["asked.generate('Hi')", "asked.generate('Hi', wire='plain')", "asked.embed('Hi')"]
)
def test_the_first_request_of_a_process_does_not_count_the_loading_of_libraries(
    server: ScriptedServer, call: str
) -> None:
    server.on("/api/chat", document(chat_end("Hi")))
    server.on("/api/embed", document({"model": "tiny", "embeddings": [[0.5]]}))

    code = _FIRST_OF_A_PROCESS.format(url=server.url, call=call)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[0.0] 0.0\n", done.stderr


_ENDED_WHILE_LOADING = """
import asyncio, sys
from namel3ss.providers.local.ollama import OllamaProvider

async def main():
    provider = OllamaProvider("x", "tiny", {{"base_url": {url!r}}})
    stream = provider.stream("Hi")

    async def read():
        return [chunk.output_text async for chunk in stream]

    reading = asyncio.create_task(read())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert "httpx_aiohttp" not in sys.modules
    {end}
    (ended,) = await asyncio.gather(reading, return_exceptions=True)
    print(ended if isinstance(ended, list) else type(ended).__name__)
    await provider.aclose()

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("reading.cancel()", "CancelledError"),
        ("await stream.cancel()", "[]"),
        ("await provider.aclose()", "OllamaStreamInterruptedError"),
    ],
)
def test_a_stream_may_be_ended_while_the_libraries_are_loaded(
    server: ScriptedServer, end: str, said: str
) -> None:
    code = _ENDED_WHILE_LOADING.format(url=server.url, end=end)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert (done.stdout, done.stderr) == (f"{said}\n", "")
    assert server.requests == []


@pytest.mark.parametrize("pause_s", [0.0, 0.02])
async def test_the_duration_of_a_paced_answer_is_right_for_fast_and_slow_readers(
    receive: Callable[..., MemorySdk], listener: Listener, pause_s: float
) -> None:
    receive()
    options = SandboxOptions(tokens_per_second=50, tiny=True)
    with SandboxServer(options) as paced:
        async with provider(paced) as asked, asked.stream("Hi") as stream:
            last: dict[str, Any] = {}
            began = time.monotonic()
            async for piece in stream:
                last = piece.metadata
                await asyncio.sleep(pause_s)
        wall_s = time.monotonic() - began

    measured = next(values for name, values, _ in listener.calls if name == "ollama.request.duration")
    # How much less than the caller's whole time it is depends on the machine; a clock in our hands shows it above.
    rounding_s = 1e-6
    assert last["timings"]["total_s"] <= measured["value"] + rounding_s
    assert measured["value"] <= wall_s
    assert measured.get("consumer", 0.0) >= pause_s * 4


async def test_a_stream_that_is_left_ends_when_it_is_left(
    server: ScriptedServer, receive: Callable[..., MemorySdk], listener: Listener
) -> None:
    sdk, clock = receive(), ManualClock()
    script, gates = gated(chat_line("one"), chat_line("two"))
    server.on("/api/chat", script)
    gates[0].open()

    async with provider(server, clock=clock) as asked, asked.stream("Hi") as stream:
        await anext(stream)
        clock.advance(5.0)

    (span,) = sdk.spans()
    assert seconds(span) == pytest.approx(5.0)
    assert told(span)["error.type"] == "cancelled"
    labels = next(labels for name, _, labels in listener.calls if name == "ollama.request.duration")
    assert (labels["status"], labels["name"], labels["operation"]) == ("cancelled", "x", "chat")


async def test_a_cancelled_task_is_a_cancelled_request(
    server: ScriptedServer, receive: Callable[..., MemorySdk]
) -> None:
    sdk = receive()
    script, gates = gated(chat_line("one"))
    server.on("/api/chat", script)

    async with provider(server) as asked:
        task = asyncio.create_task(asked.generate("Hi"))
        await gates[0].arrived.reached()
        task.cancel()
        await asyncio.wait({task})

    (span,) = sdk.spans()
    assert told(span)["error.type"] == "cancelled"


async def test_a_failing_answer_says_why_and_invents_no_counts(
    server: ScriptedServer, receive: Callable[..., MemorySdk], listener: Listener
) -> None:
    sdk = receive("both")
    error = {"error": "an error was encountered while running the model: unexpected EOF"}
    server.on("/api/chat", lines(chat_line("one"), error))

    async with provider(server) as asked:
        with pytest.raises(OllamaRunnerError) as caught:
            await asked.generate("Hi")

    (span,) = sdk.spans()
    assert told(span)["error.type"] == caught.value.error_type
    assert span.status.status_code is StatusCode.ERROR
    assert span.events == ()
    assert not any("tokens" in name or "throughput" in name for name, _, _ in listener.calls)
    assert not any("token.usage" in name or "_tokens" in name for name in sdk.metrics())


async def test_counts_that_the_server_did_not_send_are_recorded_nowhere(
    server: ScriptedServer, receive: Callable[..., MemorySdk], listener: Listener
) -> None:
    sdk = receive("both")
    nothing = dict.fromkeys(("prompt_eval_count", "eval_count", "eval_duration"))
    server.on("/api/chat", lines(*chat_answer("one", **nothing)))

    async with provider(server) as asked, asked.stream("Hi") as stream:
        await stream.result()

    assert {name for name, _, _ in listener.calls} == {
        "ollama.request.duration",
        "ollama.stream.duration",
        "ollama.stream.chunks",
    }
    assert not any("token.usage" in name or "_tokens" in name for name in sdk.metrics())
    assert "gen_ai.usage.output_tokens" not in told(sdk.spans()[0])


# -- each kind of work ----------------------------------------------------------------------------------------


async def test_every_kind_of_request_is_one_span(receive: Callable[..., MemorySdk]) -> None:
    sdk = receive()
    with SandboxServer() as sandbox:
        async with provider(sandbox) as asked, provider(sandbox, "tiny-embed") as embedding:
            await asked.generate("Hi", temperature=0.5, max_tokens=5)
            await asked.generate("Hi", wire="plain")
            await asked.generate("Hi", raw=True)
            async with asked.stream("Hi") as stream:
                await stream.result()
            await embedding.embed(["one", "two"])

    spans = [(span.name, told(span)) for span in sdk.spans()]
    assert [name for name, _ in spans] == [
        "chat tiny",
        "chat tiny",
        "text_completion tiny",
        "chat tiny",
        "embeddings tiny-embed",
    ]
    assert [facts.get("gen_ai.request.stream", False) for _, facts in spans] == [
        False,
        False,
        False,
        True,
        False,
    ]
    assert spans[0][1]["gen_ai.request.temperature"] == 0.5
    assert spans[0][1]["gen_ai.request.max_tokens"] == 5
    assert all(facts["gen_ai.usage.input_tokens"] > 0 for _, facts in spans)
    assert all(facts["server.port"] == sandbox.port for _, facts in spans)
    assert len({span.context.trace_id for span in sdk.spans() if span.context}) == 5


async def test_a_pull_is_a_span_with_its_bytes(receive: Callable[..., MemorySdk], listener: Listener) -> None:
    sdk = receive()
    with SandboxServer(SandboxOptions(pull_seconds=0.05)) as sandbox:
        async with provider(sandbox, "llama3:8b") as asked:
            await asked.pull_model()

    span = next(span for span in sdk.spans() if span.name == "pull llama3:8b")
    values, labels = next((v, n) for name, v, n in listener.calls if name == "ollama.model.pull_duration")
    assert values["bytes"] == told(span)["namel3ss.ollama.pull.bytes"] > 0
    assert labels == {"provider": "ollama", "model": "llama3:8b", "status": "ok", "base_url": sandbox.url}
    assert total(sdk.metrics()["namel3ss.ollama.pull.bytes"]) == values["bytes"]


async def test_a_pull_that_fails_says_why(receive: Callable[..., MemorySdk], listener: Listener) -> None:
    sdk = receive()
    with SandboxServer(SandboxOptions(faults=("registry-unresolved",))) as sandbox:
        async with provider(sandbox, "llama3:8b") as asked:
            with pytest.raises(OllamaModelPullError) as caught:
                await asked.pull_model()

    (span,) = sdk.spans()
    assert told(span)["error.type"] == caught.value.error_type
    labels = next(labels for name, _, labels in listener.calls if name == "ollama.model.pull_duration")
    assert (labels["status"], labels["error_type"]) == ("error", caught.value.error_type)


async def test_health_is_counted_and_has_no_span(
    receive: Callable[..., MemorySdk], listener: Listener
) -> None:
    sdk = receive()
    with SandboxServer() as sandbox:
        async with provider(sandbox) as asked, provider(sandbox, "absent") as without:
            await asked.health_check()
            await without.health_check()
        async with OllamaServerManager({"base_url": sandbox.url}) as manager:
            await manager.health_check()

    assert sdk.spans() == []
    checks = [labels for name, _, labels in listener.calls if name == "ollama.health.check_duration"]
    assert [(check["status"], check.get("model")) for check in checks] == [
        ("healthy", "tiny"),
        ("degraded", "absent"),
        ("healthy", None),
    ]
    counted = attributes(sdk.metrics()["namel3ss.ollama.health.checks"])
    assert {found["namel3ss.health.status"] for found in counted} == {"healthy", "degraded"}


# -- context and content --------------------------------------------------------------------------------------


@pytest.mark.parametrize("wire", ["stream", "plain"])
async def test_the_server_gets_the_trace_of_its_request_where_that_is_switched_on(
    server: ScriptedServer, receive: Callable[..., MemorySdk], wire: str
) -> None:
    sdk = receive(propagate=True)
    answer = chat_answer("one")
    server.on("/api/chat", lines(*answer) if wire == "stream" else document(chat_end("one")))
    vectors = {"model": "tiny", "embeddings": [[1.0]]}
    server.on("/api/embed", document(vectors))

    async with provider(server) as asked:
        await asked.generate("Hi", wire=wire)
        await asked.embed("Hi")

    sent = [request.header("traceparent") for request in server.requests if request.method == "POST"]
    expected = [
        f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-{span.context.trace_flags:02x}"
        for span in sdk.spans()
        if span.context
    ]
    assert sent == expected
    assert all(request.header("baggage") is None for request in server.requests)


async def test_no_trace_is_sent_by_default(server: ScriptedServer, receive: Callable[..., MemorySdk]) -> None:
    receive()
    server.on("/api/chat", lines(*chat_answer("one")))

    async with provider(server) as asked:
        await asked.generate("Hi")

    assert [request.header("traceparent") for request in server.requests] == [None] * len(server.requests)


async def test_what_is_said_is_recorded_only_on_request(
    server: ScriptedServer, receive: Callable[..., MemorySdk]
) -> None:
    server.on("/api/chat", lines(chat_line("", thinking="Hm."), *chat_answer("one ", "two")))
    async with provider(server) as asked:
        quiet = receive()
        await asked.generate("Prompt canary", system="System canary")
        loud = receive(capture=ContentCapture.SPAN_AND_EVENT)
        await asked.generate("Prompt canary", system="System canary")

    assert not [key for span in quiet.spans() for key in told(span) if "messages" in key]
    assert quiet.events() == []
    (span,) = loud.spans()
    assert "Prompt canary" in told(span)["gen_ai.input.messages"]
    assert "System canary" in told(span)["gen_ai.input.messages"]
    assert "one two" in told(span)["gen_ai.output.messages"]
    assert "Hm." in told(span)["gen_ai.output.messages"]
    assert len(loud.events()) == 1


async def test_a_request_that_got_no_answer_records_what_was_asked_alone(
    server: ScriptedServer, receive: Callable[..., MemorySdk]
) -> None:
    sdk = receive(capture=ContentCapture.SPAN_ONLY)
    server.on("/api/generate", document(b"<html>", headers={"Content-Type": "text/html"}))

    async with provider(server) as asked:
        with pytest.raises(OllamaBadResponseError):
            await asked.generate("Prompt canary", raw=True)

    (span,) = sdk.spans()
    assert "Prompt canary" in told(span)["gen_ai.input.messages"]
    assert "gen_ai.output.messages" not in told(span)


# -- starting a server ----------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="no server is started on Windows")
@pytest.mark.parametrize("behaviour", ["serve", "exit"])
async def test_starting_a_server_is_a_span_with_its_process(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    receive: Callable[..., MemorySdk],
    listener: Listener,
    behaviour: str,
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    sdk = receive()
    stand_in = install_stand_in(tmp_path / "bin", behaviour)
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    environ = {"PATH": str(stand_in.folder)}
    async with OllamaServerManager({"base_url": url}, environ=environ, announce=lambda _: None) as manager:
        if behaviour == "serve":
            await manager.start()
            await manager.stop(grace_s=0.2)
        else:
            with pytest.raises(OllamaServerStartFailedError):
                await manager.start()

    (span,) = sdk.spans()
    assert span.name == "start ollama"
    counted = {name: labels for name, _, labels in listener.calls if name.startswith("ollama.server.")}
    labels = {"provider": "ollama", "base_url": url}
    if behaviour == "serve":
        assert told(span)["process.pid"] == stand_in.starts[0]
        assert counted == {"ollama.server.started": labels, "ollama.server.stopped": labels}
    else:
        assert told(span)["error.type"] == "connect_refused"
        assert counted == {}
