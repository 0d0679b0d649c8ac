"""Runs `namel3ss`: inside the test process, in a process of its own with pipes, or on a pseudo-terminal as a person
would. Only the last two show what signals, closed pipes and terminals do; the first is fast.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import select
import subprocess
import sys
import termios
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from namel3ss.cli.application import run_command_line
from namel3ss.cli.output import Output
from namel3ss.cli.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

COMMAND = (sys.executable, "-m", "namel3ss")
TIMEOUT_S = 30.0

# Makes the pseudo-terminal on descriptor 0 the controlling terminal, so that typing Ctrl-C sends SIGINT.
_LOGIN = "import os, sys; os.login_tty(0); os.execv(sys.argv[1], sys.argv[1:])"


@dataclass(frozen=True)
class Called:
    """What a command did."""

    code: int
    stdout: str
    stderr: str


def call(
    *arguments: str | os.PathLike[str], stdin: str | bytes = b"", environ: Mapping[str, str] | None = None
) -> Called:
    """Run one command here, with an environment of its own if given; what providers read is the process's."""
    data = stdin.encode() if isinstance(stdin, str) else stdin
    stdout, stderr = io.StringIO(), io.StringIO()
    session = Session(
        Output(stdout, stderr, {}),
        io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"),
        os.environ if environ is None else environ,
    )
    code = run_command_line([os.fspath(argument) for argument in arguments], session)
    return Called(code, stdout.getvalue(), stderr.getvalue())


def call_together(*arguments: str) -> tuple[int, str]:
    """Run one command here: its exit code, and what it writes to stdout and stderr in the order of a terminal."""
    both = io.StringIO()
    code = run_command_line(
        arguments, Session(Output(both, both, {}), io.TextIOWrapper(io.BytesIO()), os.environ)
    )
    return code, both.getvalue()


def environment(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of this test run for a child: no colours, except where a test asks for them, and buffers as usual."""
    usual = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return {**usual, "NO_COLOR": "1", "TERM": "xterm", **(changes or {})}


def run_command(
    *arguments: str,
    stdin: str | bytes | None = None,
    cwd: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end, its streams being pipes; standard input is empty unless given."""
    data = stdin.encode() if isinstance(stdin, str) else stdin
    done = subprocess.run(
        [*COMMAND, *arguments],
        input=data if data is not None else b"",
        cwd=cwd,
        env=environment(environ),
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


@contextlib.contextmanager
def started_command(
    *arguments: str, cwd: Path | None = None, environ: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A running command with pipes on stdout and stderr; killed at the end if it still runs."""
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cwd,
        env=environment(environ),
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


class Terminal:
    """A command on a pseudo-terminal. `screen` is everything it wrote, with terminal line ends."""

    def __init__(self, process: subprocess.Popen[bytes], descriptor: int) -> None:
        self.process = process
        self.screen = ""
        self._descriptor = descriptor
        self._seen = 0

    def read_until(self, pattern: str, timeout_s: float = TIMEOUT_S) -> str:
        """Wait until the pattern appears behind what was waited for before; gives the text up to its end."""
        deadline = time.monotonic() + timeout_s
        while True:
            if found := re.compile(pattern).search(self.screen, self._seen):
                text = self.screen[self._seen : found.end()]
                self._seen = found.end()
                return text
            if not self._read(deadline):
                raise AssertionError(f"{pattern!r} did not appear in {self.screen[self._seen :]!r}")

    def type(self, text: str) -> None:
        """Send keys; a newline is the Return key."""
        os.write(self._descriptor, text.encode())

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.type("\x03")

    def interrupt_until(self, pattern: str) -> None:
        """Press Ctrl-C until the pattern appears: Python's line editor misses one that comes just before it waits."""
        for _ in range(int(TIMEOUT_S)):
            self.interrupt()
            with contextlib.suppress(AssertionError):
                self.read_until(pattern, timeout_s=1.0)
                return
        raise AssertionError(f"{pattern!r} did not appear in {self.screen[self._seen :]!r}")

    def end_input(self) -> None:
        """Press Ctrl-D."""
        self.type("\x04")

    def wait(self) -> int:
        """Read to the end and give the exit code."""
        deadline = time.monotonic() + TIMEOUT_S
        while self._read(deadline):
            pass
        return self.process.wait(TIMEOUT_S)

    def _read(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._descriptor], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return False
        try:
            data = os.read(self._descriptor, 65536)
        except OSError:  # the last process on the terminal has gone (Linux)
            return False
        self.screen += data.decode(errors="replace")
        return bool(data)


@contextlib.contextmanager
def on_terminal(
    *arguments: str,
    cwd: Path | None = None,
    environ: Mapping[str, str] | None = None,
    columns: int = 80,
) -> Iterator[Terminal]:
    """A command on a pseudo-terminal of its own, which does not echo what is typed."""
    controller, terminal = os.openpty()
    settings = termios.tcgetattr(terminal)
    settings[3] &= ~termios.ECHO
    termios.tcsetattr(terminal, termios.TCSANOW, settings)
    termios.tcsetwinsize(terminal, (24, columns))
    process = subprocess.Popen(
        [sys.executable, "-c", _LOGIN, *COMMAND, *arguments],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        cwd=cwd,
        # The terminal's own size counts: workers of a parallel run are given one in variables.
        env={name: value for name, value in environment(environ).items() if name not in ("COLUMNS", "LINES")},
    )
    os.close(terminal)
    try:
        yield Terminal(process, controller)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        os.close(controller)
