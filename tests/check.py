"""Every check of the project, in one command: ``python -m tests.check``.

Runs formatting, lint, strict types, the import contract, spelling and the tests; stops at nothing, reports all,
and exits non-zero when one failed. ``python -m tests.check lint types`` runs only the named ones.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = Path(sysconfig.get_path("scripts"))

# Two workers even on larger machines: the tests start servers and measure time-outs.
CHECKS: dict[str, list[str]] = {
    "format": ["ruff", "format", "--check", "."],
    "lint": ["ruff", "check", "."],
    "imports": ["lint-imports", "--no-cache"],
    "spelling": ["codespell"],
    "types": ["mypy"],
    "tests": ["pytest", "-q", "-n", "2", "-m", "not long"],
    "long": ["pytest", "-q", "-n", "2", "-m", "long"],
}


def run_check(name: str) -> bool:
    """Run one check with its output shown; True when it passed."""
    program, *arguments = CHECKS[name]
    started = time.monotonic()
    print(f"== {name}: {program} {' '.join(arguments)}", flush=True)
    code = subprocess.run(
        [SCRIPTS / program, *arguments], cwd=ROOT, check=False, env=_environment()
    ).returncode
    print(f"== {name}: {'ok' if code == 0 else 'FAILED'} ({time.monotonic() - started:.1f} s)", flush=True)
    return code == 0


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONDEVMODE": "", "PYTHONWARNINGS": ""}


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in CHECKS]
    if unknown:
        print(f"unknown check: {', '.join(unknown)}; there are {', '.join(CHECKS)}", file=sys.stderr)
        return 2
    failed = [name for name in names or CHECKS if not run_check(name)]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
