"""Every example runs, on the sandbox."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from namel3ss.declarations import read_program
from namel3ss.declarations.value_types import ChoiceType, ListType, ValueType
from namel3ss.sandbox import SandboxOptions, SandboxServer
from tests.support.command_line import call

if TYPE_CHECKING:
    from namel3ss.declarations.chains import ChainDeclaration
    from namel3ss.declarations.prompts import PromptDeclaration

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


@pytest.mark.parametrize("file", PROGRAMS, ids=lambda file: file.stem)
def test_each_prompt_and_chain_of_an_example_answers(file: Path) -> None:
    program = read_program(file)
    parts: list[tuple[str, PromptDeclaration | ChainDeclaration]] = [
        ("--prompt", prompt) for prompt in program.prompts.values()
    ]
    parts += [("--chain", chain) for chain in program.chains.values()]
    for option, part in parts:
        inputs = [
            text
            for each in part.input.fields
            if each.is_required
            for text in ("--input", f"{each.name}={_something(each.type)}")
        ]
        done = call("run", file, "--sandbox", option, part.name, *inputs)
        assert done.code == 0, done.stderr
        assert "made-up" in done.stdout or done.stdout.startswith("{")


def _something(wanted: ValueType) -> str:
    """A value for an input, as a command line has it."""
    if isinstance(wanted, ChoiceType):
        return wanted.options[0]
    return "[]" if isinstance(wanted, ListType) else "1"


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
