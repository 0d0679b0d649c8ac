"""Looking at a program does nothing but read its files: no connection, no process, no file written."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

# Everything that a program can name which others would be asked for, started or opened.
PROGRAM = """
import "part.ai"

ai model fast {
    provider: ollama
    model: "llama3:8b"
    base_url: "http://203.0.113.1:11434"
    config: { auto_pull_model: true  auto_start_server: true }
}

server gpu1 { base_url: "http://203.0.113.2:11434" }

gateway team {
    servers: [gpu1]
    models: [fast]
    pull: { allow: ["llama3:*"] }
    database: "postgresql://203.0.113.3/team"
}
"""
PART = 'ai model other { provider: ollama  model: "http://203.0.113.4/a/b" }\n'

# Python tells of whatever it does to the world; an event of these kinds ends the look with the event's name.
GUARD = """
import sys

def forbid(event, arguments):
    writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
    kinds = ("socket.", "subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.system", "os.mkdir",
             "os.remove", "os.rename", "os.chmod", "os.link", "os.symlink", "sqlite3.", "shutil.", "urllib.")
    if writes or event.startswith(kinds):
        print(event, arguments)
        sys.exit(f"side effect: {event} {arguments}")

sys.dont_write_bytecode = True
from namel3ss.declarations import read_program
from namel3ss.gateway.plan import plan_gateway
import namel3ss.language.render
sys.addaudithook(forbid)
program = read_program("app.ai", environ={})
print([finding.code for finding in program.diagnostics])
"""
PLAN = "print(plan_gateway(program, None, {}).backends[0].base_url)\n"


def look(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.security(42)
def test_reading_and_planning_a_program_connects_starts_and_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "app.ai").write_text(PROGRAM, encoding="utf-8")
    (tmp_path / "part.ai").write_text(PART, encoding="utf-8")

    done = look(tmp_path, GUARD + PLAN)

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "http://203.0.113.2:11434"
    assert sorted(file.name for file in tmp_path.rglob("*")) == ["app.ai", "part.ai"]


@pytest.mark.security(42)
@pytest.mark.parametrize(
    "act",
    [
        "import socket; socket.create_connection(('127.0.0.1', 1))",
        "import subprocess; subprocess.run(['true'])",
        "open('written', 'w')",
        "import os; os.mkdir('made')",
    ],
)
def test_the_guard_of_these_tests_sees_what_it_is_for(act: str, tmp_path: Path) -> None:
    (tmp_path / "app.ai").write_text(PART, encoding="utf-8")

    done = look(tmp_path, f"{GUARD}{act}\n")

    assert done.returncode == 1
    assert "side effect: " in done.stderr
    assert sorted(file.name for file in tmp_path.rglob("*")) == ["app.ai"]
