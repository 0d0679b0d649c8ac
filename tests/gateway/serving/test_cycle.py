"""What becomes of an application's answer on the wire, also of one that is none."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from namel3ss.gateway.serving.limits import ConnectionLimits
from tests.gateway.serving.endpoints import read_all, read_answer, running_endpoint

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from typing import Any

    from namel3ss.gateway.exchange import Receive, Send

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
SHORT = ConnectionLimits(idle_s=0.2)

Message = dict[str, object]


class Says:
    """An application that sends these messages, and then raises `error`, if there is one."""

    def __init__(self, *messages: Message, error: Exception | None = None) -> None:
        self._messages = messages
        self._error = error

    async def __call__(self, _scope: MutableMapping[str, Any], _receive: Receive, send: Send) -> None:
        for message in self._messages:
            await send(message)
        if self._error is not None:
            raise self._error


def start(*headers: tuple[bytes, bytes], status: int = 200) -> Message:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(data: bytes, *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


def length(size: int) -> tuple[bytes, bytes]:
    return (b"content-length", str(size).encode())


@pytest.mark.parametrize(
    "application",
    [
        Says(error=ValueError("broken")),
        Says(),
        Says(start((b"x-name", b"a\r\nx-other: b")), body(b"")),
        Says(start((b"x-name\r\nx-other", b"b")), body(b"")),
        Says(body(b"first")),
        Says(start(length(9))),
    ],
    ids=["raises", "says nothing", "a value of two lines", "a name of two lines", "no head", "a head alone"],
)
def test_what_is_no_answer_becomes_an_error_and_the_end_of_the_connection(
    application: Says, caplog: pytest.LogCaptureFixture
) -> None:
    with running_endpoint(application) as server:
        answer = server.exchange(GET)

    head, _, rest = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 500 ")
    assert b"connection: close" in head
    assert b"x-other" not in head
    assert rest == b"Internal Server Error"


@pytest.mark.parametrize(
    "messages",
    [
        (start(length(9)), body(b"1234", more=True)),
        (start(length(9)), body(b"1234", more=True), body(b"123456")),
        (start(length(9)), body(b"1234", more=True), body(b"")),
    ],
    ids=["ends", "too long", "too short"],
)
def test_an_answer_that_breaks_off_ends_with_its_connection(
    messages: tuple[Message, ...], caplog: pytest.LogCaptureFixture
) -> None:
    with running_endpoint(Says(*messages)) as server:
        answer = server.exchange(GET)

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"\r\n\r\n1234")


def test_a_head_alone_goes_out_with_an_empty_piece() -> None:
    class Waits(Says):
        async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
            await super().__call__(scope, receive, send)
            await receive()
            while (await receive())["type"] != "http.disconnect":
                pass

    with running_endpoint(Waits(start(), body(b"", more=True))) as server, server.connect() as connection:
        connection.sendall(GET)

        assert connection.recv(65536).endswith(b"transfer-encoding: chunked\r\n\r\n")


@pytest.mark.parametrize(
    ("status", "request_line"), [(204, b"GET"), (304, b"GET"), (200, b"HEAD")], ids=["204", "304", "HEAD"]
)
def test_an_answer_without_a_body_leaves_its_connection_for_the_next(
    status: int, request_line: bytes
) -> None:
    request = GET.replace(b"GET", request_line)
    with running_endpoint(Says(start(status=status), body(b""))) as server, server.connect() as connection:
        for _ in range(2):
            connection.sendall(request)
            answer = connection.recv(65536)

            assert answer.startswith(b"HTTP/1.1 %d " % status)
            assert answer.endswith(b"\r\n\r\n")
            assert b"chunked" not in answer


def test_a_connection_that_is_idle_for_too_long_is_closed_and_a_used_one_is_not() -> None:
    with (
        running_endpoint(Says(start(length(2)), body(b"ok")), SHORT) as server,
        server.connect() as idle,
        server.connect() as used,
    ):
        for connection in (idle, used):
            connection.sendall(GET)
            assert read_answer(connection).endswith(b"ok")
        until = time.monotonic() + 5
        idle.settimeout(0.02)
        while time.monotonic() < until:
            used.sendall(GET)
            assert read_answer(used).endswith(b"ok")
            try:
                assert idle.recv(1) == b""
            except TimeoutError:
                continue
            break
        else:
            pytest.fail("the idle connection was not closed")
        assert read_all(used) == b""
