"""Notices that the editor's process has ended, also where somebody else holds its end of the pipe."""

from __future__ import annotations

import asyncio
import os
from typing import Final

__all__ = ["wait_until_gone"]

_LOOK_EVERY_S: Final = 2.0


async def wait_until_gone(process_id: int) -> None:
    """Return when there is no such process any more."""
    while is_alive(process_id):  # noqa: ASYNC110  # nobody tells of the end of a process that is not a child
        await asyncio.sleep(_LOOK_EVERY_S)


def is_alive(process_id: int) -> bool:
    """Whether there is a process of that number."""
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
