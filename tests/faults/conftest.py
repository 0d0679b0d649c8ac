"""What holds after every fault, whatever it was.

A call ends exactly once (`Asked`), the upstream has no open connection a second later, and the event loop was not held up
(reported, since the machine may be at fault). Tasks, sockets, threads and children are looked after in tests/conftest.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
from typing import TYPE_CHECKING, Any

import pytest

from namel3ss.observability.metrics import register_metric_listener, unregister_metric_listener
from namel3ss.providers.local.ollama import OllamaProvider
from tests.faults.asking import Asked
from tests.support.scripted_server import ScriptedServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

HANG_S = 5
BLOCKED_S = 0.05
_BEAT_S = 0.01

_blocked: dict[str, float] = {}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/faults" in item.path.as_posix() and item.get_closest_marker("timeout") is None:
            # Of the test alone: what its first fixture loads takes longer on a busy machine.
            item.add_marker(pytest.mark.timeout(HANG_S, method="signal", func_only=True))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for test, seconds in sorted(_blocked.items(), key=lambda pair: -pair[1]):
        terminalreporter.write_line(f"event loop held up for {seconds * 1000:.0f} ms in {test}")


@pytest.fixture(scope="session", autouse=True)
def _http_library_is_loaded() -> None:
    # Both load large libraries; a test is not to be blamed for that.
    for module in ("transport.library", "local.ollama._config"):
        importlib.import_module(f"namel3ss.providers.{module}")


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


@pytest.fixture
async def connect(request: pytest.FixtureRequest) -> AsyncIterator[Callable[..., OllamaProvider]]:
    """Makes providers for servers or addresses; closes them, then looks whether their servers see every connection end."""
    loop = asyncio.get_running_loop()
    longest = 0.0

    async def beat() -> None:
        nonlocal longest
        while True:
            due = loop.time() + _BEAT_S
            await asyncio.sleep(_BEAT_S)
            longest = max(longest, loop.time() - due)

    heart = asyncio.create_task(beat())
    providers: list[OllamaProvider] = []
    servers: list[ScriptedServer] = []

    def make(
        *places: ScriptedServer | str, clock: Callable[[], float] | None = None, **config: Any
    ) -> OllamaProvider:
        servers.extend(place for place in places if isinstance(place, ScriptedServer))
        urls = [place if isinstance(place, str) else place.url for place in places]
        where = {"base_url": urls[0]} if len(urls) == 1 else {"hosts": urls}
        settings = {**where, "auto_pull_model": False, "max_retries": 0, **config}
        providers.append(OllamaProvider("faulty", "tiny", settings, clock=clock))
        return providers[-1]

    yield make
    for provider in providers:
        await provider.aclose()
    for server in servers:
        async with asyncio.timeout(1.0):
            await server.connections_reached(0)
    heart.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await heart
    if longest > BLOCKED_S:
        _blocked[request.node.nodeid] = longest


@pytest.fixture
def ask() -> Iterator[Callable[..., Any]]:
    """Asks a provider, and checks that the call ends exactly once."""
    ends: list[str] = []

    def listen(name: str, values: dict[str, float], labels: dict[str, str]) -> None:
        if name == "ollama.request.duration":
            ends.append(labels["status"])

    register_metric_listener(listen)

    async def ask(provider: OllamaProvider, prompt: Any = "Hi", **overrides: Any) -> Asked:
        ends.clear()
        asked = await Asked.of(provider, prompt, **overrides)
        wanted = "ok" if asked.error is None else "error"
        assert ends == [wanted], f"a call that ended as {wanted} was recorded as {ends}"
        return asked

    yield ask
    unregister_metric_listener(listen)
