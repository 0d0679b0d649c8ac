"""`namel3ss serve` as a process of its own."""

from __future__ import annotations

import contextlib
import re
import resource
import signal
import subprocess
import threading
from typing import TYPE_CHECKING, Any, Final

import httpx

from tests.support.command_line import COMMAND, environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

PATIENCE_S: Final = 30.0


class Served:
    """The process, and what it said at its start."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self.process = process
        self.folder = folder
        self.words: list[str] = []
        """What it wrote to stderr."""
        self._reader = threading.Thread(target=self._read_words, name="words")
        self._reader.start()
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"listening on (\S+)", line)
        if found is None:
            process.wait(PATIENCE_S)
            self._reader.join()
            raise AssertionError(f"it did not start: {line}{''.join(self.words)}")
        self.url = found[1]

    @property
    def first_key(self) -> str:
        """The administrator's, from the file that the first start wrote."""
        (file,) = (self.folder / ".namel3ss").glob("administrator-*.key")
        return file.read_text(encoding="utf-8").strip()

    def client(self, key: str | None = None, **options: Any) -> httpx.Client:
        headers = {"Authorization": f"Bearer {key or self.first_key}"}
        return httpx.Client(
            base_url=self.url, headers=headers, timeout=PATIENCE_S, trust_env=False, **options
        )

    def stop(self, sent: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; its exit code."""
        self.process.send_signal(sent)
        return self.end()

    def end(self) -> int:
        code = self.process.wait(PATIENCE_S)
        self._reader.join()
        return code

    def _read_words(self) -> None:
        assert self.process.stderr is not None
        self.words.extend(self.process.stderr)


@contextlib.contextmanager
def served(
    program: Path, *arguments: str, environ: Mapping[str, str] | None = None, files: int | None = None
) -> Iterator[Served]:
    """A running gateway, killed at the end if it still runs. `files`: how many it may open."""

    def limit_files() -> None:
        assert files is not None
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    with subprocess.Popen(
        [*COMMAND, "serve", str(program), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(environ),
        preexec_fn=limit_files if files is not None else None,
    ) as process:
        try:
            running = Served(process, program.parent)
            yield running
        finally:
            if process.poll() is None:
                process.kill()
                process.wait(PATIENCE_S)
    running._reader.join()
