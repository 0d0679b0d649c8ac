"""What moves on stderr while a command waits: a spinner while a model loads, a bar while one is pulled.

Only on a terminal that can. Elsewhere a pull says a line for each tenth, and waiting says nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from namel3ss.cli.output import Output

__all__ = ["Spinner", "spinning"]

_FRAMES: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_FRAME_S: Final = 0.1
# An answer that comes sooner needs no spinner.
_PATIENCE_S: Final = 0.3


class Spinner:
    """A word and a turning sign on stderr's last line. `stop` wipes it; idempotent."""

    def __init__(self, output: Output, text: str) -> None:
        self._output = output
        self._text = text
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to turn once the wait becomes noticeable."""
        if self._output.can_animate:
            self._task = asyncio.create_task(self._turn())

    def stop(self) -> None:
        """Stop, and leave the line empty for what comes."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
            self._output.wipe()

    async def _turn(self) -> None:
        await asyncio.sleep(_PATIENCE_S)
        for frame in itertools.cycle(_FRAMES):
            self._output.animate(f"{frame} {self._text}")
            await asyncio.sleep(_FRAME_S)


@contextlib.asynccontextmanager
async def spinning(output: Output, text: str) -> AsyncIterator[Spinner]:
    """A spinner for the wait inside; it may be stopped earlier."""
    spinner = Spinner(output, text)
    spinner.start()
    try:
        yield spinner
    finally:
        spinner.stop()
