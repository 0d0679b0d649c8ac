"""What goes to a server and what comes back from it beside the bytes: nothing that was not meant to."""

from __future__ import annotations

import pytest

from tests.gateway.forwarding.play import open_gateway
from tests.gateway.forwarding.sayings import DONE, PROMPT, stream, token
from tests.support.scripted_server import Request, ScriptedServer, Send, document, head

IDENTITY = [
    ("X-Forwarded-For", "203.0.113.9"),
    ("X-Real-IP", "203.0.113.9"),
    ("Forwarded", "for=203.0.113.9"),
    ("Cookie", "session=1"),
    ("Proxy-Authorization", "Basic eDp5"),
    ("Connection", "X-Secret"),
    ("X-Secret", "of one hop"),
    ("TE", "trailers"),
    ("User-Agent", "curl/8"),
    ("Accept-Encoding", "gzip"),
    ("X-Namel3ss-Server", "gpu2"),
    ("Traceparent", "00-1-1-01"),
]


def generated(server: ScriptedServer) -> list[Request]:
    return [request for request in server.requests if request.path == "/api/generate"]


@pytest.mark.security(19, 20)
async def test_server_gets_our_own_headers_and_none_of_the_callers() -> None:
    with ScriptedServer() as server:
        server.on("/api/generate", stream(token("a"), DONE))
        async with open_gateway(server) as gateway:
            assert (await gateway.ask("/api/generate", PROMPT, headers=IDENTITY)).status == 200

        [request] = generated(server)
        names = sorted(name.lower() for name, _ in request.headers)
        assert names == ["accept", "accept-encoding", "content-length", "content-type", "host", "user-agent"]
        assert request.header("host") == server.url.removeprefix("http://")
        assert request.header("accept-encoding") == "identity"
        assert (request.header("user-agent") or "").startswith("namel3ss/")


@pytest.mark.security(5)
@pytest.mark.parametrize("name", ["X-Namel3ss-Server", "X-Backend", "X-Url-Idx", "X-Ollama-Host"])
async def test_caller_cannot_choose_the_server_of_an_inference(name: str) -> None:
    with ScriptedServer() as one, ScriptedServer() as two:
        one.on("/api/generate", stream(token("a"), DONE))
        async with open_gateway(one) as gateway:
            for value in (two.url, "gpu2", "1"):
                body = {**PROMPT, "url_idx": 1, "base_url": two.url, "server": "gpu2"}
                assert (await gateway.ask("/api/generate", body, headers=[(name, value)])).status == 200

        assert (len(generated(one)), len(two.requests)) == (3, 0)


async def test_servers_own_key_goes_to_it_and_the_callers_does_not() -> None:
    with ScriptedServer() as server:
        server.on("/api/generate", stream(token("a"), DONE))
        async with open_gateway(
            server, server_settings="api_key: env.UPSTREAM", environ={"UPSTREAM": "canary-of-the-server"}
        ) as gateway:
            assert (await gateway.ask("/api/generate", PROMPT)).status == 200

        assert generated(server)[0].header("authorization") == "Bearer canary-of-the-server"


@pytest.mark.security(23)
async def test_answers_headers_are_made_anew() -> None:
    theirs = [
        ("Server", "ollama/1"),
        ("Set-Cookie", "a=1"),
        ("Access-Control-Allow-Origin", "*"),
        ("X-Powered-By", "go"),
        ("Content-Type", "application/x-ndjson"),
        ("Via", "1.1 proxy"),
    ]
    with ScriptedServer() as server:
        server.on("/api/generate", [Send(head(headers=theirs, chunked=True)), *stream(token("a"), DONE)[1:]])
        async with open_gateway(server) as gateway:
            answer = await gateway.ask("/api/generate", PROMPT)

        assert sorted(name for name, _ in answer.headers) == [
            "cache-control",
            "content-type",
            "date",
            "transfer-encoding",
            "x-accel-buffering",
            "x-queue-eta",
            "x-queue-position",
            "x-queue-wait",
            "x-request-id",
        ]


@pytest.mark.security(21)
@pytest.mark.fault(10)
@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_redirect_is_never_followed(status: int) -> None:
    with ScriptedServer() as server, ScriptedServer() as other:
        server.on("/api/generate", document({}, status, {"Location": f"{other.url}/api/generate"}))
        async with open_gateway(server) as gateway:
            answer = await gateway.ask("/api/generate", PROMPT)

            assert (answer.status, answer.reason) == (502, "bad_upstream")
            assert answer.header("location") is None
            assert other.requests == []


@pytest.mark.security(22)
@pytest.mark.parametrize("status", [400, 404, 500])
async def test_refusal_of_the_server_keeps_its_words_without_paths_addresses_and_keys(status: int) -> None:
    words = (
        'open /root/.ollama/models/blobs/sha256-1: no such file, Post "http://10.1.2.3:4711/completion": EOF,'
        " Bearer canary-of-the-server, goroutine 1 [running]:\nmain.go:1"
    )
    with ScriptedServer() as server:
        server.on("/api/generate", document({"error": words}, status))
        async with open_gateway(server) as gateway:
            answer = await gateway.ask("/api/generate", PROMPT)

            assert answer.status == status
            text = answer.json["error"]
            for canary in ("/root", "sha256", "10.1.2.3", "4711", "canary", "main.go"):
                assert canary not in text
            assert ": no such file, Post" in text
            assert await gateway.is_at_rest()


@pytest.mark.parametrize("status", [401, 403, 407])
async def test_server_that_refuses_the_gateway_is_not_the_callers_fault(status: int) -> None:
    with ScriptedServer() as server:
        server.on("/api/generate", document({"error": "unauthorized"}, status))
        async with open_gateway(server) as gateway:
            answer = await gateway.ask("/api/generate", PROMPT)

            assert (answer.status, answer.reason) == (502, "bad_upstream")


@pytest.mark.fault(12, 17)
async def test_page_of_a_proxy_is_not_passed_on() -> None:
    page = document(b"<html>nginx at 10.1.2.3</html>", 502, {"Content-Type": "text/html"})
    with ScriptedServer() as server:
        server.on("/v1/chat/completions", page)
        async with open_gateway(server) as gateway:
            body = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}]}
            answer = await gateway.ask("/v1/chat/completions", body)

            assert (answer.status, answer.reason) == (502, "bad_upstream")
            assert answer.json["error"]["type"] == "api_error"
            assert b"10.1.2.3" not in answer.body


@pytest.mark.fault(24)
async def test_encoding_that_was_not_asked_for_is_refused() -> None:
    packed = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    with ScriptedServer() as server:
        server.on("/api/generate", document(b"\x1f\x8b123", 200, packed))
        async with open_gateway(server) as gateway:
            answer = await gateway.ask("/api/generate", {**PROMPT, "stream": False})

            assert (answer.status, answer.reason) == (502, "bad_upstream")


@pytest.mark.security(19)
async def test_body_in_chunks_reaches_the_server_with_a_length() -> None:
    with ScriptedServer() as server:
        server.on("/api/generate", stream(token("a"), DONE))
        async with open_gateway(server) as gateway, gateway.wire() as wire:
            wire.send(
                b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer secret\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n"
                b'f\r\n{"model":"tiny"\r\nf\r\n,"prompt":"hi"}\r\n0\r\n\r\n'
            )
            answer = await wire.answer()

        assert answer is not None
        assert answer.status == 200
        [request] = generated(server)
        assert request.header("content-length") == "30"
        assert request.header("transfer-encoding") is None
        assert request.body == b'{"model":"tiny","prompt":"hi"}'
