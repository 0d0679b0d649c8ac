from __future__ import annotations

from namel3ss.cli.tables import render_table


def test_columns_are_aligned_and_nothing_trails() -> None:
    text = render_table(["NAME", "SIZE"], [["llama3:8b", "4.7 GB"], ["tiny", "1 B"]], width=80)

    assert text == "NAME       SIZE\nllama3:8b  4.7 GB\ntiny       1 B\n"


def test_wide_table_is_cut_only_to_the_width_given() -> None:
    long = "x" * 300

    assert long in render_table(["NAME"], [[long]], width=10_000)
    assert max(map(len, render_table(["NAME"], [[long]], width=40).splitlines())) == 40


def test_cells_are_text_and_not_markup_or_escapes() -> None:
    text = render_table(["NAME"], [["[bold]a[/bold] :smile:"], ["\x1b[31mred\nnext"]], width=80)

    assert text == "NAME\n[bold]a[/bold] :smile:\n␛[31mred next\n"
