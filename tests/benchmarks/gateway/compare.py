"""What a gateway costs, beside others in the same run: ``python -m tests.benchmarks.gateway.compare``.

One server and its clients on one core, each contender with one worker on the other, all of them in turn for several
rounds. LiteLLM's proxy comes from a throw-away environment made by pip (or `--python`, an interpreter that has it;
`--without-peer` leaves it out); nginx takes part where it is installed. All threads of everything have real-time
priority where that is allowed (root), because other work on the machine would decide the latencies. All must give the
same texts, checked by hash. Prints the tables; `--write` puts them into docs/benchmarks.md. Exits 1 when a wanted
figure is not reached.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.benchmarks.gateway import contenders
from tests.benchmarks.gateway.contenders import DIRECT, FLOOR, LITELLM, NGINX, OURS, PEER, Contender
from tests.benchmarks.provider.compare import on_core, undisturbed

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).resolve().parent
PAGE = ROOT / "docs/benchmarks.md"
BEGIN, END = "<!-- gateway: begin -->", "<!-- gateway: end -->"

LOADS: dict[str, dict[str, Any]] = {
    "plain, 32 connections": {"do": "plain", "model": "plain", "connections": 32, "seconds": 2.0},
    "plain, 1 connection": {"do": "plain", "model": "plain", "connections": 1, "seconds": 1.5},
    "50 streams": {"do": "streams", "model": "burst-200", "connections": 50, "times": 4},
    "64 paced streams": {
        "do": "streams",
        "model": "paced-50-10",
        "connections": 64,
        "times": 3,
        "spread_s": 0.5,
    },
}
# LiteLLM needs seconds for what the others do in milliseconds.
SLOW = {"50 streams": {"times": 1}, "64 paced streams": {"times": 1}}
CROWD = 5000


class Clients:
    """The process of the clients."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [*on_core(0), sys.executable, str(HERE / "load.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found

    def do(self, contender: Contender, job: dict[str, Any]) -> dict[str, Any]:
        where = {"port": contender.port, "path": contender.path, "key": contender.key}
        self.tell(json.dumps({**where, **job}))
        return self.hear()

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


def measure(
    clients: Clients, found: list[Contender], rounds: int
) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """What each load gave, by contender and round. The first round warms up and is not counted."""
    results: dict[str, dict[str, list[dict[str, Any]]]] = {
        load: {each.name: [] for each in found} for load in LOADS
    }
    for number in range(rounds + 1):
        for load, job in LOADS.items():
            hashes = {}
            for contender in found:
                less = SLOW.get(load, {}) if contender.name == PEER else {}
                before = contender.cpu_s() if contender.processes else 0.0
                done = clients.do(contender, {**job, **less})
                if contender.processes:
                    done["cpu_s"] = contender.cpu_s() - before
                if done["wrong"]:
                    raise SystemExit(f"{contender.name} answered {done['wrong']} times wrongly in {load!r}")
                if contender.name != PEER:  # it speaks another protocol, in which the last piece is empty
                    hashes[contender.name] = done["hash"]
                if number:
                    results[load][contender.name].append(done)
            if len(set(hashes.values())) != 1:
                raise SystemExit(f"not all gave the same in {load!r}: {hashes}")
        print(f"round {number} of {rounds}", file=sys.stderr)
    return results


def crowd(clients: Clients, upstream: int, server: int, folder: Path) -> dict[str, float]:
    """Memory at rest, and with 5,000 requests that wait; how quickly health answers; whether all are served in order."""
    ours = contenders.ours(upstream, folder, slots=1)
    waiting = Clients()
    try:
        with undisturbed(clients.process.pid, waiting.process.pid, server, *ours.tree()):
            at_rest = ours.memory_bytes()
            calm = clients.do(ours, {"do": "get", "path": "/health/live", "times": 300})
            waiting.do(ours, {"do": "waiting", "model": "gate", "connections": CROWD})
            _until_waiting(ours, CROWD - 1)
            crowded = ours.memory_bytes()
            busy = clients.do(ours, {"do": "get", "path": "/health/live", "times": 300})
            clients.do(contenders.direct(upstream), {"do": "get", "path": "/open", "times": 1})
            waiting.tell("go")
            served = waiting.hear()
    finally:
        waiting.end()
        ours.end()
    return {
        "at_rest_mb": at_rest / 1e6,
        "waiting_kb": (crowded - at_rest) / CROWD / 1e3,
        "health_ms": calm["p99_ms"],
        "health_crowded_ms": busy["p99_ms"],
        "wrong": served["wrong"],
        "inversions": served["inversions"],
        "rate": served["rate"],
    }


def _until_waiting(gateway: Contender, count: int) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{gateway.port}/api/status", headers={"Authorization": f"Bearer {gateway.key}"}
    )
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with urllib.request.urlopen(request, timeout=30) as answer:
            stats = json.load(answer)["queue_stats"]
        if stats["queue_size"] >= count:
            return
        time.sleep(0.1)
    raise SystemExit(f"only {stats} of {count} wait")


def middle(results: dict[str, list[dict[str, Any]]], name: str, what: str) -> float:
    return float(statistics.median(done[what] for done in results[name]))


def ratio(results: dict[str, list[dict[str, Any]]], what: str, other: str) -> float:
    """The median of the rounds' own ratios: what disturbs the machine disturbs both alike."""
    pairs = zip(results[OURS], results[other], strict=True)
    return float(statistics.median(ours[what] / theirs[what] for ours, theirs in pairs))


