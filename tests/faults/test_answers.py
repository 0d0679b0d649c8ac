"""Rows 15 to 25: what comes before an answer, and instead of one."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING

import httpx
import pytest

from namel3ss.providers.local.ollama import (
    OllamaAuthError,
    OllamaBadResponseError,
    OllamaCapabilityError,
    OllamaContextWindowExceededError,
    OllamaError,
    OllamaModelNotFoundError,
    OllamaProvider,
    OllamaRequestError,
    OllamaServerBusyError,
    OllamaServerError,
    OllamaServerUnreachableError,
    OllamaStreamInterruptedError,
)
from namel3ss.providers.local.ollama._circuit import Circuit
from namel3ss.providers.transport.retries import RetryBudget, pause_s
from tests.support.clock import ManualClock
from tests.support.ollama_lines import chat_answer, chat_end, chat_line
from tests.support.scripted_server import (
    LAST_CHUNK,
    Close,
    Reset,
    ScriptedServer,
    Send,
    Step,
    chunk,
    document,
    head,
    line,
    lines,
    stall,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

ANSWER = lines(*chat_answer("Hel", "lo"))
BUSY = document({"error": "server busy, please try again.  maximum pending requests exceeded"}, 503)
BUSY_NOW = document({"error": "server busy, please try again."}, 503, {"Retry-After": "0"})


@pytest.mark.fault(15)
@pytest.mark.parametrize("end", [Close(), Reset()], ids=["closed", "reset"])
async def test_connection_that_ends_before_the_headers_is_final_because_the_server_may_have_begun(
    connect, ask, end
):
    with ScriptedServer([end]) as first, ScriptedServer(ANSWER) as second:
        failure = (await ask(connect(first, second, max_retries=5))).failure

        assert type(failure) is OllamaServerUnreachableError
        assert failure.error_type == "stream_reset"
        assert failure.message.startswith(
            f"The server at {first.url} closed the connection without an answer ("
        )
        assert (len(first.requests), len(second.requests)) == (1, 0)


@pytest.mark.fault(15)
@pytest.mark.parametrize("call", ["generate", "plain", "embed"])
async def test_no_call_of_a_model_is_sent_again_when_its_connection_is_lost(server, connect, call):
    server.on("/api/chat", [Reset()], ANSWER).on("/api/embed", [Reset()])
    provider = connect(server, max_retries=5)
    calls = {
        "generate": lambda: provider.generate("Hi"),
        "plain": lambda: provider.generate("Hi", wire="plain"),
        "embed": lambda: provider.embed("Hi"),
    }

    with pytest.raises(OllamaServerUnreachableError):
        await calls[call]()

    assert len(server.requests) == 1


@pytest.mark.fault(15)
async def test_look_up_whose_connection_is_lost_is_made_once_more(server, connect):
    server.on("/api/tags", [Reset()], document({"models": []}))

    assert await connect(server, max_retries=0).list_models() == []

    assert server.paths() == ["/api/tags", "/api/tags"]


@pytest.mark.fault(15)
@pytest.mark.parametrize("call", ["delete_model", "copy_model", "show_model"])
async def test_change_of_a_model_is_not_sent_again_when_its_connection_is_lost(server, connect, call):
    """A second deletion of what the first one has deleted would say that there never was such a model."""
    paths = {"delete_model": "/api/delete", "copy_model": "/api/copy", "show_model": "/api/show"}
    server.on(paths[call], [Reset()])
    names = ("tiny", "small") if call == "copy_model" else ("tiny",)

    with pytest.raises(OllamaServerUnreachableError):
        await getattr(connect(server, max_retries=5), call)(*names)

    assert server.paths() == [paths[call]]


@pytest.mark.fault(16, 18)
@pytest.mark.parametrize("status", [429, 503])
async def test_server_that_turned_a_request_away_is_asked_again_when_it_says(server, connect, ask, status):
    refusal = document({"error": "too many"}, status, {"Retry-After": "0"})
    server.on("/api/chat", refusal, refusal, ANSWER)

    assert (await ask(connect(server, max_retries=2))).text == "Hello"
    assert len(server.requests) == 3


@pytest.mark.fault(16)
@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (format_datetime(datetime(2020, 2, 29, 12, tzinfo=UTC), usegmt=True), 0.0),  # long ago: at once
        ("99999999999", 3600.0),
        ("soon", None),
        ("-5", None),
        (None, None),
    ],
)
async def test_what_the_server_asks_for_is_told_to_the_caller(server, connect, ask, value, seconds):
    headers = {} if value is None else {"Retry-After": value}
    server.on("/api/chat", document({"error": "too many"}, 429, headers))

    failure = (await ask(connect(server))).failure

    assert type(failure) is OllamaServerBusyError
    assert (failure.status, failure.retry_after_s) == (429, seconds)
    assert failure.message == "The Ollama server is busy (HTTP 429): too many"


@pytest.mark.fault(16)
def test_pauses_are_random_grow_and_honour_the_server_up_to_half_a_minute():
    def longest(number: int, asked: float | None) -> float:
        return max(pause_s(number, asked) for _ in range(200))

    assert len({pause_s(3, None) for _ in range(50)}) > 10
    assert longest(1, None) <= 0.5
    assert longest(2, None) <= 1.0
    assert longest(90, None) <= 8.0
    assert all(7.0 <= pause_s(1, 7.0) <= 7.7 for _ in range(50))
    assert longest(1, 3600.0) <= 33.0
    assert pause_s(1, 0.0) == 0.0


@pytest.mark.fault(16, 18)
def test_retries_of_a_dead_fleet_are_a_fifth_of_its_requests():
    clock = ManualClock()
    budget = RetryBudget(clock=clock)
    retries = 0
    for _ in range(10_000):
        budget.request_made()
        retries += sum(budget.take() for _ in range(5))

    assert retries <= 10_000 * 0.2 + 10

    clock.advance(60)
    assert [budget.take() for _ in range(11)] == [True] * 10 + [False]


@pytest.mark.fault(16, 18)
async def test_provider_takes_its_retries_out_of_the_budget(server, connect, ask):
    server.on("/api/chat", BUSY_NOW)
    provider = connect(server, max_retries=5)

    for _ in range(10):
        assert type((await ask(provider)).failure) is OllamaServerBusyError

    assert len(server.requests) <= 10 + 10 + 10 * 0.2  # fifty retries were allowed by max_retries alone


@pytest.mark.fault(18)
async def test_full_queue_is_asked_again_until_the_retries_are_used_up(server, connect, ask):
    server.on("/api/chat", BUSY_NOW)

    asked = await ask(connect(server, max_retries=2))

    assert type(asked.failure) is OllamaServerBusyError
    assert asked.failure.error_type == "queue_full"
    assert asked.failure.message == "The Ollama server is busy: its queue is full."
    assert asked.failure.suggestion == "Retry in a moment, or lower max_concurrency."
    assert len(server.requests) == 3


@pytest.mark.fault(18)
async def test_busy_server_passes_the_request_to_the_next_without_waiting_and_is_not_avoided(connect, ask):
    with ScriptedServer(ANSWER) as first, ScriptedServer(ANSWER) as second:
        first.on("/api/chat", BUSY, ANSWER)
        provider = connect(first, second, max_retries=0)

        served_by = [(await ask(provider)).metadata["served_by"] for _ in range(2)]

        assert served_by == [second.url, first.url]


PAGES: list[tuple[str, bytes, dict[str, str]]] = [
    ("HTML", b"<html><h1>Bad Gateway</h1></html>", {"Content-Type": "text/html"}),
    ("nothing", b"", {"Content-Type": "text/plain"}),
    ("10 MB", b"x" * 10_000_000, {"Content-Type": "text/plain"}),
    ("another charset", "Störung".encode("utf-16"), {"Content-Type": "text/plain; charset=utf-16"}),
    ("JSON that is cut", b'{"error": "it', {"Content-Type": "application/json"}),
]


@pytest.mark.fault(17)
@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize(("body", "headers"), [page[1:] for page in PAGES], ids=[page[0] for page in PAGES])
async def test_page_of_a_proxy_is_a_short_error_with_its_status(server, connect, ask, status, body, headers):
    server.on("/api/chat", [Send(head(status, headers, length=len(body)) + body)])

    failure = (await ask(connect(server))).failure

    assert type(failure) is (OllamaServerBusyError if status == 503 else OllamaBadResponseError)
    assert failure.status == status
    assert f"HTTP {status}" in failure.message
    assert len(str(failure)) < 600
    assert len(server.requests) == 1


class EndlessPage(httpx.AsyncBaseTransport, httpx.AsyncByteStream):
    """A page of an error that never ends; counts how much of it was asked for."""

    sent_bytes = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(500, stream=self)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            self.sent_bytes += 16_384
            yield b"x" * 16_384


@pytest.mark.fault(17)
async def test_of_a_page_without_end_no_more_is_read_than_a_message_needs() -> None:
    page = EndlessPage()
    async with OllamaProvider("faulty", "tiny", {}, transport=page) as provider:
        with pytest.raises(OllamaBadResponseError):
            await provider.generate("Hi")

    assert page.sent_bytes <= 64 * 1024


@pytest.mark.fault(17)
@pytest.mark.long
async def test_page_that_stalls_is_not_waited_for(server, connect, ask):
    server.on("/api/chat", [Send(head(502, chunked=True) + chunk(b"<html>Bad")), stall()])

    failure = (await ask(connect(server))).failure

    assert (type(failure), failure.status) == (OllamaBadResponseError, 502)
    assert "<html>Bad" in failure.message


@pytest.mark.fault(17)
@pytest.mark.parametrize("status", [500, 501, 502, 504])
async def test_failure_after_which_a_server_may_have_begun_is_not_tried_again(server, connect, ask, status):
    server.on("/api/chat", document(b"<html>", status, {"Content-Type": "text/html"}))

    await ask(connect(server, max_retries=5))

    assert len(server.requests) == 1


@pytest.mark.fault(19)
async def test_model_that_one_server_lacks_is_looked_for_on_the_next(connect, ask):
    missing = document({"error": "model 'tiny' not found"}, 404)
    with ScriptedServer(missing) as first, ScriptedServer(ANSWER) as second:
        provider = connect(first, second)

        for _ in range(2):
            assert (await ask(provider)).metadata["served_by"] == second.url

        assert len(first.requests) == 2, "a missing model is no reason to avoid a server"


@pytest.mark.fault(19)
async def test_missing_model_says_how_to_pull_it_and_which_are_like_it(server, connect, ask):
    server.on("/api/chat", document({"error": "model 'tiny' not found"}, 404))
    server.on("/api/tags", document({"models": [{"name": "tiny-tools:latest", "size": 1}]}))

    failure = (await ask(connect(server))).failure

    assert type(failure) is OllamaModelNotFoundError
    assert str(failure) == (
        "Ollama model 'tiny' is not available locally.\n"
        "Model: tiny\n"
        f"Server: {server.url}\n\n"
        "Suggestion: Run: ollama pull tiny\n"
        "Or enable auto_pull_model in your configuration.\n"
        "Installed with a similar name: tiny-tools:latest"
    )


USER_ERRORS: list[tuple[str, int, type[OllamaError], str]] = [
    ('option "num_ctx" must be of type integer', 400, OllamaRequestError, "The Ollama server refuses the request: "),
    ("request (900 tokens) exceeds the available context size (64 tokens)", 400, OllamaContextWindowExceededError, "Input is too large"),
    ('"tiny" does not support tools', 400, OllamaCapabilityError, "Ollama model 'tiny' does not support tools."),
    ("something nobody knows", 422, OllamaRequestError, "The Ollama server refuses the request: something nobody knows"),
]  # fmt: skip


@pytest.mark.fault(20)
@pytest.mark.parametrize(
    ("text", "status", "cls", "message"), USER_ERRORS, ids=[case[0] for case in USER_ERRORS]
)
async def test_wrong_request_is_told_and_neither_retried_nor_held_against_the_server(
    connect, ask, text, status, cls, message
):
    with ScriptedServer(document({"error": text}, status)) as first, ScriptedServer(ANSWER) as second:
        first.on("/api/show", document({"model_info": {}}))
        first.on("/api/ps", document({"models": []}))
        provider = connect(first, second, max_retries=5)
        for _ in range(4):
            failure = (await ask(provider)).failure

            assert type(failure) is cls
            assert failure.message.startswith(message)
            assert failure.status == status

        assert first.paths().count("/api/chat") == 4
        assert second.requests == []


@pytest.mark.fault(21)
@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, b"", "api_key and headers"),
        (403, b"", "Host headers"),
        (403, b'{"error": "not for you"}', "not for you"),
    ],
)
async def test_refused_client_is_told_why(server, connect, ask, status, body, words):
    server.on("/api/chat", [Send(head(status, length=len(body)) + body)])

    failure = (await ask(connect(server, max_retries=5, headers={"X-Key": "sesame"}))).failure

    assert type(failure) is OllamaAuthError
    assert words in str(failure)
    assert "sesame" not in str(failure)
    assert len(server.requests) == 1
    assert server.requests[0].header("host") == f"127.0.0.1:{server.port}"


KEY = "sk-verysecret1"


@pytest.mark.fault(21)
@pytest.mark.security(25)
@pytest.mark.parametrize(
    "script",
    [
        document({"error": f"bad key {KEY}"}, 401),
        document(f"<html>you sent {KEY}</html>".encode(), 502, {"Content-Type": "text/html"}),
        document(f"<html>you sent {KEY}</html>".encode(), 200, {"Content-Type": "text/html"}),
        [Send(f"HTTP/1.1 {KEY} is wrong\r\n\r\n".encode()), Close()],
        lines(chat_line("Hel"), {"error": f"{KEY} is wrong"}),
        lines(f"{KEY}\n".encode()),
    ],
    ids=["refusal", "proxy", "page", "no http", "error line", "nonsense"],
)
async def test_key_that_a_server_repeats_is_in_no_error(server, connect, script):
    server.on("/api/chat", script).on("/api/tags", script).on("/api/version", script).on("/api/pull", script)
    provider = connect(server, api_key=KEY)

    said = [str(await provider.health_check())]
    for wire in ("stream", "plain"):
        said += [repr(await failed(provider.generate("Hi", wire=wire)))]
    for look in (provider.list_models(), provider.pull_model("other")):
        said += [repr(await failed(look))]

    assert not [text for text in said if KEY in text]


async def failed(call: Awaitable[object]) -> tuple[str, str]:
    with pytest.raises(OllamaError) as raised:
        await call
    return str(raised.value), repr(raised.value)


def deep(levels: int) -> bytes:
    return b'{"a":' * levels + b"1" + b"}" * levels


ODD: list[tuple[str, bytes, str | None]] = [
    ("further fields", line({**chat_end("Hi"), "new": {"deep": [1]}}), "Hi"),
    ("a field twice", b'{"message":{"content":"no"},"message":{"content":"Hi"},"done":true}\n', "Hi"),
    ("no message", b'{"done":true}\n', ""),
    ("null", b'{"message":null,"done":true}\n', ""),
    ("content is a number", b'{"message":{"content":5},"done":true}\n', None),
    ("message is a list", b'{"message":[],"done":true}\n', None),
    ("done is text", b'{"message":{"content":"Hi"},"done":"yes"}\n', None),
    ("NaN", b'{"message":{"content":"Hi"},"done":true,"eval_count":NaN}\n', None),
    ("a list", b"[]\n", None),
    ("a number", b"5\n", None),
    ("no JSON", b"hello\n", None),
    ("100000 levels", deep(100_000) + b"\n", None),
]


@pytest.mark.fault(22, 39)
@pytest.mark.parametrize(("body", "text"), [case[1:] for case in ODD], ids=[case[0] for case in ODD])
@pytest.mark.parametrize("wire", ["stream", "plain"])
async def test_odd_json_is_an_answer_or_a_typed_error_that_quotes_it(server, connect, body, text, wire):
    server.on("/api/chat", [Send(head(length=len(body)) + body)])
    provider = connect(server, wire=wire)

    if text is not None:
        assert (await provider.generate("Hi")).output_text == text
        return
    with pytest.raises(OllamaBadResponseError) as raised:
        await provider.generate("Hi")
    assert raised.value.message.startswith("The answer holds a line that is not Ollama's (")
    assert len(raised.value.message) < 400


@pytest.mark.fault(22)
@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            b'{"message":{"content":5},"done":true}',
            "Expected `str | null`, got `int` - at `$.message.content`",
        ),
        (b'{"message":[],"done":true}', "Expected `object | null`, got `array` - at `$.message`"),
        (b'{"done":"yes"}', "Expected `bool`, got `str` - at `$.done`"),
        (b'{"message":{"content":"a\xff"},"done":"yes"}', "Expected `bool`, got `str` - at `$.done`"),
        (b'{"done":NaN}', "NaN is not JSON"),
        (deep(100_000), "nested too deeply"),
    ],
)
async def test_answer_of_a_wrong_shape_says_where_it_is_wrong(server, connect, body, said):
    server.on("/api/chat", [Send(head(length=len(body)) + body)])

    with pytest.raises(OllamaBadResponseError) as raised:
        await connect(server, wire="plain").generate("Hi")

    assert raised.value.message.startswith(f"The answer holds a line that is not Ollama's ({said}): '")


@pytest.mark.fault(41)
@pytest.mark.parametrize(
    "calls",
    [
        [{"function": {"name": "f", "arguments": [1]}}],
        [{"function": {"name": "f", "arguments": "{a"}}],
        [{"function": {"name": None}}],
        [{"function": {"arguments": {}}}],
        [{}],
        [5],
        {"function": {"name": "f"}},
        "f()",
    ],
    ids=repr,
)
@pytest.mark.parametrize("wire", ["stream", "plain"])
async def test_broken_tool_call_leaves_the_text_that_stands_beside_it(server, connect, calls, wire):
    message = {"role": "assistant", "content": "Let me see.", "tool_calls": calls}
    server.on("/api/chat", document({"message": message, "done": True}))

    with pytest.raises(OllamaBadResponseError, match=r"^A tool call of the model is broken \(") as raised:
        await connect(server, wire=wire).generate("Hi")

    assert raised.value.partial_text == "Let me see."


@pytest.mark.fault(30)
async def test_plain_answer_that_is_cut_is_interrupted_also_where_no_length_was_promised(server, connect):
    whole = line({"message": {"role": "assistant", "content": "Hello"}, "done": True}).rstrip()
    halves = [whole[:size] for size in range(1, len(whole))]
    server.on("/api/chat", *([Send(head() + half), Close()] for half in halves))
    provider = connect(server, wire="plain")

    for _ in halves:
        with pytest.raises(OllamaStreamInterruptedError, match=r"^The answer was cut off in the middle"):
            await provider.generate("Hi")


@pytest.mark.fault(23)
async def test_answer_shorter_than_announced_is_interrupted_and_its_connection_dropped(server, connect, ask):
    body = line(chat_line("Hel"))
    server.on("/api/chat", [Send(head(length=len(body) + 10) + body), Close()], ANSWER)
    provider = connect(server)

    asked = await ask(provider)

    assert type(asked.failure) is OllamaStreamInterruptedError
    assert asked.text == "Hel"
    assert (await ask(provider)).text == "Hello"
    assert server.connections_made == 2


@pytest.mark.fault(23)
async def test_bytes_beyond_the_announced_length_never_reach_the_next_answer(server, connect, ask):
    body = line(chat_end("first"))
    smuggled = head(length=0)[:-4] + b"\r\n\r\n" + line(chat_end("smuggled"))
    server.on("/api/chat", [Send(head(length=len(body)) + body + smuggled)], lines(chat_end("second")))
    provider = connect(server)

    first = await ask(provider)  # whether it is still believed is the parser's choice
    second = await ask(provider)

    assert (first.text, first.error) == ("first", None) or type(first.error) is OllamaBadResponseError
    assert second.text == "second"


@pytest.mark.fault(23)
async def test_length_and_chunks_at_once_is_no_http(server, connect, ask):
    body = line(chat_end("Hi"))
    server.on("/api/chat", [Send(head(chunked=True, length=len(body)) + chunk(body) + LAST_CHUNK)])

    asked = await ask(connect(server))

    assert asked.error is not None or asked.text == "Hi"
    assert asked.error is None or type(asked.error) is OllamaBadResponseError


@pytest.mark.fault(24)
@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "zstd"])
async def test_encoding_is_not_asked_for_and_not_unpacked(server, connect, ask, encoding):
    server.on(
        "/api/chat",
        [Send(head(headers={"Content-Encoding": encoding}, chunked=True) + chunk(b"\x1f\x8b" * 50)), stall()],
    )

    asked = await ask(connect(server))

    assert type(asked.failure) is OllamaBadResponseError
    assert asked.failure.message.startswith(
        f"The answer is encoded as '{encoding}', which was not asked for: "
    )
    assert server.requests[0].header("accept-encoding") == "identity"


@pytest.mark.fault(25)
async def test_huge_header_is_no_http(server, connect, ask):
    server.on("/api/chat", [Send(head(headers={"X-Long": "x" * 200_000}, length=0))])

    failure = (await ask(connect(server))).failure

    assert type(failure) is OllamaBadResponseError
    assert failure.message.startswith("The answer is not valid HTTP: ")
    assert len(failure.message) < 400


@pytest.mark.fault(25)
async def test_interim_answers_without_end_run_into_the_first_token_limit(server, connect, ask):
    flood: list[Step] = [Send(b"HTTP/1.1 100 Continue\r\n\r\n")] * 500
    server.on("/api/chat", [*flood, *ANSWER], [*flood, stall()])
    server.on("/api/ps", document({"models": []}))

    assert (await ask(connect(server))).text == "Hello"
    asked = await ask(connect(server, first_token_timeout=0.2))

    assert asked.failure.error_type == "first_token_timeout"


@pytest.mark.fault(25)
async def test_trailers_do_no_harm(server, connect, ask):
    body = chunk(line(chat_end("Hi")))
    server.on("/api/chat", [Send(head(chunked=True) + body + b"0\r\nX-Checksum: 1\r\n\r\n")])
    provider = connect(server)

    assert [(await ask(provider)).text for _ in range(2)] == ["Hi", "Hi"]


@pytest.mark.fault(18, 20, 61)
@pytest.mark.parametrize(
    ("error", "opens_after"),
    [
        (OllamaServerUnreachableError("no"), 1),
        (OllamaServerError("no", status=500), 3),
        (OllamaBadResponseError("no", status=500), 3),
        (OllamaStreamInterruptedError("no", error_type="stream_reset"), 3),
        (OllamaStreamInterruptedError("no"), None),
        (OllamaServerBusyError("no", status=503), None),
        (OllamaRequestError("no", status=400), None),
        (OllamaModelNotFoundError("no", status=404), None),
        (OllamaAuthError("no", status=401), None),
    ],
    ids=lambda value: f"{type(value).__name__}" if isinstance(value, Exception) else str(value),
)
def test_only_evidence_about_a_server_makes_it_avoided(error: OllamaError, opens_after: int | None) -> None:
    circuit = Circuit(clock=ManualClock())
    opened = None
    for count in range(1, 6):
        circuit.failed(error)
        if circuit.is_open and opened is None:
            opened = count

    assert opened == opens_after


@pytest.mark.fault(20, 58)
def test_refusal_of_a_server_that_was_avoided_shows_that_it_is_back() -> None:
    clock = ManualClock()
    circuit = Circuit(clock=clock)
    circuit.failed(OllamaServerUnreachableError("no"))
    clock.advance(6)
    circuit.trying()
    assert circuit.is_open, "others avoid it until the one request has ended"

    circuit.failed(OllamaRequestError("no", status=400))

    assert not circuit.is_open


@pytest.mark.fault(58)
def test_server_that_goes_on_failing_is_avoided_for_longer_and_longer_but_never_for_long_after_it_is_back():
    clock = ManualClock()
    circuit = Circuit(clock=clock)
    rests: list[float] = []
    for _ in range(12):
        circuit.trying()
        circuit.failed(OllamaServerUnreachableError("no"))
        assert circuit.open_until is not None
        rests.append(circuit.open_until - clock.now)
        clock.now = circuit.open_until

    assert 5.0 <= rests[0] <= 5.5
    assert all(later > earlier for earlier, later in itertools.pairwise(rests[:6]))
    assert max(rests) <= 330.0
    circuit.succeeded()
    circuit.failed(OllamaServerUnreachableError("no"))
    assert circuit.open_until is not None
    assert circuit.open_until - clock.now <= 5.5
