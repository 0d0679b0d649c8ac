"""What the gateway's tests share."""

from __future__ import annotations

import pytest
import uvloop


@pytest.fixture(scope="session", autouse=True)
def _first_event_loop() -> None:
    """The first of uvloop's event loops opens a pipe that stays with the process; no test is to be blamed for it."""
    uvloop.new_event_loop().close()
