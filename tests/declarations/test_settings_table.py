"""The documentation lists the settings as the models have them."""

from __future__ import annotations

import pytest

from tests.declarations.settings_table import TABLES, written_table


@pytest.mark.parametrize("name", TABLES)
def test_a_table_in_the_documentation_is_that_of_its_model(name: str):
    assert TABLES[name]() == written_table(name), "run: python -m tests.declarations.settings_table"
