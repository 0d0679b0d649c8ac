"""One answer on its way, and everybody who reads it.

* Whoever sends the request feeds the flight: `add`, then `complete` or `fail`, once; from any thread, without waiting.
* Each reader has a seat, reads from the beginning at its own pace, and may leave at any time. That ends nothing for the
  others. When the last one leaves before the end, the flight is abandoned, and whoever feeds it is told so, once.
* A flight keeps all of its pieces, for readers who come late, up to a limit. Beyond it nobody may join any more, and
  only what somebody still has to read is kept; a reader who falls behind that far loses their seat.
"""

from __future__ import annotations

import abc
import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Final, Literal, Self, TypeAlias

from namel3ss.caching.kept_pieces import KeptPieces
from namel3ss.errors import N3Error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator

__all__ = ["AsyncSeat", "Flight", "NotReadError", "Seat"]

_State: TypeAlias = Literal["open", "complete", "failed", "abandoned"]


class NotReadError(N3Error):
    """A reader fell so far behind that its pieces are no longer kept."""

    def __init__(self) -> None:
        super().__init__(
            "Too much of the answer was waiting to be read.",
            suggestion="Read the pieces as they come, or leave the answer.",
        )


class Flight:
    """An answer on its way. `ended` is called once, when it is complete, has failed or is abandoned.

    `label` is what whoever feeds it wants its readers to know, such as the id of the request; None until it is set.
    """

    def __init__(self, max_bytes: int, ended: Callable[[Flight], None] | None = None) -> None:
        self._max_bytes = max_bytes
        self._label: str | None = None
        self._is_labelled = threading.Event()
        self._ended = ended
        self._lock = threading.Lock()
        self._pieces = KeptPieces()
        self._kept_bytes = 0
        self._state: _State = "open"
        self._error: Exception | None = None
        self._seats: set[_Reader] = set()
        self._on_abandoned: Callable[[], object] | None = None

    @classmethod
    def landed(cls, pieces: Iterable[bytes]) -> Self:
        """The flight of an answer that is whole."""
        flight = cls(0)
        flight._pieces = KeptPieces(pieces)
        flight._state = "complete"
        return flight

    @property
    def label(self) -> str | None:
        return self._label

    @label.setter
    def label(self, label: str) -> None:
        self._label = label
        self._is_labelled.set()

    def label_within(self, seconds: float) -> str | None:
        """The label, waited for at most so long; None at once where the flight has ended without one."""
        self._is_labelled.wait(seconds)
        return self._label

    # -- for whoever feeds it -----------------------------------------------------------------------------------

    def add(self, piece: bytes) -> bool:
        """Hand a piece to everybody; False when the flight is over and nothing more is wanted."""
        with self._lock:
            if self._state != "open":
                return False
            self._pieces.add(piece)
            self._kept_bytes += len(piece)
            if self._kept_bytes > self._max_bytes:
                self._make_room()
            self._wake_all()
            return True

    def complete(self) -> None:
        """The answer is whole."""
        self._end("complete")

    def fail(self, error: Exception) -> None:
        """The answer will not come; every reader gets the error when they have read what there is."""
        self._end("failed", error)

    def when_abandoned(self, callback: Callable[[], object]) -> None:
        """Call back once when nobody reads any more and the answer is not whole; at once if that has happened."""
        with self._lock:
            self._on_abandoned = callback
            is_over = self._state == "abandoned"
        if is_over:
            callback()

    @property
    def whole(self) -> tuple[bytes, ...] | None:
        """All pieces of a complete answer; None while it is not complete, or where not all were kept."""
        with self._lock:
            is_whole = self._state == "complete" and not self._pieces.dropped
            return self._pieces.kept() if is_whole else None

    # -- for readers --------------------------------------------------------------------------------------------

    def seat(self) -> Seat | None:
        """A seat for a thread; None when it is too late to read from the beginning."""
        seat = Seat(self)
        return seat if self._admit(seat) else None

    def async_seat(self) -> AsyncSeat | None:
        """A seat for the running event loop; None when it is too late to read from the beginning."""
        seat = AsyncSeat(self)
        return seat if self._admit(seat) else None

    def _admit(self, seat: _Reader) -> bool:
        with self._lock:
            if self._pieces.dropped or self._state not in ("open", "complete"):
                return False
            self._seats.add(seat)
            return True

    def _read(self, seat: _Reader) -> bytes | _Nothing | None:
        """The next piece of a reader; None at the end; `_NOTHING` when it has to wait, and is then woken."""
        with self._lock:
            if seat.is_lost:
                raise NotReadError
            if seat.position < self._pieces.end:
                piece = self._pieces.at(seat.position)
                seat.position += 1
                return piece
            if self._error is not None:
                raise self._error
            if self._state == "open" and seat in self._seats:
                seat.rest()
                return _NOTHING
            return None

    def _leave(self, seat: _Reader) -> None:
        with self._lock:
            self._seats.discard(seat)
            seat.wake()
            if self._seats or self._state != "open":
                return
            self._state = "abandoned"
            self._pieces = KeptPieces()
            callback = self._on_abandoned
        if self._ended is not None:
            self._ended(self)
        if callback is not None:
            callback()

    # -- inside -------------------------------------------------------------------------------------------------

    def _end(self, state: _State, error: Exception | None = None) -> None:
        with self._lock:
            if self._state != "open":
                return
            self._state, self._error = state, error
            self._is_labelled.set()
            self._wake_all()
        if self._ended is not None:
            self._ended(self)

    def _make_room(self) -> None:
        """Drop what everybody has read; readers who keep too much waiting lose their seats. The lock is held."""
        pieces = self._pieces
        while self._kept_bytes > self._max_bytes and pieces.dropped < pieces.end:
            slowest = min((seat.position for seat in self._seats if not seat.is_lost), default=None)
            if slowest is not None and slowest <= pieces.dropped:
                for seat in self._seats:
                    seat.is_lost = seat.is_lost or seat.position <= pieces.dropped
                continue
            self._kept_bytes -= len(pieces.drop_first())

    def _wake_all(self) -> None:
        for seat in self._seats:
            seat.wake()


