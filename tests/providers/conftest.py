"""What every test of a provider that speaks HTTP needs."""

from __future__ import annotations

import asyncio
import importlib
from typing import TYPE_CHECKING

import pytest

from namel3ss.providers.transport.client import import_libraries

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture(scope="session", autouse=True)
def _http_library_is_loaded() -> None:
    """The first request of a process loads the HTTP library on a thread that lives as long as its event loop.

    Done once beforehand, so that no test is blamed for the thread.
    """
    import_libraries()
    importlib.import_module("httpx_aiohttp")


@pytest.fixture
async def _threads_of_the_loop_end() -> AsyncIterator[None]:
    """For tests that resolve host names or read files: the event loop does so on threads that live as long as it."""
    yield
    await asyncio.get_running_loop().shutdown_default_executor()
