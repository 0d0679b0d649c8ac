"""The clients: ``python load.py`` reads jobs as lines of JSON and prints what each one found.

A job names `port`, `path`, `key`, `model`, `do`, and how much of it. Raw connections that are opened beforehand and kept;
nothing is parsed but where an answer ends, so that the clients cost little of what is measured.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import random
import re
import sys
import time
from typing import Any, cast

import uvloop

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Connection(asyncio.Protocol):
    """One kept connection, one request at a time."""

    def __init__(self) -> None:
        self.first_at = 0.0
        self.status = 0
        self.body = b""
        self._head_done = False
        self._length: int | None = None
        self._parts: list[bytes] = []
        self._ended: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's own do not derive from it

    async def ask(self, request: bytes) -> None:
        self._ended = asyncio.get_running_loop().create_future()
        self._head_done, self._length, self._parts, self.first_at = False, None, [], 0.0
        self.transport.write(request)
        await self._ended

    def data_received(self, data: bytes) -> None:
        if not self._head_done:
            data = b"".join([*self._parts, data])
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._parts = [data]
                return
            self._head_done = True
            self.status = int(data[9:12])
            found = _LENGTH.search(data, 0, end)
            self._length = int(found[1]) if found else None
            data = data[end + 4 :]
            self._parts = []
        if data and not self.first_at:
            self.first_at = time.perf_counter()
        self._parts.append(data)
        if self._length is not None:
            if sum(map(len, self._parts)) >= self._length:
                self._end(b"".join(self._parts))
        elif b"".join(self._parts[-2:]).endswith(b"0\r\n\r\n"):
            self._end(b"".join(self._parts))

    def text(self) -> bytes:
        """The body without the borders of its chunks."""
        if self._length is not None:
            return self.body
        pieces, at = [], 0
        while (end := self.body.find(b"\r\n", at)) >= 0 and (size := int(self.body[at:end], 16)):
            pieces.append(self.body[end + 2 : end + 2 + size])
            at = end + 4 + size
        return b"".join(pieces)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_exception(ConnectionError("the connection was closed within an answer"))

    def _end(self, body: bytes) -> None:
        self.body = body
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)


def request(job: dict[str, Any], *, stream: bool) -> bytes:
    body = json.dumps(
        {"model": job["model"], "messages": [{"role": "user", "content": "Say it."}], "stream": stream}
    ).encode()
    return (
        f"POST {job['path']} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {job['key']}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


async def connect(job: dict[str, Any], count: int) -> list[Connection]:
    loop = asyncio.get_running_loop()
    return [(await loop.create_connection(Connection, "127.0.0.1", job["port"]))[1] for _ in range(count)]


async def plain(job: dict[str, Any]) -> dict[str, Any]:
    """`seconds` of whole answers over `connections`, each asking again as soon as it has its answer."""
    text, until = request(job, stream=False), time.perf_counter() + job["seconds"]
    latencies: list[float] = []
    wrong = 0

    async def ask_again(connection: Connection) -> None:
        nonlocal wrong
        while (started := time.perf_counter()) < until:
            await connection.ask(text)
            latencies.append(time.perf_counter() - started)
            wrong += connection.status != 200

    connections = await connect(job, job["connections"])
    began = time.perf_counter()
    await asyncio.gather(*map(ask_again, connections))
    took = time.perf_counter() - began
    return {"rate": len(latencies) / took, "wrong": wrong, **quantiles(latencies), **digest(connections)}


async def streams(job: dict[str, Any]) -> dict[str, Any]:
    """`connections` streams at a time, `times` one after another on each.

    The first of each begins somewhere in the first `spread_s` seconds, at the same moments in every run: callers do not all
    come at once, and if they did, the time to the first token would tell how long the last of them stood in line.
    """
    text = request(job, stream=True)
    first: list[float] = []
    wrong = 0
    chance = random.Random(64)

    async def read(connection: Connection) -> None:
        nonlocal wrong
        await asyncio.sleep(chance.uniform(0, job.get("spread_s", 0)))
        for _ in range(job["times"]):
            started = time.perf_counter()
            await connection.ask(text)
            first.append(connection.first_at - started)
            wrong += connection.status != 200

    connections = await connect(job, job["connections"])
    began = time.perf_counter()
    await asyncio.gather(*map(read, connections))
    took = time.perf_counter() - began
    lines = connections[0].text().count(b'"model"') * len(first)
    return {"rate": lines / took, "wrong": wrong, **quantiles(first), **digest(connections)}


async def waiting(job: dict[str, Any]) -> dict[str, Any]:
    """`connections` requests that all wait, until a line on the standard input; in which order they were then answered."""
    text = request(job, stream=False)
    order: list[int] = []
    wrong = 0

    async def ask(number: int, connection: Connection) -> None:
        nonlocal wrong
        await connection.ask(text)
        order.append(number)
        wrong += connection.status != 200

    connections = await connect(job, job["connections"])
    tasks = []
    for number, connection in enumerate(connections):
        tasks.append(asyncio.ensure_future(ask(number, connection)))
        if number % 50 == 49:
            await asyncio.sleep(0.005)  # in this order, as far as the gateway reads them
    await asyncio.sleep(0)
    print(json.dumps({"asked": len(tasks)}), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    began = time.perf_counter()
    await asyncio.gather(*tasks)
    took = time.perf_counter() - began
    inversions = sum(then > now for then, now in itertools.pairwise(order))
    return {"rate": len(order) / took, "wrong": wrong, "inversions": inversions, **digest(connections)}


async def get(job: dict[str, Any]) -> dict[str, Any]:
    """`times` times the path, one after another."""
    text = f"GET {job['path']} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    (connection,) = await connect(job, 1)
    latencies = []
    for _ in range(job["times"]):
        started = time.perf_counter()
        await connection.ask(text)
        latencies.append(time.perf_counter() - started)
    return {"status": connection.status, **quantiles(latencies), **digest([connection])}


def quantiles(times: list[float]) -> dict[str, float]:
    found = sorted(times)
    return {
        name: found[min(len(found) - 1, int(len(found) * share))] * 1000
        for name, share in (("p50_ms", 0.5), ("p95_ms", 0.95), ("p99_ms", 0.99), ("max_ms", 1.0))
    }


def digest(connections: list[Connection]) -> dict[str, str]:
    """A hash of what the answers said, however they were cut into chunks."""
    texts = {b"".join(re.findall(rb'"content":"[^"]*"', connection.text())) for connection in connections}
    for connection in connections:
        connection.transport.abort()
    return {"hash": " ".join(sorted(hashlib.sha256(text).hexdigest()[:12] for text in texts))}


async def main() -> None:
    loop = asyncio.get_running_loop()
    jobs = {"plain": plain, "streams": streams, "waiting": waiting, "get": get}
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        job = json.loads(line)
        print(json.dumps(await jobs[job["do"]](job)), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
