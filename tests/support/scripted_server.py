"""An upstream on a real socket that plays a script byte by byte, and remembers what its clients did.

    with ScriptedServer() as server:
        server.on("/api/chat", [Send(head(200, chunked=True)), Send(chunk(b"{...}\\n")), Reset()])
        ...                                   # call server.url, from a coroutine or not
        assert server.requests[0].json["model"] == "tiny"
        server.requests[0].aborted.wait()     # the client went away before the script had ended

A script is a list of steps. Each request takes the next script of its path; the last one is repeated. A script that
ends without `Close` or `Reset` leaves the connection open for the next request. The server runs in a thread of its
own, so a test may block.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, TypeAlias

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator
    from types import TracebackType

PATIENCE_S = 10.0

Headers: TypeAlias = Mapping[str, str] | Sequence[tuple[str, str]]


class Signal:
    """Something that happens once, awaited by threads (`wait`) and coroutines (`reached`) alike."""

    def __init__(self) -> None:
        self._future: concurrent.futures.Future[float] = concurrent.futures.Future()
        self._lock = threading.Lock()

    def set(self) -> None:
        with self._lock:
            if not self._future.done():
                self._future.set_result(time.monotonic())

    def is_set(self) -> bool:
        return self._future.done()

    def call_when_set(self, callback: Callable[[], object]) -> None:
        """Call back, on whatever thread sets this; at once if it has happened."""
        self._future.add_done_callback(lambda _: callback())

    def wait(self) -> float:
        """Block until it happened; the monotonic time at which it did."""
        return self._future.result(PATIENCE_S)

    async def reached(self) -> float:
        """The same for a coroutine."""
        async with asyncio.timeout(PATIENCE_S):
            return await asyncio.shield(asyncio.wrap_future(self._future))


# -- steps ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Send:
    """Write these bytes at once."""

    data: bytes


@dataclass(frozen=True)
class Drip:
    """Write byte by byte, with a pause after each: the pace is what is tested, nothing waits for it."""

    data: bytes
    pause_s: float


@dataclass(frozen=True)
class Gate:
    """Say nothing until the test calls `open()`. `arrived` tells the test that the script has come this far."""

    arrived: Signal = field(default_factory=Signal)
    opened: Signal = field(default_factory=Signal)

    def open(self) -> None:
        self.opened.set()


@dataclass(frozen=True)
class StopReading:
    """Read nothing more of this connection until the test calls `open()`: the client's writes fill up."""

    opened: Signal = field(default_factory=Signal)

    def open(self) -> None:
        self.opened.set()


@dataclass(frozen=True)
class Close:
    """End the connection properly (FIN)."""


@dataclass(frozen=True)
class Reset:
    """End the connection with RST."""


Step: TypeAlias = Send | Drip | Gate | StopReading | Close | Reset
Script: TypeAlias = Sequence[Step]


def stall() -> Gate:
    """A gate that nobody opens: silence until the client gives up."""
    return Gate()


