"""Programs in files with scripted answers: by `provider: scripted`, or whatever provider a file names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from namel3ss.errors import ProgramError, UsageError
from namel3ss.runtime import load
from namel3ss.testing import ScriptedProvider, scripted_registry
from tests.support.command_line import call

if TYPE_CHECKING:
    from pathlib import Path

OLLAMA = 'ai model {name} {{\n    provider: ollama\n    model: llama3:8b\n    system: "Be brief."\n    {more}\n}}\n'
SCRIPTED = """ai model helper {
    provider: scripted
    model: any
    config: {
        answers: ["Hello!", "Goodbye!"]
    }
}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "app.ai"
    path.write_text(text)
    return path


async def test_a_file_that_names_ollama_runs_on_scripted_answers(tmp_path: Path) -> None:
    provider = ScriptedProvider("Hello!")
    path = written(tmp_path, OLLAMA.format(name="helper", more=""))

    async with load(path, registry=scripted_registry(provider)) as program:
        response = await program.run("Hi")

    assert response.output_text == "Hello!"
    assert (provider.calls[0].system, provider.calls[0].prompt) == ("Be brief.", "Hi")


async def test_models_get_their_own(tmp_path: Path) -> None:
    one, two = ScriptedProvider("one"), ScriptedProvider("two")
    text = OLLAMA.format(name="first", more="") + OLLAMA.format(name="second", more="")

    async with load(written(tmp_path, text), registry=scripted_registry(one, second=two)) as program:
        answers = [(await program.run("Hi", model=name)).output_text for name in ("first", "second")]

    assert answers == ["one", "two"]


async def test_a_model_without_a_provider_is_an_error_that_says_what_to_write(tmp_path: Path) -> None:
    path = written(tmp_path, OLLAMA.format(name="helper", more=""))

    async with load(path, registry=scripted_registry(other=ScriptedProvider())) as program:
        with pytest.raises(UsageError, match="No provider was given for the model 'helper'"):
            await program.run("Hi")


def test_the_file_is_checked_by_its_real_provider(tmp_path: Path) -> None:
    path = written(tmp_path, OLLAMA.format(name="helper", more="temprature: 0.5"))

    with pytest.raises(ProgramError, match="temprature"):
        load(path, registry=scripted_registry(ScriptedProvider("x")))


def test_a_file_may_hold_its_answers(tmp_path: Path) -> None:
    path = written(tmp_path, SCRIPTED)

    done = call("chat", path, stdin="one\ntwo\nthree\n")

    assert (done.code, done.stdout) == (0, "Hello!\nGoodbye!\nGoodbye!\n"), done.stderr


def test_an_empty_script_is_found_by_the_check(tmp_path: Path) -> None:
    path = written(tmp_path, SCRIPTED.replace('"Hello!", "Goodbye!"', ""))

    done = call("check", path)

    assert done.code == 1
    assert "answers" in done.stdout + done.stderr


def test_run_of_a_scripted_file_needs_no_server(tmp_path: Path) -> None:
    done = call("run", written(tmp_path, SCRIPTED), "Hi")

    assert (done.code, done.stdout) == (0, "Hello!\n"), done.stderr
