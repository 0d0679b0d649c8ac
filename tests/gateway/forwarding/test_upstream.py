"""One server's connections: what is kept, what is dropped, and what each failure means."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import SecretStr

from namel3ss.gateway.plan import BackendPlan
from namel3ss.gateway.upstream import Upstream, UpstreamError
from namel3ss.providers.transport.failure_kinds import Failure
from tests.support.scripted_server import (
    Close,
    Reset,
    ScriptedServer,
    Send,
    Step,
    black_hole_url,
    chunk,
    document,
    head,
    refusing_url,
    stall,
)

JSON = b"application/json"


def upstream(url: str, **more: float) -> Upstream:
    return Upstream(BackendPlan(name="gpu1", base_url=url), **more)


async def test_connection_serves_the_next_request_once_its_answer_has_ended() -> None:
    with ScriptedServer(document({"a": 1})) as server:
        async with upstream(server.url) as one:
            for _ in range(3):
                answer = await one.send("POST", "/api/chat", b"{}", content_type=JSON)
                assert await answer.read(100) == b'{"a": 1}'
                answer.close()

        assert server.connections_made == 1


async def test_answer_that_is_left_early_loses_its_connection() -> None:
    with ScriptedServer() as server:
        server.on("/api/chat", [Send(head(chunked=True) + chunk(b"a")), stall()])
        async with upstream(server.url) as one:
            answer = await one.send("POST", "/api/chat", b"{}", content_type=JSON)
            assert await answer.read_piece() == b"a"
            answer.close()
            await server.requests[0].aborted.reached()


async def test_connection_that_the_server_closed_meanwhile_is_not_used() -> None:
    with ScriptedServer() as server:
        server.on("/api/chat", [*document({"a": 1}), Close()])
        async with upstream(server.url) as one:
            for _ in range(2):
                answer = await one.send("POST", "/api/chat", b"{}", content_type=JSON)
                await answer.read(100)
                answer.close()
                await server.connections_reached(0)
                # The server's loop tells of a lost connection just before it closes the socket.
                await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(asyncio.sleep(0), server._loop))

        assert server.connections_made == 2


@pytest.mark.fault(53)
async def test_large_body_arrives_whole_with_its_length() -> None:
    body = b'{"images":["' + b"a" * 3_000_000 + b'"]}'
    with ScriptedServer(document({})) as server:
        async with upstream(server.url) as one:
            answer = await one.send("POST", "/api/chat", body, content_type=JSON)
            answer.close()

        [request] = server.requests
        assert request.body == body
        assert request.header("content-length") == str(len(body))
        assert request.header("transfer-encoding") is None


async def test_path_goes_as_it_is() -> None:
    with ScriptedServer(document({})) as server:
        async with upstream(server.url) as one:
            answer = await one.send("GET", "/api/blobs/sha256%3Aab?x=%2F", None, content_type=None)
            answer.close()

        assert server.paths() == ["/api/blobs/sha256%3Aab?x=%2F"]


async def test_answer_above_the_limit_is_refused() -> None:
    with ScriptedServer(document(b"x" * 1000)) as server:
        async with upstream(server.url) as one:
            answer = await one.send("GET", "/", None, content_type=None)
            with pytest.raises(UpstreamError) as caught:
                await answer.read(999)
            answer.close()

        assert (caught.value.kind, caught.value.may_have_run) == (Failure.INVALID, True)


FAILURES: dict[str, tuple[list[Step], Failure]] = {
    "closed": ([Close()], Failure.DISCONNECTED),
    "reset": ([Reset()], Failure.DISCONNECTED),
    "garbage": ([Send(b"hello\r\n\r\n"), Close()], Failure.INVALID),
    "encoded": (document(b"1", 200, {"Content-Encoding": "br"}), Failure.INVALID),
    "huge headers": ([Send(head(headers={"X": "y" * 200_000}, length=0))], Failure.INVALID),
}


@pytest.mark.fault(15, 23, 24, 25)
@pytest.mark.parametrize("case", FAILURES)
async def test_failure_after_the_request_was_sent_may_have_run(case: str) -> None:
    script, kind = FAILURES[case]
    with ScriptedServer(script) as server:
        async with upstream(server.url) as one:
            with pytest.raises(UpstreamError) as caught:
                await one.send("POST", "/api/chat", b"{}", content_type=JSON)

    assert (caught.value.kind, caught.value.may_have_run) == (kind, True)


@pytest.mark.fault(1, 4)
async def test_failure_to_connect_has_not_run() -> None:
    with refusing_url() as refusing, black_hole_url() as hole:
        for url, kind in (
            (refusing, Failure.REFUSED),
            (hole, Failure.CONNECT_TIMEOUT),
        ):
            async with upstream(url, connect_timeout_s=0.3) as one:
                with pytest.raises(UpstreamError) as caught:
                    await one.send("POST", "/api/chat", b"{}", content_type=JSON)

            assert (caught.value.kind, caught.value.may_have_run) == (kind, False)


async def test_each_wait_for_more_may_be_limited() -> None:
    with ScriptedServer([Send(head(chunked=True)), stall()]) as server:
        async with upstream(server.url) as one:
            answer = await one.send("GET", "/", None, content_type=None, read_timeout_s=0.1)
            with pytest.raises(UpstreamError) as caught:
                await answer.read_piece()
            answer.close()

    assert caught.value.kind is Failure.TIMEOUT


@pytest.mark.fault(8)
@pytest.mark.security(21)
async def test_proxy_of_the_environment_never_sees_a_server_on_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with ScriptedServer(document({})) as server, ScriptedServer() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("http_proxy", proxy.url)
        async with upstream(server.url) as one:
            answer = await one.send("GET", "/api/tags", None, content_type=None)
            answer.close()

        assert (server.paths(), proxy.requests) == (["/api/tags"], [])


@pytest.mark.fault(8)
async def test_proxy_of_the_environment_stands_before_a_server_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with ScriptedServer(document({"a": 1})) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("http://", "http://me:word@"))
        async with upstream("http://ollama.example.com:11434") as one:
            answer = await one.send("GET", "/api/tags", None, content_type=None)
            assert await answer.read(100) == b'{"a": 1}'
            answer.close()

        [request] = proxy.requests
        assert request.path == "http://ollama.example.com:11434/api/tags"
        assert request.header("proxy-authorization") == "Basic bWU6d29yZA=="


@pytest.mark.security(25)
async def test_key_of_a_server_is_in_no_text() -> None:
    plan = BackendPlan(name="gpu1", base_url="http://127.0.0.1:1", api_key=SecretStr("canary"))
    async with Upstream(plan) as one:
        with pytest.raises(UpstreamError) as caught:
            await one.send("GET", "/", None, content_type=None)

    assert "canary" not in f"{one!r} {plan!r} {caught.value!r} {caught.value}"


async def test_closed_connections_say_so() -> None:
    one = upstream("http://127.0.0.1:1")
    async with one:
        with pytest.raises(RuntimeError, match="twice"):
            await one.__aenter__()
    with pytest.raises(RuntimeError, match="closed"):
        await one.send("GET", "/", None, content_type=None)
    assert repr(one) == "<Upstream gpu1 closed>"
