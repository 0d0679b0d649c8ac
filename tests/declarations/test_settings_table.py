"""The page of the language lists the settings as the config model has them."""

from __future__ import annotations

from tests.declarations.settings_table import PAGE, settings_table, table_in


def test_the_table_in_the_documentation_is_that_of_the_config_model():
    written = table_in(PAGE.read_text(encoding="utf-8"))

    assert settings_table() == written, "run: python -m tests.declarations.settings_table"
