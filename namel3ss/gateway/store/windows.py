"""What was used in the last minute, exactly enough to hold a limit: never less than it was."""

from __future__ import annotations

import math
from collections import deque
from typing import Final

__all__ = ["WINDOW_S", "MovingWindow"]

WINDOW_S: Final = 60.0

_PIECES_PER_SECOND: Final = 10


class MovingWindow:
    """A sum over the minute behind now, in pieces of a tenth of a second; one is forgotten when all of it is older.

    Times are of a clock that never goes back. At most some 600 pieces are held, whatever is added.
    """

    __slots__ = ("_pieces", "total")

    def __init__(self) -> None:
        self._pieces: deque[list[int]] = deque()
        self.total = 0

    def __bool__(self) -> bool:
        return bool(self._pieces)

    def add(self, now: float, amount: int) -> int:
        """Count an amount from now on. The result is for `take_back`."""
        stamp = math.ceil(now * _PIECES_PER_SECOND)
        if self._pieces and self._pieces[-1][0] == stamp:
            self._pieces[-1][1] += amount
        else:
            self._pieces.append([stamp, amount])
        self.total += amount
        return stamp

    def take_back(self, stamp: int, amount: int) -> None:
        """Count an amount no longer that was added under this stamp, if it still counts."""
        for piece in reversed(self._pieces):
            if piece[0] == stamp:
                taken = min(amount, piece[1])
                piece[1] -= taken
                self.total -= taken
                return
            if piece[0] < stamp:
                return

    def forget_old(self, now: float) -> None:
        """Drop what is older than the window."""
        oldest = (now - WINDOW_S) * _PIECES_PER_SECOND
        while self._pieces and self._pieces[0][0] <= oldest:
            self.total -= self._pieces.popleft()[1]

    def until_less_by(self, amount: int, now: float) -> float:
        """Seconds until the sum will have fallen by at least this much, or by all there is."""
        fallen = 0
        for stamp, size in self._pieces:
            fallen += size
            if fallen >= amount:
                return max(0.0, stamp / _PIECES_PER_SECOND + WINDOW_S - now)
        return WINDOW_S
