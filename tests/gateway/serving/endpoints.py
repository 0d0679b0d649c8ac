"""An endpoint with a small application, on an event loop and thread of its own as `namel3ss serve` has them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import TYPE_CHECKING

import uvloop

from namel3ss.declarations.gateway_values import Listener
from namel3ss.gateway.serving.limits import ConnectionLimits
from namel3ss.gateway.serving.listening import Endpoint, bind
from tests.support.scripted_server import Signal

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, MutableMapping
    from typing import Any

    from namel3ss.gateway.exchange import Receive, Send
    from namel3ss.gateway.serving.listening import Application as Served

PATIENCE_S = 10.0


class Application:
    """Answers with what it was told; `/hold` first waits until `released`, `/endless` fills the client's buffers.

    `/pieces` gives an answer whose length it does not say.
    """

    def __init__(self) -> None:
        self.calls: list[MutableMapping[str, Any]] = []
        self.bodies: list[bytes] = []
        self.called = Signal()
        self.released = Signal()
        self.left = Signal()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        self.calls.append(scope)
        self.called.set()
        if scope["path"] == "/early":
            await self._answer(send, b"early")
            return
        body = await self._body(receive)
        if body is None:
            self.left.set()
            return
        self.bodies.append(body)
        if scope["path"] == "/hold" and not await self._held(receive):
            return
        if scope["path"] == "/endless":
            await self._fill(send, receive)
            return
        if scope["path"] == "/pieces":
            await self._answer_in_pieces(send)
            return
        await self._answer(send, b"%d bytes" % len(body))

    async def _body(self, receive: Receive) -> bytes | None:
        body = b""
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return None
            piece: bytes = message["body"]
            body += piece
            if not message["more_body"]:
                return body

    async def _held(self, receive: Receive) -> bool:
        """Whether it was released; False where the client left before."""
        departure = asyncio.ensure_future(receive())
        release = asyncio.ensure_future(self.released.reached())
        await asyncio.wait((departure, release), return_when=asyncio.FIRST_COMPLETED)
        is_gone = departure.done()
        for waiter in (departure, release):
            waiter.cancel()
        await asyncio.wait((departure, release))
        if is_gone:
            self.left.set()
        return not is_gone

    async def _fill(self, send: Send, receive: Receive) -> None:
        departure = asyncio.ensure_future(receive())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not departure.done():
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            await asyncio.sleep(0)
        self.left.set()

    async def _answer_in_pieces(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for piece in (b"one ", b"two", b""):
            await send({"type": "http.response.body", "body": piece, "more_body": bool(piece)})

    async def _answer(self, send: Send, body: bytes) -> None:
        length = (b"content-length", str(len(body)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": body, "more_body": False})


class RunningEndpoint:
    """Made by `running_endpoint`. `endpoint` belongs to its own thread: reach it through `do`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.port = int(endpoint.url.rpartition(":")[2])
        self._loop = loop

    def stop_accepting(self) -> None:
        self._loop.call_soon_threadsafe(self.endpoint.stop_accepting)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self.endpoint.aclose(), self._loop).result(PATIENCE_S)

    def unsent_bytes(self) -> int:
        """What the endpoint has written and its clients have not taken yet, beyond the kernel's buffers."""
        connections = list(self.endpoint._state.connections)
        return sum(connection.transport.get_write_buffer_size() for connection in connections)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)

    def exchange(self, data: bytes) -> bytes:
        """Send these bytes and read to the end of the connection."""
        with self.connect() as connection:
            connection.sendall(data)
            return read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    """Everything until the connection ends, by whichever side and way."""
    pieces = []
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            pieces.append(piece)
    return b"".join(pieces)


def read_answer(connection: socket.socket) -> bytes:
    """One answer with a Content-Length, head and body."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        assert piece, data
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    )
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@contextlib.contextmanager
def running_endpoint(
    application: Served, limits: ConnectionLimits | None = None, tls: ssl.SSLContext | None = None
) -> Iterator[RunningEndpoint]:
    """Serve the application while inside."""
    bound = bind(Listener("127.0.0.1", 0), "listen")
    ready, ended = Signal(), Signal()
    found: list[RunningEndpoint] = []

    async def serve() -> None:
        endpoint = Endpoint(application, bound, limits or ConnectionLimits(), tls)
        await endpoint.start()
        found.append(RunningEndpoint(asyncio.get_running_loop(), endpoint))
        ready.set()
        while not ended.is_set():
            with contextlib.suppress(TimeoutError):
                await ended.reached()
        await endpoint.aclose()

    def run() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run, name="endpoint")
    thread.start()
    try:
        ready.wait()
        yield found[0]
    finally:
        ended.set()
        thread.join()
