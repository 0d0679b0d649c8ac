from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from namel3ss.sandbox import SandboxOptions, SandboxServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    """A sandbox with the tiny models and one of each kind of made-up model."""
    installed = ("llama3:8b", "qwen3:4b", "nomic-embed-text", "llava:7b", "codellama:7b")
    with SandboxServer(SandboxOptions(installed=installed, pull_seconds=0)) as running:
        yield running
