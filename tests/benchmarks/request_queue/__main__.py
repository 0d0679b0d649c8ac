"""The request queue at full size: `python -m tests.benchmarks.request_queue [load | random] [SEED]`.

load: 200 threads with 50 requests each, on the sandbox. random: 10,000 operations with cancels and faults; it fails if a
cancel takes 250 ms to reach the server's side, or the event loop works for 50 ms at a stretch.
"""

from __future__ import annotations

import logging
import sys
import time

from namel3ss.sandbox import SandboxOptions, SandboxServer
from tests.scheduling.queue_play import ask_together, play

CANCEL_S, LOOP_S = 0.25, 0.05


def main() -> None:
    # The faults of the random play include mistakes in programs, which are logged with their place.
    logging.getLogger("namel3ss.scheduling").setLevel(logging.CRITICAL)
    wanted = sys.argv[1] if len(sys.argv) > 1 else "both"
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    if wanted in ("random", "both"):
        began = time.monotonic()
        played = play(10_000, seed=seed)
        print(
            f"random (seed {seed}): {dict(played.ends)} in {time.monotonic() - began:.1f} s, cancelled within"
            f" {played.slowest_cancel_s * 1000:.0f} ms, loop at work for {played.busiest_s * 1000:.0f} ms at most"
        )
        if played.slowest_cancel_s >= CANCEL_S or played.busiest_s >= LOOP_S:
            sys.exit(f"More than {CANCEL_S} s for a cancel or {LOOP_S} s of the loop.")
    if wanted in ("load", "both"):
        with SandboxServer(SandboxOptions(installed=("m",))) as server:
            began = time.monotonic()
            statistics = ask_together(server.url, threads=200, each=50)
        print(f"load: 200 x 50 requests in {time.monotonic() - began:.1f} s, {statistics}")


if __name__ == "__main__":
    main()
