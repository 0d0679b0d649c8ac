"""The files beside a server that we start: a lock, a record of the process, a log.

They stand in a folder that only the user may read, one set for each address. The lock makes two programs start one
server; the record lets a later program stop it; the log is where its output goes.
"""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import platformdirs

from namel3ss.observability.logs import redact_text
from namel3ss.providers.local.ollama._process import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["ServerFiles", "ServerRecord", "state_folder"]

_LOG_LIMIT_BYTES = 10 * 1024 * 1024
_LOG_KEPT_BYTES = 1024 * 1024
_TAIL_BYTES = 16 * 1024
_TAIL_LINE = 300


class ServerRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is written down about a server that we started. `started_at` is for people."""

    process: ServerProcess
    base_url: str
    executable: str
    started_at: str


@dataclass(frozen=True, slots=True)
class ServerFiles:
    """The files for the server at `host` (``127.0.0.1:11434``) inside `folder`."""

    folder: Path
    host: str

    @property
    def record(self) -> Path:
        return self._file("json")

    @property
    def log(self) -> Path:
        return self._file("log")

    @property
    def lock(self) -> Path:
        return self._file("lock")

    def read(self) -> ServerRecord | None:
        """The record; None when there is none, or when it is not one of ours."""
        try:
            return msgspec.json.decode(self.record.read_bytes(), type=ServerRecord)
        except (OSError, msgspec.DecodeError):
            return None

    def write(self, record: ServerRecord) -> None:
        """Replace the record as a whole, so that nobody reads half of one."""
        self._make_folder()
        temporary = self.record.with_suffix(f".{os.getpid()}.new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(record))
        temporary.replace(self.record)

    def forget(self) -> None:
        """Remove the record."""
        self.record.unlink(missing_ok=True)

    @contextlib.contextmanager
    def try_lock(self) -> Iterator[bool]:
        """Whether nobody else holds the lock; if so it is held inside the block. It dies with its process."""
        import fcntl  # not on Windows, where no server is started

        self._make_folder()
        descriptor = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(descriptor)

    def open_log(self) -> int:
        """A descriptor that appends to the log, which is cut first if it has grown too large."""
        self._make_folder()
        self.bound_log()
        return os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)

    def bound_log(self) -> None:
        """Cut a log of over 10 MB, keeping its last part beside it; also safe while a server appends to it."""
        try:
            with self.log.open("r+b") as file:
                size = file.seek(0, os.SEEK_END)
                if size <= _LOG_LIMIT_BYTES:
                    return
                file.seek(size - _LOG_KEPT_BYTES)
                kept = file.read()
                file.truncate(0)
        except FileNotFoundError:
            return
        older = os.open(f"{self.log}.1", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(older, "wb") as file:
            file.write(kept)

    def log_size(self) -> int:
        """Bytes of the log; 0 when there is none."""
        try:
            return self.log.stat().st_size
        except FileNotFoundError:
            return 0

    def log_tail(self, since: int = 0, lines: int = 10) -> str:
        """The last lines written after the byte `since`, fit to be shown: bounded and without secrets."""
        try:
            with self.log.open("rb") as file:
                end = file.seek(0, os.SEEK_END)
                start = max(min(since, end), end - _TAIL_BYTES)
                file.seek(start)
                if start > since:
                    file.readline()  # half a line, and perhaps half a secret, which nobody recognises
                text = file.read().decode("utf-8", "replace")
        except FileNotFoundError:
            return ""
        return "\n".join([_shown(line) for line in text.splitlines() if _is_telling(line)][-lines:])

    def _file(self, ending: str) -> Path:
        return self.folder / f"server-{re.sub(r'[^0-9A-Za-z.]+', '-', self.host).strip('-')}.{ending}"

    def _make_folder(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self.folder.stat().st_mode & 0o077:
            self.folder.chmod(0o700)


def state_folder() -> Path:
    """Where namel3ss keeps what it must remember about servers."""
    return platformdirs.user_state_path("namel3ss") / "ollama"


def _is_telling(line: str) -> bool:
    # The server prints its whole environment at the start: long, no help, and it may hold a proxy's password.
    return bool(line.strip()) and 'msg="server config"' not in line


def _shown(line: str) -> str:
    without_secrets = redact_text(line.rstrip())
    printable = "".join(character if character.isprintable() else " " for character in without_secrets)
    return printable if len(printable) <= _TAIL_LINE else f"{printable[:_TAIL_LINE]}…"
