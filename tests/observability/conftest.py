from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from namel3ss.observability.metrics import register_metric_listener, unregister_metric_listener
from tests.observability.receivers import Listener, MemorySdk

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def sdk() -> Iterator[MemorySdk]:
    """An SDK in memory that receives the classic profile."""
    memory = MemorySdk()
    yield memory
    memory.close()


@pytest.fixture
def newer() -> Iterator[MemorySdk]:
    """An SDK in memory that receives the newer profile."""
    memory = MemorySdk("genai-2026-10")
    yield memory
    memory.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    """A registered metric listener that keeps what it hears."""
    listener = Listener()
    register_metric_listener(listener)
    yield listener
    unregister_metric_listener(listener)
