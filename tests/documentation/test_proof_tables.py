"""The tables of what is proven name the tests that carry the marks."""

from __future__ import annotations

import re

import pytest

from tests.proof_tables import LISTS, ProvenList
from tests.support.proofs import ROOT, documented_rows, marked_rows

BY_MARK = [pytest.param(each, id=each.mark) for each in LISTS]


@pytest.mark.parametrize("proven", BY_MARK)
def test_a_table_names_every_test_that_carries_its_mark(proven: ProvenList) -> None:
    documented, marked = documented_rows(proven.page), marked_rows(proven.mark)

    assert sorted(documented) == sorted(proven.rows)
    missing = {row: tests - documented[row] for row, tests in marked.items() if tests - documented[row]}
    assert missing == {}, "write it anew with `python -m tests.proof_tables --write`"


@pytest.mark.parametrize("proven", BY_MARK)
def test_a_table_names_only_tests_that_there_are(proven: ProvenList) -> None:
    """Marks of single cases and of state machines are found only by running, so those are looked for by their names."""
    for tests in documented_rows(proven.page).values():
        for test in tests:
            file, name, *_ = test.split("::")
            source = (ROOT / file).read_text(encoding="utf-8")
            assert f"mark.{proven.mark}(" in source, test
            assert re.search(rf"\b{name}\b", source), test


@pytest.mark.parametrize("proven", BY_MARK)
def test_every_row_of_a_table_passed_when_it_was_written(proven: ProvenList) -> None:
    rows = re.findall(
        r"^\| \d+ \| [^|]* \| [^|]* \| ([^|]*) \|$", proven.page.read_text(encoding="utf-8"), re.MULTILINE
    )
    results = set(rows)

    assert len(rows) == len(proven.rows)
    assert [result for result in results if "passed" not in result] == []
    assert [result for result in results if "failed" in result] == []
