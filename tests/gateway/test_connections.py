"""Connections to a server: one request at a time, kept only when that is safe; answers that break the rules are refused."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

import pytest
import trustme
import uvloop

from namel3ss.gateway.connections import Connections
from namel3ss.gateway.plan import BackendPlan
from namel3ss.gateway.upstream_answer import UpstreamAnswer, UpstreamError
from namel3ss.providers.transport.failure_kinds import Failure
from tests.support.scripted_server import Close, Gate, Reset, ScriptedServer, Send, StopReading, chunk, head

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

PATH = "/api/chat"
WHOLE = [Send(head(200, length=4) + b"text")]


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


@pytest.fixture
async def connections(server: ScriptedServer) -> AsyncIterator[Connections]:
    made = Connections(BackendPlan(name="gpu1", base_url=server.url), connect_timeout_s=5.0)
    yield made
    await made.aclose()


async def ask(
    connections: Connections,
    body: bytes | AsyncIterator[bytes] | None = b"{}",
    *,
    method: str = "POST",
    timeout_s: float | None = 5.0,
) -> UpstreamAnswer:
    return await connections.send(
        method, PATH, body, content_type=b"application/json", read_timeout_s=timeout_s
    )


async def text(connections: Connections) -> bytes:
    answer = await ask(connections)
    try:
        return await answer.read(10_000_000)
    finally:
        answer.close()


async def failure(connections: Connections) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        await text(connections)
    return caught.value


# -- keeping --------------------------------------------------------------------------------------------------------


async def test_a_connection_serves_one_request_after_the_other(
    server: ScriptedServer, connections: Connections
) -> None:
    server.on(PATH, WHOLE)
    for _ in range(5):
        assert await text(connections) == b"text"
    assert len({request.connection for request in server.requests}) == 1


async def test_two_requests_at_a_time_have_two_connections(
    server: ScriptedServer, connections: Connections
) -> None:
    server.on(PATH, WHOLE)
    first, second = await asyncio.gather(ask(connections), ask(connections))
    assert [await first.read(10), await second.read(10)] == [b"text", b"text"]
    assert len({request.connection for request in server.requests}) == 2


async def test_a_connection_that_the_server_closed_meanwhile_gets_no_request(
    server: ScriptedServer, connections: Connections
) -> None:
    server.on(PATH, [*WHOLE, Close()], WHOLE)
    assert await text(connections) == b"text"
    await server.connections_reached(0)
    # The server's loop tells of a lost connection just before it closes the socket.
    await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(asyncio.sleep(0), server._loop))
    assert await text(connections) == b"text"
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "surplus",
    [b"more", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"],
    ids=["bytes", "a second answer"],
)
async def test_what_nobody_asked_for_ends_the_connection_and_never_answers_the_next_request(
    surplus: bytes, server: ScriptedServer, connections: Connections
) -> None:
    server.on(PATH, [Send(head(200, length=4) + b"text" + surplus)], WHOLE)
    assert await text(connections) == b"text"
    assert await text(connections) == b"text"
    assert len({request.connection for request in server.requests}) == 2


async def test_a_server_that_says_close_is_believed(server: ScriptedServer, connections: Connections) -> None:
    server.on(PATH, [Send(head(200, {"Connection": "close"}, length=4) + b"text")])
    await text(connections)
    await text(connections)
    assert len({request.connection for request in server.requests}) == 2


async def test_an_answer_that_is_closed_unfinished_loses_its_connection_at_once(
    server: ScriptedServer, connections: Connections
) -> None:
    server.on(PATH, [Send(head(200, chunked=True) + chunk(b"one")), Gate()])
    answer = await ask(connections)
    assert await answer.read_piece() == b"one"
    answer.close()
    await server.requests[0].aborted.reached()


async def test_a_caller_cancelled_while_the_server_is_silent_leaves_no_connection(
    server: ScriptedServer, connections: Connections
) -> None:
    silent = Gate()
    server.on(PATH, [silent])
    asking = asyncio.ensure_future(ask(connections))
    await silent.arrived.reached()
    asking.cancel()
    await asyncio.wait([asking])
    await server.requests[0].aborted.reached()


async def test_closing_breaks_off_what_is_being_read(
    server: ScriptedServer, connections: Connections
) -> None:
    server.on(PATH, [Send(head(200, chunked=True) + chunk(b"one")), Gate()])
    answer = await ask(connections)
    await answer.read_piece()
    reading = asyncio.ensure_future(answer.read_piece())
    await asyncio.sleep(0)
    await connections.aclose()
    with pytest.raises(UpstreamError, match="closed"):
        await reading
    with pytest.raises(RuntimeError):
        await ask(connections)


# -- answers --------------------------------------------------------------------------------------------------------

WELL = {
    "a length": (head(200, length=4) + b"text", False),
    "chunks": (head(200, chunked=True) + chunk(b"te") + chunk(b"xt") + b"0\r\n\r\n", False),
    "chunks with a trailer": (head(200, chunked=True) + chunk(b"text") + b"0\r\nX-T: 1\r\n\r\n", False),
    "chunks with extensions": (head(200, chunked=True) + b"4;a=b\r\ntext\r\n0\r\n\r\n", False),
    "the end of the connection": (head(200) + b"text", True),
    "HTTP 1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\ntext", False),
    "an announcement": (b"HTTP/1.1 100 Continue\r\n\r\n" + head(200, length=4) + b"text", False),
}


@pytest.mark.parametrize("case", WELL)
async def test_an_answer_is_read_whatever_its_framing(
    case: str, server: ScriptedServer, connections: Connections
) -> None:
    data, closes = WELL[case]
    server.on(PATH, [Send(data), *([Close()] if closes else [])])
    assert await text(connections) == b"text"


@pytest.mark.parametrize("case", [case for case, (_, closes) in WELL.items() if not closes])
async def test_an_answer_is_the_same_wherever_it_is_cut(
    case: str, server: ScriptedServer, connections: Connections
) -> None:
    data, _ = WELL[case]
    for cut in range(1, len(data)):
        gate = Gate()
        server.on(PATH, [Send(data[:cut]), gate, Send(data[cut:])])
        asking = asyncio.ensure_future(text(connections))
        await gate.arrived.reached()
        gate.open()
        assert await asking == b"text", cut


BROKEN = {
    "two lengths": head(200, {"Content-Length": "4"}, length=5) + b"text",
    "a length beside chunks": head(200, chunked=True, length=4) + chunk(b"text") + b"0\r\n\r\n",
    "a negative length": head(200, {"Content-Length": "-1"}),
    "a chunk that is no number": head(200, chunked=True) + b"zz\r\ntext\r\n0\r\n\r\n",
    "a chunk without its CR": head(200, chunked=True) + b"4\ntext\r\n0\r\n\r\n",
    "a chunk that is longer": head(200, chunked=True) + b"2\r\ntext\r\n0\r\n\r\n",
    "no HTTP": b"SSH-2.0-OpenSSH_9\r\n\r\n",
    "HTTP 2": b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "a folded header": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "a space before the colon": b"HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n",
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "another protocol": head(101, {"Upgrade": "x", "Connection": "upgrade"}),
    "too many headers": head(200, [(f"X-{number}", "v" * 1000) for number in range(40)], length=0),
    "announcements without end": b"HTTP/1.1 102 Processing\r\n\r\n" * 20,
    "a trailer without end": head(200, chunked=True) + b"0\r\n" + b"X: y\r\n" * 20_000,
    "another encoding": head(200, {"Content-Encoding": "gzip"}, length=4) + b"text",
}


@pytest.mark.parametrize("case", BROKEN)
async def test_an_answer_that_breaks_the_rules_is_refused_and_its_connection_dropped(
    case: str, server: ScriptedServer, connections: Connections
) -> None:
    server.on(PATH, [Send(BROKEN[case]), Gate()])
    failed = await failure(connections)
    assert failed.kind is Failure.INVALID
    assert failed.may_have_run
    await server.requests[0].aborted.reached()


@pytest.mark.parametrize("ending", [Close(), Reset()], ids=["closed", "reset"])
@pytest.mark.parametrize(
    "sent",
    [b"", b"HTTP/1.1 200", head(200, length=9) + b"text", head(200, chunked=True) + chunk(b"text")],
    ids=["nothing", "half a status", "half a body", "chunks without their end"],
)
async def test_an_answer_that_is_cut_is_an_error_that_says_whether_it_had_begun(
    sent: bytes, ending: Close | Reset, server: ScriptedServer, connections: Connections
) -> None:
    server.on(PATH, [Send(sent), ending])
    failed = await failure(connections)
    assert failed.kind is Failure.DISCONNECTED
    assert failed.may_have_run
    if b"\r\n\r\n" not in sent:
        assert not failed.is_answering


async def test_a_reset_is_no_proper_end_of_a_body_without_length(
    server: ScriptedServer, connections: Connections
) -> None:
    gate = Gate()
    server.on(PATH, [Send(head(200) + b"text"), gate, Reset()])
    answer = await ask(connections)
    assert await answer.read_piece() == b"text"
    gate.open()
    with pytest.raises(UpstreamError, match="reset"):
        await answer.read_piece()


async def test_the_answer_to_head_has_no_body_whatever_its_length_says(
    server: ScriptedServer, connections: Connections
) -> None:
    server.on(PATH, [Send(head(200, length=1000))])
    answer = await ask(connections, None, method="HEAD")
    assert answer.status == 200
    assert await answer.read(10) == b""
    answer.close()


async def test_silence_ends_after_the_limit_before_and_within_an_answer(
    server: ScriptedServer, connections: Connections
) -> None:
    server.on(PATH, [Gate()], [Send(head(200, chunked=True) + chunk(b"one")), Gate()])
    with pytest.raises(UpstreamError) as before:
        await ask(connections, timeout_s=0.05)
    answer = await ask(connections, timeout_s=0.05)
    assert await answer.read_piece() == b"one"
    with pytest.raises(UpstreamError) as within:
        await answer.read_piece()
    answer.close()
    assert (before.value.kind, within.value.kind) == (Failure.TIMEOUT, Failure.TIMEOUT)
    assert (before.value.is_answering, within.value.is_answering) == (False, True)


async def test_more_than_the_limit_of_a_whole_answer_is_an_error(
    server: ScriptedServer, connections: Connections
) -> None:
    server.on(PATH, WHOLE)
    answer = await ask(connections)
    with pytest.raises(UpstreamError, match="more than 3 bytes"):
        await answer.read(3)
    answer.close()


async def test_a_server_that_is_faster_than_its_reader_is_made_to_wait(
    server: ScriptedServer, connections: Connections
) -> None:
    size = 64 * 1024 * 1024
    server.on(PATH, [Send(head(200, length=size) + bytes(size))])
    answer = await ask(connections, timeout_s=None)
    found = 0
    largest = 0
    while piece := await answer.read_piece():
        found += len(piece)
        largest = max(largest, len(piece))
        await asyncio.sleep(0)
    answer.close()
    assert found == size
    assert largest < 2 * 1024 * 1024


# -- requests -------------------------------------------------------------------------------------------------------


async def test_a_request_says_what_it_must_and_nothing_else(
    server: ScriptedServer, connections: Connections
) -> None:
    server.on(PATH, WHOLE)
    await text(connections)
    request = server.requests[0]
    assert sorted(name.lower() for name, _ in request.headers) == [
        "accept",
        "accept-encoding",
        "content-length",
        "content-type",
        "host",
        "user-agent",
    ]
    assert request.header("host") == server.url.removeprefix("http://")
    assert request.header("accept-encoding") == "identity"


@pytest.mark.parametrize("path", ["", "api/chat", "/api chat", "/a\r\nX: y", "/ä", "http://other/"])
async def test_a_path_that_is_none_is_never_sent(path: str, connections: Connections) -> None:
    with pytest.raises(ValueError, match="path"):
        await connections.send("POST", path, b"", content_type=None, read_timeout_s=None)


async def test_a_header_of_two_lines_is_never_sent(connections: Connections) -> None:
    with pytest.raises(ValueError, match="line"):
        await connections.send("POST", PATH, b"", content_type=b"a\r\nX: y", read_timeout_s=None)


@pytest.mark.parametrize("in_pieces", [False, True])
async def test_a_large_body_arrives_whole(
    in_pieces: bool, server: ScriptedServer, connections: Connections
) -> None:
    body = bytes(range(256)) * 8192

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 50_000):
            yield body[start : start + 50_000]
        yield b""

    server.on(PATH, WHOLE)
    answer = await ask(connections, pieces() if in_pieces else body)
    assert await answer.read(10) == b"text"
    assert server.requests[0].body == body
    assert await text(connections) == b"text"
    assert server.requests[0].connection == server.requests[1].connection


async def test_a_body_whose_source_fails_ends_the_request_with_that_error(
    server: ScriptedServer, connections: Connections
) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"one"
        raise ConnectionError("the caller left")

    server.on(PATH, WHOLE)
    with pytest.raises(ConnectionError, match="the caller left"):
        await ask(connections, broken())


async def test_a_server_that_stops_reading_and_leaves_ends_the_request(
    server: ScriptedServer, connections: Connections
) -> None:
    stopped = StopReading()
    server.on(PATH, [stopped, Reset()])

    async def without_end() -> AsyncIterator[bytes]:
        while True:
            yield bytes(100_000)

    with pytest.raises((UpstreamError, TimeoutError)):
        async with asyncio.timeout(0.3):
            await ask(connections, without_end())
    stopped.open()


# -- connecting -----------------------------------------------------------------------------------------------------


def test_nobody_listening_is_told_apart_from_an_unknown_host() -> None:
    with ScriptedServer() as gone:
        url = gone.url

    async def fail(base_url: str) -> UpstreamError:
        nowhere = Connections(BackendPlan(name="gpu1", base_url=base_url), connect_timeout_s=5.0)
        try:
            return await failure(nowhere)
        finally:
            await nowhere.aclose()

    # In a loop of its own: names are resolved on a thread, which lives as long as the loop.
    for base_url, kind in ((url, Failure.REFUSED), ("http://nowhere.invalid:1", Failure.UNKNOWN_HOST)):
        failed = asyncio.run(fail(base_url))
        assert failed.kind is kind
        assert not failed.may_have_run


@pytest.mark.parametrize(
    "new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)
def test_a_caller_cancelled_on_any_turn_of_the_loop_while_connecting_holds_up_no_end(
    new_loop: Callable[[], asyncio.AbstractEventLoop], server: ScriptedServer
) -> None:
    server.on(PATH, [Gate()])

    async def give_up_after(turns: int) -> None:
        connections = Connections(BackendPlan(name="gpu1", base_url=server.url), connect_timeout_s=5.0)
        asking = asyncio.ensure_future(ask(connections))
        for _ in range(turns):
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait([asking])
        async with asyncio.timeout(5.0):
            await connections.aclose()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        for turns in range(40):
            runner.run(give_up_after(turns))


@pytest.mark.parametrize(
    "new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)
def test_a_caller_cancelled_at_the_moment_of_its_answer_leaves_the_connection_to_the_next(
    new_loop: Callable[[], asyncio.AbstractEventLoop], server: ScriptedServer
) -> None:
    gate = Gate()
    server.on(PATH, [gate, *WHOLE], WHOLE)

    async def take_over() -> bytes:
        connections = Connections(BackendPlan(name="gpu1", base_url=server.url), connect_timeout_s=5.0)
        asking = asyncio.ensure_future(ask(connections))
        await gate.arrived.reached()
        gate.open()
        while not connections._idle:  # noqa: ASYNC110 - whatever waits for an event runs too late
            await asyncio.sleep(0)
        asking.cancel()
        async with asyncio.timeout(5.0):
            answer = await ask(connections)
            text = await answer.read(100)
            await asyncio.wait([asking])
            await connections.aclose()
        return text

    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(take_over()) == b"text"
    assert server.connections_made == 1


async def test_a_certificate_of_nobody_we_know_is_refused() -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with ScriptedServer(tls=context) as server:
        strange = Connections(BackendPlan(name="gpu1", base_url=server.url), connect_timeout_s=5.0)
        failed = await failure(strange)
        await strange.aclose()
    assert failed.kind is Failure.TLS
    assert not failed.may_have_run
