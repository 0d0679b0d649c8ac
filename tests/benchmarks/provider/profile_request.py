"""Where the time of a plain request goes: ``python -m tests.benchmarks.provider.profile_request``.

Prints, for the parts a request passes through, their share of the profiled time that the client's process was busy. The
profiler makes Python's own calls look dearer than system calls; read the shares, not the times.
"""

from __future__ import annotations

import asyncio
import cProfile
import pstats
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.benchmarks.provider.workers import Namel3ss

HERE = Path(__file__).resolve().parent
REQUESTS = 1000
PARTS = {
    "namel3ss/providers": "namel3ss: the provider",
    "namel3ss/observability": "namel3ss: metrics",
    "httpx_aiohttp": "httpx-aiohttp",
    "site-packages/httpx/": "httpx",
    "aiohttp": "aiohttp",
    "asyncio": "asyncio",
    "'send' of '_socket": "the system call that sends",
    "'recv": "the system call that receives",
}


async def profile(port: int) -> pstats.Stats:
    client = Namel3ss(port)
    for _ in range(50):
        await client.plain("burst-20")
    profiler = cProfile.Profile()
    with profiler:
        for _ in range(REQUESTS):
            await client.plain("burst-20")
    return pstats.Stats(profiler)


def shares(stats: pstats.Stats) -> dict[str, float]:
    """Seconds of each part; waiting for the server is left out."""
    found = dict.fromkeys([*PARTS.values(), "everything else"], 0.0)
    entries: dict[Any, Any] = stats.stats  # type: ignore[attr-defined]  # missing in typeshed
    for (file, _, function), (_, _, own_s, _, _) in entries.items():
        if "poll" in function:
            continue
        where = next(
            (part for word, part in PARTS.items() if word in file or word in function), "everything else"
        )
        found[where] += own_s
    return found


def main() -> int:
    with subprocess.Popen(
        [sys.executable, str(HERE / "fake_ollama.py")], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        found = shares(asyncio.run(profile(int(server.stdout.readline()))))
        server.kill()
    total = sum(found.values())
    for part, seconds in sorted(found.items(), key=lambda pair: -pair[1]):
        print(f"{seconds / total:6.1%}  {part}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
