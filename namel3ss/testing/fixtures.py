"""Fixtures for pytest, for those who ask for them: they cost nothing elsewhere.

A `conftest.py` at the top of the tests asks like this:

    pytest_plugins = ["namel3ss.testing.fixtures"]
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from namel3ss.errors import UsageError
from namel3ss.sandbox import SandboxOptions, SandboxServer

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MakeSandbox", "make_ollama_sandbox", "ollama_sandbox"]

_MARKER = "ollama_sandbox"
# What providers without an address of their own read.
_ADDRESS_ENV = "NAMEL3SS_OLLAMA_BASE_URL"


class MakeSandbox(Protocol):
    """Starts a sandbox with the options of `SandboxOptions`; it runs until the test has ended."""

    def __call__(self, **options: Any) -> SandboxServer: ...


def pytest_configure(config: pytest.Config) -> None:
    """Tell pytest of the marker."""
    config.addinivalue_line(
        "markers", f"{_MARKER}(**options): how the fixture ollama_sandbox is started (see SandboxOptions)"
    )


@pytest.fixture
def make_ollama_sandbox() -> Iterator[MakeSandbox]:
    """A function that starts sandboxes: offline servers that speak Ollama's API."""
    with contextlib.ExitStack() as running:

        def make(**options: Any) -> SandboxServer:
            return running.enter_context(SandboxServer(SandboxOptions(**options)))

        yield make


@pytest.fixture
def ollama_sandbox(
    request: pytest.FixtureRequest, make_ollama_sandbox: MakeSandbox, monkeypatch: pytest.MonkeyPatch
) -> SandboxServer:
    """A sandbox, and the address of every provider that has none of its own, for one test.

    Its options are those of the nearest marker ``@pytest.mark.ollama_sandbox(installed=("llama3:8b",), …)``.
    """
    marker = request.node.get_closest_marker(_MARKER)
    if marker is not None and marker.args:
        raise UsageError(
            f"The marker {_MARKER} takes options by name only.",
            suggestion='Write @pytest.mark.ollama_sandbox(installed=("llama3:8b",)).',
        )
    server = make_ollama_sandbox(**(marker.kwargs if marker is not None else {}))
    monkeypatch.setenv(_ADDRESS_ENV, server.url)
    return server
