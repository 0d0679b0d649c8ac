from __future__ import annotations

import re
from pathlib import Path

from namel3ss.gateway.errors import Reason

GUIDE = Path(__file__).parents[2] / "docs" / "gateway.md"


def test_the_guide_names_every_reason_beside_its_status() -> None:
    told = {
        (status, name)
        for row in re.findall(r"^\| (\d{3}(?:, \d{3})*) \|(.*)\|$", GUIDE.read_text("utf-8"), re.MULTILINE)
        for status in row[0].split(", ")
        for name in re.findall(r"`([a-z_]+)`", row[1])
    }

    assert {reason.name for reason in Reason if (str(reason.status), reason.name) not in told} == set()
