"""`namel3ss doctor`: what it finds, and what it exits with."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

import pytest

from namel3ss.sandbox import SandboxOptions, SandboxServer
from tests.end_to_end.programs import write_program
from tests.support.command_line import call

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    with SandboxServer(SandboxOptions(installed=("llama3:8b",), tiny=False)) as running:
        yield running


@pytest.fixture
def unused_url() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_address_is_shown_with_its_place_in_the_file(tmp_path: Path, server: SandboxServer) -> None:
    program = write_program(tmp_path, "llama3:8b", base_url=server.url)

    done = call("doctor", program)

    assert done.code == 0, done.stdout
    assert f"Ollama 0.24.0 answers at {server.url} (from base_url at {program}:4:" in done.stdout
    assert "llama3:8b uses llama3:8b, which is installed" in done.stdout


def test_address_of_the_environment_is_shown_with_its_variable(
    server: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAMEL3SS_OLLAMA_BASE_URL", server.url.replace("http://", "http://me:canary@"))

    done = call("doctor")

    assert done.code == 0, done.stdout
    assert f"{server.url} (from NAMEL3SS_OLLAMA_BASE_URL)" in done.stdout
    assert f"NAMEL3SS_OLLAMA_BASE_URL={server.url} (" in done.stdout
    assert "1 model installed" in done.stdout
    assert "canary" not in done.stdout


def test_missing_server_exits_as_run_would_and_says_what_to_do(tmp_path: Path, unused_url: str) -> None:
    program = write_program(tmp_path, "llama3:8b", base_url=unused_url)

    done = call("doctor", program)

    assert done.code == call("run", program, "Hi", "--set", "max_retries=0").code == 3
    assert "Could not reach Ollama server" in done.stdout
    assert "--sandbox" in done.stdout or "namel3ss server start" in done.stdout


def test_missing_model_exits_as_run_would(tmp_path: Path, server: SandboxServer) -> None:
    program = write_program(tmp_path, "mistral:7b", base_url=server.url, auto_pull_model=False)

    done = call("doctor", program)

    assert done.code == call("run", program, "Hi").code == 4
    assert f"namel3ss models pull mistral:7b --base-url {server.url}" in done.stdout


def test_unset_variable_is_a_problem_with_the_way_out(tmp_path: Path, server: SandboxServer) -> None:
    program = tmp_path / "app.ai"
    program.write_text(
        f'ai model m {{ provider: ollama  model: llama3:8b  base_url: "{server.url}"\n'
        "config: { api_key: env.SERVER_KEY } }",
        encoding="utf-8",
    )

    without = call("doctor", program, environ={})
    with_key = call("doctor", program, environ={"SERVER_KEY": "canary"})

    assert without.code == call("run", program, "Hi", environ={}).code == 1
    assert "export SERVER_KEY=" in without.stdout
    assert with_key.code == 0, with_key.stdout
    assert "canary" not in with_key.stdout


def test_broken_file_is_found_out_without_asking_a_server(tmp_path: Path) -> None:
    (tmp_path / "app.ai").write_text("ai model m { provider: none  model: x }", encoding="utf-8")

    done = call("doctor", tmp_path / "app.ai", "--sandbox")

    assert done.code == 1
    assert f"namel3ss check {tmp_path}/app.ai" in done.stdout


def test_json_has_every_finding(tmp_path: Path, server: SandboxServer) -> None:
    program = write_program(tmp_path, "llama3:8b", base_url=server.url)

    document: dict[str, Any] = json.loads(call("doctor", program, "--json").stdout)

    assert document["ok"] is True
    assert {finding["subject"] for finding in document["findings"]} >= {
        "namel3ss",
        "file",
        "server",
        "models",
    }
    assert {finding["level"] for finding in document["findings"]} <= {"ok", "info", "warning"}


def test_on_the_sandbox_everything_is_in_place(tmp_path: Path, unused_url: str) -> None:
    program = write_program(tmp_path, "llama3:8b", base_url=unused_url)

    done = call("doctor", program, "--sandbox")

    assert done.code == 0, done.stdout
    assert "(from --sandbox)" in done.stdout
    assert unused_url not in done.stdout


def test_server_that_may_be_started_is_no_problem(
    tmp_path: Path, unused_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "ollama").write_text("#!/bin/sh\n")
    (tmp_path / "bin" / "ollama").chmod(0o755)
    program = write_program(tmp_path, "llama3:8b", base_url=unused_url, auto_start_server=True)

    done = call("doctor", program, environ={"PATH": str(tmp_path / "bin")})

    assert done.code == 0, done.stdout
    assert "It is started when it is needed." in done.stdout
