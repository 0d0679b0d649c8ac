"""Run every test that proves a row of a list, and write the tables: ``python -m tests.proof_tables [--write]``.

The faults of `tests/faults/catalogue.py` go to docs/reliability.md, the security checklist of
`tests/gateway/security_rows.py` to docs/security.md, each row with its tests and their result. Exits 1 when a row has no
test, or one of its tests did not pass.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Final, NamedTuple

from tests.faults import catalogue
from tests.gateway import security_rows
from tests.support.proofs import ROOT, prove, tables, unproven, write_tables

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["LISTS", "ProvenList"]


class ProvenList(NamedTuple):
    """Rows by group, the mark that their tests carry, and the page that shows them."""

    mark: str
    groups: Mapping[str, Mapping[int, str]]
    rows: Mapping[int, str]
    page: Path
    heading: str


LISTS: Final = (
    ProvenList("fault", catalogue.GROUPS, catalogue.ROWS, ROOT / "docs/reliability.md", "fault"),
    ProvenList("security", security_rows.GROUPS, security_rows.ROWS, ROOT / "docs/security.md", "what holds"),
)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="put the tables into their pages")
    options = parser.parse_args(arguments)
    outcomes = prove(*(each.mark for each in LISTS))
    for each in LISTS:
        lines = tables(each.groups, outcomes[each.mark], each.heading)
        if options.write:
            write_tables(each.page, lines)
        else:
            print("\n".join(lines))
    return 1 if any(unproven(each.rows, outcomes[each.mark]) for each in LISTS) else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
