"""Ctrl-C and SIGTERM outside an event loop: SIGTERM raises `Terminated`, as Ctrl-C raises KeyboardInterrupt."""

from __future__ import annotations

import contextlib
import signal
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

__all__ = ["Terminated", "termination_raises"]


class Terminated(BaseException):
    """SIGTERM arrived. No error, as KeyboardInterrupt is none."""


@contextlib.contextmanager
def termination_raises() -> Iterator[None]:
    """Inside, SIGTERM raises Terminated in the main thread."""
    previous = signal.signal(signal.SIGTERM, _raise_terminated)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _raise_terminated(_number: int, _frame: FrameType | None) -> NoReturn:
    raise Terminated
