"""The server as a process: the protocol on standard input and output, everything else kept off them."""

from __future__ import annotations

import gc
import logging
import os
import sys
from typing import TYPE_CHECKING, BinaryIO

from namel3ss.language_server.handlers import make_server
from namel3ss.providers.registry import installed_providers

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["serve_stdio", "spare_collections"]


def serve_stdio(environ: Mapping[str, str], *, log_level: str = "WARNING") -> int:
    """Serve one editor until it says `exit`, closes standard input, or dies. The exit code of the process."""
    logging.basicConfig(
        stream=sys.stderr, level=log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("pygls").setLevel(logging.ERROR)
    reader, writer = _take_stdio()
    server = make_server(environ, installed_providers())
    spare_collections()
    server.start_io(reader, writer)
    return 0 if server.was_shut_down else 1


def spare_collections() -> None:
    """A full garbage collection takes longer than a keystroke may: let them be few, and leave out what stays anyway."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def _take_stdio() -> tuple[BinaryIO, BinaryIO]:
    """Standard input and output for the protocol alone.

    What anybody else prints goes to standard error, and a child process does not inherit the editor's pipes: it would
    keep them open after the end of this process.
    """
    reader = open(os.dup(0), "rb")  # noqa: SIM115  # open as long as the process
    writer = open(os.dup(1), "wb")  # noqa: SIM115  # same
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return reader, writer
