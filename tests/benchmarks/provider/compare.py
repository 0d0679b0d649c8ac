"""What a request costs, beside other Python clients in the same run: ``python -m tests.benchmarks.provider.compare``.

Makes a throw-away environment with the pinned clients, by pip (or takes `--python`, an interpreter that has them),
starts one fake server in a process of its own and one process for each client, and lets them work in turn for several
rounds. The server and the clients run on different cores. The latency of paced streams is measured with real-time
priority where that is allowed (root), because other work on the machine would decide it. All must read the same text
and the same counts, checked by hash, or the run fails. Prints the tables; `--write` puts them into docs/benchmarks.md.
Exits 1 when a wanted figure is not reached.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import venv
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.benchmarks.provider import import_time
from tests.benchmarks.provider.workers import CLIENTS

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).resolve().parent
PAGE = ROOT / "docs/benchmarks.md"
BEGIN, END = "<!-- provider: begin -->", "<!-- provider: end -->"

PINNED = (
    "ollama==0.6.3",
    "langchain-ollama==1.1.0",
    "litellm==1.106.2",
    "openai==2.54.0",
    "aiohttp==3.14.5",
    "orjson==3.13.0",
    "msgspec==0.22.0",
)
OURS, BASE, FLOOR = "namel3ss", "ollama-python", "aiohttp + orjson"


@dataclass(frozen=True)
class Measure:
    """One row: what is done, how often in a round, and the ratio to ollama-python that is wanted."""

    name: str
    job: dict[str, Any]
    wanted: float


MEASURES = (
    Measure("CPU per chunk, burst", {"do": "stream", "model": "burst-2000", "times": 5}, 0.2),
    Measure("CPU per chunk, one write each", {"do": "stream", "model": "flush-2000", "times": 3}, 0.5),
    Measure("CPU per plain request", {"do": "plain", "model": "burst-20", "times": 200}, 0.45),
)
# Few, because the slow ones need seconds for what the others do in milliseconds.
SLOW = {"litellm": 10, "openai on /v1": 3, "langchain-ollama": 2}
PACED_STREAMS, PACED, PACED_ROUNDS = 64, "paced-200-40", 7
MILLION = "flush-1000000"


class Worker:
    """A client's process."""

    def __init__(self, name: str, python: str, port: str) -> None:
        path = {"PYTHONPATH": str(ROOT)} if name == OURS else {}
        self.name = name
        self.process = subprocess.Popen(
            [*on_core(1), python, str(HERE / "workers.py"), name, port],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **path},
        )

    def do(self, job: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


def on_core(number: int) -> list[str]:
    """The words that keep a program on one core, where that is possible."""
    return (
        ["taskset", "-c", str(number)]
        if (os.cpu_count() or 1) > 1 and Path("/usr/bin/taskset").exists()
        else []
    )


@contextmanager
def undisturbed(*processes: int) -> Iterator[None]:
    """Real-time priority for all threads of these processes, where the system has it and allows it."""

    def give(policy: int, priority: int) -> None:
        for thread in (int(task.name) for each in processes for task in Path(f"/proc/{each}/task").iterdir()):
            # A thread may end meanwhile; those that begin later are like the one that began them.
            with suppress(PermissionError, ProcessLookupError):
                os.sched_setscheduler(thread, policy, os.sched_param(priority))

    if not hasattr(os, "sched_setscheduler"):
        yield
        return
    give(os.SCHED_FIFO, 10)
    try:
        yield
    finally:
        give(os.SCHED_OTHER, 0)


def make_environment(folder: Path) -> str:
    """An interpreter that has the other clients."""
    venv.create(folder, with_pip=True)
    python = str(folder / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", *PINNED], check=True)
    return python


def costs(workers: dict[str, Worker], rounds: int) -> dict[str, dict[str, list[float]]]:
    """Microseconds of CPU for each measure, client and round. The first round warms up and is not counted."""
    found: dict[str, dict[str, list[float]]] = {
        measure.name: {name: [] for name in workers} for measure in MEASURES
    }
    for number in range(rounds + 1):
        for measure in MEASURES:
            hashes = {}
            for name, worker in workers.items():
                times = max(1, measure.job["times"] // SLOW.get(name, 1))
                done = worker.do({**measure.job, "times": times})
                once = done if times == 1 else worker.do({**measure.job, "times": 1})
                hashes[name] = once["hash"]
                if number:
                    found[measure.name][name].append(done["cpu_s"] / done["pieces"] * 1e6)
            if len(set(hashes.values())) != 1:
                raise SystemExit(f"not all read the same in {measure.name!r}: {hashes}")
        print(f"round {number} of {rounds}", file=sys.stderr)
    return found


def cost_table(found: dict[str, dict[str, list[float]]]) -> list[str]:
    rows = [
        "| client | " + " | ".join(measure.name for measure in MEASURES) + " |",
        "|---|" + "---|" * len(MEASURES),
    ]
    for name in CLIENTS:
        cells = []
        for measure in MEASURES:
            values = found[measure.name][name]
            base = statistics.median(found[measure.name][BASE])
            low, middle, high = statistics.quantiles(values, n=4)
            cells.append(f"{middle:.1f} ({low:.1f} to {high:.1f}), {middle / base:.2f} ×")
        rows.append(f"| {name} | " + " | ".join(cells) + " |")
    return rows


def ratio(found: dict[str, dict[str, list[float]]], measure: Measure) -> float:
    """The median of the rounds' own ratios: what disturbs the machine disturbs both alike."""
    pairs = zip(found[measure.name][OURS], found[measure.name][BASE], strict=True)
    return statistics.median(ours / theirs for ours, theirs in pairs)


def measure_all(python: str, rounds: int, peers: list[str]) -> tuple[list[str], bool]:
    """The lines of the report, and whether every wanted figure was reached."""
    with ExitStack() as stack:
        server = stack.enter_context(
            subprocess.Popen(
                [*on_core(0), sys.executable, str(HERE / "fake_ollama.py")], stdout=subprocess.PIPE, text=True
            )
        )
        stack.callback(server.kill)
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        workers = {name: Worker(name, sys.executable if name == OURS else python, port) for name in peers}
        for worker in workers.values():
            stack.callback(worker.end)
        found = costs(workers, rounds)
        paced: dict[str, list[dict[str, Any]]] = {name: [] for name in (OURS, FLOOR, BASE)}
        with undisturbed(server.pid, *(workers[name].process.pid for name in paced)):
            for _ in range(PACED_ROUNDS):
                for name, runs in paced.items():
                    runs.append(workers[name].do({"do": "paced", "model": PACED, "times": PACED_STREAMS}))
        memory = workers[OURS].do({"do": "memory", "model": MILLION, "times": 1})
    ours_import, their_import = import_time.measure(python)

    rows: list[tuple[str, str, str, bool]] = []
    for measure in MEASURES:
        reached = ratio(found, measure)
        rows.append(
            (measure.name, f"{reached:.2f} × {BASE}", f"{measure.wanted} ×", reached <= measure.wanted)
        )
    import_ratio = ours_import / their_import
    rows.append(
        ("import of the provider", f"{import_ratio:.2f} × `import ollama`", "0.5 ×", import_ratio <= 0.5)
    )
    p99 = {name: min(run["p99_s"] for run in runs) * 1000 for name, runs in paced.items()}
    rows.append(
        (
            f"{PACED_STREAMS} paced streams, added latency, p99",
            f"{p99[OURS]:.1f} ms ({FLOOR} {p99[FLOOR]:.1f} ms, {BASE} {p99[BASE]:.1f} ms)",
            "the floor + 1 ms",
            p99[OURS] <= p99[FLOOR] + 1.0,
        )
    )
    beyond = (memory["grown_bytes"] - memory["text_bytes"]) / 1e6
    rows.append(
        (
            "a stream of 1,000,000 chunks, memory beyond the text",
            f"{beyond:.1f} MB (the text {memory['text_bytes'] / 1e6:.1f} MB)",
            "5 MB",
            beyond < 5.0,
        )
    )
    report = ["| measure | reached | wanted, at most | |", "|---|---|---|---|"]
    report += [f"| {name} | {got} | {wanted} | {'yes' if ok else 'no'} |" for name, got, wanted, ok in rows]
    report += [
        "",
        f"CPU in µs: median of {rounds} rounds (quartiles), and the ratio to {BASE}.",
        "",
        *cost_table(found),
    ]
    return report, all(row[3] for row in rows)


def conditions(rounds: int) -> list[str]:
    versions = ", ".join(pin.replace("==", " ") for pin in PINNED)
    return [
        f"CPython {platform.python_version()} on {platform.system()} ({platform.machine()}), {os.cpu_count()} cores;"
        f" {rounds} rounds, the clients in turn. Other clients: {versions}.",
        "",
    ]


def write(lines: list[str]) -> None:
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text("\n".join([before + BEGIN, *lines, END + after]))


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--python", help="an interpreter that has the other clients")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    options = parser.parse_args(arguments)
    with ExitStack() as stack:
        python = options.python
        if python is None:
            python = make_environment(Path(stack.enter_context(tempfile.TemporaryDirectory())) / "others")
        report, reached = measure_all(python, options.rounds, list(CLIENTS))
    lines = [*conditions(options.rounds), *report]
    print("\n".join(lines))
    if options.write:
        write(lines)
    return 0 if reached else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
