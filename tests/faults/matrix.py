"""Run every test that proves a fault, and write the matrix: ``python -m tests.faults.matrix [--write]``.

Each row of the catalogue with its tests and their result; `--write` puts it into docs/reliability.md. Exits 1 when a row
has no test, or one of its tests did not pass.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from tests.faults.catalogue import GROUPS, ROWS

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/reliability.md"
BEGIN, END = "<!-- matrix: begin -->", "<!-- matrix: end -->"


class Results:
    """A pytest plugin: which tests prove which row, and how they ended."""

    def __init__(self) -> None:
        self.tests: defaultdict[int, dict[str, Counter[str]]] = defaultdict(dict)
        self._rows: dict[str, set[int]] = {}

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            rows = {row for mark in item.iter_markers("fault") for row in mark.args}
            self._rows[item.nodeid] = rows

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" and report.passed:
            return
        test = report.nodeid.partition("[")[0]
        for row in self._rows[report.nodeid]:
            self.tests[row].setdefault(test, Counter())[report.outcome] += 1


def cell(tests: dict[str, Counter[str]]) -> str:
    """The tests of one row by file; several cases of one test are counted."""
    by_file: defaultdict[str, list[str]] = defaultdict(list)
    for test, outcomes in sorted(tests.items()):
        file, _, name = test.partition("::")
        cases = outcomes.total()
        by_file[file].append(f"`{name}`" + (f" ({cases} cases)" if cases > 1 else ""))
    return "<br>".join(f"{file}: {', '.join(names)}" for file, names in by_file.items())


def result(tests: dict[str, Counter[str]]) -> str:
    total: Counter[str] = Counter()
    for outcomes in tests.values():
        total += outcomes
    if not total:
        return "no test"
    return ", ".join(f"{count} {outcome}" for outcome, count in sorted(total.items()))


def matrix(results: Results) -> list[str]:
    lines: list[str] = []
    for group, rows in GROUPS.items():
        lines += ["", f"### {group}", "", "| row | fault | proven by | result |", "|---|---|---|---|"]
        lines += [
            f"| {row} | {what} | {cell(results.tests[row])} | {result(results.tests[row])} |"
            for row, what in rows.items()
        ]
    return [*lines, ""]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="put the matrix into docs/reliability.md")
    options = parser.parse_args(arguments)
    results = Results()
    pytest.main(["-q", "-m", "fault", "--no-header", str(ROOT / "tests")], plugins=[results])
    lines = matrix(results)
    if options.write:
        before, _, rest = PAGE.read_text().partition(BEGIN)
        PAGE.write_text("\n".join([before + BEGIN, *lines, END + rest.partition(END)[2]]))
    else:
        print("\n".join(lines))
    bad = [
        row
        for row in ROWS
        if not results.tests[row] or set(_outcomes(results.tests[row])) - {"passed", "skipped"}
    ]
    return 1 if bad else 0


def _outcomes(tests: dict[str, Counter[str]]) -> list[str]:
    return [outcome for outcomes in tests.values() for outcome in outcomes]


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
