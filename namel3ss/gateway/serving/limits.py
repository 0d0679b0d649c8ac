"""How much patience a connection is given, and how many there may be."""

from __future__ import annotations

import resource
from dataclasses import dataclass
from typing import Final

__all__ = ["ConnectionLimits", "raise_file_limit"]

_WANTED_FILES: Final = 65_536
_KEPT_BACK: Final = 64
_MOST_CONNECTIONS: Final = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """What a client may draw out or fill up before its connection ends. Times are seconds, sizes bytes."""

    connections: int = _MOST_CONNECTIONS
    """Beyond it the longest idle connection is closed, and where none is idle a request is answered 503."""
    head_bytes: int = 32_768
    """Request line and headers together."""
    header_count: int = 100
    head_s: float = 10.0
    """From the connection, or the first byte of a later request, to the end of the headers."""
    idle_s: float = 75.0
    """Between two requests; longer than the 60 s of usual proxies, so that they close first."""
    body_pace_s: float = 10.0
    """In each such span at least `body_pace_bytes` of a body must come."""
    body_pace_bytes: int = 10_240
    stuck_s: float = 60.0
    """How long a client may leave its answer lying in full buffers."""
    linger_s: float = 2.0
    """How long the rest of a refused request is read and thrown away, so that the refusal arrives."""
    backlog: int = 2_048


def raise_file_limit() -> int:
    """Allow this process as many open files as its hard limit lets it; how many connections that leaves room for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    wanted = _WANTED_FILES if hard == unlimited else min(hard, _WANTED_FILES)
    if soft != unlimited and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    if soft == unlimited:
        return _MOST_CONNECTIONS
    # A waiting request holds one file, a running one a second: its connection to the server.
    return max(8, min(_MOST_CONNECTIONS, (soft - _KEPT_BACK) * 3 // 4))
