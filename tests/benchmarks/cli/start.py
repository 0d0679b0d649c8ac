"""How long commands take to start, in multiples of an empty Python program: ``python -m tests.benchmarks.cli.start``.

Counts processor time (user and system), which a busy machine changes least; the median of interleaved runs. Exits
with 1 when ``--version`` takes more than 5 times, or ``check`` of a small file more than 20 times, an empty program.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path

HELLO = Path(__file__).resolve().parents[3] / "examples" / "hello.ai"
ROUNDS = 15

COMMANDS = {
    "empty program": ["-c", "pass"],
    "namel3ss --version": ["-m", "namel3ss", "--version"],
    "namel3ss --help": ["-m", "namel3ss", "--help"],
    "namel3ss check hello.ai": ["-m", "namel3ss", "check", str(HELLO)],
}
LIMITS = {"namel3ss --version": 5.0, "namel3ss check hello.ai": 20.0}


def cpu_seconds(arguments: list[str]) -> float:
    """The processor time of one run."""
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime


def main() -> int:
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS):
        for name, arguments in COMMANDS.items():
            times[name].append(cpu_seconds(arguments))
    empty = statistics.median(times["empty program"])
    slow = []
    for name, runs in times.items():
        median = statistics.median(runs)
        limit = LIMITS.get(name)
        print(
            f"{name:<25} {median * 1000:6.0f} ms {median / empty:6.1f}x"
            + (f"  (at most {limit:g}x)" if limit else "")
        )
        if limit and median > limit * empty:
            slow.append(name)
    return 1 if slow else 0


if __name__ == "__main__":
    raise SystemExit(main())
