"""What a client may do on a connection, and what ends it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import socket
import ssl
import struct
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import trustme

from namel3ss.gateway.serving.connection import Connection
from namel3ss.gateway.serving.limits import ConnectionLimits
from tests.gateway.serving.endpoints import Application, read_all, read_answer, running_endpoint
from tests.support.eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from namel3ss.gateway.exchange import Send
    from tests.gateway.serving.endpoints import RunningEndpoint

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
# Long enough to be no accident of a busy machine where they must not be reached, short where they are waited for.
SHORT = ConnectionLimits(head_s=0.2, body_pace_s=0.2, stuck_s=0.2, idle_s=30.0, linger_s=0.2)


def post(*headers: bytes, body: bytes = b"abc", path: bytes = b"/a", version: bytes = b"1.1") -> bytes:
    head = b"POST %b HTTP/%b\r\nHost: x\r\n" % (path, version)
    return head + b"".join(header + b"\r\n" for header in headers) + b"\r\n" + body


@pytest.fixture
def application() -> Application:
    return Application()


@pytest.fixture
def server(application: Application) -> Iterator[RunningEndpoint]:
    with running_endpoint(application) as running:
        yield running


@pytest.fixture
def strict_server(application: Application) -> Iterator[RunningEndpoint]:
    with running_endpoint(application, SHORT) as running:
        yield running


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def reason_of(answer: bytes) -> str:
    lines = answer.partition(b"\r\n\r\n")[0].lower().split(b"\r\n")
    return next(line.split(b": ")[1].decode() for line in lines if line.startswith(b"x-namel3ss-error"))


# -- framing --------------------------------------------------------------------------------------------------

MALFORMED = {
    "length and chunks": post(b"Content-Length: 3", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "two lengths": post(b"Content-Length: 3", b"Content-Length: 4", body=b"abcd"),
    "the same length twice": post(b"Content-Length: 3", b"Content-Length: 3"),
    "a negative length": post(b"Content-Length: -3"),
    "a length with a sign": post(b"Content-Length: +3"),
    "an unknown coding": post(b"Transfer-Encoding: xchunked", body=b"3\r\nabc\r\n0\r\n\r\n"),
    "chunks not last": post(b"Transfer-Encoding: chunked, identity", body=b"3\r\nabc\r\n0\r\n\r\n"),
    "chunks before HTTP/1.1": post(b"Transfer-Encoding: chunked", body=b"0\r\n\r\n", version=b"1.0"),
    "a chunk without a size": CHUNKED + b"zz\r\nabc\r\n0\r\n\r\n",
    "a chunk of a size beyond all numbers": CHUNKED + b"FFFFFFFFFFFFFFFFFF\r\nabc\r\n0\r\n\r\n",
    "a bare line feed": b"GET /a HTTP/1.1\r\nHost: x\nA: b\r\n\r\n",
    "only line feeds": b"GET /a HTTP/1.1\nHost: x\n\n",
    "a folded header": b"GET /a HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
    "a space before the colon": b"GET /a HTTP/1.1\r\nHost : x\r\n\r\n",
    "a null byte": b"GET /a HTTP/1.1\r\nHost: a\0b\r\n\r\n",
    "no version": b"GET /a\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a version that is none": b"GET /a HTTP/1.2\r\nHost: x\r\n\r\n",
    "a tunnel": b"CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n",
    "a fragment": b"GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n",
    "bytes beyond ASCII": "GET /é HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@pytest.mark.security(19)
@pytest.mark.fault(54)
@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_malformed_request_is_refused_and_its_connection_closed(data: bytes, server: RunningEndpoint) -> None:
    answer = server.exchange(data + GET)

    assert (status_of(answer), reason_of(answer)) == (400, "bad_framing")
    assert answer.count(b"content-length") == 1
    assert "error" in json.loads(answer.partition(b"\r\n\r\n")[2])


@pytest.mark.security(19)
def test_a_refused_connection_is_forgotten(server: RunningEndpoint, application: Application) -> None:
    for data in (*MALFORMED.values(), GET.replace(b"/a", b"/a#b"), GET[:-2] + b"A: b\r\n" * 200 + b"\r\n"):
        server.exchange(data)
    application.calls.clear()

    def known() -> list[Connection]:
        gc.collect()
        made = [each for each in gc.get_objects() if isinstance(each, Connection)]
        return [each for each in made if each._room is server.endpoint._room]

    eventually(lambda: not known())


def test_trailers_never_become_headers(server: RunningEndpoint, application: Application) -> None:
    with server.connect() as connection:
        connection.sendall(CHUNKED + b"3\r\nabc\r\n0\r\nAuthorization: Bearer stolen\r\n\r\n")
        read_answer(connection)

    assert [name for name, _ in application.calls[0]["headers"]] == [b"host", b"transfer-encoding"]
    assert application.bodies == [b"abc"]


@pytest.mark.fault(57)
def test_a_request_sent_before_the_answer_is_dropped_with_the_connection(
    server: RunningEndpoint, application: Application
) -> None:
    answer = server.exchange(GET + b"GET /b HTTP/1.1\r\nHost: x\r\n\r\n")

    assert (answer.count(b"HTTP/1.1 200"), b"connection: close" in answer) == (1, True)
    assert [call["path"] for call in application.calls] == ["/a"]


@pytest.mark.fault(50)
def test_departure_is_noticed_although_the_next_request_was_sent(
    server: RunningEndpoint, application: Application
) -> None:
    with server.connect() as connection:
        connection.sendall(post(b"Content-Length: 3", path=b"/hold") + GET)
        application.called.wait()

    application.left.wait()


@pytest.mark.fault(50)
@pytest.mark.parametrize("way", ["close", "half-close", "reset"])
def test_departure_in_the_middle_of_a_request_is_told_to_the_application(
    way: str, server: RunningEndpoint, application: Application
) -> None:
    with server.connect() as connection:
        connection.sendall(post(b"Content-Length: 3", path=b"/hold"))
        application.called.wait()
        if way == "half-close":
            connection.shutdown(socket.SHUT_WR)
            application.left.wait()
        elif way == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    application.left.wait()


UPGRADE = (b"Connection: Upgrade", b"Upgrade: h2c")


@pytest.mark.parametrize(
    "data",
    [
        post(*UPGRADE, b"Content-Length: 3"),
        post(*UPGRADE, b"Transfer-Encoding: chunked", body=b"3\r\nabc\r\n0\r\n\r\n"),
    ],
    ids=["length", "chunks"],
)
def test_an_offer_of_another_protocol_is_passed_over(
    data: bytes, server: RunningEndpoint, application: Application
) -> None:
    with server.connect() as connection:
        connection.sendall(data)
        assert b"3 bytes" in read_answer(connection)
        connection.sendall(GET)
        assert status_of(read_answer(connection)) == 200

    assert [call["path"] for call in application.calls] == ["/a", "/a"]


def test_an_offer_without_a_body_is_passed_over_and_nothing_after_it_is_read(
    server: RunningEndpoint, application: Application
) -> None:
    offer = b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

    answer = server.exchange(offer + GET)

    assert (answer.count(b"HTTP/1.1 200"), len(application.calls)) == (1, 1)


def test_a_connection_serves_one_request_after_the_other(server: RunningEndpoint) -> None:
    with server.connect() as connection:
        for _ in range(3):
            connection.sendall(post(b"Content-Length: 3"))
            assert b"3 bytes" in read_answer(connection)


def test_an_answer_without_a_length_has_chunks_for_those_who_know_them_alone(server: RunningEndpoint) -> None:
    old = server.exchange(b"GET /pieces HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n")
    new = server.exchange(b"GET /pieces HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    head, _, body = old.partition(b"\r\n\r\n")
    assert (b"transfer-encoding" in head, body) == (False, b"one two")
    assert new.endswith(b"\r\n\r\n4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n")


def test_an_answer_with_a_length_is_the_same_for_old_clients(server: RunningEndpoint) -> None:
    answers = [
        server.exchange(b"%b /a HTTP/1.0\r\nHost: x\r\n\r\n" % method).partition(b"\r\n\r\n")
        for method in (b"GET", b"HEAD")
    ]

    assert [body for _, _, body in answers] == [b"0 bytes", b""]
    assert all(b"content-length: 7" in head for head, _, _ in answers)


def test_answers_say_the_date_and_nothing_of_the_server(server: RunningEndpoint) -> None:
    with server.connect() as connection:
        connection.sendall(GET)
        head = read_answer(connection).lower()

    assert b"\r\ndate: " in head
    assert b"server:" not in head


# -- limits ---------------------------------------------------------------------------------------------------


@pytest.mark.security(27)
def test_as_many_headers_as_allowed_pass_and_one_more_does_not(server: RunningEndpoint) -> None:
    def with_headers(count: int) -> bytes:
        others = b"".join(b"a%d: b\r\n" % number for number in range(count - 2))
        return b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + others + b"\r\n"

    assert status_of(server.exchange(with_headers(100))) == 200
    answer = server.exchange(with_headers(101))
    assert (status_of(answer), reason_of(answer)) == (431, "headers_too_large")


@pytest.mark.security(27)
@pytest.mark.parametrize("ending", [b"\r\n\r\n", b""], ids=["complete", "without an end"])
def test_too_large_headers_are_refused(ending: bytes, server: RunningEndpoint) -> None:
    answer = server.exchange(b"GET /a HTTP/1.1\r\na: " + b"x" * 40_000 + ending)

    assert (status_of(answer), reason_of(answer)) == (431, "headers_too_large")


@pytest.mark.fault(52)
@pytest.mark.security(27)
def test_headers_that_do_not_come_are_given_up(
    strict_server: RunningEndpoint, application: Application
) -> None:
    answer = strict_server.exchange(b"GET /a HTTP/1.1\r\nHo")

    assert (status_of(answer), reason_of(answer)) == (408, "header_timeout")
    assert application.calls == []


@pytest.mark.fault(52)
def test_a_connection_that_says_nothing_is_closed(strict_server: RunningEndpoint) -> None:
    assert strict_server.exchange(b"") == b""


@pytest.mark.fault(52)
def test_a_body_that_does_not_come_is_given_up(
    strict_server: RunningEndpoint, application: Application
) -> None:
    answer = strict_server.exchange(post(b"Content-Length: 30"))

    assert (status_of(answer), reason_of(answer)) == (408, "body_timeout")
    application.left.wait()


def test_a_client_that_takes_nothing_of_its_answer_is_cut_off(
    strict_server: RunningEndpoint, application: Application
) -> None:
    with strict_server.connect() as connection:
        connection.sendall(post(b"Content-Length: 3", path=b"/endless"))

        application.left.wait()


class _FillsTheWay:
    """Sends until a little of its answer waits for the client, less than would hold it up, and ends there."""

    def __init__(self, *headers: tuple[bytes, bytes]) -> None:
        self._headers = list(headers)
        self.unsent: Callable[[], int] = lambda: 0

    async def __call__(self, _scope: object, _receive: object, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self._headers})
        while not self.unsent():
            await send({"type": "http.response.body", "body": b"x" * 8192, "more_body": True})
            await asyncio.sleep(0.0005)  # time for the system to take it
        await send({"type": "http.response.body", "body": b"", "more_body": False})


@pytest.mark.parametrize("ending", ["idle", "closed by the answer", "half-closed by the client"])
def test_a_client_that_leaves_the_last_bytes_of_its_answer_lying_is_cut_off(ending: str) -> None:
    headers = [(b"connection", b"close")] if ending == "closed by the answer" else []
    application = _FillsTheWay(*headers)
    with running_endpoint(application, replace(SHORT, idle_s=0.2)) as server, socket.socket() as connection:
        application.unsent = server.unsent_bytes
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", server.port))
        connection.sendall(GET)
        eventually(lambda: server.unsent_bytes() > 0)
        if ending.startswith("half"):
            connection.shutdown(socket.SHUT_WR)

        eventually(lambda: server.endpoint.connections == 0)


def test_an_answer_before_the_end_of_the_body_still_arrives_and_says_that_the_connection_ends(
    strict_server: RunningEndpoint,
) -> None:
    with strict_server.connect() as connection:
        connection.sendall(b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n")
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(b"x" * 4_000_000)
        answer = read_all(connection)

    head, _, body = answer.partition(b"\r\n\r\n")
    assert (b"\r\nconnection: close" in head, body) == (True, b"early")


# -- many connections -----------------------------------------------------------------------------------------


@pytest.mark.security(30)
def test_an_idle_connection_makes_place_for_a_new_one(application: Application) -> None:
    with (
        running_endpoint(application, ConnectionLimits(connections=2)) as server,
        contextlib.ExitStack() as open_,
    ):
        connections = [open_.enter_context(server.connect()) for _ in range(2)]
        for connection in connections:
            connection.sendall(GET)
            read_answer(connection)

        answer = server.exchange(b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

        assert status_of(answer) == 200
        assert connections[0].recv(1) == b""
        connections[1].sendall(GET)
        assert status_of(read_answer(connections[1])) == 200


@pytest.mark.security(27, 30)
def test_without_place_a_request_is_told_to_come_again(application: Application) -> None:
    with running_endpoint(application, ConnectionLimits(connections=1)) as server, server.connect() as first:
        first.sendall(post(b"Content-Length: 3", path=b"/hold"))
        application.called.wait()

        answer = server.exchange(GET)

        assert (status_of(answer), reason_of(answer)) == (503, "queue_full")
        assert b"retry-after: 1" in answer
        application.released.set()
        assert status_of(read_answer(first)) == 200
        first.close()
        eventually(lambda: server.endpoint.connections == 0)
        assert status_of(server.exchange(b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")) == 200


# -- the end --------------------------------------------------------------------------------------------------


def test_running_answers_are_finished_after_the_last_connection_was_accepted(
    server: RunningEndpoint, application: Application
) -> None:
    with server.connect() as idle, server.connect() as busy:
        idle.sendall(GET)
        read_answer(idle)
        busy.sendall(post(b"Content-Length: 3", path=b"/hold"))
        eventually(lambda: len(application.calls) == 2)

        server.stop_accepting()

        assert idle.recv(1) == b""
        with pytest.raises(ConnectionRefusedError):
            server.connect()
        application.released.set()
        answer = read_all(busy)
        assert (status_of(answer), b"connection: close" in answer) == (200, True)


def test_a_client_that_shakes_hands_after_the_address_was_closed_is_cut(application: Application) -> None:
    authority = trustme.CA()
    ours, theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(ours)
    authority.configure_trust(theirs)
    with running_endpoint(application, tls=ours) as server, server.connect() as late:
        # Accepted after it, so that it is known to be accepted as well.
        with server.connect() as plain, theirs.wrap_socket(plain, server_hostname="127.0.0.1"):
            server.close()
        with (
            contextlib.suppress(ssl.SSLError, ConnectionResetError),
            theirs.wrap_socket(late, server_hostname="127.0.0.1") as connection,
        ):
            connection.sendall(GET)
            assert connection.recv(1) == b""

    assert application.calls == []
