"""The tables of what is proven name the tests that carry the marks, and no others."""

from __future__ import annotations

import pytest

from tests.proof_tables import LISTS, ProvenList
from tests.support.proofs import documented_rows, marked_rows

BY_MARK = [pytest.param(each, id=each.mark) for each in LISTS]


@pytest.mark.parametrize("proven", BY_MARK)
def test_a_table_names_exactly_the_tests_that_carry_its_mark(proven: ProvenList) -> None:
    documented, marked = documented_rows(proven.page), marked_rows(proven.mark)

    assert sorted(documented) == sorted(proven.rows)
    stale = {row: documented[row] ^ marked.get(row, set()) for row in proven.rows}
    assert not any(stale.values()), (
        f"write it anew with `python -m tests.proof_tables --write`: { {row: tests for row, tests in stale.items() if tests} }"
    )


@pytest.mark.parametrize("proven", BY_MARK)
def test_every_row_of_a_table_passed_when_it_was_written(proven: ProvenList) -> None:
    rows = [line for line in proven.page.read_text(encoding="utf-8").splitlines() if line[2:3].isdigit()]
    results = {line.rstrip(" |").rpartition("| ")[2] for line in rows}

    assert [result for result in results if "passed" not in result] == []
    assert [result for result in results if "failed" in result] == []
