"""The one table of transport failures, complete, and checked on real sockets for every way a connection can fail."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx
import pytest

from namel3ss.providers.local.ollama import _errors as errors
from namel3ss.providers.local.ollama._http import OllamaHttp
from namel3ss.providers.transport.failure_kinds import Failure
from namel3ss.providers.transport.failures import classify
from namel3ss.providers.transport.library import HttpLibrary
from tests.support.ollama_lines import chat_line
from tests.support.scripted_server import (
    LAST_CHUNK,
    Close,
    Drip,
    Reset,
    ScriptedServer,
    Send,
    Step,
    black_hole_url,
    chunk,
    cut,
    document,
    head,
    line,
    lines,
    refusing_url,
    stall,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

LINES = [chat_line("a"), chat_line("b"), chat_line("c")]


def subclasses(root: type[BaseException]) -> set[type[BaseException]]:
    found = {root}
    for cls in root.__subclasses__():
        found |= subclasses(cls)
    return {cls for cls in found if cls.__module__.split(".")[0] in ("httpx", "aiohttp")}


def blank(cls: type[BaseException]) -> BaseException:
    """An instance without its arguments, which differ for each class."""
    error = cls.__new__(cls)
    error.args = ("something",)
    return error


@pytest.mark.parametrize(
    "cls",
    sorted(subclasses(httpx.HTTPError) | subclasses(aiohttp.ClientError), key=lambda cls: str(cls)),
)
@pytest.mark.parametrize("is_answering", [False, True])
def test_every_exception_of_both_libraries_becomes_an_ollama_error(
    cls: type[BaseException], is_answering: bool
) -> None:
    error = blank(cls)
    assert isinstance(error, Exception)
    if isinstance(error, aiohttp.ClientConnectorError):
        error._os_error = OSError(111, "refused")
    if isinstance(error, aiohttp.ClientResponseError):
        error.message = "bad status line"
    if isinstance(error, aiohttp.InvalidURL):
        error._url, error._description = "http:", None

    failed = HttpLibrary("http://h:1", {}, 5.0).failed_request(error, "tiny", is_answering=is_answering)
    assert failed is not None
    mapped = OllamaHttp("http://h:1").transport_error(failed)

    assert isinstance(mapped, errors.OllamaError)
    assert mapped.original_error is error
    assert "http://h:1" in str(mapped)


def test_programming_mistakes_are_not_mapped() -> None:
    for error in (ValueError("x"), KeyError("x"), RuntimeError("x"), httpx.StreamConsumed()):
        assert classify(error) is None


@pytest.mark.parametrize(
    ("cause", "failure"),
    [
        (blank(aiohttp.ClientConnectorError), Failure.REFUSED),
        (blank(aiohttp.ClientConnectorDNSError), Failure.UNKNOWN_HOST),
        (blank(aiohttp.ClientConnectorCertificateError), Failure.TLS),
        (aiohttp.ServerDisconnectedError(), Failure.DISCONNECTED),
        (aiohttp.ClientOSError(104, "reset"), Failure.DISCONNECTED),
        (aiohttp.ConnectionTimeoutError(), Failure.CONNECT_TIMEOUT),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_cause_beneath_decides_and_not_the_class_of_httpx(cause: BaseException, failure: Failure) -> None:
    error = httpx.ConnectTimeout("")
    error.__cause__ = cause

    assert classify(error) is failure


# -- real sockets ---------------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


async def outcome(
    url: str, *, first_s: float = 5.0, idle_s: float = 5.0, connect_s: float = 5.0, transport: Any = None
) -> tuple[list[str], errors.OllamaError | None]:
    """The contents that arrive as a stream, and the error that ends it."""
    http = OllamaHttp(url, connect_timeout_s=connect_s, transport=transport)
    contents: list[str] = []
    try:
        async with http.stream(
            "POST",
            "/api/chat",
            {"model": "tiny"},
            first_timeout_s=first_s,
            idle_timeout_s=idle_s,
            total_timeout_s=None,
        ) as batches:
            async for batch in batches:
                contents += [json.loads(one)["message"]["content"] for one in batch]
    except errors.OllamaError as error:
        return contents, error
    finally:
        await http.aclose()
    return contents, None


STREAM_FAULTS: list[tuple[str, list[Step], list[str], type[errors.OllamaError], str]] = [
    ("reset before headers", [Reset()], [], errors.OllamaServerUnreachableError, "stream_reset"),
    ("closed before headers", [Close()], [], errors.OllamaServerUnreachableError, "stream_reset"),
    (
        "closed within the headers",
        [Send(b"HTTP/1.1 200 OK\r\nContent-"), Close()],
        [],
        errors.OllamaServerUnreachableError,
        "stream_reset",
    ),
    ("silence", [stall()], [], errors.OllamaFirstTokenTimeoutError, "first_token_timeout"),
    (
        "silence after the headers",
        [Send(head(chunked=True)), stall()],
        [],
        errors.OllamaFirstTokenTimeoutError,
        "first_token_timeout",
    ),
    ("silence after two lines", [*lines(*LINES)[:3], stall()], ["a", "b"], errors.OllamaInterTokenTimeoutError, "idle_timeout"),
    (
        "single bytes for ever",
        [Send(head(chunked=True) + chunk(line(LINES[0]))), Drip(chunk(b" ") * 1000, 0.005)],
        ["a"],
        errors.OllamaInterTokenTimeoutError,
        "idle_timeout",
    ),
    ("reset after two lines", [*lines(*LINES)[:3], Reset()], ["a", "b"], errors.OllamaStreamInterruptedError, "stream_reset"),
    (
        "closed within a chunk",
        cut(lines(*LINES), len(head(chunked=True)) + 150),
        ["a"],
        errors.OllamaStreamInterruptedError,
        "stream_reset",
    ),
    (
        "body until close, cut within a line",
        [Send(head(headers={"Connection": "close"}) + line(LINES[0]) + line(LINES[1])[:40]), Close()],
        ["a"],
        errors.OllamaStreamInterruptedError,
        "stream_incomplete",
    ),
    (
        "too short for its length",
        [Send(head(length=4000) + line(LINES[0])), Close()],
        ["a"],
        errors.OllamaStreamInterruptedError,
        "stream_reset",
    ),
    (
        "broken chunk header",
        [Send(head(chunked=True)), Send(b"zz\r\n")],
        [],
        errors.OllamaBadResponseError,
        "invalid_response",
    ),
    ("no HTTP", [Send(b"HELLO THERE\r\n\r\n")], [], errors.OllamaBadResponseError, "invalid_response"),
    (
        "200 kB of one header",
        [Send(head(headers={"X-Long": "x" * 200_000}, length=0))],
        [],
        errors.OllamaBadResponseError,
        "invalid_response",
    ),
    (
        "line above the cap",
        [Send(head(chunked=True)), *[Send(chunk(b"x" * 1_000_000))] * 9, stall()],
        [],
        errors.OllamaBadResponseError,
        "invalid_response",
    ),
    (
        "a page of a proxy",
        [Send(head(headers={"Content-Type": "text/html"}, length=13) + b"<html>no</html>"[:13])],
        [],
        errors.OllamaBadResponseError,
        "invalid_response",
    ),
    (
        "gzip, cut short",
        [Send(head(headers={"Content-Encoding": "gzip"}, length=500) + b"\x1f\x8b\x08"), Close()],
        [],
        errors.OllamaBadResponseError,
        "invalid_response",
    ),
    (
        "a redirect",
        [Send(head(307, {"Location": "http://elsewhere.example/api/chat"}, length=0))],
        [],
        errors.OllamaBadResponseError,
        "invalid_response",
    ),
    (
        "503 that never ends",
        [Send(head(503, length=500) + b'{"error"'), Close()],
        [],
        errors.OllamaServerBusyError,
        "queue_full",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("script", "arrived", "cls", "error_type"),
    [pytest.param(*fault[1:], id=fault[0]) for fault in STREAM_FAULTS],
)
async def test_stream_fault_raises_one_error_after_the_lines_that_arrived(
    server: ScriptedServer,
    script: list[Step],
    arrived: list[str],
    cls: type[errors.OllamaError],
    error_type: str,
) -> None:
    server.on("/api/chat", script)
    limits = {"first_s": 0.15, "idle_s": 0.15} if "timeout" in error_type else {}

    contents, error = await outcome(server.url, **limits)

    assert (contents, type(error)) == (arrived, cls)
    assert error is not None
    assert error.error_type == error_type
    assert (error.model, error.base_url) == ("tiny", server.url)
    await server.connections_reached(0)


async def test_two_hundred_kilobytes_of_error_page_are_read_no_further_than_needed(
    server: ScriptedServer,
) -> None:
    endless: list[Step] = [
        Send(head(500, {"Content-Type": "text/html"}, chunked=True)),
        *[Send(chunk(b"x" * 60_000))] * 4,
        stall(),
    ]
    server.on("/api/chat", endless)

    _, error = await outcome(server.url)

    assert isinstance(error, errors.OllamaBadResponseError)
    assert "xxx" in error.message
    assert len(error.message) < 400
    server.requests[0].aborted.wait()


async def test_redirect_names_where_it_leads(server: ScriptedServer) -> None:
    server.on("/api/chat", [Send(head(301, {"Location": "https://elsewhere.example/"}, length=0))])

    _, error = await outcome(server.url)

    assert error is not None
    assert "https://elsewhere.example/" in error.message
    assert len(server.requests) == 1


async def test_refused_connection_is_unreachable_at_once_and_says_how_to_start_the_server() -> None:
    loop = asyncio.get_running_loop()
    with refusing_url() as url:
        started_at = loop.time()
        _, error = await outcome(url)

    assert type(error) is errors.OllamaServerUnreachableError
    assert error.message.startswith(f"Could not reach Ollama server at {url}")
    assert "ollama serve" in str(error)
    assert error.error_type == "connect_refused"
    assert loop.time() - started_at < 2.0


async def test_swallowed_packets_are_a_connect_timeout_and_not_a_slow_answer() -> None:
    with black_hole_url() as url:
        _, error = await outcome(url, connect_s=0.2)

    assert type(error) is errors.OllamaConnectTimeoutError
    assert "0.2 s" in error.message


@pytest.mark.usefixtures("_threads_of_the_loop_end")
async def test_unknown_host_is_named() -> None:
    _, error = await outcome("http://nowhere.invalid:11434")

    assert type(error) is errors.OllamaServerUnreachableError
    assert error.error_type == "dns"
    assert "nowhere.invalid" in error.message


@pytest.mark.fault(9)
async def test_plain_server_behind_an_https_address_is_a_tls_failure(server: ScriptedServer) -> None:
    server.on_connect(Send(b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request"))

    _, error = await outcome(server.url.replace("http://", "https://"))

    assert type(error) is errors.OllamaServerUnreachableError
    assert error.error_type == "tls"
    assert "TLS failed (wrong version number)" in error.message  # OpenSSL's own number is no errno


async def test_given_transport_that_fails_by_itself_is_classified_by_its_own_exception() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("nobody there")

    _, error = await outcome("http://h:1", transport=httpx.MockTransport(refuse))

    assert type(error) is errors.OllamaServerUnreachableError
    assert "nobody there" in error.message


async def test_error_is_the_same_for_a_plain_request(server: ScriptedServer) -> None:
    server.on("/reset", [Reset()]).on("/cut", cut(document({"a": "x" * 500}), 200)).on("/silence", [stall()])
    server.on("/bad", [Send(b"HELLO\r\n\r\n")])
    http = OllamaHttp(server.url)
    found = {}

    for path in ("/reset", "/cut", "/silence", "/bad"):
        with pytest.raises(errors.OllamaError) as raised:
            await http.request("GET", path, timeout_s=0.2)
        found[path] = type(raised.value)

    assert found == {
        "/reset": errors.OllamaServerUnreachableError,
        "/cut": errors.OllamaStreamInterruptedError,
        "/silence": errors.OllamaRequestTimeoutError,
        "/bad": errors.OllamaBadResponseError,
    }
    await http.aclose()


async def test_complete_stream_without_any_trouble_ends_quietly(server: ScriptedServer) -> None:
    server.on(
        "/api/chat", [Send(head(chunked=True)), *(Send(chunk(line(one))) for one in LINES), Send(LAST_CHUNK)]
    )

    assert await outcome(server.url) == (["a", "b", "c"], None)
