"""Lists of what must hold, by number, and the tests that prove it: found by their marks, run, and shown as tables.

The tests of a row carry `@pytest.mark.<mark>(row, …)`. A page holds the table between two comments; its results are from
the last run of `write_tables`, its tests are compared with the marks by a test.
"""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "ROOT",
    "Groups",
    "Outcomes",
    "documented_rows",
    "marked_rows",
    "prove",
    "tables",
    "unproven",
    "write_tables",
]

ROOT: Final = Path(__file__).resolve().parents[2]
TESTS: Final = ROOT / "tests"

Groups: TypeAlias = "Mapping[str, Mapping[int, str]]"
Outcomes: TypeAlias = "Mapping[int, Mapping[str, Counter[str]]]"
"""For each row its tests, and how often each ended how."""


def marked_rows(mark: str) -> dict[int, set[str]]:
    """The rows that carry a mark anywhere, each with its tests as `tests/…/test_x.py::test_y`."""
    found: defaultdict[int, set[str]] = defaultdict(set)
    for file in TESTS.rglob("test_*.py"):
        source = file.read_text(encoding="utf-8")
        if f"mark.{mark}(" not in source:
            continue
        place = file.relative_to(ROOT).as_posix()
        for test, decorators in _tests(ast.parse(source)):
            for row in _rows(decorators, mark):
                found[row].add(f"{place}::{test}")
    return dict(found)


def _tests(tree: ast.Module) -> Iterator[tuple[str, list[ast.expr]]]:
    """Every test with what stands above it, on its class and for its whole module."""
    whole = [
        statement.value
        for statement in tree.body
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "pytestmark"
    ]
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            if statement.name.startswith("test"):
                yield statement.name, [*whole, *statement.decorator_list]
        elif isinstance(statement, ast.ClassDef):
            for inner in statement.body:
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef) and inner.name.startswith(
                    "test"
                ):
                    yield (
                        f"{statement.name}::{inner.name}",
                        [*whole, *statement.decorator_list, *inner.decorator_list],
                    )


def _rows(decorators: list[ast.expr], mark: str) -> set[int]:
    """The numbers in every `pytest.mark.<mark>(…)`, those of single cases included."""
    return {
        argument.value
        for decorator in decorators
        for node in ast.walk(decorator)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == f"pytest.mark.{mark}"
        for argument in node.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, int)
    }


class _Results:
    """A pytest plugin: which tests prove which row of each list, and how they ended."""

    def __init__(self, marks: tuple[str, ...]) -> None:
        self.outcomes: dict[str, defaultdict[int, dict[str, Counter[str]]]] = {
            mark: defaultdict(dict) for mark in marks
        }

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" and report.passed:
            return
        test = report.nodeid.partition("[")[0]
        for mark, rows in report.user_properties:
            if mark not in self.outcomes or not isinstance(rows, list):
                continue
            for row in rows:
                self.outcomes[mark][row].setdefault(test, Counter())[report.outcome] += 1


def prove(*marks: str) -> dict[str, Outcomes]:
    """Run every test with one of the marks, in two processes; the outcomes by mark.

    Ends the program if the run is broken off.
    """
    results = _Results(marks)
    arguments = ["-q", "-n", "2", "-m", " or ".join(marks), "-p", "tests.support.proof_marks", "--no-header"]
    code = pytest.main([*arguments, str(TESTS)], plugins=[results])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise SystemExit(code)
    return {mark: results.outcomes[mark] for mark in marks}


def tables(groups: Groups, outcomes: Outcomes, what: str) -> list[str]:
    """The tables in Markdown; `what` heads the column of the rows' words."""
    lines: list[str] = []
    for group, rows in groups.items():
        lines += ["", f"### {group}", "", f"| row | {what} | proven by | result |", "|---|---|---|---|"]
        for row, words in rows.items():
            tests = outcomes.get(row, {})
            lines.append(f"| {row} | {words} | {_cell(tests)} | {_result(tests)} |")
    return [*lines, ""]


def _cell(tests: Mapping[str, Counter[str]]) -> str:
    """The tests of one row by file; several cases of one test are counted."""
    by_file: defaultdict[str, list[str]] = defaultdict(list)
    for test, outcomes in sorted(tests.items()):
        file, _, name = test.partition("::")
        cases = outcomes.total()
        by_file[file].append(f"`{name}`" + (f" ({cases} cases)" if cases > 1 else ""))
    return "<br>".join(f"{file}: {', '.join(names)}" for file, names in by_file.items())


def _result(tests: Mapping[str, Counter[str]]) -> str:
    total: Counter[str] = Counter()
    for outcomes in tests.values():
        total += outcomes
    if not total:
        return "no test"
    return ", ".join(f"{count} {outcome}" for outcome, count in sorted(total.items()))


def write_tables(page: Path, lines: list[str]) -> None:
    """Put the tables into the page, between its comments."""
    begin, end = "<!-- matrix: begin -->", "<!-- matrix: end -->"
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    page.write_text("\n".join([before + begin, *lines, end + rest.partition(end)[2]]), encoding="utf-8")


def documented_rows(page: Path) -> dict[int, set[str]]:
    """The rows of a page's tables, each with its tests as `marked_rows` names them."""
    found: dict[int, set[str]] = {}
    for line in page.read_text(encoding="utf-8").splitlines():
        if cells := re.fullmatch(r"\| (\d+) \| [^|]* \| ([^|]*) \| [^|]* \|", line):
            found[int(cells[1])] = {
                f"{part.partition(': ')[0]}::{name}"
                for part in cells[2].split("<br>")
                for name in re.findall(r"`([^`]+)`", part)
            }
    return found


def unproven(rows: Mapping[int, str], outcomes: Outcomes) -> list[int]:
    """The rows without a test, or with one that did not pass."""
    return [
        row
        for row in rows
        if not (tests := outcomes.get(row))
        or {name for ends in tests.values() for name in ends} - {"passed", "skipped"}
    ]