def added(results: dict[str, list[dict[str, Any]]], what: str) -> float:
    pairs = zip(results[OURS], results[DIRECT], strict=True)
    return float(statistics.median(ours[what] - theirs[what] for ours, theirs in pairs))


def report(
    results: dict[str, dict[str, list[dict[str, Any]]]], found: list[Contender], people: dict[str, float]
) -> tuple[list[str], bool]:
    plain, one = results["plain, 32 connections"], results["plain, 1 connection"]
    fast, paced = results["50 streams"], results["64 paced streams"]
    names = {each.name for each in found}
    to_floor = ratio(plain, "rate", FLOOR)
    rows = [("plain requests, 32 connections", f"{to_floor:.2f} × the floor", "½", to_floor >= 0.5)]
    if NGINX in names:
        to_nginx = ratio(plain, "rate", NGINX)
        rows.append(("the same beside nginx", f"{to_nginx:.2f} × nginx", "¼", to_nginx >= 0.25))
    if PEER in names:
        rows.append(
            ("the same beside LiteLLM", f"{ratio(plain, 'rate', PEER):.0f} × LiteLLM", "reported", True)
        )
    p50, p99 = added(one, "p50_ms"), added(one, "p99_ms")
    rows.append(("added latency, one connection, p50", f"{p50:.2f} ms", "0.35 ms", p50 <= 0.35))
    rows.append(("added latency, one connection, p99", f"{p99:.2f} ms", "1.5 ms", p99 <= 1.5))
    lines = ratio(fast, "rate", DIRECT)
    rows.append(("50 streams as fast as possible, lines/s", f"{lines:.2f} × direct", "½", lines >= 0.5))
    first = added(paced, "p95_ms")
    rows.append(
        ("64 paced streams, added time to the first token, p95", f"{first:.1f} ms", "5 ms", first <= 5)
    )
    rest, each_kb = people["at_rest_mb"], people["waiting_kb"]
    rows.append(("memory at rest", f"{rest:.0f} MB", "100 MB", rest <= 100))
    rows.append(
        (f"memory for each of {CROWD:,} waiting requests", f"{each_kb:.1f} KB", "12 KB", each_kb <= 12)
    )
    health = f"{people['health_ms']:.1f} ms alone, {people['health_crowded_ms']:.1f} ms with them"
    in_order = not people["wrong"] and not people["inversions"]
    told = f"{people['wrong']:.0f} errors, {people['inversions']:.0f} inversions"
    rows.append((f"{CROWD:,} waiting clients, then served", told, "none, in order", in_order))
    is_flat = people["health_crowded_ms"] <= people["health_ms"] + 5
    rows.append(("p99 of /health/live meanwhile", health, "flat", is_flat))
    text = ["| measure | reached | wanted | |", "|---|---|---|---|"]
    text += [f"| {name} | {got} | {wanted} | {'yes' if ok else 'no'} |" for name, got, wanted, ok in rows]
    text += ["", "| | " + " | ".join(LOADS) + " | what it does |", "|---|" + "---|" * (len(LOADS) + 1)]
    for each in found:
        cells = []
        for load, by_name in results.items():
            unit = "lines/s, first after" if LOADS[load]["do"] == "streams" else "/s,"
            cells.append(
                f"{middle(by_name, each.name, 'rate'):,.0f} {unit} p50 {middle(by_name, each.name, 'p50_ms'):.2f}, "
                f"p99 {middle(by_name, each.name, 'p99_ms'):.2f} ms"
            )
        text.append(f"| {each.name} | " + " | ".join(cells) + f" | {each.what} |")
    return text, all(row[3] for row in rows)


def conditions(rounds: int) -> list[str]:
    return [
        f"CPython {platform.python_version()} on {platform.system()} ({platform.machine()}), {os.cpu_count()} cores;"
        f" medians of {rounds} rounds, the contenders in turn, one worker each. {LITELLM.replace('==', ' ')}.",
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
    parser.add_argument("--python", help="an interpreter that has LiteLLM's proxy")
    parser.add_argument("--without-peer", action="store_true", help="leave LiteLLM out")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    options = parser.parse_args(arguments)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstream, server = _upstream(stack)
        found = [
            contenders.direct(upstream),
            contenders.floor(upstream),
            contenders.nginx(upstream, folder / "nginx"),
        ]
        if not options.without_peer:
            found.append(contenders.litellm(upstream, folder, options.python))
        found.append(contenders.ours(upstream, folder / "ours"))
        running = [each for each in found if each is not None]
        for each in running:
            stack.callback(each.end)
        clients = Clients()
        stack.callback(clients.end)
        processes = [clients.process.pid, server, *(number for each in running for number in each.tree())]
        with undisturbed(*processes):
            results = measure(clients, running, options.rounds)
        people = crowd(clients, *_upstream(stack), folder / "crowd")
    text, reached = report(results, running, people)
    lines = [*conditions(options.rounds), *text]
    print("\n".join(lines))
    if options.write:
        write(lines)
    return 0 if reached else 1


def _upstream(stack: ExitStack) -> tuple[int, int]:
    """The port of a server, and its process."""
    process = stack.enter_context(
        subprocess.Popen(
            [*on_core(0), sys.executable, str(HERE / "upstream.py")], stdout=subprocess.PIPE, text=True
        )
    )
    stack.callback(process.kill)
    assert process.stdout is not None
    return int(process.stdout.readline()), process.pid


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
