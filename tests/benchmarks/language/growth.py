"""How the work of parsing, checking and formatting grows: ``python -m tests.benchmarks.language.growth``.

For each kind of text, calls of functions and processor time for 1,000 entries, and by what factor both rise from 250. The
least time of several runs counts. The suite has the same test of the calls alone, with smaller texts.
"""

from __future__ import annotations

import gc
import sys
import time
from typing import TYPE_CHECKING

from namel3ss.declarations import check_text
from namel3ss.language import parse
from namel3ss.language.formatting import format_text
from tests.language.counted_work import counted_calls, growing_texts

if TYPE_CHECKING:
    from collections.abc import Callable

SMALL, LARGE = 250, 1000
RUNS = 3
MOST_CALLS = 1.1 * LARGE / SMALL


def main() -> int:
    missed = 0
    print(f"{'text':<18}{'work':<14}{'calls':>10}{'factor':>8}{'time':>9}{'factor':>8}")
    for name, make in growing_texts().items():
        for work in (parse, check_text, format_text):
            small, large = make(SMALL), make(LARGE)
            calls = counted_calls(work, large)
            factor = calls / counted_calls(work, small)
            seconds = _least(work, large)
            rise = seconds / _least(work, small)
            missed += factor > MOST_CALLS
            print(
                f"{name:<18}{work.__name__:<14}{calls:>10}{factor:>8.2f}{seconds:>8.2f}s{rise:>8.2f}",
                flush=True,
            )
    print(f"Four times the text; no factor of calls may be above {MOST_CALLS:.1f}: {missed} missed.")
    return 1 if missed else 0


def _least(work: Callable[[str], object], text: str) -> float:
    times = []
    for _ in range(RUNS):
        gc.collect()
        started = time.process_time()
        work(text)
        times.append(time.process_time() - started)
    return min(times)


if __name__ == "__main__":
    sys.exit(main())
