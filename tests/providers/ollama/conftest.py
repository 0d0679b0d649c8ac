"""What every test of the Ollama provider needs."""

from __future__ import annotations

import importlib

import pytest


@pytest.fixture(scope="session", autouse=True)
def _http_library_is_loaded() -> None:
    """The first request of a process loads the HTTP library on a thread that lives as long as its event loop.

    Done once beforehand, so that no test is blamed for the thread.
    """
    importlib.import_module("namel3ss.providers.local.ollama._transport")
    importlib.import_module("httpx_aiohttp")
