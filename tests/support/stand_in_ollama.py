"""A stand-in for the `ollama` program, put on a PATH by tests: as real a process as the real one, and as ill-behaved
as a test wants.

    program = install_stand_in(tmp_path / "bin", "serve")
    manager = OllamaServerManager(config, environ={"PATH": str(program.folder)})

Run as a program, this file is the stand-in: ``ollama serve`` under one of the behaviours below.
"""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

BEHAVIOURS = (
    "serve",  # listens on OLLAMA_HOST; ends as the real one does when the port is taken
    "sandbox",  # becomes `namel3ss sandbox` on that address, with models that answer
    "exit",  # says why and ends at once
    "crash",  # is ended by a signal at once
    "hang",  # runs, and never listens
    "deaf",  # serves, and ignores SIGTERM
    "runner",  # serves, and starts a child that outlives it
)


@dataclass(frozen=True)
class StandIn:
    """An installed stand-in. `folder` goes on a PATH."""

    folder: Path

    @property
    def starts(self) -> list[int]:
        """The process ids of everything that was started as ``ollama serve``, in order."""
        return self._numbers("starts")

    @property
    def runners(self) -> list[int]:
        """The process ids of the children that were started."""
        return self._numbers("runners")

    def environment(self) -> dict[str, str]:
        """The environment that a start has written down, of its last start."""
        lines = (self.folder / "environment").read_text().split("\0")
        return dict(line.split("=", 1) for line in lines if line)

    def _numbers(self, name: str) -> list[int]:
        file = self.folder / name
        return [int(line) for line in file.read_text().split()] if file.exists() else []


def install_stand_in(folder: Path, behaviour: str = "serve") -> StandIn:
    """Put an executable called `ollama` into `folder`."""
    assert behaviour in BEHAVIOURS
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "ollama"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S {__file__} {behaviour} {folder} "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return StandIn(folder)


# -- the program ----------------------------------------------------------------------------------------------


def _main(behaviour: str, folder: Path) -> None:
    _note(folder / "starts", os.getpid())
    (folder / "environment").write_text("\0".join(f"{name}={value}" for name, value in os.environ.items()))
    print('level=INFO msg="server config" env="map[HTTPS_PROXY:http://me:secret@proxy]"', flush=True)
    host, _, port = os.environ["OLLAMA_HOST"].rpartition(":")
    if behaviour == "exit":
        sys.exit("Error: mkdir /proc/nope: no such file or directory: ensure path elements are traversable")
    if behaviour == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    if behaviour == "hang":
        print("level=INFO msg=discovering", flush=True)
        time.sleep(3600)
    if behaviour == "sandbox":
        arguments = ["sandbox", "--host", host.strip("[]"), "--port", port]
        os.execv(sys.executable, [sys.executable, "-m", "namel3ss", *arguments])
    if behaviour == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if behaviour == "runner":
        # In the server's own process group, as Ollama starts its runners.
        runner = subprocess.Popen([sys.executable, "-I", "-S", "-c", "import time; time.sleep(3600)"])
        _note(folder / "runners", runner.pid)
    _serve(host.strip("[]"), int(port))


def _serve(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError:
        sys.exit(f"Error: listen tcp {host}:{port}: bind: address already in use")
    print(f'level=INFO msg="Listening on {host}:{port} (version 0.24.0)"', flush=True)
    while True:
        connection, _ = listener.accept()
        with connection:
            request = connection.recv(65536)
            version = request.startswith(b"GET /api/version ")
            body = b'{"version":"0.24.0"}' if version else b'{"models":[]}'
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nConnection: close\r\n"
                b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
            )


def _note(file: Path, number: int) -> None:
    with file.open("a") as notes:
        notes.write(f"{number}\n")


if __name__ == "__main__":
    if sys.argv[3:] != ["serve"]:
        sys.exit(f"Error: unknown command {sys.argv[3:]}")
    _main(sys.argv[1], Path(sys.argv[2]))
