"""Plays the loads, measures the cost, prints the figures and writes them into docs/scheduling.md with the picture.

python -m tests.benchmarks.scheduling             everything, about ten minutes
python -m tests.benchmarks.scheduling --print     the same, nothing written
python -m tests.benchmarks.scheduling --cost      only what admitting and releasing costs, a few seconds
"""

from __future__ import annotations

import math
import re
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.scheduling import oracle
from tests.benchmarks.scheduling.census import Census, take_census
from tests.benchmarks.scheduling.cost import Cost, bytes_per_waiting, measure
from tests.benchmarks.scheduling.disciplines import DISCIPLINES, Fair
from tests.benchmarks.scheduling.loads import CLASSES, GREEDY, LOADS, Load
from tests.benchmarks.scheduling.picture import Panel, draw
from tests.benchmarks.scheduling.simulator import Run, play

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs/scheduling.md"
PICTURE = ROOT / "docs/scheduling.svg"
SEEDS = (1, 2, 3)
FACTOR = 1.5


@dataclass(frozen=True)
class Row:
    """One load under one discipline, the mean over the seeds."""

    load: str
    discipline: str
    fairness: float
    p95_s: tuple[float | None, ...]
    swaps: float
    inversions: float
    estimates: float | None
    neighbours_s: float | None
    neighbours_times: float | None
    neighbours_floor: float | None = None
    """How many times as long they would wait if they all went before him, and only running answers stood in their way."""
    ranges: float | None = None
    best_estimates: float | None = None
    """What an oracle reaches that knows everything but the lengths of answers."""


def row(make_name: str, discipline: str, loads: list[Load]) -> Row:
    is_ours = DISCIPLINES[discipline] is Fair
    runs = [play(load, DISCIPLINES[discipline](load.servers)) for load in loads]
    alone: list[Run] = []
    if any(run.load.people for run in runs):
        alone = [play(load.without(GREEDY), DISCIPLINES[discipline](load.servers)) for load in loads]
    with_him = [run.mean_wait_s(without=GREEDY) for run in runs]
    without_him = [run.mean_wait_s(without=GREEDY) for run in alone]
    return Row(
        make_name,
        discipline,
        statistics.fmean(run.fairness() for run in runs),
        tuple(_mean([run.p95_wait_s(priority) for run in runs]) for priority in CLASSES),
        statistics.fmean(run.swaps for run in runs),
        statistics.fmean(run.inversions for run in runs),
        _mean([run.estimates_within(FACTOR) for run in runs]),
        statistics.fmean(with_him) if alone else None,
        sum(with_him) / sum(without_him) if alone else None,
        sum(_behind_them(load) for load in loads) / sum(without_him) if alone and is_ours else None,
        _mean([run.ranges_right() for run in runs]),
        oracle.estimates_within(loads[0], Fair(loads[0].servers), FACTOR) if is_ours else None,
    )


def _behind_them(load: Load) -> float:
    """The neighbours' mean wait with the greedy user in a worse class, for ever."""
    return play(load.beneath(GREEDY), Fair(load.servers, ageing_s=math.inf)).mean_wait_s(without=GREEDY)


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def table(rows: list[Row]) -> str:
    heads = [
        "load",
        "order",
        "Jain",
        "p95 wait by class",
        "neighbours",
        "swaps",
        "inversions",
        "estimates",
        "ranges",
    ]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for entry in rows:
        waits = " / ".join("–" if wait is None else f"{wait:.0f} s" for wait in entry.p95_s)
        beside = "–"
        if entry.neighbours_s is not None:
            beside = f"{entry.neighbours_s:.0f} s, {entry.neighbours_times:.2f} ×"
        if entry.neighbours_floor is not None:
            beside += f" (floor {entry.neighbours_floor:.2f} ×)"
        good = "–" if entry.estimates is None else f"{entry.estimates:.0%}"
        if entry.best_estimates is not None:
            good += f" (oracle {entry.best_estimates:.0%})"
        held = "–" if entry.ranges is None else f"{entry.ranges:.0%}"
        cells = [entry.load, entry.discipline, f"{entry.fairness:.3f}", waits, beside]
        cells += [f"{entry.swaps:.0f}", f"{entry.inversions:.0f}", good, held]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def cost_table(costs: list[Cost], counted: list[Census], kept_bytes: float) -> str:
    lines = [
        "| waiting | admit + release | times a heap's push + pop | asyncio.PriorityQueue | instructions | calls |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {cost.waiting:,} | {cost.core_us:.1f} µs | {cost.times_heap:.0f} × | {cost.asyncio_us:.1f} µs "
        f"| {census.instructions:,.0f} | {census.calls:.0f} |"
        for cost, census in zip(costs, counted, strict=True)
    ]
    shares = [f"`{module}` {count:.0f}" for module, count in counted[0].by_module.items()]
    lines += [
        "",
        f"While {counted[0].waiting} wait, the instructions are spread over {', '.join(shares)}. "
        f"A waiting request keeps {kept_bytes:.0f} bytes.",
    ]
    return "\n".join(lines)


def measure_cost() -> str:
    numbers = (10, 1_000, 100_000)
    return cost_table(
        [measure(waiting) for waiting in numbers],
        [take_census(waiting) for waiting in numbers],
        bytes_per_waiting(),
    )


def write(name: str, text: str) -> None:
    """Replace what stands between the page's markers of that name."""
    page = PAGE.read_text(encoding="utf-8")
    begin, end = f"<!-- {name}: written by tests.benchmarks.scheduling -->", f"<!-- {name}: end -->"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    PAGE.write_text(pattern.sub(lambda _: f"{begin}\n\n{text}\n\n{end}", page), encoding="utf-8")


def main(arguments: list[str]) -> int:
    if "--cost" in arguments:
        prices = measure_cost()
        print(prices)
        write("cost", prices)
        return 0
    rows = []
    for make in LOADS:
        loads = [make(seed) for seed in SEEDS]
        rows += [row(loads[0].name, discipline, loads) for discipline in DISCIPLINES]
        print(table(rows[-len(DISCIPLINES) :]), flush=True)
    figures, prices = table(rows), measure_cost()
    print(prices)
    if "--print" in arguments:
        return 0
    write("figures", figures)
    write("cost", prices)
    beside = {r.discipline: r.neighbours_s for r in rows if r.load == "greedy user" and r.neighbours_s}
    swaps = {r.discipline: r.swaps for r in rows if r.load == "mixed models"}
    panels = [
        Panel("Mean wait of twenty people beside one who sends 300 requests at once", "s", beside),
        Panel("Models pushed out in an hour, three models on a server that holds one", "", swaps),
    ]
    PICTURE.write_text(draw(panels), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
