"""Every example runs, on the sandbox."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from namel3ss.declarations import read_program
from namel3ss.sandbox import SandboxOptions, SandboxServer
from tests.support.command_line import call

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"
PROGRAMS = sorted(EXAMPLES.glob("*.ai"))
SCRIPTS = sorted(EXAMPLES.glob("*.py"))


def test_examples_are_programs_and_scripts_and_the_smallest_is_hello() -> None:
    assert {file.suffix for file in EXAMPLES.iterdir() if file.is_file()} == {".ai", ".py"}
    assert min(PROGRAMS, key=lambda file: file.stat().st_size).name == "hello.ai"


@pytest.mark.parametrize("file", PROGRAMS, ids=lambda file: file.stem)
def test_example_checks_without_a_warning_and_each_model_answers(file: Path) -> None:
    checked = call("check", "--strict", file, environ={})

    assert checked.code == 0, checked.stdout
    for name in read_program(file).models:
        done = call("run", file, "Hi", "--sandbox", "--model", name)
        assert done.code == 0, done.stderr
        assert "Hi" in done.stdout


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_script_runs_to_its_end(script: Path) -> None:
    with SandboxServer(SandboxOptions(installed=("llama3:8b",))) as server:
        done = subprocess.run(
            [sys.executable, "-W", "error", str(script)],
            env={**os.environ, "NAMEL3SS_OLLAMA_BASE_URL": server.url},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    assert (done.returncode, done.stderr) == (0, "")
    assert "made-up" in done.stdout
