"""What a transport can fail with, without the libraries that fail."""

from __future__ import annotations

import enum
from dataclasses import dataclass

__all__ = ["FailedRequest", "Failure"]


class Failure(enum.Enum):
    """What a transport can fail with."""

    REFUSED = "the connection was refused"
    UNKNOWN_HOST = "the host name is unknown"
    TLS = "the TLS handshake failed"
    CONNECT_TIMEOUT = "the connection took too long"
    TIMEOUT = "a read or write took too long"
    DISCONNECTED = "the connection was closed or reset"
    INVALID = "the answer is not HTTP"
    ADDRESS = "the address cannot be used"
    PROXY = "the proxy failed"
    NOTHING_LEFT = "this process may open nothing more"


@dataclass(frozen=True, slots=True)
class FailedRequest:
    """A request that failed below HTTP, and what its message needs.

    `reason` is the cause on one line, as the operating system or the library says it; "" where it says nothing. It may
    repeat what a server sent, at its length.
    `is_answering`: the body of an answer had begun.
    """

    failure: Failure
    reason: str
    exception: Exception
    base_url: str
    model: str | None
    connect_timeout_s: float
    is_answering: bool
