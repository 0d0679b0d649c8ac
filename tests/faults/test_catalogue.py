from __future__ import annotations

from tests.faults.catalogue import ROWS
from tests.support.proofs import marked_rows


def test_every_row_has_a_test_and_every_marked_row_exists() -> None:
    found = marked_rows("fault")

    assert set(ROWS) - set(found) == set(), "rows without a test"
    assert set(found) - set(ROWS) == set(), "tests of rows that do not exist"
