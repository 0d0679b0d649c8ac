"""A client that goes away ends the work that was done for it."""

from __future__ import annotations

import socket
import struct
from urllib.parse import urlsplit

import pytest

from namel3ss.sandbox import SandboxOptions, SandboxServer
from tests.sandbox.client import ask, wait_until

_STREAMS = {
    "/api/generate": b'{"model":"tiny-endless","prompt":"hi","options":{"num_predict":-1}}',
    "/api/chat": b'{"model":"tiny-endless","messages":[{"role":"user","content":"hi"}]}',
    "/v1/chat/completions": b'{"model":"tiny-endless","messages":[{"role":"user","content":"hi"}],"stream":true}',
    "/v1/messages": b'{"model":"tiny-endless","max_tokens":99999,"messages":[{"role":"user","content":"hi"}],"stream":true}',
}
_PLAIN = b'{"model":"tiny-endless","prompt":"hi","stream":false}'


def _send(server: SandboxServer, path: str, body: bytes) -> socket.socket:
    address = urlsplit(server.url)
    connection = socket.create_connection((address.hostname, address.port), timeout=10)
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)
    return connection


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def _stops_producing(server: SandboxServer) -> None:
    wait_until(lambda: server.active_requests == 0, "the request is given up")
    written = server.tokens_written
    assert ask(server, "GET", "/api/version")[0] == 200
    assert server.tokens_written == written


@pytest.mark.parametrize("path", list(_STREAMS))
@pytest.mark.parametrize("leave", [socket.socket.close, _reset], ids=["closed", "reset"])
def test_leaving_a_stream_stops_the_generation(path: str, leave: object) -> None:
    with SandboxServer(SandboxOptions(tokens_per_second=400)) as server:
        connection = _send(server, path, _STREAMS[path])
        assert connection.recv(20).startswith(b"HTTP/1.1 200 OK")
        assert server.active_requests == 1
        assert callable(leave)
        leave(connection)
        _stops_producing(server)


def test_leaving_a_stream_without_pace_stops_it_too() -> None:
    with SandboxServer() as server:
        connection = _send(server, "/api/generate", _STREAMS["/api/generate"])
        connection.recv(1)
        _reset(connection)
        _stops_producing(server)


def test_leaving_before_a_plain_answer_stops_it() -> None:
    with SandboxServer(SandboxOptions(tokens_per_second=50)) as server:
        connection = _send(server, "/api/generate", _PLAIN)
        wait_until(lambda: server.tokens_written > 2, "the answer is under way")
        connection.close()
        _stops_producing(server)


def test_leaving_while_the_model_loads_gives_the_request_up() -> None:
    with SandboxServer(SandboxOptions(load_delay=60)) as server:
        connection = _send(server, "/api/generate", _PLAIN)
        wait_until(lambda: server.active_requests == 1, "the model loads")
        connection.close()
        _stops_producing(server)
        assert server.tokens_written == 0


def test_leaving_in_the_middle_of_a_body_is_no_trouble() -> None:
    with SandboxServer() as server:
        address = urlsplit(server.url)
        connection = socket.create_connection((address.hostname, address.port))
        connection.sendall(b'POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n{"mod')
        wait_until(lambda: server.active_requests == 1, "the body is being read")
        connection.close()
        _stops_producing(server)


def test_others_are_served_while_one_streams_without_end() -> None:
    with SandboxServer() as server, _send(server, "/api/generate", _STREAMS["/api/generate"]) as connection:
        connection.recv(1)
        for _ in range(5):
            assert ask(server, "GET", "/api/tags")[0] == 200
