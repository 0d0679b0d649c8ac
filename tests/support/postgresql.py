"""A PostgreSQL server for tests, of the programs that are installed here; none is ever downloaded."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PostgreSql", "postgresql_programs", "postgresql_server"]

_START_S: Final = 60.0


def postgresql_programs() -> Path | None:
    """The folder with initdb and postgres, if this machine has one that a test may run."""
    folders = [
        Path(found).resolve().parent for name in ("initdb", "postgres") if (found := shutil.which(name))
    ]
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    usable = [
        folder for folder in folders if (folder / "initdb").is_file() and (folder / "postgres").is_file()
    ]
    return usable[0] if usable and _owner() is not None else None


def _owner() -> str | None:
    """Who runs the server: nobody may as root."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid()).pw_name
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    return None


class PostgreSql:
    """A server on a free port of this machine. `stop` and `start` may be called again and again."""

    def __init__(self, programs: Path, folder: Path, owner: str) -> None:
        self._programs = programs
        self._folder = folder
        self._owner = owner
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0
        self.port = 0

    def create(self) -> None:
        """Make the server's files: no password, for it listens to this machine alone and lives as long as a test."""
        self._run(
            "initdb", "-D", str(self._folder / "data"), "-U", "tester", "-A", "trust", "-N", "-E", "UTF8"
        )

    def start(self) -> None:
        if not self.port:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.port = probe.getsockname()[1]
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "fsync": "off",
            "logging_collector": "off",
        }
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(self._programs / "postgres"),
                    *("-D", str(self._folder / "data")),
                    *(word for name, value in options.items() for word in ("-c", f"{name}={value}")),
                ],
                user=self._owner if os.geteuid() == 0 else None,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                start_new_session=True,
            )
        self._wait()

    def stop(self) -> None:
        if self._process is not None:
            self.thaw()
            self._process.send_signal(signal.SIGINT)
            self._process.wait(_START_S)
            self._process = None

    def freeze(self) -> None:
        """Let the whole server stand still: connections stay, nothing answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def new_database(self) -> str:
        """The URL of an empty database."""
        self._databases += 1
        name = f"gateway{self._databases}"
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self._url(name)

    def _url(self, database: str) -> str:
        return f"postgresql://tester@127.0.0.1:{self.port}/{database}"

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_S
        while True:
            assert self._process is not None
            assert self._process.poll() is None, (self._folder / "log").read_text(errors="replace")
            try:
                psycopg.connect(self._url("postgres"), connect_timeout=2).close()
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return

    def _signal(self, number: signal.Signals) -> None:
        """To the server and every process of a connection: each is a group of its own in the server's session."""
        assert self._process is not None
        for listing in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                fields = listing.read_text().rpartition(")")[2].split()
                if int(fields[3]) == self._process.pid or int(fields[1]) == self._process.pid:
                    os.kill(int(listing.parent.name), number)
        self._process.send_signal(number)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._programs / program), *arguments],
            user=self._owner if os.geteuid() == 0 else None,
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=_START_S,
        )
        assert done.returncode == 0, done.stderr


@contextlib.contextmanager
def postgresql_server(programs: Path) -> Iterator[PostgreSql]:
    """A running server, whose files are gone at the end."""
    owner = _owner()
    assert owner is not None
    # Not in the tests' own folder: that is closed to everybody else, and root hands the server to another user.
    folder = Path(tempfile.mkdtemp(prefix="namel3ss-postgresql-", dir="/tmp"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, owner)
        server = PostgreSql(programs, folder, owner)
        server.create()
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)
