"""Ten minutes of everything at once: ``python -m tests.benchmarks.gateway.soak [--seconds 600]``.

Two servers that fail in every way that servers do, and clients that stream, ask for whole answers, leave in the middle, leave
while they wait, cancel by id and look at the queue; half-way one of the servers is killed and comes back. Prints what was
asked and how it ended, the gateway's memory over time, and what is left when the clients are gone: requests, connections,
file descriptors. Exits 1 where something is.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.gateway import contenders

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.benchmarks.gateway.contenders import Contender

HERE = Path(__file__).resolve().parent
CLIENTS = 40
SLOPE_KB_PER_MINUTE = 200.0

PROGRAM = """
ai model plain {{ provider: ollama  model: plain }}
ai model burst {{ provider: ollama  model: "burst-200" }}
ai model paced {{ provider: ollama  model: "paced-50-10" }}
ai model chaos {{ provider: ollama  model: chaos }}
server one {{ base_url: "http://127.0.0.1:{one}"  slots: 4  max_loaded_models: 8 }}
server two {{ base_url: "http://127.0.0.1:{two}"  slots: 4  max_loaded_models: 8 }}
gateway soak {{
    listen: "127.0.0.1:{port}"
    admin_listen: "127.0.0.1:{admin}"
    servers: [one, two]
    priorities: {{ all: 0 }}
    queue: {{ max_waiting: 60, max_waiting_per_user: 60, max_wait: 5s }}
    limits: {{ streams_per_user: 1000 }}
}}
"""


class Clients:
    """What they do, and how it ended, counted."""

    def __init__(self, gateway: Contender, until: float) -> None:
        self._gateway = gateway
        self._until = until
        self.ends: collections.Counter[str] = collections.Counter()

    async def live(self) -> None:
        deeds: tuple[Callable[[], Awaitable[str]], ...] = (
            self._whole,
            self._whole,
            self._stream,
            self._stream,
            self._events,
            self._leave_in_the_middle,
            self._leave_at_once,
            self._cancel_by_id,
            self._look,
        )
        while time.monotonic() < self._until:
            deed = random.choice(deeds)
            try:
                end = await asyncio.wait_for(deed(), 60)
            except TimeoutError:
                end = "HUNG for a minute"
            except (ConnectionError, asyncio.IncompleteReadError):
                end = "connection refused or lost"
            self.ends[f"{deed.__name__.strip('_').replace('_', ' ')}: {end}"] += 1

    async def _ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        leave_after_s: float | None = None,
        headers: str = "",
    ) -> tuple[int, bytes]:
        content = b"" if body is None else json.dumps(body).encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", self._gateway.port)
        try:
            writer.write(
                f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {self._gateway.key}\r\n{headers}"
                f"Connection: close\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n".encode()
                + content
            )
            await writer.drain()
            if leave_after_s is not None:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(), leave_after_s)
                return 0, b""
            answer = await reader.read()
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        head, _, rest = answer.partition(b"\r\n\r\n")
        if not head:
            raise ConnectionError
        return int(head[9:12]), rest

    def _chat(self, *, stream: bool) -> dict[str, object]:
        model = random.choice(("plain", "burst-200", "chaos", "chaos", "paced-50-10"))
        return {"model": model, "messages": [{"role": "user", "content": "Say it."}], "stream": stream}

    async def _whole(self) -> str:
        body = self._chat(stream=False)
        body["model"] = "plain"
        status, _ = await self._ask("POST", "/api/chat", body)
        return str(status)

    async def _stream(self) -> str:
        status, body = await self._ask("POST", "/api/chat", self._chat(stream=True))
        if status != 200:
            return str(status)
        if b'"error"' in body:
            return "200 and an error line"
        return "200 whole" if b'"done":true' in body else "200 and NOTHING AT THE END"

    async def _events(self) -> str:
        status, body = await self._ask("POST", "/v1/chat/completions", self._chat(stream=True))
        if status != 200:
            return str(status)
        if b'"error"' in body:
            return "200 and an error event"
        return "200 whole" if b"[DONE]" in body or b'"message"' in body else "200 and NOTHING AT THE END"

    async def _leave_in_the_middle(self) -> str:
        body = {**self._chat(stream=True), "model": "paced-50-10"}
        await self._ask("POST", "/api/chat", body, leave_after_s=random.uniform(0.05, 0.4))
        return "left"

    async def _leave_at_once(self) -> str:
        await self._ask("POST", "/api/chat", self._chat(stream=False), leave_after_s=random.uniform(0, 0.02))
        return "left"

    async def _cancel_by_id(self) -> str:
        name = f"soak-{random.getrandbits(64):x}"
        body = {**self._chat(stream=True), "model": "paced-50-10"}
        asked = asyncio.ensure_future(
            self._ask("POST", "/api/chat", body, headers=f"X-Request-Id: {name}\r\n")
        )
        await asyncio.sleep(random.uniform(0, 0.2))
        status, _ = await self._ask("DELETE", f"/requests/{name}")
        await asked
        return f"DELETE {status}"

    async def _look(self) -> str:
        path = random.choice(("/api/status", "/requests", "/api/tags", "/v1/models", "/health/ready"))
        status, _ = await self._ask("GET", path)
        return str(status)


def start_server(port: int = 0) -> tuple[subprocess.Popen[str], int]:
    process = subprocess.Popen(
        [sys.executable, str(HERE / "upstream.py"), str(port)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def end_all(servers: list[subprocess.Popen[str]]) -> None:
    for process in servers:
        process.kill()
        process.communicate()


def descriptors(gateway: Contender) -> int:
    return len(os.listdir(f"/proc/{gateway.processes[0].pid}/fd"))


async def watch(gateway: Contender, until: float, memory: list[tuple[float, int]]) -> None:
    while time.monotonic() < until:
        memory.append((time.monotonic(), gateway.memory_bytes()))
        await asyncio.sleep(1)


async def lose_a_server(seconds: float, servers: list[subprocess.Popen[str]], port: int) -> None:
    await asyncio.sleep(seconds / 2)
    servers[1].kill()
    servers[1].communicate()
    await asyncio.sleep(min(20.0, seconds / 10))
    servers[1], _ = start_server(port)


def slope_kb_per_minute(memory: list[tuple[float, int]]) -> float:
    """Of the last two thirds: what grows at the beginning has been made once."""
    later = memory[len(memory) // 3 :]
    slope, _ = statistics.linear_regression([at for at, _ in later], [size for _, size in later])
    return slope * 60 / 1000


async def soak(gateway: Contender, seconds: float, servers: list[subprocess.Popen[str]], port: int) -> bool:
    clients = Clients(gateway, time.monotonic() + 3)
    await asyncio.gather(*(clients.live() for _ in range(CLIENTS)))  # everything is made once
    await asyncio.sleep(12)
    before = descriptors(gateway)
    until = time.monotonic() + seconds
    clients = Clients(gateway, until)
    memory: list[tuple[float, int]] = []
    await asyncio.gather(
        lose_a_server(seconds, servers, port),
        watch(gateway, until, memory),
        *(clients.live() for _ in range(CLIENTS)),
    )
    await asyncio.sleep(12)  # slots drain for ten seconds at most
    _, answer = await clients._ask("GET", "/api/status")
    found = re.search(rb"\{.*\}", answer, re.DOTALL)
    stats = json.loads(found[0])["queue_stats"] if found else {}
    after = descriptors(gateway)
    slope = slope_kb_per_minute(memory)
    for end, count in sorted(clients.ends.items()):
        print(f"{count:>8,}  {end}")
    print(f"memory: {memory[0][1] / 1e6:.1f} MB, then {memory[-1][1] / 1e6:.1f} MB; {slope:+.0f} KB a minute")
    print(f"left in the queue: {stats}")
    print(f"file descriptors: {before} before, {after} after")
    wrong = [end for end in clients.ends if "HUNG" in end or "NOTHING" in end]
    return not wrong and after <= before + 8 and slope < SLOPE_KB_PER_MINUTE and not stats.get("queue_size")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=600.0)
    options = parser.parse_args(arguments)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        started = [start_server(), start_server()]
        servers = [process for process, _ in started]
        stack.callback(end_all, servers)
        gateway = contenders.serve(PROGRAM, folder / "soak", one=started[0][1], two=started[1][1])
        stack.callback(gateway.end)
        is_well = asyncio.run(soak(gateway, options.seconds, servers, started[1][1]))
    return 0 if is_well else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
