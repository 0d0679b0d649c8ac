"""The files that docs/testing.md shows, run by pytest as a reader would; and what the fixtures do besides."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.documentation.pages import ROOT, snippets

if TYPE_CHECKING:
    from pathlib import Path

# Without the plug-ins that are installed for this suite's own run, which have no part in what the page says.
_ALONE = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def pytest_in(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-W",
            "error",
            "--strict-markers",
            *arguments,
        ],
        cwd=folder,
        env={**os.environ, **_ALONE},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_page_s_files_pass_as_they_stand_there(tmp_path: Path) -> None:
    files = {each.title: each.text for each in snippets(ROOT / "docs/testing.md") if each.title}
    for name, text in files.items():
        (tmp_path / name).write_text(text)

    done = pytest_in(tmp_path)

    assert set(files) == {"app.ai", "conftest.py", "test_helper.py", "test_program.py"}
    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout


MISUSE = """
import pytest

@pytest.mark.ollama_sandbox("llama3:8b")
def test_positional(ollama_sandbox): ...

@pytest.mark.ollama_sandbox(faults=("cutt",))
def test_unknown_fault(ollama_sandbox): ...
"""


def test_a_wrong_marker_is_explained(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["namel3ss.testing.fixtures"]\n')
    (tmp_path / "test_misuse.py").write_text(MISUSE)

    done = pytest_in(tmp_path)

    assert done.returncode == 1
    assert "The marker ollama_sandbox takes options by name only." in done.stdout
    assert "There is no fault `cutt`: did you mean `cut`?" in done.stdout


@pytest.mark.parametrize("imported", ["namel3ss.testing", "namel3ss.providers.scripted"])
def test_scripted_answers_need_neither_pytest_nor_a_server(imported: str) -> None:
    code = f"import sys, {imported}; print(*sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    loaded = set(done.stdout.split())
    assert not {"pytest", "uvicorn", "httpx", "aiohttp", "pydantic", "namel3ss.sandbox"} & loaded


def test_pytest_loads_nothing_of_namel3ss_for_those_who_do_not_ask(tmp_path: Path) -> None:
    check = "import sys\ndef test_nothing():\n    assert not [name for name in sys.modules if name.split('.')[0] == 'namel3ss']\n"
    (tmp_path / "test_nothing.py").write_text(check)

    done = pytest_in(tmp_path)

    assert done.returncode == 0, done.stdout