class _Nothing:
    """No piece yet."""


_NOTHING: Final = _Nothing()


class _Reader(abc.ABC):
    """One reader's place in a flight, which changes `position` and `is_lost`, and calls `rest` and `wake` locked."""

    def __init__(self, flight: Flight) -> None:
        self.flight = flight
        self.position = 0
        self.is_lost = False

    @abc.abstractmethod
    def rest(self) -> None:
        """The next wait shall wait."""

    @abc.abstractmethod
    def wake(self) -> None:
        """The wait shall end. Must not block."""

    def leave(self) -> None:
        """Read no more. Idempotent; the others read on."""
        self.flight._leave(self)


class Seat(_Reader):
    """A thread's place. Iterate it, and `leave()` it in the end."""

    def __init__(self, flight: Flight) -> None:
        super().__init__(flight)
        self._awake = threading.Event()

    def rest(self) -> None:
        self._awake.clear()

    def wake(self) -> None:
        self._awake.set()

    def next_piece(self, timeout_s: float | None = None) -> bytes | None:
        """The next piece; None at the end. TimeoutError if none comes in time, and the error of a flight that failed."""
        while isinstance(piece := self.flight._read(self), _Nothing):
            if not self._awake.wait(timeout_s):
                raise TimeoutError
        return piece

    def __iter__(self) -> Iterator[bytes]:
        while (piece := self.next_piece()) is not None:
            yield piece


class AsyncSeat(_Reader):
    """A coroutine's place. Iterate it with ``async for``, and `leave()` it in the end."""

    def __init__(self, flight: Flight) -> None:
        super().__init__(flight)
        self._loop = asyncio.get_running_loop()
        self._awake = asyncio.Event()

    def rest(self) -> None:
        self._awake.clear()

    def wake(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed, and the reader with it
            self._loop.call_soon_threadsafe(self._awake.set)

    async def next_piece(self) -> bytes | None:
        """The next piece; None at the end. Raises the error of a flight that failed."""
        while isinstance(piece := self.flight._read(self), _Nothing):
            await self._awake.wait()
        return piece

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (piece := await self.next_piece()) is not None:
            yield piece
