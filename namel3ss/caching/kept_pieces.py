"""The pieces of an answer that are still wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["KeptPieces"]

_GONE = b""


class KeptPieces:
    """Pieces by their place in the answer. The first of them may be dropped, one by one; the places of the others stay.

    Adding, dropping and reading cost the same however many pieces are kept: a dropped one gives back its bytes at once,
    and its slot together with the others when they are half of the list.
    """

    def __init__(self, pieces: Iterable[bytes] = ()) -> None:
        self._slots = list(pieces)
        # The place of the first slot, and how many of the first slots are empty.
        self._first_place = 0
        self._empty = 0

    @property
    def dropped(self) -> int:
        """How many are gone, which is the place of the first that is kept."""
        return self._first_place + self._empty

    @property
    def end(self) -> int:
        """The place after the last piece."""
        return self._first_place + len(self._slots)

    def add(self, piece: bytes) -> None:
        self._slots.append(piece)

    def at(self, place: int) -> bytes:
        """The piece at `place`, which is neither dropped nor to come."""
        return self._slots[place - self._first_place]

    def drop_first(self) -> bytes:
        """Drop the first piece that is kept; there is one."""
        piece, self._slots[self._empty] = self._slots[self._empty], _GONE
        self._empty += 1
        if self._empty * 2 >= len(self._slots):
            self._first_place += self._empty
            del self._slots[: self._empty]
            self._empty = 0
        return piece

    def kept(self) -> tuple[bytes, ...]:
        """Those that are kept, in order."""
        return tuple(self._slots[self._empty :])
