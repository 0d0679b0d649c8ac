"""The lines between the chunks of a body: only their sizes may stand there.

The parser skips what else the definition allows behind a size. Nobody sends that, and readers that disagree on where it
ends have let one request hide in another.
"""

from __future__ import annotations

from typing import Final

__all__ = ["ChunkLines", "behind_head"]

_DIGITS: Final = frozenset(b"0123456789abcdefABCDEF")
_LONGEST_SIZE: Final = 32
_LINE_END: Final = b"\r\n"
_HEAD_END: Final = b"\r\n\r\n"


class ChunkLines:
    """Follows one chunked body beside the parser, which sees to everything else."""

    def __init__(self) -> None:
        self._line = b""
        self._left = 0
        """Of a chunk and the end of its line."""
        self._is_over = False

    def feed(self, data: bytes) -> bool:
        """Whether each line in the next bytes of the body is a size of a sensible length and nothing else."""
        place = 0
        while place < len(data) and not self._is_over:
            if self._left:
                step = min(self._left, len(data) - place)
                self._left -= step
                place += step
                continue
            end = data.find(b"\n", place) + 1
            self._line += data[place : end or len(data)]
            place = end or len(data)
            size_alone = self._line.removesuffix(b"\n").removesuffix(b"\r")
            if len(size_alone) > _LONGEST_SIZE or not _DIGITS.issuperset(size_alone):
                return False
            if end:
                size = int(self._line, 16)
                self._line = b""
                self._is_over = size == 0
                self._left = size + len(_LINE_END)
        return True


def behind_head(data: bytes) -> bytes:
    """The beginning of the body in bytes that hold the end of a request's headers."""
    return data.partition(_HEAD_END)[2]
