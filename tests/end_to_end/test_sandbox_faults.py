"""`namel3ss sandbox --fault`: a server that fails on purpose, and what another command makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.programs import write_program
from tests.support.command_line import call, run_command, started_command

if TYPE_CHECKING:
    from pathlib import Path


def test_a_command_fails_as_the_sandbox_was_told_to(tmp_path: Path) -> None:
    arguments = ("sandbox", "--installed", "llama3:8b", "--fault", "oom:times=1", "--fault", "no-done")
    with started_command(*arguments) as sandbox:
        assert sandbox.stdout is not None
        url = sandbox.stdout.readline().decode().split()[-1]
        write_program(tmp_path, "llama3:8b", base_url=url, max_retries=0)

        too_large = call("run", tmp_path / "app.ai", "Hi")
        cut_off = call("run", tmp_path / "app.ai", "Hi")

    assert too_large.code == 4
    assert "Not enough memory to run Ollama model 'llama3:8b'" in too_large.stderr
    assert cut_off.code == 7
    assert cut_off.stdout.endswith("You wrote: Hi")
    assert "The answer ended without its last line" in cut_off.stderr


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("cutt", "There is no fault `cutt`: did you mean `cut`?"),
        ("busy:after=1", "The fault `busy` has no `after`."),
    ],
)
def test_a_wrong_fault_is_a_wrong_call(fault: str, message: str) -> None:
    done = run_command("sandbox", "--fault", fault)

    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
