"""Which processes there are: how to know one again, and who belongs to its group.

A process id alone names nobody, because ids are used again. Linux tells through ``/proc``, other systems through
``ps``. Zombies count as gone: they hold nothing but their number.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Protocol

__all__ = ["ProcTable", "ProcessTable", "PsTable", "process_table"]


class ProcessTable(Protocol):
    """What can be asked about the processes of this machine."""

    def mark(self, pid: int) -> str | None:
        """A text that differs for two processes of one id; None when there is no such process."""

    def group(self, group_id: int) -> list[int]:
        """The living processes of a process group."""

    def has_variable(self, pid: int, assignment: str) -> bool:
        """Whether a process was started with ``NAME=value`` in its environment; False where nobody may look."""


class ProcTable:
    """Linux's ``/proc``."""

    def __init__(self, root: Path = Path("/proc")) -> None:
        self._root = root

    def mark(self, pid: int) -> str | None:
        fields = self._fields(pid)
        if fields is None:
            return None
        # Ticks since boot, so the boot belongs to it.
        boot = (self._root / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{fields[19]}"

    def group(self, group_id: int) -> list[int]:
        members = []
        for name in os.listdir(self._root):
            if name.isdecimal():
                fields = self._fields(int(name))
                if fields is not None and fields[2] == str(group_id):
                    members.append(int(name))
        return members

    def has_variable(self, pid: int, assignment: str) -> bool:
        try:
            variables = (self._root / str(pid) / "environ").read_bytes()
        except OSError:
            return False
        return assignment.encode() in variables.split(b"\0")

    def _fields(self, pid: int) -> list[str] | None:
        """The fields of ``stat`` from the state on (the third in the manual); None when there is none alive."""
        try:
            text = (self._root / str(pid) / "stat").read_text(errors="replace")
        except OSError:
            return None
        # The program's name stands before, in brackets, and may hold anything.
        fields = text.rpartition(")")[2].split()
        return fields if len(fields) > 19 and fields[0] not in ("Z", "X") else None


class PsTable:
    """``ps`` of macOS and the BSDs."""

    def mark(self, pid: int) -> str | None:
        state, _, started_at = self._ps("-o", "stat=,lstart=", "-p", str(pid)).strip().partition(" ")
        return started_at.strip() if state and not state.startswith("Z") else None

    def group(self, group_id: int) -> list[int]:
        members = []
        for line in self._ps("-A", "-o", "pid=,pgid=,stat=").splitlines():
            pid, group, state = line.split()[:3]
            if group == str(group_id) and not state.startswith("Z"):
                members.append(int(pid))
        return members

    def has_variable(self, pid: int, assignment: str) -> bool:
        return assignment in self._ps("-E", "-ww", "-o", "command=", "-p", str(pid)).split()

    def _ps(self, *arguments: str) -> str:
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
        finished = subprocess.run(
            ["ps", *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=10,
            env=environment,
        )
        return finished.stdout


def process_table() -> ProcessTable:
    """The table of this system."""
    return ProcTable() if Path("/proc/self/stat").exists() else PsTable()
