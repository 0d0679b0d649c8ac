"""A pytest plugin: reports carry the rows that their tests prove, also those of other processes (`-n`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

__all__ = ["MARKS"]

MARKS = ("fault", "security")


def pytest_itemcollected(item: pytest.Item) -> None:
    for mark in MARKS:
        rows = sorted({row for found in item.iter_markers(mark) for row in found.args})
        if rows:
            item.user_properties.append((mark, rows))
