"""Every example runs, on the sandbox."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from namel3ss.declarations import read_program
from namel3ss.declarations.value_types import ChoiceType, ListType, ValueType
from namel3ss.runtime import ToolError
from namel3ss.sandbox import SandboxOptions, SandboxServer
from tests.support.command_line import call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from namel3ss.declarations.chains import ChainDeclaration
    from namel3ss.declarations.prompts import PromptDeclaration

    RunScript = Callable[..., subprocess.CompletedProcess[str]]

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"
FILES = sorted(EXAMPLES.rglob("*.ai"))
PROFILES = [file for file in FILES if "." in file.stem]
PROGRAMS = [file for file in FILES if file not in PROFILES]
SCRIPTS = sorted(EXAMPLES.glob("*.py"))
ARGUMENTS = {
    "ask_folder": (".", "What is the sky?", "--pattern", "*.txt"),
    "assistant": ("What is the sky?",),
    "typed_answers": ("sky.txt",),
}


def test_examples_are_programs_and_scripts_and_the_smallest_is_hello() -> None:
    files = {file.suffix for file in EXAMPLES.rglob("*") if file.is_file() and file.suffix != ".pyc"}
    assert files == {".ai", ".py"}
    assert min(PROGRAMS, key=lambda file: file.stat().st_size).name == "hello.ai"


def test_examples_are_laid_out_in_the_common_form() -> None:
    done = call("fmt", "--check", *FILES)

    assert done.code == 0, done.stdout


@pytest.mark.parametrize("file", PROGRAMS, ids=lambda file: file.stem)
def test_example_checks_without_a_warning_and_each_model_answers(file: Path) -> None:
    checked = call("check", "--strict", file, environ={})

    assert checked.code == 0, checked.stdout
    for name in read_program(file).models:
        if name == "embedder":
            continue  # it makes vectors, and answers nothing
        done = call("run", file, "Hi", "--sandbox", "--model", name)
        assert done.code == 0, done.stderr
        assert "Hi" in done.stdout


@pytest.mark.parametrize("file", PROGRAMS, ids=lambda file: file.stem)
def test_each_prompt_and_chain_of_an_example_answers(file: Path) -> None:
    answers_of_each_part(file)


@pytest.mark.parametrize("file", PROFILES, ids=lambda file: file.stem)
def test_a_profile_checks_and_each_part_answers_with_it(file: Path) -> None:
    base, _, profile = file.stem.partition(".")

    checked = call("check", "--strict", file, environ={})

    assert checked.code == 0, checked.stdout
    answers_of_each_part(file.with_name(f"{base}.ai"), "--profile", profile)


def answers_of_each_part(file: Path, *options: str) -> None:
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
        done = call("run", file, "--sandbox", option, part.name, *inputs, *options)
        assert done.code == 0, done.stderr
        assert "made-up" in done.stdout or done.stdout.startswith("{")


def _something(wanted: ValueType) -> str:
    """A value for an input, as a command line has it."""
    if isinstance(wanted, ChoiceType):
        return wanted.options[0]
    return "[]" if isinstance(wanted, ListType) else "1"


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    installed = ("llama3:8b", "llama3.1:8b", "nomic-embed-text:latest")
    with SandboxServer(SandboxOptions(installed=installed)) as running:
        yield running


@pytest.fixture
def run_script(server: SandboxServer, tmp_path: Path) -> RunScript:
    """Runs an example as its users do, in a folder with one text."""
    (tmp_path / "sky.txt").write_text("The sky is blue.\n", encoding="utf-8")

    def run(
        name: str, *arguments: str, stdin: str = "", url: str = server.url
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py"), *arguments],
            env={**os.environ, "NAMEL3SS_OLLAMA_BASE_URL": url},
            cwd=tmp_path,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    return run


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_script_runs_to_its_end(script: Path, run_script: RunScript) -> None:
    done = run_script(script.stem, *ARGUMENTS.get(script.stem, ()))

    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "made-up" in done.stdout


@pytest.mark.long
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_script_without_a_server_ends_and_says_so(script: Path, run_script: RunScript) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        done = run_script(script.stem, *ARGUMENTS.get(script.stem, ()), url=url)

    assert "Could not reach Ollama server" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "Unclosed" not in done.stderr


# -- ask_folder -----------------------------------------------------------------------------------------------


@pytest.mark.long
def test_only_what_changed_is_embedded_again(run_script: RunScript, tmp_path: Path) -> None:
    def ask() -> str:
        done = run_script("ask_folder", ".", "What is the sky?", "--pattern", "*.txt", "--top", "9")
        assert done.returncode == 0, done.stderr
        return done.stderr.strip()

    (tmp_path / "long.txt").write_text(
        "\n\n".join(f"Paragraph {n}: " + f"word{n} " * 60 for n in range(40)) + "\n" + "x" * 1500,
        encoding="utf-8",
    )
    first = ask()
    again = ask()
    (tmp_path / "sky.txt").write_text("The sky is grey.\n", encoding="utf-8")

    count = int(first.split()[2])
    assert count > 20
    assert (first, again) == (f"{count} of {count} passages are new.", f"0 of {count} passages are new.")
    assert ask() == f"1 of {count} passages are new."


def test_sources_are_places_in_files(run_script: RunScript) -> None:
    done = run_script("ask_folder", ".", "What is the sky?", "--pattern", "*.txt")

    assert done.stdout.splitlines()[1:] == ["  sky.txt:1"]


def test_a_file_that_is_no_text_is_left_out(run_script: RunScript, tmp_path: Path) -> None:
    (tmp_path / "picture.txt").write_bytes(b"\x89PNG\xff")

    done = run_script("ask_folder", ".", "What is the sky?", "--pattern", "*.txt")

    assert done.returncode == 0
    assert "picture.txt is left out" in done.stderr


def test_a_broken_store_of_vectors_is_named(run_script: RunScript, tmp_path: Path) -> None:
    (tmp_path / ".ask_folder.db").write_text("no database" * 200, encoding="utf-8")

    done = run_script("ask_folder", ".", "What is the sky?", "--pattern", "*.txt")

    assert (done.returncode, done.stdout) == (1, "")
    assert ".ask_folder.db: file is not a database; delete it" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((".", "Hi", "--pattern", "*.pdf"), 1, "There is no text in"),
        (("absent", "Hi"), 2, "absent is not a folder"),
        ((".", "Hi", "--top", "0"), 2, "--top must be at least 1"),
    ],
)
def test_a_wrong_call_of_ask_folder_says_why(
    run_script: RunScript, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = run_script("ask_folder", *arguments)

    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr


# -- assistant ------------------------------------------------------------------------------------------------


def test_the_assistant_looks_with_its_tools_and_goes_on_with_the_conversation(run_script: RunScript) -> None:
    done = run_script("assistant", stdin="Please find_files.\n\nPlease search.\n")

    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2
    assert "find_files(" in done.stderr


def test_the_tools_of_the_assistant_stay_in_the_folder_and_tell_the_model_why(tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "sky.txt").write_text("The sky is blue.\n", encoding="utf-8")
    (tmp_path / "secret.txt").write_text("secret", encoding="utf-8")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    tools = {tool.__name__: tool for tool in _assistant().tools_of(folder.resolve())}

    assert tools["read_lines"]("sky.txt") == "The sky is blue."
    assert tools["read_lines"]("sky.txt", 5) == "sky.txt has 1 lines."
    assert tools["search"]("SKY") == ["sky.txt:1: The sky is blue."]
    for path in ("../secret.txt", str(tmp_path / "secret.txt"), "link.txt"):
        with pytest.raises(ToolError, match="outside of the folder"):
            tools["read_lines"](path)
    assert "secret" not in str(tools["search"]("secret"))
    with pytest.raises(ToolError, match="no file absent"):
        tools["read_lines"]("absent")


def _assistant() -> ModuleType:
    spec = importlib.util.spec_from_file_location("assistant_example", EXAMPLES / "assistant.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
