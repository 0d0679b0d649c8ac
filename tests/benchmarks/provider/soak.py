"""Many streams, random faults and random cancellations, for a long time: ``python -m tests.benchmarks.provider.soak``.

Three servers in a process of their own answer each request with a script chosen at random: whole answers, cuts, resets,
stalls, dripping bytes, error lines, pages of a proxy, refusals. One provider asks all three from 64 tasks, which leave
some answers early. Every 20 seconds all of them end, and what a leak would raise is counted at rest: the blocks that
Python has allocated, and the resident memory, which the allocator's own waste raises too for some minutes. Prints every
outcome, what stayed behind, and how both went over the second half. Exits 1 when something stayed behind or the blocks
rise; an exception that is no OllamaError ends the run.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import os
import random
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from namel3ss.providers.local.ollama import OllamaError, OllamaProvider
from namel3ss.providers.transport.client import import_libraries
from tests.support.ollama_lines import chat_answer, chat_line
from tests.support.scripted_server import (
    LAST_CHUNK,
    Close,
    Drip,
    Reset,
    Script,
    ScriptedServer,
    Send,
    chunk,
    cut,
    document,
    head,
    lines,
    stall,
)

STREAMS = 64
SERVERS = 3
MAX_SLOPE = 500  # blocks a minute; one block for each answer would be forty times that
ROUND_S = 20.0
REST_S = 0.5


# -- the servers ----------------------------------------------------------------------------------------------

WHOLE = lines(*chat_answer(*["some words"] * 20))
BEGUN = lines(*[chat_line("some words")] * 5)[:-1]


def a_script(rng: random.Random) -> Script:
    """Mostly a whole answer; otherwise a fault."""
    if rng.random() < 0.6:
        return WHOLE
    faults: list[Script] = [
        cut(WHOLE, rng.randrange(1, 3000)),
        cut(WHOLE, rng.randrange(1, 3000), Reset()),
        [Reset()],
        [Close()],
        [*BEGUN, stall()],
        [stall()],
        [*BEGUN, Drip(chunk(b" ") * 2000, 0.01)],
        [*BEGUN, Send(LAST_CHUNK)],
        lines(
            *[chat_line("some words")] * 5, {"error": "llama runner process has terminated: exit status 2"}
        ),
        document({"error": "server busy, please try again."}, 503, {"Retry-After": "0"}),
        document(b"<html>Bad Gateway</html>", 502, {"Content-Type": "text/html"}),
        [Send(head(headers={"Content-Type": "text/html"}, length=6) + b"<html>")],
    ]
    return rng.choice(faults)


def serve(seed: int) -> None:
    """Print the addresses of the servers, and serve until standard input ends."""
    rng = random.Random(seed)
    with ExitStack() as stack:
        for _ in range(SERVERS):
            server = stack.enter_context(ScriptedServer())

            def choose(path: str, server: ScriptedServer = server) -> Script:
                server.requests.clear()
                return a_script(rng) if path == "/api/chat" else document({"models": []})

            server.answer_with(choose)
            print(server.url, flush=True)
        sys.stdin.read()


# -- the client -----------------------------------------------------------------------------------------------


async def ask_on(provider: OllamaProvider, until: float, rng: random.Random, seen: Counter[str]) -> None:
    """One stream after another; one in four is left early, by its reader or by a cancellation."""
    while time.monotonic() < until:
        leave_after = rng.randrange(20) if rng.random() < 0.15 else None
        patience_s = rng.random() * 0.2 if rng.random() < 0.1 else None
        try:
            async with asyncio.timeout(patience_s), provider.stream("Hi") as stream:
                count = 0
                async for _ in stream:
                    if count == leave_after:
                        break
                    count += 1
                seen["left" if count == leave_after else "ok"] += 1
        except OllamaError as error:
            seen[error.error_type] += 1
        except TimeoutError:
            seen["cancelled"] += 1


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def slope_per_minute(samples: list[tuple[float, int]]) -> float:
    """How much a minute, by least squares over the second half: the first fills caches. 0 for less than two samples."""
    half = samples[len(samples) // 2 :]
    middle_t = sum(at for at, _ in half) / len(half)
    middle_b = sum(size for _, size in half) / len(half)
    spread = sum((at - middle_t) ** 2 for at, _ in half)
    if not spread:
        return 0.0
    return 60.0 * sum((at - middle_t) * (size - middle_b) for at, size in half) / spread


async def soak(urls: list[str], seconds: float, seed: int) -> int:
    import_libraries()
    rng = random.Random(seed)
    gc.collect()
    tasks, descriptors = len(asyncio.all_tasks()), len(os.listdir("/proc/self/fd"))
    provider = OllamaProvider(
        "soak",
        "tiny",
        {
            "hosts": urls,
            "auto_pull_model": False,
            "max_retries": 2,
            "first_token_timeout": 0.3,
            "idle_timeout": 0.2,
        },
    )
    seen: Counter[str] = Counter()
    resident: list[tuple[float, int]] = []
    blocks: list[tuple[float, int]] = []
    until = time.monotonic() + seconds
    while (now := time.monotonic()) < until:
        async with asyncio.TaskGroup() as group:
            for _ in range(STREAMS):
                chance = random.Random(rng.random())
                group.create_task(ask_on(provider, min(now + ROUND_S, until), chance, seen))
        await asyncio.sleep(REST_S)
        gc.collect()
        now = time.monotonic()
        resident.append((now, resident_bytes()))
        blocks.append((now, sys.getallocatedblocks()))
    await provider.aclose()
    del provider
    await asyncio.sleep(0.2)
    gc.collect()
    left = {
        "tasks": len(asyncio.all_tasks()) - tasks,
        "file descriptors": len(os.listdir("/proc/self/fd")) - descriptors,
    }
    slope = slope_per_minute(blocks)
    print(f"{sum(seen.values())} answers over {STREAMS} streams in {seconds:.0f} s:")
    for outcome, count in seen.most_common():
        print(f"  {outcome}: {count}")
    print(
        f"second half, at rest: allocated blocks {blocks[len(blocks) // 2][1]} to {blocks[-1][1]}, slope {slope:+.0f} a minute;"
        f" resident memory {resident[len(resident) // 2][1] / 1e6:.1f} to {resident[-1][1] / 1e6:.1f} MB,"
        f" slope {slope_per_minute(resident) / 1000:+.0f} kB a minute"
    )
    print("left behind: " + ", ".join(f"{number} {what}" for what, number in left.items()))
    return 1 if any(left.values()) or slope > MAX_SLOPE else 0


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--serve", action="store_true", help="be the servers")
    options = parser.parse_args(arguments)
    if options.serve:
        serve(options.seed)
        return 0
    with subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.provider.soak", "--serve", "--seed", str(options.seed)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as servers:
        assert servers.stdout is not None
        urls = [servers.stdout.readline().strip() for _ in range(SERVERS)]
        try:
            return asyncio.run(soak(urls, options.minutes * 60, options.seed))
        finally:
            with contextlib.suppress(BrokenPipeError):
                servers.communicate()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
