"""What comes back from a server, and how asking it can fail, whichever way it is reached."""

from __future__ import annotations

import abc
from typing import Final

from namel3ss.errors import N3Error
from namel3ss.providers.transport.failure_kinds import Failure

__all__ = ["UpstreamAnswer", "UpstreamError"]

# Failures before the server had anything of the request that it could have worked on.
_NEVER_ARRIVED: Final = frozenset(
    {
        Failure.REFUSED,
        Failure.UNKNOWN_HOST,
        Failure.TLS,
        Failure.CONNECT_TIMEOUT,
        Failure.ADDRESS,
        Failure.PROXY,
        Failure.NOTHING_LEFT,
    }
)


class UpstreamError(N3Error):
    """A server could not be asked, or its answer broke off. Its words are for the log: they may hold an address.

    `kind` is what failed, `reason` the same in the operating system's words; `is_answering`: a body had begun.
    """

    def __init__(self, server: str, kind: Failure, reason: str, *, is_answering: bool) -> None:
        super().__init__(f"{server}: {kind.value}" + (f" ({reason})" if reason else ""))
        self.server = server
        self.kind = kind
        self.reason = reason
        self.is_answering = is_answering

    @property
    def may_have_run(self) -> bool:
        """Whether the server may have begun to work on the request: then nobody may send it again unasked."""
        return self.is_answering or self.kind not in _NEVER_ARRIVED


class UpstreamAnswer(abc.ABC):
    """An answer whose body is still to be read. Close it in any case: an unfinished one loses its connection."""

    __slots__ = ("content_type", "retry_after", "server", "status")

    server: str
    status: int
    content_type: bytes
    """b"" where the server named none."""
    retry_after: str | None
    """The server's Retry-After, as it said it."""

    @abc.abstractmethod
    async def read_piece(self) -> bytes:
        """What has come since the last read, at least one byte; b"" at the end. Raises UpstreamError."""

    @abc.abstractmethod
    def close(self) -> None:
        """Drop the connection at once, unless the body has ended: then it serves the next request."""

    async def read(self, limit: int) -> bytes:
        """All that is left. Raises UpstreamError, also for more than `limit` bytes."""
        pieces: list[bytes] = []
        size = 0
        while piece := await self.read_piece():
            size += len(piece)
            if size > limit:
                raise UpstreamError(
                    self.server, Failure.INVALID, f"more than {limit} bytes", is_answering=True
                )
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)
