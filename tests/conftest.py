"""What holds for every test: nothing is left behind, and nobody reaches a server by accident."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import signal
import tempfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.support.leftovers import nothing_left_behind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

# How long a generated example takes says something of the machine (the first text of a fresh checkout builds
# Hypothesis's tables, for one), nothing of the code: no time decides a test.
settings.register_profile("namel3ss", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("namel3ss")

# A developer's own server and settings must not change what a test sees.
_OWN_VARIABLES = ("OLLAMA_", "NAMEL3SS_", "OTEL_", "ANTHROPIC_")
_PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


def pytest_collection_finish() -> None:
    """What has been made until now stays until the end: whoever looks for garbage need not look through it."""
    gc.collect()
    gc.freeze()


def pytest_sessionstart() -> None:
    """Programs that are started here can be interrupted, also where this was started in the background of a shell.

    A shell has its background ignore interrupts, and whatever is started inherits that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


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
    with nothing_left_behind():
        yield


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