def head(
    status: int = 200, headers: Headers = (), *, chunked: bool = False, length: int | None = None
) -> bytes:
    """The status line and headers. Content-Type is NDJSON unless the headers say otherwise."""
    pairs = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
    if not any(name.lower() == "content-type" for name, _ in pairs):
        pairs.append(("Content-Type", "application/x-ndjson"))
    if chunked:
        pairs.append(("Transfer-Encoding", "chunked"))
    if length is not None:
        pairs.append(("Content-Length", str(length)))
    lines = [f"HTTP/1.1 {status} Status", *(f"{name}: {value}" for name, value in pairs if value)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def chunk(data: bytes) -> bytes:
    """One HTTP chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"


def line(value: object) -> bytes:
    """A line of NDJSON: bytes as they are, anything else encoded."""
    return value if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False).encode() + b"\n"


def lines(*values: object, together: bool = False) -> list[Step]:
    """A streamed answer, each line its own chunk and write, as Ollama sends it; or all in one write."""
    chunks = [chunk(line(value)) for value in values]
    if together:
        return [Send(head(chunked=True) + b"".join(chunks) + LAST_CHUNK)]
    return [Send(head(chunked=True)), *(Send(piece) for piece in chunks), Send(LAST_CHUNK)]


def document(value: object, status: int = 200, headers: Headers = ()) -> list[Step]:
    """One JSON object, or bytes, with Content-Length."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    pairs = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
    if not any(name.lower() == "content-type" for name, _ in pairs):
        pairs.append(("Content-Type", "application/json; charset=utf-8"))
    return [Send(head(status, pairs, length=len(body)) + body)]


def bytes_of(script: Script) -> bytes:
    """Everything that a script writes."""
    return b"".join(step.data for step in script if isinstance(step, Send | Drip))


def cut(script: Script, after_bytes: int, end: Step | None = None) -> list[Step]:
    """A script that stops after so many bytes: with FIN, unless `end` says otherwise."""
    return [Send(bytes_of(script)[:after_bytes]), end or Close()]


# -- what was seen --------------------------------------------------------------------------------------------


@dataclass
class Request:
    """One request as it arrived. `aborted` happens when the client leaves before the script has ended."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes
    connection: int
    received_at: float
    aborted: Signal = field(default_factory=Signal)
    answered: Signal = field(default_factory=Signal)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        """The only value of a header; None where it is missing."""
        values = [value for known, value in self.headers if known.lower() == name.lower()]
        assert len(values) <= 1, f"{name} was sent {len(values)} times"
        return values[0] if values else None


class ScriptedServer:
    """Listens on a free loopback port while its context is open. `default` answers paths without a script.

    With `tls` it speaks https. A fixed `port` is for a server that comes back where one has ended.
    """

    def __init__(
        self,
        default: Script | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.requests: list[Request] = []
        self.connections_made = 0
        self._default: Script = default or document({"error": "no script for this path"}, 404)
        self._scripts: dict[str, list[Script]] = {}
        self._choose: Callable[[str], Script] | None = None
        self._on_connect: Step | None = None
        self._host = host
        self._tls = tls
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="scripted-server")
        self._connections: set[_Connection] = set()
        self._lock = threading.RLock()
        self._awaited: list[tuple[Callable[[], bool], Signal]] = []
        self._listener = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=512
        )
        self.port: int = self._listener.getsockname()[1]
        self._started = Signal()

    @property
    def url(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}"

    def on(self, path: str, *scripts: Script) -> Self:
        """Play these scripts for the next requests to `path`, one each; the last is repeated."""
        self._scripts[path] = list(scripts)
        return self

    def answer_with(self, choose: Callable[[str], Script]) -> Self:
        """Ask `choose` for the script of each request, by its path, on the server's thread."""
        self._choose = choose
        return self

    def on_connect(self, step: Step | None) -> Self:
        """Do this with every new connection before reading from it."""
        self._on_connect = step
        return self

    def paths(self) -> list[str]:
        """The paths asked for, in order."""
        return [request.path for request in self.requests]

    def wait_for_requests(self, count: int) -> list[Request]:
        """Block until so many requests have arrived."""
        self._when(lambda: len(self.requests) >= count).wait()
        return self.requests

    async def requests_reached(self, count: int) -> list[Request]:
        """The same for a coroutine."""
        await self._when(lambda: len(self.requests) >= count).reached()
        return self.requests

    def open_connections(self) -> int:
        """How many connections are open now."""
        return len(self._connections)

    def unsent_bytes(self) -> int:
        """What the server has written and its clients have not taken yet, beyond the kernel's buffers."""
        return sum(connection.transport.get_write_buffer_size() for connection in list(self._connections))

    async def connections_reached(self, count: int) -> None:
        """Wait until exactly so many connections are open."""
        await self._when(lambda: len(self._connections) == count).reached()

    def _when(self, condition: Callable[[], bool]) -> Signal:
        signal = Signal()
        with self._lock:
            self._awaited.append((condition, signal))
            self._look()
        return signal

    def _look(self) -> None:
        """Set the signals whose conditions hold now; called, with the lock held, whenever something changed."""
        for condition, signal in self._awaited:
            if condition():
                signal.set()
        self._awaited = [pair for pair in self._awaited if not pair[1].is_set()]

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    # -- on the server's thread -------------------------------------------------------------------------------

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            self._loop.create_server(lambda: _Connection(self), sock=self._listener, ssl=self._tls)
        )
        self._loop.call_soon(self._started.set)
        self._loop.run_forever()
        # Accept no more, but let a connection that was just accepted get its transport: a closed server would refuse it
        # one, and its socket would stay open.
        self._loop.remove_reader(self._listener)
        for _ in range(3):
            self._loop.run_until_complete(asyncio.sleep(0))
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        for connection in list(self._connections):
            connection.transport.abort()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    def _next_script(self, path: str) -> Script:
        if self._choose is not None:
            return self._choose(path)
        scripts = self._scripts.get(path)
        if not scripts:
            return self._default
        return scripts.pop(0) if len(scripts) > 1 else scripts[0]

    def _record(self, request: Request) -> None:
        with self._lock:
            self.requests.append(request)
            self._look()

    def _connection_made(self, connection: _Connection) -> None:
        with self._lock:
            self.connections_made += 1
            self._connections.add(connection)
            self._look()

    def _connection_lost(self, connection: _Connection) -> None:
        with self._lock:
            self._connections.discard(connection)
            self._look()


