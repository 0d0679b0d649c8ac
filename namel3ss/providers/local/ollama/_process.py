"""The `ollama` program: where it is, how it is started, and how it and everything it started are ended.

A server runs in a session and process group of its own. It starts a runner for each model, and a server that is
killed leaves its runners behind; so the group is what is ended, never one process. A variable in the environment,
which the runners inherit, tells our group from one that happens to have the same number.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from namel3ss.providers.local.ollama._process_table import process_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from namel3ss.providers.local.ollama._process_table import ProcessTable

__all__ = [
    "ServerProcess",
    "exit_code",
    "find_executable",
    "how_to_install",
    "server_environment",
    "start_process",
]

_MARK_VARIABLE = "NAMEL3SS_STARTED_SERVER"

_USUAL_PLACES = {
    "linux": ("/usr/local/bin/ollama", "/usr/bin/ollama", "/snap/bin/ollama", "~/.local/bin/ollama"),
    "darwin": (
        "/opt/homebrew/bin/ollama",
        "/usr/local/bin/ollama",
        "/Applications/Ollama.app/Contents/Resources/ollama",
        "~/Applications/Ollama.app/Contents/Resources/ollama",
    ),
    "win32": (r"~\AppData\Local\Programs\Ollama\ollama.exe",),
}
_INSTALL = {
    "linux": "Install it: curl -fsSL https://ollama.com/install.sh | sh",
    "darwin": "Install it: brew install ollama, or download it from https://ollama.com/download",
    "win32": "Install it: download it from https://ollama.com/download",
}

# What a server may need of our environment. Keys and tokens are no business of a program that answers anybody on
# this machine.
_PASSED_ON = re.compile(
    r"PATH|HOME|USER|LOGNAME|USERPROFILE|LOCALAPPDATA|APPDATA|SYSTEMROOT|SYSTEMDRIVE|TMPDIR|TMP|TEMP|TZ|LANG|LC_\w+"
    r"|XDG_\w+|LD_LIBRARY_PATH|DYLD_LIBRARY_PATH|SSL_CERT_FILE|SSL_CERT_DIR"
    r"|HTTP_PROXY|HTTPS_PROXY|NO_PROXY|ALL_PROXY"
    r"|OLLAMA_\w+|CUDA_\w+|NVIDIA_\w+|GPU_\w+|HIP_\w+|ROCR_\w+|ROCM_\w+|HSA_\w+|GGML_\w+|LLAMA_ARG_\w+|ONEAPI_\w+|ZES_\w+",
    re.IGNORECASE,
)
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)


def find_executable(environ: Mapping[str, str]) -> str | None:
    """The `ollama` program: on the PATH, else in a usual place. Never in the current directory."""
    folders = [folder for folder in environ.get("PATH", "").split(os.pathsep) if Path(folder).is_absolute()]
    found = shutil.which("ollama", path=os.pathsep.join(folders)) if folders else None
    if found is not None:
        return found
    home = environ.get("HOME") or environ.get("USERPROFILE") or ""
    for place in _USUAL_PLACES.get(sys.platform, _USUAL_PLACES["linux"]):
        if place.startswith("~") and not home:
            continue
        candidate = place.replace("~", home, 1)
        if os.access(candidate, os.X_OK) and Path(candidate).is_file():
            return candidate
    return None


def how_to_install(platform: str = sys.platform) -> str:
    """One line that says how to get Ollama on this platform."""
    return _INSTALL.get(platform, _INSTALL["linux"])


def server_environment(environ: Mapping[str, str], host: str) -> dict[str, str]:
    """What a server gets of `environ`, with its address set to `host` (``127.0.0.1:11434``)."""
    passed_on = {
        name: value
        for name, value in environ.items()
        if _PASSED_ON.fullmatch(name) and not _SECRET.search(name)
    }
    return passed_on | {"OLLAMA_HOST": host}


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """A server that we started, so that it can be known again, also by another program.

    `mark` is what the system says of the process, `token` stands in the environment of its whole group. Process
    and group have the same number.
    """

    pid: int
    mark: str
    token: str

    def is_alive(self, table: ProcessTable | None = None) -> bool:
        """Whether the server itself still runs."""
        return (table or process_table()).mark(self.pid) == self.mark

    def left(self, table: ProcessTable | None = None) -> list[int]:
        """The living processes of our group, the server's runners included; empty when the group is not ours."""
        table = table or process_table()
        members = table.group(self.pid)
        assignment = f"{_MARK_VARIABLE}={self.token}"
        if self.is_alive(table) or any(table.has_variable(pid, assignment) for pid in members):
            return members
        return []

    def end(self, grace_s: float) -> Iterator[float]:
        """End the whole group: ask, wait up to `grace_s`, then kill. Yields the seconds to wait before going on.

        What does not belong to us any more is left alone. After the last item nothing of the group is left, or
        the system does not let go of it.
        """
        for number, patience_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 5.0)):
            if not self.left():
                break
            try:
                os.killpg(self.pid, number)
                os.killpg(self.pid, signal.SIGCONT)  # one that is stopped would not hear it
            except ProcessLookupError:
                break
            yield from self._wait(patience_s)
        exit_code(self.pid)

    def _wait(self, patience_s: float) -> Iterator[float]:
        deadline = time.monotonic() + patience_s
        pause_s = 0.01
        while self.left() and time.monotonic() < deadline:
            yield pause_s
            pause_s = min(pause_s * 1.5, 0.2)


class _Detached(subprocess.Popen[bytes]):
    """A child that is meant to outlive us: forgetting it is no mistake and gives no ResourceWarning."""

    def __del__(self) -> None:
        pass


# Our children, kept so that they can be reaped by whoever ends them.
_children: dict[int, _Detached] = {}


def start_process(executable: str, environment: Mapping[str, str], log: int, token: str) -> ServerProcess:
    """Start ``ollama serve`` in a session of its own, its output going to the descriptor `log`.

    Raises OSError when the program cannot be run.
    """
    child = _Detached(
        [executable, "serve"],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        env={**environment, _MARK_VARIABLE: token},
        cwd="/",
        start_new_session=True,
    )
    _children[child.pid] = child
    # None when it is gone already; then nothing will be known again, which is right.
    return ServerProcess(child.pid, process_table().mark(child.pid) or "", token)


def exit_code(pid: int) -> int | None:
    """How a child of ours ended (negative: the signal); None while it runs or when it is no child of ours."""
    child = _children.get(pid)
    if child is None:
        return None
    code = child.poll()
    if code is not None:
        del _children[pid]
    return code
