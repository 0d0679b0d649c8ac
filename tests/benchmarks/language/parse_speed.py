"""How fast, and in how much memory, files are parsed: ``python -m tests.benchmarks.language.parse_speed``.

Compares with python-hcl2 on the same 50 blocks (800 lines) written in HCL; both give a tree with places. Peers run in
processes of their own, in turn; the least processor time of several runs counts, since noise only adds. python-hcl2
lives in an environment of its own: `--python` names one that has it, otherwise a throw-away one is made from the pinned
version. Then growth to 100,000 lines, memory, and texts made to be slow. Exits with 1 when a limit is missed.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
import tempfile
import time
import tracemalloc
import venv
from contextlib import ExitStack
from pathlib import Path

from namel3ss.language import parse

PEER = "python-hcl2==8.1.4"
LEAST_RATIO = 4.0
MOST_MEMORY = 60.0
MOST_GROWTH = 2.0
ROUNDS = 5
RUNS = 10

OURS = """\
# model {number}
ai model model_{number} {{
    provider: ollama
    model: mistral:7b   # pinned
    config: {{
        temperature: 0.8
        top_k: 40
        stop: ["###", "END"]
        num_ctx: 4096
        base_url: "http://localhost:11434"
    }}
    deployment_config: {{
        num_thread: 8
        keep_alive: "10m"
    }}
}}
"""
THEIRS = """\
# model {number}
ai_model "model_{number}" {{
    provider = "ollama"
    model = "mistral:7b"   # pinned
    config {{
        temperature = 0.8
        top_k = 40
        stop = ["###", "END"]
        num_ctx = 4096
        base_url = "http://localhost:11434"
    }}
    deployment_config {{
        num_thread = 8
        keep_alive = "10m"
    }}
}}
"""

# Run by the peer's interpreter: parses the text on stdin, prints the least processor time.
MEASURE = """
import json, sys, time
{imports}
text = sys.stdin.read()
{parse}
times = []
for _ in range({runs}):
    started = time.process_time()
    {parse}
    times.append(time.process_time() - started)
print(json.dumps(min(times)))
"""


def blocks(template: str, count: int) -> str:
    """The same `count` declarations in either language, 16 lines each."""
    return "".join(template.format(number=number) for number in range(count))


def least_time_s(python: str, imports: str, call: str, text: str) -> float:
    """The least processor time of one parse in a fresh process of that interpreter."""
    code = MEASURE.format(imports=imports, parse=call, runs=RUNS)
    done = subprocess.run([python, "-c", code], input=text, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout))


def compare(peer_python: str) -> float:
    """How many times as fast as python-hcl2 we are."""
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(
            least_time_s(
                sys.executable, "from namel3ss.language import parse", "parse(text)", blocks(OURS, 50)
            )
        )
        theirs.append(least_time_s(peer_python, "import hcl2", "hcl2.loads(text)", blocks(THEIRS, 50)))
    ratio = min(theirs) / min(ours)
    print(
        f"800 lines: namel3ss {min(ours) * 1000:.1f} ms, {PEER} {min(theirs) * 1000:.1f} ms: {ratio:.1f} times as fast"
    )
    return ratio


def time_s(text: str) -> float:
    """The processor time of one parse, the least of three."""
    times = []
    for _ in range(3):
        gc.collect()
        started = time.process_time()
        parse(text)
        times.append(time.process_time() - started)
    return min(times)


def growth() -> float:
    """How much more a line costs in 100,000 lines than in 1,600."""
    costs = []
    for lines in (1_600, 12_800, 100_000):
        text = blocks(OURS, lines // 16)
        costs.append(time_s(text) / lines)
        print(f"{lines:>7,} lines: {costs[-1] * lines * 1000:8.1f} ms, {costs[-1] * 1e6:5.1f} µs a line")
    return costs[-1] / costs[0]


def memory() -> float:
    """The most memory in use while 12,800 lines are parsed, in multiples of the text's bytes; the tree included."""
    text = blocks(OURS, 800)
    parse(text)
    gc.collect()
    tracemalloc.start()
    result = parse(text)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    size = len(text.encode())
    print(f"memory: tree {kept / size:.1f} times the text, at most {peak / size:.1f} times while parsing")
    assert not result.diagnostics
    return peak / size


def pathological() -> bool:
    """Whether texts made to be slow take no longer than 100,000 valid lines."""
    limit_s = time_s(blocks(OURS, 6_250))
    head = "ai model m {\n"
    texts = {
        "100,000 open braces": head + "{" * 100_000,
        "100,000 open lists": head + "k: " + "[" * 100_000,
        "one line of 10 MB": head + "k: " + "x" * 10_000_000,
        "one line of 8 MB": head + "k: " + "x " * 4_000_000,
        "100,000 duplicate keys": head + "k: 1\n" * 100_000 + "}\n",
        "100,000 broken lines": head + "k 1\n" * 100_000 + "}\n",
        "100,000 unclosed blocks": head + "k: {\n" * 100_000,
    }
    fits = True
    for name, text in texts.items():
        taken_s = time_s(text)
        fits = fits and taken_s <= limit_s
        print(f"{name:<24} {taken_s * 1000:8.1f} ms, {len(parse(text).diagnostics)} findings")
    print(f"{'100,000 valid lines':<24} {limit_s * 1000:8.1f} ms")
    return fits


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--python", help=f"an interpreter that has {PEER}")
    with ExitStack() as stack:
        python = arguments.parse_args().python or _throw_away_environment(stack)
        ratio = compare(python)
    missed = []
    if ratio < LEAST_RATIO:
        missed.append(f"less than {LEAST_RATIO:g} times as fast")
    if growth() > MOST_GROWTH:
        missed.append(f"a line costs more than {MOST_GROWTH:g} times as much in a long file")
    if memory() > MOST_MEMORY:
        missed.append(f"more than {MOST_MEMORY:g} times the text in memory")
    if not pathological():
        missed.append("a text made to be slow takes longer than as many valid lines")
    print("missed: " + "; ".join(missed) if missed else "every limit is kept")
    return 1 if missed else 0


def _throw_away_environment(stack: ExitStack) -> str:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", PEER], check=True)
    return str(python)


if __name__ == "__main__":
    raise SystemExit(main())
