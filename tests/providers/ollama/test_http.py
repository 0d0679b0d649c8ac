"""Connections: reused, replaced, dropped, one pool for each event loop."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any, TypedDict

import httpx
import pytest

from namel3ss.errors import UsageError
from namel3ss.providers.local.ollama._errors import (
    OllamaConnectTimeoutError,
    OllamaRequestTimeoutError,
    OllamaServerUnreachableError,
)
from namel3ss.providers.local.ollama._http import OllamaHttp
from tests.support.closing_server import server_that_closes_on_demand
from tests.support.ollama_lines import chat_answer, chat_line
from tests.support.scripted_server import (
    Close,
    Gate,
    ScriptedServer,
    Send,
    black_hole_url,
    bytes_of,
    chunk,
    document,
    head,
    line,
    lines,
    stall,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION = document({"version": "0.24.0"})


class Limits(TypedDict):
    first_timeout_s: float | None
    idle_timeout_s: float | None
    total_timeout_s: float | None


LIMITS: Limits = {"first_timeout_s": 5.0, "idle_timeout_s": 5.0, "total_timeout_s": None}


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(VERSION) as running:
        yield running


async def read_all(http: OllamaHttp, path: str = "/api/chat") -> int:
    async with http.stream("POST", path, {"model": "tiny"}, **LIMITS) as batches:
        return sum([len(batch) async for batch in batches])


# -- what is sent ---------------------------------------------------------------------------------------------


async def test_request_carries_json_and_asks_for_no_encoding(server: ScriptedServer) -> None:
    http = OllamaHttp(server.url, headers={"X-Own": "1"})

    await http.request("POST", "/api/show", {"model": "tiny", "image": b"\xff\x00"}, timeout_s=5)

    request = server.requests[0]
    assert (request.method, request.path) == ("POST", "/api/show")
    assert request.json == {"model": "tiny", "image": "/wA="}
    assert request.header("accept-encoding") == "identity"
    assert request.header("content-type") == "application/json"
    assert request.header("host") == f"127.0.0.1:{server.port}"
    assert request.header("x-own") == "1"
    assert str(request.header("user-agent")).startswith("namel3ss/")
    await http.aclose()


async def test_path_of_the_address_is_kept(server: ScriptedServer) -> None:
    http = OllamaHttp(f"{server.url}/ollama/")

    await http.request("GET", "/api/version", timeout_s=5)

    assert server.paths() == ["/ollama/api/version"]
    await http.aclose()


@pytest.mark.parametrize("body", [{"x": "\ud83d"}, {"x": object()}, {5j: 1}])
async def test_body_that_json_cannot_say_is_a_usage_error_before_anything_is_sent(
    server: ScriptedServer, body: object
) -> None:
    http = OllamaHttp(server.url)

    with pytest.raises(UsageError):
        await http.request("POST", "/api/chat", body, timeout_s=5)

    assert server.connections_made == 0


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
async def test_proxy_of_the_environment_is_not_used_for_a_local_server(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "http://127.0.0.1:9")
    http = OllamaHttp(server.url)

    assert await http.request("GET", "/api/version", timeout_s=5) == b'{"version": "0.24.0"}'
    await http.aclose()


async def test_given_transport_is_used_and_not_closed() -> None:
    class Transport(httpx.AsyncBaseTransport):
        closed = False

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            return httpx.Response(200, json={"path": request.url.path})

        async def aclose(self) -> None:
            self.closed = True

    transport = Transport()
    http = OllamaHttp("http://h:1", transport=transport)

    assert await http.request("GET", "/api/version", timeout_s=5) == b'{"path":"/api/version"}'
    await http.aclose()
    assert not transport.closed


# -- connections ----------------------------------------------------------------------------------------------


async def test_connection_of_a_finished_answer_serves_the_next_request(server: ScriptedServer) -> None:
    server.on("/api/chat", lines(*chat_answer("a")))
    http = OllamaHttp(server.url)

    for _ in range(3):
        await read_all(http)
        await http.request("GET", "/api/version", timeout_s=5)

    assert server.connections_made == 1
    await http.aclose()
    await server.connections_reached(0)


async def test_stream_left_early_drops_its_connection_at_once(server: ScriptedServer) -> None:
    server.on("/api/chat", [*lines(chat_line("a"))[:2], stall()])
    http = OllamaHttp(server.url)

    async with http.stream("POST", "/api/chat", {}, **LIMITS) as batches:
        await anext(batches)

    await server.requests[0].aborted.reached()
    await server.connections_reached(0)
    await http.aclose()


async def test_stream_dropped_while_much_is_still_to_be_sent_does_not_wait_for_it(
    server: ScriptedServer,
) -> None:
    server.on_connect(Gate())  # the server accepts, and never reads
    http = OllamaHttp(server.url)
    large = {"model": "tiny", "images": [b"x" * 30_000_000]}

    task = asyncio.create_task(http.request("POST", "/api/chat", large, timeout_s=None))
    await server.connections_reached(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    await server.connections_reached(0)
    await http.aclose()


async def test_kept_connection_that_was_closed_meanwhile_is_not_used_again() -> None:
    with server_that_closes_on_demand(bytes_of(lines(*chat_answer("a")))) as (url, close_the_connection):
        http = OllamaHttp(url)
        assert await read_all(http) == 2
        close_the_connection()  # blocks, so that the event loop cannot have noticed

        assert await read_all(http) == 2
        await http.aclose()


async def test_fresh_connection_that_is_closed_is_not_tried_again(server: ScriptedServer) -> None:
    server.on("/api/chat", [Close()])
    http = OllamaHttp(server.url)

    with pytest.raises(OllamaServerUnreachableError):
        await read_all(http)

    assert len(server.requests) == 1
    await http.aclose()


async def test_kept_connection_that_breaks_after_a_byte_of_the_answer_is_not_tried_again(
    server: ScriptedServer,
) -> None:
    server.on("/api/chat", [Send(b"HTTP/1.1 200 OK\r\nContent-Type"), Close()])
    http = OllamaHttp(server.url)
    await http.request("GET", "/api/version", timeout_s=5)

    with pytest.raises(OllamaServerUnreachableError):
        await read_all(http)

    assert server.paths() == ["/api/version", "/api/chat"]
    await http.aclose()


async def test_requests_cancelled_while_they_connect_cost_no_place() -> None:
    with black_hole_url() as hole:
        http = OllamaHttp(hole, connect_timeout_s=0.2)
        for _ in range(5):
            tasks = [asyncio.create_task(http.request("GET", "/", timeout_s=None)) for _ in range(40)]
            await asyncio.sleep(0.001)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        with pytest.raises(OllamaConnectTimeoutError):
            await asyncio.wait_for(http.request("GET", "/", timeout_s=None), 2)
        await http.aclose()


async def test_as_many_requests_as_wanted_run_at_the_same_time(server: ScriptedServer) -> None:
    gate = Gate()
    server.on("/slow", [gate, *VERSION])
    http = OllamaHttp(server.url)

    tasks = [asyncio.create_task(http.request("GET", "/slow", timeout_s=10)) for _ in range(150)]
    await server.requests_reached(150)
    gate.open()
    await asyncio.gather(*tasks)

    await http.aclose()


async def test_cancelling_at_any_step_leaves_nothing_behind(server: ScriptedServer) -> None:
    server.on("/api/chat", lines(*chat_answer("a", "b")))
    http = OllamaHttp(server.url)
    await read_all(http)

    for steps in range(25):
        task = asyncio.create_task(read_all(http))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    assert await read_all(http) == 3
    await http.aclose()
    await server.connections_reached(0)


# -- time -----------------------------------------------------------------------------------------------------


async def test_plain_request_that_takes_too_long_says_how_long(server: ScriptedServer) -> None:
    server.on("/api/tags", [stall()])
    http = OllamaHttp(server.url)

    with pytest.raises(OllamaRequestTimeoutError, match=r"GET /api/tags took longer than 0\.05 s"):
        await http.request("GET", "/api/tags", timeout_s=0.05)

    await server.connections_reached(0)
    await http.aclose()


async def test_end_of_an_answer_that_does_not_come_is_not_waited_for_long(server: ScriptedServer) -> None:
    server.on("/api/chat", [Send(head(chunked=True)), Send(chunk(line(chat_line("a", done=True)))), stall()])
    http = OllamaHttp(server.url)

    async with asyncio.timeout(5):
        batches = http.stream("POST", "/api/chat", {}, **LIMITS)
        await batches.__aenter__()
        await anext(batches)
        await batches.finish()

    await server.connections_reached(0)
    await http.aclose()


# -- event loops and processes --------------------------------------------------------------------------------


def test_one_connection_object_works_in_several_event_loops_in_turn(server: ScriptedServer) -> None:
    http = OllamaHttp(server.url)

    async def ask() -> bytes:
        return await http.request("GET", "/api/version", timeout_s=5)

    answers = [asyncio.run(ask()) for _ in range(3)]

    assert answers == [b'{"version": "0.24.0"}'] * 3
    assert not http.holds_connections()


def test_loop_that_was_just_closed_is_forgotten_without_noise(server: ScriptedServer) -> None:
    code = f"""
