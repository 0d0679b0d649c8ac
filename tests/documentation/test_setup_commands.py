"""The README's two commands are the ones that are run: the first here, the second by `.ci/run`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.documentation.pages import ROOT

if TYPE_CHECKING:
    from pathlib import Path


def setup_commands() -> list[str]:
    """The one-line commands that make an environment, in the order of the README."""
    return re.findall(
        r"^\$ (.*python3 -m venv .+)$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )


def test_readme_has_two_setup_commands_and_ci_runs_exactly_the_second() -> None:
    main_job, all_checks = setup_commands()

    ci_lines = (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()
    assert "namel3ss run examples/hello.ai" in main_job
    assert "--sandbox" in main_job
    assert all_checks in ci_lines


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs the list of files that belong to a checkout")
def test_first_command_answers_on_a_fresh_checkout_with_an_empty_home(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout.split("\0")
    for name in filter(None, tracked):
        if (ROOT / name).is_file():
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, checkout / name)
    home = tmp_path / "home"
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if name == "PATH" or name.startswith("PIP_")}

    done = subprocess.run(
        ["bash", "-c", setup_commands()[0]],
        cwd=checkout,
        env={**kept, "HOME": str(home), "TMPDIR": str(home)},
        capture_output=True,
        text=True,
        timeout=580,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "Hi" in done.stdout
    assert "made up" in done.stderr
