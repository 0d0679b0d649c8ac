"""Every row of the catalogue is proven by a test."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.faults.catalogue import ROWS

TESTS = Path(__file__).resolve().parents[1]


def marked_rows(source: str) -> set[int]:
    """The numbers in every ``….mark.fault(…)`` of a test file."""
    return {
        argument.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.fault"
        for argument in node.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, int)
    }


def test_every_row_has_a_test_and_every_marked_row_exists() -> None:
    found = set().union(*(marked_rows(file.read_text()) for file in TESTS.rglob("test_*.py")))

    assert set(ROWS) - found == set(), "rows without a test"
    assert found - set(ROWS) == set(), "tests of rows that do not exist"
