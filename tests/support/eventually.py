"""Waiting for what other threads bring about, where nothing tells of it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something holds, for at most ten seconds; the pauses only spare the processor."""
    pause = threading.Event()
    for _ in range(2000):
        if holds():
            return
        pause.wait(0.005)
    raise AssertionError("it never happened")
