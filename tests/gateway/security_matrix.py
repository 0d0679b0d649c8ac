"""Run every test that proves a row of the security checklist: ``python -m tests.gateway.security_matrix [--write]``.

Each row with its tests and their result; `--write` puts it into docs/security.md. Exits 1 when a row has no test, or one
of its tests did not pass.
"""

from __future__ import annotations

import argparse
import sys
from typing import Final

from tests.gateway.security_rows import GROUPS, ROWS
from tests.support.proofs import ROOT, prove, tables, unproven, write_tables

PAGE: Final = ROOT / "docs/security.md"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="put the table into docs/security.md")
    options = parser.parse_args(arguments)
    outcomes = prove("security")
    lines = tables(GROUPS, outcomes, "what holds")
    if options.write:
        write_tables(PAGE, lines)
    else:
        print("\n".join(lines))
    return 1 if unproven(ROWS, outcomes) else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
