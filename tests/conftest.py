"""What holds for every test: nothing is left behind, and nobody reaches a server by accident."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

# How long a generated example takes says something of the machine (the first text of a fresh checkout builds
# Hypothesis's tables, for one), nothing of the code: no time decides a test.
settings.register_profile("namel3ss", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("namel3ss")

# A developer's own server and settings must not change what a test sees.
_OWN_VARIABLES = ("OLLAMA_", "NAMEL3SS_", "OTEL_", "ANTHROPIC_")
_PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(scope="session", autouse=True)
def _private_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Home, state and temporary folders of this run alone; no address or proxy from the developer's shell."""
    base = tmp_path_factory.mktemp("session")
    folders = {
        "HOME": base / "home",
        "TMPDIR": base / "tmp",
        "XDG_CACHE_HOME": base / "home/.cache",
        "XDG_CONFIG_HOME": base / "home/.config",
        "XDG_DATA_HOME": base / "home/.local/share",
        "XDG_STATE_HOME": base / "home/.local/state",
        "XDG_RUNTIME_DIR": base / "run",
    }
    with pytest.MonkeyPatch.context() as environment:
        for name, folder in folders.items():
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            environment.setenv(name, str(folder))
        for name in list(os.environ):
            if name.startswith(_OWN_VARIABLES) or name.lower() in _PROXY_VARIABLES:
                environment.delenv(name)
        environment.setattr(tempfile, "tempdir", str(folders["TMPDIR"]))
        yield


@pytest.fixture(autouse=True)
def _nothing_left_behind(request: pytest.FixtureRequest, _private_environment: None) -> Iterator[None]:
    """After a test there are no more tasks, sockets, threads, child processes or temporary files than before."""
    if inspect.iscoroutinefunction(getattr(request.node, "obj", None)):
        request.getfixturevalue("_no_leaked_tasks")
    before = {name: look() for name, look in _RESOURCES.items()}
    yield
    leaked = _grown(before)
    deadline = time.monotonic() + 2.0
    while leaked and time.monotonic() < deadline:
        # A closed socket or a finished thread may need a moment to disappear from the kernel's lists.
        gc.collect()
        time.sleep(0.01)
        leaked = _grown(before)
    assert not leaked, f"left behind by the test: {leaked}"


@pytest.fixture
async def _no_leaked_tasks() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    for _ in range(20):
        if not _new_tasks(before):
            return
        await asyncio.sleep(0)
    raise AssertionError(f"tasks left behind by the test: {_new_tasks(before)}")


def _new_tasks(before: set[asyncio.Task[object]]) -> set[asyncio.Task[object]]:
    return {task for task in asyncio.all_tasks() - before if task is not asyncio.current_task()}


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
    return {f"{thread.name} ({thread.ident})" for thread in threading.enumerate()}


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
