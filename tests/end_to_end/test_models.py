"""`namel3ss models`, and the pull that `run` does by itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from namel3ss.sandbox import Fault, SandboxOptions, SandboxServer
from tests.end_to_end.programs import write_program
from tests.support.command_line import call, on_terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    options = SandboxOptions(
        installed=("llama3:8b",), tiny=False, pull_seconds=0.2, unknown_models=("nobody",)
    )
    with SandboxServer(options) as running:
        yield running


def names(server: SandboxServer) -> list[str]:
    return [
        model["name"]
        for model in json.loads(call("models", "list", "--base-url", server.url, "--json").stdout)
    ]


def test_missing_model_is_pulled_with_progress_and_then_answers(
    tmp_path: Path, server: SandboxServer
) -> None:
    program = write_program(tmp_path, "mistral:7b", base_url=server.url)

    done = call("run", program, "Hi")

    assert done.code == 0
    assert done.stdout.endswith("You wrote: Hi\n")
    assert done.stderr.startswith("Pulling mistral:7b …\nPulling mistral:7b: ")
    assert "Pulled mistral:7b (" in done.stderr
    assert sorted(names(server)) == ["llama3:8b", "mistral:7b"]


def test_pull_is_a_bar_on_a_terminal_and_leaves_one_line(tmp_path: Path) -> None:
    options = SandboxOptions(tiny=False, pull_seconds=1.0)
    with SandboxServer(options) as slow:
        program = write_program(tmp_path, "mistral:7b", base_url=slow.url)
        with on_terminal("run", str(program), "Hi", environ={"NO_COLOR": ""}, columns=120) as terminal:
            terminal.read_until("Pulling mistral:7b.*━.* % · .* of .*B")
            terminal.read_until(r"Pulled mistral:7b \(.*\)\.\r\n")
            terminal.read_until("You wrote: Hi")

            assert terminal.wait() == 0


def test_model_that_may_not_be_pulled_is_an_error_with_the_way_out(
    tmp_path: Path, server: SandboxServer
) -> None:
    program = write_program(tmp_path, "llama3:7b", base_url=server.url, auto_pull_model=False)

    done = call("run", program, "Hi")

    assert (done.code, done.stdout) == (4, "")
    assert "ollama pull llama3:7b" in done.stderr
    assert "llama3:8b" in done.stderr


def test_model_that_nobody_has_is_an_error(tmp_path: Path, server: SandboxServer) -> None:
    program = write_program(tmp_path, "nobody", base_url=server.url)

    done = call("run", program, "Hi")

    assert (done.code, done.stdout) == (4, "")
    assert "nobody" in done.stderr


def test_table_lists_the_models(server: SandboxServer) -> None:
    done = call("models", "list", "--base-url", server.url)

    heading, *rows = done.stdout.splitlines()
    assert heading.split() == ["NAME", "SIZE", "PARAMETERS", "QUANTIZATION", "MODIFIED"]
    assert [row.split()[0] for row in rows] == ["llama3:8b"]


def test_empty_server_says_how_to_get_a_model() -> None:
    with SandboxServer(SandboxOptions(tiny=False)) as empty:
        done = call("models", "list", "--base-url", empty.url)
        as_json = call("models", "list", "--base-url", empty.url, "--json")

    assert (done.code, done.stdout) == (0, "")
    assert "namel3ss models pull NAME" in done.stderr
    assert as_json.stdout == "[]\n"


def test_loaded_models_are_shown_with_window_and_end(tmp_path: Path, server: SandboxServer) -> None:
    nothing = call("models", "ps", "--base-url", server.url)
    call("run", write_program(tmp_path, "llama3:8b", base_url=server.url), "Hi")

    done = call("models", "ps", "--base-url", server.url)

    assert nothing.stdout == ""
    heading, row = done.stdout.splitlines()
    assert heading.split() == ["NAME", "SIZE", "PROCESSOR", "CONTEXT", "UNTIL"]
    assert row.startswith("llama3:8b")
    assert "4096 tokens" in row
    assert "in 4 minutes" in row or "in 5 minutes" in row


def test_model_is_shown_with_what_it_can_do(server: SandboxServer) -> None:
    done = call("models", "show", "llama3:8b", "--base-url", server.url)
    document = json.loads(call("models", "show", "llama3:8b", "--base-url", server.url, "--json").stdout)

    assert done.stdout.startswith("MODEL")
    assert "completion" in done.stdout
    assert "completion" in document["capabilities"]


def test_models_are_pulled_copied_and_removed(server: SandboxServer) -> None:
    at = ("--base-url", server.url)

    pulled = call("models", "pull", "mistral:7b", "phi:latest", *at)
    copied = call("models", "cp", "phi", "my-phi", *at, "--json")
    removed = call("models", "rm", "phi", "mistral:7b", *at)

    assert [done.code for done in (pulled, copied, removed)] == [0, 0, 0]
    assert "Pulled phi:latest (" in pulled.stderr
    assert json.loads(copied.stdout) == {"source": "phi", "destination": "my-phi"}
    assert removed.stderr == "Removed phi.\nRemoved mistral:7b.\n"
    assert sorted(names(server)) == ["llama3:8b", "my-phi:latest"]


def test_pull_without_a_name_gets_what_the_file_names(tmp_path: Path, server: SandboxServer) -> None:
    program = write_program(tmp_path, "mistral:7b", "phi:latest", base_url=server.url)

    done = call("models", "pull", "--file", program, "--json")
    nothing = call("models", "pull", "--base-url", server.url)

    assert json.loads(done.stdout) == {"pulled": ["mistral:7b", "phi:latest"]}
    assert nothing.code == 2
    assert "no model to pull" in nothing.stderr


@pytest.mark.parametrize("command", ["show", "rm"])
def test_unknown_name_suggests_the_nearest_installed(command: str, server: SandboxServer) -> None:
    done = call("models", command, "llama3:8", "--base-url", server.url)

    assert (done.code, done.stdout) == (4, "")
    assert "llama3:8b" in done.stderr


def test_pull_that_fails_keeps_the_server_s_reason() -> None:
    with SandboxServer(SandboxOptions(tiny=False, faults=frozenset({Fault.REGISTRY_UNRESOLVED}))) as offline:
        done = call("models", "pull", "mistral:7b", "--base-url", offline.url)

    assert done.code == 4
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("Pulling") or done.stderr.startswith("error:")


def test_file_whose_models_live_on_several_servers_asks_which(tmp_path: Path, server: SandboxServer) -> None:
    one = write_program(tmp_path, "llama3:8b", base_url=server.url)
    other = write_program(tmp_path, "far", base_url="http://127.0.0.1:9", name="far.ai")
    one.write_text(one.read_text() + other.read_text(), encoding="utf-8")

    unclear = call("models", "list", "--file", one)
    chosen = call("models", "list", "--file", one, "--model", "llama3:8b")

    assert unclear.code == 2
    assert "--model NAME: llama3:8b, far" in unclear.stderr
    assert "llama3:8b" in chosen.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["list", "--base-url", "http://localhost:1", "--sandbox"],
        ["list", "--base-url", "http://localhost:1", "--file", "app.ai"],
        ["list", "--model", "x"],
        ["list", "--base-url", "localhost"],
        ["pull", "bad name!", "--sandbox"],
    ],
)
def test_call_that_contradicts_itself_is_refused(arguments: list[str]) -> None:
    done = call("models", *arguments)

    assert done.code in (2, 7)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_names_are_completed_from_the_server(
    server: SandboxServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COMP_WORDS", "namel3ss models rm lla")
    monkeypatch.setenv("COMP_CWORD", "3")
    completing = {"_NAMEL3SS_COMPLETE": "bash_complete"}

    monkeypatch.setenv("NAMEL3SS_OLLAMA_BASE_URL", server.url)
    call(environ=completing)
    assert capsys.readouterr().out.split() == ["plain,llama3:8b"]

    monkeypatch.setenv("NAMEL3SS_OLLAMA_BASE_URL", "http://127.0.0.1:9")
    call(environ=completing)
    assert capsys.readouterr().out.split() == []


@pytest.mark.parametrize(
    "arguments", [("pull", "bad name"), ("show", "a:b:c"), ("rm", "tiny", ""), ("cp", "tiny", "a b")]
)
def test_a_name_that_cannot_be_one_is_a_wrong_call_and_no_server_is_asked(arguments: tuple[str, ...]) -> None:
    done = call("models", *arguments, "--base-url", "http://127.0.0.1:9")

    assert done.code == 2
    assert "is not a model name" in done.stderr
    assert "namespace/model:tag" in done.stderr
