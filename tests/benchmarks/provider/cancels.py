"""Thousands of cancellations, and what is left of them: ``python -m tests.benchmarks.provider.cancels``.

Calls are cancelled while they connect, wait for headers, are in the middle of a line, between two lines, pull, run in a
batch, or because their provider is closed. Prints how long the server took to see the end of each (it is a thread of
this process), and what stayed behind: connections, tasks and file descriptors, of which there must be none.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import os
import random
import sys
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from namel3ss.providers.local.ollama import OllamaError, OllamaProvider
from namel3ss.providers.transport.client import import_libraries
from tests.support.ollama_lines import chat_line
from tests.support.scripted_server import (
    ScriptedServer,
    Send,
    Step,
    black_hole_url,
    chunk,
    head,
    line,
    lines,
    stall,
)

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from tests.support.scripted_server import Request

LINE = line(chat_line("word"))
PLACES: dict[str, tuple[str, list[Step]]] = {
    "headers": ("/api/chat", [stall()]),
    "mid-line": ("/api/chat", [Send(head(chunked=True) + chunk(LINE + LINE[:30])), stall()]),
    "between lines": ("/api/chat", [Send(head(chunked=True) + chunk(LINE)), stall()]),
    "pull": ("/api/pull", [*lines({"status": "pulling manifest"})[:2], stall()]),
}
CONCURRENT = 32


@dataclass
class Report:
    """What was seen. `delays_s`: from each cancellation until the server saw its connection end."""

    cancelled: Counter[str] = field(default_factory=Counter)
    delays_s: list[float] = field(default_factory=list)
    left_behind: dict[str, int] = field(default_factory=dict)

    def delay_s(self, share: float) -> float:
        ordered = sorted(self.delays_s)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def provider(url: str, **config: Any) -> OllamaProvider:
    return OllamaProvider(
        "cancels", "tiny", {"base_url": url, "auto_pull_model": False, "max_retries": 0, **config}
    )


class Upstreams:
    """A server and a provider for each place at which a call is cancelled."""

    def __init__(self, stack: ExitStack) -> None:
        self.servers: dict[str, ScriptedServer] = {}
        self.providers: dict[str, OllamaProvider] = {}
        for place, (path, script) in PLACES.items():
            self.servers[place] = stack.enter_context(ScriptedServer().on(path, script))
            self.providers[place] = provider(self.servers[place].url)
        self.providers["connecting"] = provider(stack.enter_context(black_hole_url()), connect_timeout=60)

    def requests_of(self, place: str, word: str) -> list[Request]:
        """The requests that hold this word; the newest come last, so they are looked for from there."""
        recent = self.servers[place].requests[-8 * CONCURRENT :]
        return [request for request in recent if word.encode() in request.body]

    async def aclose(self) -> None:
        for known in self.providers.values():
            await known.aclose()


async def cancel_once(
    place: str, word: str, upstreams: Upstreams, report: Report, rng: random.Random
) -> None:
    """Begin a call, let it get where it is to be cancelled, cancel it, and wait until the server has seen that."""
    on = {"batch": "between lines", "close": "between lines"}.get(place, place)
    caller = upstreams.providers[on]
    if place == "close":
        caller = provider(upstreams.servers[on].url)
    call: Coroutine[Any, Any, object] = {
        "pull": lambda: caller.pull_model(f"{word}:latest"),
        "batch": lambda: caller.generate_batch([word] * 3),
    }.get(place, lambda: caller.generate(word))()
    task = asyncio.ensure_future(call)
    for _ in range(rng.randrange(30)):
        await asyncio.sleep(0)
    if rng.random() < 0.8:
        await asyncio.sleep(rng.random() * 0.02)
    at = time.monotonic()
    if place == "close":
        await caller.aclose()
    else:
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError, OllamaError, RuntimeError):
        await task
    report.cancelled[place] += 1
    if on == "connecting":
        return
    for request in upstreams.requests_of(on, word):
        report.delays_s.append(max(0.0, await request.aborted.reached() - at))


async def run(count: int, *, seed: int = 7) -> Report:
    """Cancel so many calls, and look what is left."""
    import_libraries()
    report = Report()
    with ExitStack() as stack:
        upstreams = Upstreams(stack)
        places = [*PLACES, "connecting", "batch", "close"]
        gc.collect()
        tasks, descriptors = len(asyncio.all_tasks()), open_descriptors()
        numbers = iter(range(count))

        async def work(rng: random.Random) -> None:
            for number in numbers:
                await cancel_once(rng.choice(places), f"w{number}w", upstreams, report, rng)

        async with asyncio.TaskGroup() as group:
            for worker in range(min(CONCURRENT, count)):
                group.create_task(work(random.Random(seed * 1000 + worker)))
        await upstreams.aclose()
        for server in upstreams.servers.values():
            with contextlib.suppress(TimeoutError):
                await server.connections_reached(0)
        gc.collect()
        report.left_behind = {
            "connections": sum(server.open_connections() for server in upstreams.servers.values()),
            "tasks": len(asyncio.all_tasks()) - tasks,
            "file descriptors": open_descriptors() - descriptors,
        }
    return report


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args(arguments)
    started_at = time.monotonic()
    report = asyncio.run(run(options.count, seed=options.seed))
    print(f"{sum(report.cancelled.values())} calls cancelled in {time.monotonic() - started_at:.0f} s:")
    for place, times in sorted(report.cancelled.items()):
        print(f"  {place}: {times}")
    print(
        f"until the server saw the end ({len(report.delays_s)} connections):"
        f" median {report.delay_s(0.5) * 1000:.1f} ms, p99 {report.delay_s(0.99) * 1000:.1f} ms,"
        f" longest {report.delay_s(1.0) * 1000:.1f} ms"
    )
    print("left behind: " + ", ".join(f"{number} {what}" for what, number in report.left_behind.items()))
    return 1 if any(report.left_behind.values()) else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
