from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.editors.npm import NODE, install

if TYPE_CHECKING:
    from collections.abc import Mapping

_SCRIPTS = Path(__file__).resolve().parent / "node"
_PATIENCE_S = 60.0  # a guard against waiting for ever; nothing is decided by it


@dataclass(frozen=True)
class Node:
    """Runs the scripts of tests/editors/node, and those of the extension's packages, which `modules` holds."""

    modules: Path

    def run(
        self, script: str | Path, *arguments: str | Path, environ: Mapping[str, str] | None = None
    ) -> str:
        """What a script prints. One that fails fails the test, with what it said."""
        done = subprocess.run(
            [str(NODE), str(_SCRIPTS / script), *map(str, arguments)],
            env={**os.environ, **(environ or {}), "NODE_PATH": str(self.modules)},
            capture_output=True,
            text=True,
            check=False,
            timeout=_PATIENCE_S,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="session")
def node() -> Node:
    """The packages of the extension are installed by the first test of a checkout that wants them: some seconds."""
    return Node(install())
