"""One request of a `RequestQueue`, from its arrival until its answer is forgotten.

    pending → processing → completed | error | cancelled | timeout
    pending → error | cancelled | timeout
    processing → pending, when its server turned it away or was not there, and another one may be asked

A request ends once: whoever comes first decides how, everybody else changes nothing. The pieces of a streamed answer
are kept until they are read. When too many are, the request fails, unless somebody has asked for the whole answer: then the
pieces are lost, and whoever wants to read them is told.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec

from namel3ss.errors import UsageError
from namel3ss.scheduling.queue_pieces import UnreadPieces

if TYPE_CHECKING:
    from collections.abc import Callable

    from namel3ss.errors import N3Error
    from namel3ss.scheduling.queue_loop import Started
    from namel3ss.scheduling.queue_requests import Outgoing

__all__ = ["Entry", "Failure", "PiecesLostError", "Status", "seconds_of"]

Status: TypeAlias = Literal["pending", "processing", "completed", "error", "cancelled", "timeout"]

_LIVE: Final = ("pending", "processing")
_YEAR_S: Final = 366 * 86400.0


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a request has no answer. `kind` is a word for programs; `error` what was raised, if anything was."""

    message: str
    kind: str
    error: N3Error | None = None
    details: dict[str, object] = field(default_factory=dict)

    def as_result(self, request_id: str) -> dict[str, Any]:
        """What the caller gets in place of an answer."""
        return {"error": self.message, "kind": self.kind, "request_id": request_id, **self.details}


class PiecesLostError(Exception):
    """The pieces of an answer are not kept any more; the whole answer is."""


class Entry:
    """A request's state, safe under threads. `callback` gets the pieces of a streamed answer, `on_end` the id when the
    request has ended.
    """

    def __init__(
        self,
        request_id: str,
        request: Outgoing,
        callback: Callable[[dict[str, Any]], object] | None = None,
        *,
        user: str = "",
        on_end: Callable[[str], object] | None = None,
    ) -> None:
        self.id = request_id
        self.request = request
        self.body_bytes = len(request.content)
        self.callback = callback
        self.user = user
        self.on_end = on_end
        self.status: Status = "pending"
        self.failure: Failure | None = None
        # Set by whoever begins to send it, for whoever stops it.
        self.sending: Started | None = None
        # Kept by whoever sends it: the server asked last, how often one was asked, and what came of it.
        self.server: str | None = None
        self.attempts = 0
        self.has_pieces = False
        self._answer: bytes | None = None
        self.is_read_in_pieces = request.is_streamed and callback is None
        self._unread = UnreadPieces()
        self._is_whole_wanted = False
        # A plain lock inside: nobody who holds it calls anything that takes it.
        self._changed = threading.Condition(threading.Lock())

    @property
    def has_ended(self) -> bool:
        return self.status not in _LIVE

    @property
    def size_bytes(self) -> int:
        """What its answer takes in memory, once it has ended."""
        with self._changed:
            return self._unread.size_bytes + (len(self._answer) if self._answer is not None else 0)

    def begin(self) -> bool:
        """It is being sent now; False if it has ended already."""
        with self._changed:
            if self.status == "pending":
                self.status = "processing"
                self._changed.notify_all()
            return self.status == "processing"

    def back_in_line(self) -> bool:
        """It waits once more; False if it has ended already."""
        with self._changed:
            if self.status == "processing":
                self.status = "pending"
            return self.status == "pending"

    def complete(self, answer: dict[str, Any]) -> bool:
        """End with an answer; False if it has ended already."""
        content = msgspec.json.encode(answer)
        with self._changed:
            if self.has_ended:
                return False
            self.status, self._answer = "completed", content
            self._changed.notify_all()
            return True

    def fail(self, status: Status, failure: Failure, *, only_waiting: bool = False) -> bool:
        """End without an answer; False if it has ended already, or, with `only_waiting`, is at work."""
        with self._changed:
            if self.has_ended or (only_waiting and self.status != "pending"):
                return False
            self.status, self.failure = status, failure
            self._changed.notify_all()
            return True

    def drop_body(self) -> None:
        """Forget what was sent: nobody sends it again. Whoever is sending it has it already."""
        self.request = self.request.without_body()

    def add_piece(self, piece: dict[str, Any]) -> bool:
        """Keep a piece for `next_piece`; False when too many wait to be read, and nobody wants anything else."""
        with self._changed:
            if not self.is_read_in_pieces or self._unread.are_lost:
                return True
            is_kept = self._unread.add(piece)
            if not is_kept and self._is_whole_wanted:
                self._unread.lose()
            self._changed.notify_all()
            return is_kept or self._is_whole_wanted

    def wait(self, timeout_s: float | None) -> bool:
        """Wait until it has ended; False if it has not within that time."""
        with self._changed:
            self._is_whole_wanted = True
            return self._changed.wait_for(lambda: self.has_ended, timeout_s)

    def wait_for_turn(self, timeout_s: float | None) -> bool:
        """Wait while it waits; False if it still does after that time."""
        with self._changed:
            return self._changed.wait_for(lambda: self.status != "pending", timeout_s)

    def result(self) -> dict[str, Any]:
        """The answer, a new object each time, or the failure."""
        if self._answer is None:
            assert self.failure is not None  # asked only for what has ended
            return self.failure.as_result(self.id)
        answer: dict[str, Any] = msgspec.json.decode(self._answer)
        return answer

    def next_piece(self, timeout_s: float | None) -> dict[str, Any] | None:
        """The next piece of a streamed answer; None at its end. TimeoutError if none comes in time."""
        unread = self._unread
        with self._changed:
            if not self._changed.wait_for(lambda: unread or unread.are_lost or self.has_ended, timeout_s):
                raise TimeoutError
            if unread.are_lost:
                raise PiecesLostError
            return unread.take() if unread else None


def seconds_of(timeout: object) -> float | None:
    """How long to wait; None: as long as it takes, which more than a year is. Raises UsageError for what is no time."""
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or timeout != timeout:
        raise UsageError(f"timeout must be a number of seconds, or None, not {timeout!r:.40}.")
    return None if timeout > _YEAR_S else max(0.0, float(timeout))
