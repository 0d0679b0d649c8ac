"""Servers and queues for bridges."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from namel3ss.scheduling import RequestQueue
from tests.support.scripted_server import ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def queue() -> Iterator[RequestQueue]:
    with RequestQueue() as queue:
        yield queue


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server
