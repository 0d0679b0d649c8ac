"""What a piece of work has left behind in this process: sockets, threads, child processes, temporary files."""

from __future__ import annotations

import contextlib
import gc
import os
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["nothing_left_behind"]


@contextlib.contextmanager
def nothing_left_behind() -> Iterator[None]:
    """Fail if there is more afterwards than before."""
    before = {name: look() for name, look in _RESOURCES.items()}
    yield
    leaked = _grown(before)
    began = time.monotonic()
    while leaked and (waited := time.monotonic() - began) < 2.0:
        # A closed socket or a finished thread may need a moment to disappear from the kernel's lists. Looking for garbage
        # in all that the tests have made takes longer than most of them.
        if waited > 0.05:
            gc.collect()
        time.sleep(0.005)
        leaked = _grown(before)
    assert not leaked, f"left behind by the test: {leaked}"


def _grown(before: dict[str, set[str]]) -> dict[str, list[str]]:
    now = {name: look() for name, look in _RESOURCES.items()}
    return {name: sorted(now[name] - before[name]) for name in now if now[name] - before[name]}


def _sockets() -> set[str]:
    found = set()
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{descriptor}")
        except OSError:
            continue
        if target.startswith(("socket:", "pipe:")):
            found.add(target)
    return found


def _threads() -> set[str]:
    # pytest-timeout has a thread for each test, which is none of the test's.
    threads = [thread for thread in threading.enumerate() if not thread.name.startswith("pytest_timeout")]
    return {f"{thread.name} ({thread.ident})" for thread in threads}


def _children() -> set[str]:
    found = set()
    for listing in Path("/proc/self/task").glob("*/children"):
        try:
            found.update(listing.read_text().split())
        except OSError:
            continue
    return found


def _temporary_files() -> set[str]:
    return set(os.listdir(tempfile.gettempdir()))


_EVERYWHERE: dict[str, Callable[[], set[str]]] = {"threads": _threads, "temporary files": _temporary_files}
_ON_LINUX: dict[str, Callable[[], set[str]]] = {"sockets and pipes": _sockets, "child processes": _children}
_RESOURCES = _EVERYWHERE | (_ON_LINUX if Path("/proc/self/fd").is_dir() else {})
