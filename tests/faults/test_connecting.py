"""Rows 1 to 14: getting a connection to a server, or to the next one."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import subprocess
import sys
import threading
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from namel3ss.providers.local.ollama import (
    OllamaBadResponseError,
    OllamaConnectTimeoutError,
    OllamaServerUnreachableError,
)
from tests.faults.asking import Asked
from tests.support.closing_server import server_that_closes_on_demand
from tests.support.ollama_lines import chat_answer
from tests.support.scripted_server import (
    Close,
    Gate,
    Reset,
    ScriptedServer,
    Send,
    black_hole_url,
    bytes_of,
    cut,
    document,
    head,
    lines,
    refusing_url,
    stall,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ANSWER = lines(*chat_answer("Hel", "lo"))


@pytest.fixture
async def _resolver_threads_end() -> AsyncIterator[None]:
    yield
    await asyncio.get_running_loop().shutdown_default_executor()


@pytest.mark.fault(1)
async def test_refused_connection_fails_at_once_and_says_how_to_start_the_server(connect, ask):
    loop = asyncio.get_running_loop()
    with refusing_url() as url:
        started_at = loop.time()
        asked = await ask(connect(url, max_retries=5))

    assert type(asked.failure) is OllamaServerUnreachableError
    assert loop.time() - started_at < 2.0, "no retry can help"
    assert str(asked.failure) == (
        f"Could not reach Ollama server at {url}: connection refused.\n"
        "Model: tiny\n"
        f"Server: {url}\n\n"
        "Suggestion: Start it with: ollama serve\nOr check base_url and NAMEL3SS_OLLAMA_BASE_URL."
    )


@pytest.mark.fault(1)
async def test_refused_connection_is_news_for_the_health_of_the_server(server, connect, ask):
    server.on("/api/version", document({"version": "0.24.0"})).on("/api/tags", document({"models": []}))
    provider = connect(server)
    assert (await provider.health_check())["server_health"]["status"] == "healthy"
    server.on("/api/chat", [Close()]).on("/api/version", document({"error": "gone"}, 500))

    await ask(provider)

    assert (await provider.health_check())["status"] == "unhealthy"


@pytest.mark.fault(4)
async def test_swallowed_packets_end_with_the_connect_timeout_and_the_next_server_is_asked(
    server, connect, ask
):
    server.on("/api/chat", ANSWER)
    with black_hole_url() as url:
        alone = await ask(connect(url, connect_timeout=0.1))
        both = await ask(connect(url, server, connect_timeout=0.1))

    assert type(alone.failure) is OllamaConnectTimeoutError
    assert alone.failure.message == f"Could not reach Ollama server at {url}: no connection within 0.1 s."
    assert (both.text, both.metadata["served_by"]) == ("Hello", server.url)


@pytest.mark.fault(5)
@pytest.mark.usefixtures("_resolver_threads_end")
async def test_unknown_host_is_named_tried_once_and_looked_up_again_by_the_next_call(
    server, connect, ask, monkeypatch
):
    looked_up: list[str] = []
    known = False
    resolve = socket.getaddrinfo

    def look_up(host: str, *arguments: Any, **options: Any) -> Any:
        if host != "models.example":
            return resolve(host, *arguments, **options)
        looked_up.append(host)
        if not known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return resolve("127.0.0.1", *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    server.on("/api/chat", ANSWER)
    provider = connect(f"http://models.example:{server.port}", max_retries=5)

    failed = await ask(provider)
    count, known = len(looked_up), True
    answered = await ask(provider)

    assert failed.failure.message == (
        f"Could not reach Ollama server at http://models.example:{server.port}: its host name cannot be resolved."
    )
    assert (count, answered.text) == (1, "Hello")


@pytest.mark.fault(6)
@pytest.mark.usefixtures("_resolver_threads_end")
async def test_slow_resolver_counts_as_connecting_and_holds_nobody_up(server, connect, monkeypatch):
    asked, answer = threading.Event(), threading.Event()

    def look_up(*arguments: Any, **options: Any) -> Any:
        asked.set()
        answer.wait(10)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    server.on("/api/chat", ANSWER)
    slow = asyncio.create_task(Asked.of(connect("http://models.example:1", connect_timeout=0.3)))
    other = connect(server)
    await asyncio.to_thread(asked.wait, 5)

    assert (await other.generate("Hi")).output_text == "Hello"
    answer_came_late = type((await slow).failure)
    answer.set()

    assert answer_came_late is OllamaConnectTimeoutError


@pytest.mark.fault(7)
@pytest.mark.usefixtures("_resolver_threads_end")
async def test_localhost_reaches_a_server_that_listens_on_one_of_its_two_addresses(
    server, connect, ask, monkeypatch
):
    def look_up(host: str, port: int, *arguments: Any, **options: Any) -> Any:
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
        ]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    server.on("/api/chat", ANSWER)

    assert (await ask(connect(f"http://localhost:{server.port}"))).text == "Hello"


@pytest.mark.fault(7, 11)
@pytest.mark.skipif(not socket.has_ipv6, reason="this Python has no IPv6")
async def test_ipv6_address_in_brackets_is_reached_and_shown_with_them(connect, ask):
    try:
        server = ScriptedServer(host="::1").on("/api/chat", ANSWER)
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with server:
        asked = await ask(connect(server))

        assert (asked.text, asked.metadata["served_by"]) == ("Hello", f"http://[::1]:{server.port}")
        assert server.requests[0].header("host") == f"[::1]:{server.port}"
        await server.connections_reached(1)


@pytest.mark.fault(8)
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"])
async def test_proxy_of_the_environment_is_not_asked_for_a_local_server(
    server, connect, ask, monkeypatch, variable
):
    server.on("/api/chat", ANSWER)
    with refusing_url() as proxy:
        monkeypatch.setenv(variable, proxy)

        assert (await ask(connect(server))).text == "Hello"


@pytest.mark.fault(8)
async def test_proxy_of_the_environment_is_asked_for_a_server_in_the_internet(
    server, connect, ask, monkeypatch
):
    monkeypatch.setenv("HTTP_PROXY", server.url.replace("//", "//me:p%40ss@"))
    server.on("http://ollama.example.com:11434/api/chat", ANSWER)

    asked = await ask(connect("http://ollama.example.com:11434"))

    assert asked.text == "Hello"
    request = server.requests[0]
    assert request.header("host") == "ollama.example.com:11434"
    assert request.header("proxy-authorization") == "Basic " + b64encode(b"me:p@ss").decode()


@pytest.mark.fault(8)
async def test_proxy_that_opens_no_tunnel_is_told_from_the_server_and_sees_no_prompt(
    server, connect, ask, monkeypatch
):
    monkeypatch.setenv("HTTPS_PROXY", server.url.replace("//", "//me:p%40ss@"))
    server.on("ollama.example.com:443", [Send(head(403, length=0)), Close()])

    failure = (await ask(connect("https://ollama.example.com"))).failure

    assert type(failure) is OllamaServerUnreachableError
    assert "the proxy failed (" in failure.message
    assert "NO_PROXY" in (failure.suggestion or "")
    assert "p@ss" not in str(failure)
    request = server.requests[0]
    assert (request.method, request.path, request.body) == ("CONNECT", "ollama.example.com:443", b"")
    assert request.header("proxy-authorization") == "Basic " + b64encode(b"me:p@ss").decode()


@pytest.mark.fault(8)
async def test_proxy_that_speaks_no_http_or_refuses_is_named(connect, ask, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "socks5://127.0.0.1:1080")
    assert (
        "socks5://127.0.0.1:1080 is no HTTP proxy"
        in (await ask(connect("http://ollama.example.com"))).failure.message
    )

    with refusing_url() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy)
        message = (await ask(connect("http://ollama.example.com"))).failure.message

    assert message.startswith(
        "Could not reach Ollama server at http://ollama.example.com: the proxy failed ("
    )


@pytest.mark.security(46)
@pytest.mark.fault(9)
async def test_certificate_that_nobody_signed_is_a_tls_failure_and_nothing_is_sent(connect, ask):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with ScriptedServer(ANSWER, tls=context) as server:
        asked = await ask(connect(server, max_retries=3))

        assert type(asked.failure) is OllamaServerUnreachableError
        assert asked.failure.error_type == "tls"
        assert "TLS failed (" in asked.failure.message
        assert "certificate" in str(asked.failure)
        assert server.requests == []


@pytest.mark.fault(9)
async def test_silence_in_the_handshake_ends_with_the_connect_timeout(server, connect, ask):
    server.on_connect(stall())

    asked = await ask(connect(server.url.replace("http:", "https:"), connect_timeout=0.2))

    assert type(asked.failure) is OllamaConnectTimeoutError


@pytest.mark.security(21)
@pytest.mark.fault(10)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirect_is_not_followed_and_says_where_it_leads(server, connect, ask, status):
    server.on("/api/chat", [Send(head(status, {"Location": "http://elsewhere.example:1/x"}, length=0))])

    asked = await ask(connect(server, max_retries=3))

    assert type(asked.failure) is OllamaBadResponseError
    assert asked.failure.message == (
        f"The server answers with a redirect (HTTP {status}) to 'http://elsewhere.example:1/x'."
    )
    assert asked.failure.suggestion == "Redirects are not followed: use the final address as base_url."
    assert len(server.requests) == 1


@pytest.mark.fault(12)
async def test_page_of_another_service_is_no_answer_and_no_health(server, connect, ask):
    page = [Send(head(200, {"Content-Type": "text/html"}, length=18) + b"<html>Hello</html>")]
    server.on("/api/chat", page).on("/api/version", page)
    provider = connect(server)

    asked = await ask(provider)

    assert type(asked.failure) is OllamaBadResponseError
    assert asked.failure.message == "The answer is 'text/html', not JSON: '<html>Hello</html>'"
    assert asked.failure.suggestion is not None
    assert "Is this the address of an Ollama server?" in asked.failure.suggestion
    assert (await provider.health_check())["status"] == "unhealthy"


@pytest.mark.fault(13)
@pytest.mark.timeout(20)
def test_process_without_file_descriptors_says_so_and_works_again_later(server):
    server.on("/api/chat", ANSWER)
    program = f"""
