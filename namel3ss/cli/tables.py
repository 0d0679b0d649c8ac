"""Tables on stdout: aligned columns without a frame, cut to a terminal's width but never into a pipe."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from namel3ss.cli.output import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from namel3ss.cli.output import Output

__all__ = ["render_table", "show_table"]

# Wide enough that nothing is cut where a program reads the table.
_UNLIMITED = 10_000


def show_table(output: Output, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under their headings."""
    width = output.width if output.stdout_is_terminal else _UNLIMITED
    output.result(render_table(columns, rows, width=width, color=output.stdout_has_color))


def render_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, width: int, color: bool = False
) -> str:
    """The table as text that ends with a newline. Cells are plain text: nothing in them is markup."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=True)
    for row in rows:
        table.add_row(*(Text(printable(cell).replace("\n", " ")) for cell in row))
    page = io.StringIO()
    console = Console(
        file=page,
        width=width,
        force_terminal=color,
        color_system="standard" if color else None,
        highlight=False,
    )
    console.print(table)
    return "".join(line.rstrip() + "\n" for line in page.getvalue().splitlines())
