"""Importing the provider costs at most half of importing ollama-python: ``python -m tests.benchmarks.provider.import_time``.

Both are imported by fresh interpreters, in turn, in the same run; the bare interpreter's own start is taken off. The
other package lives in an environment of its own: `--python` names one that has it, otherwise a throw-away one is made
from the pinned version. Exits 1 when the ratio is above the limit.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from contextlib import ExitStack
from pathlib import Path

OTHER = "ollama==0.6.3"
LIMIT = 0.5
ROUNDS = 15

OURS_CODE = "from namel3ss.providers.local.ollama import OllamaProvider"
OTHER_CODE = "import ollama"


def seconds(python: str, code: str) -> float:
    """Wall time of one interpreter that runs `code`."""
    started = time.perf_counter()
    subprocess.run([python, "-I", "-c", code], check=True)
    return time.perf_counter() - started


def make_environment(folder: Path) -> str:
    """An interpreter that has the other package."""
    venv.create(folder, with_pip=True)
    python = str(folder / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", OTHER], check=True)
    return python


def measure(other_python: str) -> tuple[float, float]:
    """Median seconds that each import adds to a bare start, ours first."""
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(ROUNDS + 1):  # the first round fills the caches of files and bytecode
        ours.append(seconds(sys.executable, OURS_CODE) - seconds(sys.executable, "pass"))
        theirs.append(seconds(other_python, OTHER_CODE) - seconds(other_python, "pass"))
    return statistics.median(ours[1:]), statistics.median(theirs[1:])


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--python", help="an interpreter that can import ollama")
    options = parser.parse_args(arguments)
    with ExitStack() as stack:
        python = options.python
        if python is None:
            python = make_environment(Path(stack.enter_context(tempfile.TemporaryDirectory())) / "other")
        ours, theirs = measure(python)
    ratio = ours / theirs
    print(
        f"namel3ss provider {ours * 1000:.0f} ms, {OTHER} {theirs * 1000:.0f} ms, ratio {ratio:.2f} (limit {LIMIT})"
    )
    return 0 if ratio <= LIMIT else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
