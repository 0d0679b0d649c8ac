"""What was asked and what was answered, kept aside while it goes by: only where the gateway is told to store it.

Nothing waits for it, and nothing of it is read here. Cached answers and the fallback's are overheard as every other.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Protocol

from namel3ss.gateway.overheard import Overheard

if TYPE_CHECKING:
    from namel3ss.gateway.exchange import Exchange
    from namel3ss.gateway.forwarding.job import Job

__all__ = ["Overhearing", "Transcripts"]

# A stream says some hundred bytes for each token. What is stored of its text is less.
_MOST_BYTES: Final = 4 * 1024 * 1024


class Transcripts(Protocol):
    """Where it is kept."""

    def keep(self, overheard: Overheard) -> None:
        """Never waits."""


class Overhearing:
    """Listens to one exchange from now on."""

    def __init__(self, exchange: Exchange, job: Job, body: bytes) -> None:
        self._exchange = exchange
        self._job = job
        self._body = body
        self._pieces: list[bytes] = []
        self._left = _MOST_BYTES
        self._at = time.time()
        exchange.overhear(self._hear)

    def end(self, status: int | None = None) -> Overheard:
        """All that was heard. `status` is that of the refusal which the caller is about to get."""
        principal = self._job.principal
        return Overheard(
            at=self._at,
            request_id=self._exchange.id,
            user=principal.user,
            key_id=principal.key_id,
            class_name=principal.class_name,
            model=self._job.model,
            route=self._job.route.path,
            status=self._exchange.status or status or 499,
            request=self._body,
            answer=b"".join(self._pieces),
            is_cut=self._left < 0,
        )

    def _hear(self, piece: bytes) -> None:
        if self._left > 0:
            self._pieces.append(piece[: self._left])
        self._left -= len(piece) if self._left >= 0 else 0
