from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from urllib.parse import urlsplit

import pytest

from namel3ss.errors import UsageError
from namel3ss.sandbox import SandboxOptions, SandboxServer
from tests.sandbox.client import ask, wait_until

_ENDLESS = b'{"model":"tiny-endless","prompt":"hi","options":{"num_predict":-1}}'


def _open_stream(server: SandboxServer) -> socket.socket:
    address = urlsplit(server.url)
    connection = socket.create_connection((address.hostname, address.port), timeout=10)
    head = f"POST /api/generate HTTP/1.1\r\nHost: x.localhost\r\nContent-Length: {len(_ENDLESS)}\r\n\r\n"
    connection.sendall(head.encode() + _ENDLESS)
    assert connection.recv(20).startswith(b"HTTP/1.1 200 OK")
    return connection


def test_a_free_port_is_taken_and_the_address_is_known() -> None:
    with SandboxServer() as first, SandboxServer() as second:
        assert first.port != second.port
        assert ask(first, "GET", "/api/version") == (200, {"version": "0.24.0"})
        assert ask(second, "GET", "/") == (200, "Ollama is running")


def test_the_address_of_an_ipv6_host_has_brackets() -> None:
    try:
        with SandboxServer(SandboxOptions(host="::1")) as server:
            assert server.url == f"http://[::1]:{server.port}"
            assert ask(server, "GET", "/api/version")[0] == 200
    except UsageError as error:
        pytest.skip(f"this machine has no IPv6 loopback: {error}")


def test_a_port_in_use_is_a_usage_error() -> None:
    with (
        SandboxServer() as server,
        pytest.raises(UsageError, match=f"cannot listen on 127.0.0.1:{server.port}"),
    ):
        SandboxServer(SandboxOptions(port=server.port)).start()


def test_an_unknown_host_is_a_usage_error() -> None:
    options = SandboxOptions(host="nowhere.invalid", allow_remote=True)
    with pytest.raises(UsageError, match=r"cannot use the address nowhere\.invalid"):
        SandboxServer(options).start()


def test_before_the_start_there_is_no_address() -> None:
    server = SandboxServer()
    with pytest.raises(RuntimeError, match="not been started"):
        _ = server.url
    assert server.active_requests == 0


def test_stopping_may_be_repeated_and_a_stopped_server_is_not_started_again() -> None:
    server = SandboxServer()
    server.stop()
    server.start()
    server.stop()
    server.stop()
    with pytest.raises(RuntimeError, match="started already"):
        server.start()


def test_stopping_cuts_open_streams_and_leaves_no_thread() -> None:
    with SandboxServer(SandboxOptions(tokens_per_second=50)) as server:
        connections = [_open_stream(server) for _ in range(3)]
        assert server.active_requests == 3
    assert not [thread for thread in threading.enumerate() if thread.name == "namel3ss-sandbox"]
    for connection in connections:
        with connection:
            wait_until(lambda reader=connection: _is_closed(reader), "the connection is closed")  # type: ignore[misc]


def test_stopping_does_not_wait_for_a_client_that_does_not_read() -> None:
    with SandboxServer() as server:
        connection = _open_stream(server)
        # The answer is endless, and nobody takes it: the server must not wait to get rid of it.
    connection.close()


def _is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(65536) == b""
    except ConnectionResetError:
        return True


def test_stopping_while_a_body_is_being_sent_and_with_idle_connections() -> None:
    with SandboxServer() as server:
        address = urlsplit(server.url)
        half = socket.create_connection((address.hostname, address.port))
        half.sendall(b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
        begun = socket.create_connection((address.hostname, address.port))
        begun.sendall(b"GET /api/ver")
        idle = socket.create_connection((address.hostname, address.port))
        wait_until(lambda: server.active_requests == 1, "the half request is seen")
    for connection in (half, begun, idle):
        connection.close()


def test_signal_handlers_are_left_alone() -> None:
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    with SandboxServer():
        assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before


def test_importing_the_sandbox_imports_no_server() -> None:
    program = (
        "import sys, namel3ss.sandbox\n"
        "namel3ss.sandbox.SandboxServer(namel3ss.sandbox.SandboxOptions())\n"
        "print(sorted({'uvicorn', 'h11', 'httpx', 'asyncio', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_serve_tells_its_address_and_ends_quietly_when_interrupted() -> None:
    program = (
        "from namel3ss.sandbox import serve\n"
        "serve(on_ready=lambda url: print(url, flush=True))\n"
        "print('over')"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("http://127.0.0.1:")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "over\n", "")
