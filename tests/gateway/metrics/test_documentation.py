"""docs/gateway-administration.md tells of every metric, and of nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from namel3ss.gateway.metrics.families import FAMILIES, Family

PAGE = Path(__file__).parents[3] / "docs" / "gateway-administration.md"
SUFFIXES = {"counter": "_total", "histogram": "", "gauge": ""}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_every_metric_is_documented_with_its_labels(family: Family) -> None:
    labels = ", ".join(f"`{label}`" for label in family.labels) or "–"

    row = f"| `{family.name}{SUFFIXES[family.kind]}` | {labels} | {family.documentation} |"
    assert row in PAGE.read_text(encoding="utf-8")


def test_the_table_names_no_metric_that_does_not_exist() -> None:
    documented = re.findall(
        r"^\| `(namel3ss_gateway_\w+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )

    assert documented == [f"{family.name}{SUFFIXES[family.kind]}" for family in FAMILIES]
