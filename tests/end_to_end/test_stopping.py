"""Ctrl-C, SIGTERM and readers that go away: the command ends quietly, and the server stops its work."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import termios
import time
from typing import IO, TYPE_CHECKING

import pytest

from namel3ss.sandbox import SandboxOptions, SandboxServer
from tests.end_to_end.programs import write_program
from tests.support.command_line import COMMAND, environment, on_terminal, started_command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE_S = 20.0


@pytest.fixture
def slow_server() -> Iterator[SandboxServer]:
    """Answers for minutes, unless somebody stops it."""
    with SandboxServer(SandboxOptions(installed=("llama3:8b",), tokens_per_second=20)) as running:
        yield running


@pytest.fixture
def program(tmp_path: Path, slow_server: SandboxServer) -> Path:
    return write_program(tmp_path, "tiny-endless", base_url=slow_server.url)


def wait_until_idle(server: SandboxServer) -> None:
    """Returns once the server works on nothing; fails when it goes on."""
    deadline = time.monotonic() + PATIENCE_S
    while server.active_requests:
        assert time.monotonic() < deadline, "the server still works"
        time.sleep(0.01)


def read_some(stream: IO[bytes] | None) -> None:
    assert stream is not None
    assert stream.read(5)


@pytest.mark.fault(71)
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_stops_the_server_and_exits_without_a_traceback(
    sent: signal.Signals, code: int, program: Path, slow_server: SandboxServer
) -> None:
    with started_command("run", str(program), "Hi") as process:
        read_some(process.stdout)
        assert slow_server.active_requests == 1

        process.send_signal(sent)
        _, stderr = process.communicate(timeout=PATIENCE_S)

    assert (process.returncode, stderr) == (code, b"")
    wait_until_idle(slow_server)


@pytest.mark.fault(71)
def test_signal_stops_a_command_that_still_waits_for_the_first_token(tmp_path: Path) -> None:
    with SandboxServer(SandboxOptions(installed=("llama3:8b",), load_delay=300)) as loading:
        program = write_program(tmp_path, "llama3:8b", base_url=loading.url)
        with started_command("run", str(program), "Hi", "--json") as process:
            deadline = time.monotonic() + PATIENCE_S
            while not loading.active_requests:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            stdout, stderr = process.communicate(timeout=PATIENCE_S)
        wait_until_idle(loading)

    assert (process.returncode, stdout, stderr) == (130, b"", b"")


def test_ctrl_c_on_a_terminal_leaves_the_next_prompt_on_its_own_line(
    program: Path, slow_server: SandboxServer
) -> None:
    with on_terminal("run", str(program), "Hi") as terminal:
        terminal.read_until(r"\w+ \w+")
        terminal.interrupt()

        assert terminal.wait() == 130

    assert terminal.screen.endswith("\n")
    assert "Traceback" not in terminal.screen
    wait_until_idle(slow_server)


def test_signal_ends_a_command_that_reads_its_prompt(program: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, "run", str(program)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    with process:
        assert process.stdin is not None
        process.stdin.write(b"Why")
        process.stdin.flush()
        _wait_until_read(process.stdin.fileno())
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=PATIENCE_S)

    assert (process.returncode, stderr) == (130, b"")


def _wait_until_read(pipe: int) -> None:
    """Returns once nothing is left in the pipe."""
    deadline = time.monotonic() + PATIENCE_S
    while any(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4))):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_reader_that_goes_away_ends_the_command_quietly(program: Path, slow_server: SandboxServer) -> None:
    script = '"$@" | head -c 5; exit "${PIPESTATUS[0]}"'

    done = subprocess.run(
        ["bash", "-c", script, "bash", *COMMAND, "run", str(program), "Hi"],
        capture_output=True,
        env=environment(),
        timeout=PATIENCE_S,
        check=False,
    )

    assert (done.returncode, len(done.stdout), done.stderr) == (0, 5, b"")
    wait_until_idle(slow_server)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_disk_that_is_full_is_an_error_of_its_own(program: Path, slow_server: SandboxServer) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*COMMAND, "run", str(program), "Hi"],
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(),
            timeout=PATIENCE_S,
            check=False,
        )

    assert done.returncode == 74
    assert done.stderr.startswith(b"error: The output could not be written: No space left")
    wait_until_idle(slow_server)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_sandbox_prints_its_address_and_ends_well(sent: signal.Signals) -> None:
    with started_command("sandbox", "--installed", "llama3:8b") as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"Sandbox listening on http://127.0.0.1:")

        process.send_signal(sent)
        _, stderr = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 0
    assert b"Traceback" not in stderr
