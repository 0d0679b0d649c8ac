"""A server that `run` starts by itself, and `namel3ss server`, with a stand-in `ollama` program on the PATH."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.programs import write_program
from tests.support.command_line import on_terminal, run_command
from tests.support.stand_in_ollama import install_stand_in

if TYPE_CHECKING:
    from collections.abc import Iterator

BASH = "/usr/bin:/bin"


@pytest.fixture
def url() -> str:
    """An address of this machine at which nothing answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def machine(tmp_path: Path, url: str) -> Iterator[dict[str, str]]:
    """The environment of a machine with Ollama installed; what was started on it is stopped at the end."""
    stand_in = install_stand_in(tmp_path / "bin", "sandbox")
    environ = {"PATH": f"{stand_in.folder}:{BASH}", "XDG_STATE_HOME": str(tmp_path / "state")}
    yield environ
    run_command("server", "stop", "--base-url", url, environ=environ)


def test_server_is_started_for_an_answer_and_stays_until_it_is_stopped(
    tmp_path: Path, url: str, machine: dict[str, str]
) -> None:
    program = str(write_program(tmp_path, "tiny", base_url=url, auto_start_server=True))
    status = ("server", "status", "--json", "--base-url", url)

    first = run_command("run", program, "Hi", environ=machine)
    second = run_command("run", program, "Hi", environ=machine)
    running = run_command(*status, environ=machine)
    stopped = run_command("server", "stop", "--file", program, environ=machine)
    gone = run_command(*status, environ=machine)

    assert first.returncode == 0, first.stderr
    assert first.stdout.strip()
    assert first.stderr.count("\n") == 1
    assert f"started the Ollama server at {url}" in first.stderr
    assert "namel3ss server stop" in first.stderr
    assert (second.returncode, second.stderr) == (0, "")
    assert running.returncode == 0
    assert json.loads(running.stdout)["is_ours"] is True
    assert (stopped.returncode, stopped.stderr) == (0, f"Stopped the server at {url}.\n")
    assert gone.returncode == 3
    assert json.loads(gone.stdout)["version"] is None


@pytest.mark.long
def test_server_is_started_shown_and_stopped_by_hand(url: str, machine: dict[str, str]) -> None:
    at = ("--base-url", url)

    with on_terminal("server", "start", *at, environ=machine) as terminal:
        terminal.read_until(rf"Started Ollama 0\.24\.0 at {url} \(process \d+\)\.")
        terminal.read_until("Stop it: namel3ss server stop")
        assert terminal.wait() == 0
    again = run_command("server", "start", *at, environ=machine)
    status = run_command("server", "status", *at, environ=machine)
    stopped = run_command("server", "stop", *at, environ=machine)
    nothing = run_command("server", "stop", *at, environ=machine)

    assert again.stderr == f"Ollama 0.24.0 runs already at {url}.\n"
    assert status.stdout.startswith(f"Ollama 0.24.0 answers at {url}.\nStarted by namel3ss at ")
    assert stopped.stderr == f"Stopped the server at {url}.\n"
    assert (nothing.returncode, nothing.stderr) == (0, f"No server was running at {url}.\n")


def test_without_the_program_the_error_says_how_to_install_it(tmp_path: Path, url: str) -> None:
    if any(
        Path(place).exists()
        for place in ("/usr/local/bin/ollama", "/usr/bin/ollama", "/opt/homebrew/bin/ollama")
    ):
        pytest.skip("Ollama is installed in a usual place of this machine")
    program = str(write_program(tmp_path, "tiny", base_url=url, auto_start_server=True))

    done = run_command("run", program, "Hi", environ={"PATH": os.fspath(tmp_path)})

    assert (done.returncode, done.stdout) == (3, "")
    assert "Ollama executable not found" in done.stderr
    assert "--sandbox" in done.stderr.splitlines()[-1]


def test_start_that_fails_shows_the_last_lines_of_the_log(tmp_path: Path, url: str) -> None:
    stand_in = install_stand_in(tmp_path / "bin", "exit")
    environ = {"PATH": f"{stand_in.folder}:{BASH}", "XDG_STATE_HOME": str(tmp_path / "state")}

    done = run_command("server", "start", "--base-url", url, environ=environ)

    assert (done.returncode, done.stdout) == (3, "")
    assert "ensure path elements are traversable" in done.stderr
    assert "Traceback" not in done.stderr


def test_server_of_another_machine_cannot_be_started() -> None:
    done = run_command("server", "start", "--base-url", "http://192.0.2.1:11434")

    assert done.returncode == 3
    assert "this machine" in done.stderr
