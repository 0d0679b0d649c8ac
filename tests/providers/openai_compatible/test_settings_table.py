"""The page of the providers lists the settings as the models have them."""

from __future__ import annotations

import pytest

from tests.providers.openai_compatible.settings_table import PAGE, TABLES, table, table_in


@pytest.mark.parametrize("name", TABLES)
def test_a_table_in_the_documentation_is_that_of_its_model(name: str):
    written = table_in(PAGE.read_text(encoding="utf-8"), name)

    assert table(name) == written, "run: python -m tests.providers.openai_compatible.settings_table"