import asyncio, json, os, resource
from namel3ss.providers.local.ollama import OllamaProvider, OllamaServerUnreachableError
import namel3ss.providers.transport.library

async def main():
    async with OllamaProvider("x", "tiny", {{"base_url": "{server.url}", "auto_pull_model": False}}) as provider:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        opened = []
        try:
            while True:
                opened.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            pass
        try:
            await provider.generate("Hi")
        except OllamaServerUnreachableError as error:
            failed = str(error)
        for descriptor in opened:
            os.close(descriptor)
        print(json.dumps([failed, (await provider.generate("Hi")).output_text]))

asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=15, check=False
    )

    assert done.stderr == ""
    failed, answered = json.loads(done.stdout)
    assert "too many open files" in failed
    assert "ulimit -n" in failed
    assert "ollama serve" not in failed
    assert answered == "Hello"


@pytest.mark.fault(14)
async def test_kept_connection_that_was_closed_meanwhile_is_not_used_again(connect, ask):
    with server_that_closes_on_demand(bytes_of(ANSWER)) as (url, close_the_connection):
        provider = connect(url, max_retries=0)
        assert (await ask(provider)).text == "Hello"
        close_the_connection()  # blocks, so that the event loop cannot have noticed

        assert (await ask(provider)).text == "Hello"