import asyncio, warnings
from namel3ss.providers.local.ollama._http import OllamaHttp

http = OllamaHttp({server.url!r})
for _ in range(2):
    loop = asyncio.new_event_loop()
    print(loop.run_until_complete(http.request("GET", "/api/version", timeout_s=5)))
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
"""

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.count("0.24.0") == 2
    assert done.stderr == ""


def test_program_that_never_closes_ends_without_noise(server: ScriptedServer) -> None:
    code = f"""
import asyncio
from namel3ss.providers.local.ollama._http import OllamaHttp

async def main():
    asyncio.get_running_loop().slow_callback_duration = 60.0  # development mode tells of slow imports too
    await OllamaHttp({server.url!r}).request("GET", "/api/version", timeout_s=5)

asyncio.run(main())
"""

    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", code], capture_output=True, text=True, check=True
    )

    assert done.stderr == ""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_child_opens_connections_of_its_own_and_leaves_the_parents_alone(
    server: ScriptedServer,
) -> None:
    code = f"""
import asyncio, os, sys
from namel3ss.providers.local.ollama._http import OllamaHttp

http = OllamaHttp({server.url!r})

async def ask():
    return await http.request("GET", "/api/version", timeout_s=5)

async def main():
    await ask()
    child = os.fork()
    if child == 0:
        asyncio.events._set_running_loop(None)
        code = 0 if asyncio.new_event_loop().run_until_complete(ask()) else 1
        os._exit(code)
    status = os.waitpid(child, 0)[1]
    await ask()
    await http.aclose()
    return status

sys.exit(os.waitstatus_to_exitcode(asyncio.run(main())))
"""

    subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert server.connections_made == 2


async def test_closing_twice_is_fine_and_closed_connections_say_so(server: ScriptedServer) -> None:
    http = OllamaHttp(server.url)
    await http.request("GET", "/api/version", timeout_s=5)

    await http.aclose()
    await http.aclose()

    with pytest.raises(RuntimeError, match="is closed"):
        await http.request("GET", "/api/version", timeout_s=5)
    await server.connections_reached(0)


async def test_connections_of_a_forgotten_object_are_closed_on_their_own_loop(server: ScriptedServer) -> None:
    http: Any = OllamaHttp(server.url)
    await http.request("GET", "/api/version", timeout_s=5)

    del http
    gc.collect()

    await server.connections_reached(0)
