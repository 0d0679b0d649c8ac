"""What every test of the Ollama provider needs."""

from __future__ import annotations

import json
import socket
import time
from typing import TYPE_CHECKING

import pytest

from namel3ss.providers.local.ollama._process import ServerProcess
from namel3ss.providers.local.ollama._server_files import state_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def free_port() -> int:
    """A port of the loopback address on which nobody listened a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
    return number


@pytest.fixture
def own_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A state folder for one test; whatever server is still recorded there at the end is ended."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    yield
    for record in state_folder().glob("*.json"):
        for _ in ServerProcess(**json.loads(record.read_text())["process"]).end(0.0):
            time.sleep(0.01)