@pytest.mark.fault(14)
@pytest.mark.parametrize("end", [Close(), Reset()], ids=["closed", "reset"])
async def test_kept_connection_that_closes_on_a_request_is_final_because_the_server_may_have_begun(
    server, connect, ask, end
):
    server.on("/api/chat", ANSWER, [end], ANSWER)
    provider = connect(server, max_retries=5)
    await ask(provider)

    asked = await ask(provider)

    assert asked.failure.error_type == "stream_reset"
    assert [request.connection for request in server.requests] == [1, 1]


@pytest.mark.fault(14)
async def test_kept_connection_that_closes_after_a_byte_of_the_answer_is_not_replaced(server, connect, ask):
    server.on("/api/chat", ANSWER, [Send(b"HTTP/1.1 2"), Close()], ANSWER)
    provider = connect(server, max_retries=0)
    await ask(provider)

    asked = await ask(provider)

    assert asked.failure.error_type == "stream_reset"
    assert len(server.requests) == 2


@pytest.mark.fault(1, 58)
async def test_server_that_failed_is_passed_over_until_its_rest_is_over(connect, ask):
    now = 1000.0
    with ScriptedServer(ANSWER) as first, ScriptedServer(ANSWER) as second:
        first.on("/api/chat", [Close()], ANSWER)
        provider = connect(first, second, max_retries=1, clock=lambda: now)

        assert (await ask(provider)).failure.error_type == "stream_reset"
        served_by = [(await ask(provider)).metadata["served_by"] for _ in range(2)]
        now += 6.0
        served_by.append((await ask(provider)).metadata["served_by"])

        assert served_by == [second.url, second.url, first.url]
        assert (len(first.requests), len(second.requests)) == (2, 2)


@pytest.mark.fault(29, 58)
async def test_server_that_breaks_three_answers_in_a_row_is_passed_over(connect, ask):
    broken = cut(ANSWER, 300, Reset())
    with ScriptedServer(broken) as first, ScriptedServer(ANSWER) as second:
        first.on("/api/chat", broken, broken, ANSWER, broken)
        provider = connect(first, second)

        texts = [(await ask(provider)).text for _ in range(8)]

        assert (len(first.requests), len(second.requests)) == (6, 2), texts


@pytest.mark.fault(1)
async def test_when_no_server_can_be_reached_all_are_tried_and_named(connect, ask):
    with refusing_url() as one, refusing_url() as two:
        provider = connect(one, two)
        asked = await ask(provider)
        again = await ask(provider)  # both are to be left alone now, and asked all the same

    assert asked.failure.message == (
        f"Could not reach Ollama server at {two}: connection refused."
        f" No server could be reached; tried: {one}, {two}."
    )
    assert again.failure.message.count("connection refused") == 1


@pytest.mark.fault(1)
async def test_one_request_finds_out_whether_a_server_is_back_while_others_avoid_it(connect, ask):
    now = 1000.0
    gate = Gate()
    with ScriptedServer(ANSWER) as first, ScriptedServer(ANSWER) as second:
        first.on("/api/chat", [Close()], [gate, *ANSWER])
        provider = connect(first, second, max_retries=1, clock=lambda: now)
        await ask(provider)
        now += 6.0
        finding_out = asyncio.create_task(provider.generate("Hi"))
        await first.requests_reached(2)

        other = await provider.generate("Hi")
        gate.open()

        assert other.metadata["served_by"] == second.url
        assert (await finding_out).metadata["served_by"] == first.url