class _ClientLeftError(Exception):
    """The connection is gone."""


class _Connection(asyncio.Protocol):
    """One client's connection: reads requests, plays their scripts."""

    transport: asyncio.Transport

    def __init__(self, server: ScriptedServer) -> None:
        self._server = server
        self._received = bytearray()
        self._news = asyncio.Event()
        self._lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        # asyncio does it only where a socket says that it is TCP's, and each step would wait for the client's receipt.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._server._connection_made(self)
        self.number = self._server.connections_made
        self._task = asyncio.get_running_loop().create_task(self._serve())

    def data_received(self, data: bytes) -> None:
        self._received += data
        self._news.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost.set()
        self._news.set()
        self._server._connection_lost(self)

    async def _serve(self) -> None:
        with contextlib.suppress(_ClientLeftError):
            if self._server._on_connect is not None:
                await self._play(self._server._on_connect)
            while not self.transport.is_closing():
                request = await self._read_request()
                self._server._record(request)
                try:
                    for step in self._server._next_script(request.path):
                        await self._play(step)
                except _ClientLeftError:
                    request.aborted.set()
                    raise
                request.answered.set()

    async def _play(self, step: Step) -> None:
        if self._lost.is_set():
            raise _ClientLeftError
        match step:
            case Send(data):
                self.transport.write(data)
                await asyncio.sleep(0)  # each step is a write of its own
            case Drip(data, pause_s):
                for position in range(len(data)):
                    await self._play(Send(data[position : position + 1]))
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(pause_s):
                            await self._lost.wait()
            case Gate():
                step.arrived.set()
                await self._wait_unless_lost(step.opened)
            case StopReading():
                self.transport.pause_reading()
                step.opened.call_when_set(lambda: self._on_loop(self._read_again))
            case Close():
                self.transport.close()
            case Reset():
                connection = self.transport.get_extra_info("socket")
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.transport.abort()

    async def _wait_unless_lost(self, signal: Signal) -> None:
        signal.call_when_set(lambda: self._on_loop(self._news.set))
        while not signal.is_set():
            self._news.clear()
            if self._lost.is_set():
                raise _ClientLeftError
            if not signal.is_set():
                await self._news.wait()

    def _read_again(self) -> None:
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def _on_loop(self, callback: Callable[[], object]) -> None:
        with contextlib.suppress(RuntimeError):  # the server has ended before the test opened the gate
            self._server._loop.call_soon_threadsafe(callback)

    async def _read_request(self) -> Request:
        while b"\r\n\r\n" not in self._received:
            await self._more()
        raw_head, _, rest = bytes(self._received).partition(b"\r\n\r\n")
        first, *fields = raw_head.decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ", 2)
        headers = [(name, value.strip()) for name, _, value in (pair.partition(":") for pair in fields)]
        self._received = bytearray(rest)
        named = {name.lower(): value for name, value in headers}
        if named.get("transfer-encoding") == "chunked":
            body = await self._read_chunks()
        else:
            body = await self._read_bytes(int(named.get("content-length", 0)))
        return Request(method, path, headers, body, self.number, time.monotonic())

    async def _read_chunks(self) -> bytes:
        body = b""
        while True:
            while b"\r\n" not in self._received:
                await self._more()
            size = self._received.partition(b"\r\n")[0]
            piece = await self._read_bytes(len(size) + 2 + int(size, 16) + 2)
            if int(size, 16) == 0:
                return body
            body += piece[len(size) + 2 : -2]

    async def _read_bytes(self, length: int) -> bytes:
        while len(self._received) < length:
            await self._more()
        found = bytes(self._received[:length])
        del self._received[:length]
        return found

    async def _more(self) -> None:
        if self._lost.is_set():
            raise _ClientLeftError
        self._news.clear()
        await self._news.wait()
        if self._lost.is_set():
            raise _ClientLeftError


# -- addresses where nobody answers ---------------------------------------------------------------------------


@contextlib.contextmanager
def refusing_url() -> Iterator[str]:
    """An address that refuses connections: its port is taken, but nobody listens on it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@contextlib.contextmanager
def black_hole_url() -> Iterator[str]:
    """An address whose host swallows connection attempts: the queue of its listener is full."""
    with contextlib.ExitStack() as sockets:
        listener = sockets.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
