"""Whole answers by key, bounded in bytes and age. Not thread-safe; the time is given."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple, TypeAlias

__all__ = ["Answer", "Store", "size_of"]

Answer: TypeAlias = tuple[bytes, ...]

# What Python needs beside the content, roughly: for a piece, and for an entry.
_PIECE_BYTES = 48
_ENTRY_BYTES = 512


class _Kept(NamedTuple):
    answer: Answer
    size_bytes: int
    since: float


class Store:
    """The answers that were used last, none older than `ttl_s`, all together at most `max_bytes`."""

    def __init__(self, *, ttl_s: float, max_bytes: int) -> None:
        self._ttl_s = ttl_s
        self._max_bytes = max_bytes
        # The one that was used longest ago is first.
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: bytes, now: float) -> Answer | None:
        """The answer, unless it has become too old."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        if now - kept.since > self._ttl_s:
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return kept.answer

    def put(self, key: bytes, answer: Answer, now: float) -> None:
        """Keep an answer, in place of others if need be; one that is larger than everything allowed is not kept."""
        self._drop(key)
        size_bytes = size_of(answer)
        if size_bytes > self._max_bytes:
            return
        self._kept[key] = _Kept(answer, size_bytes, now)
        self.size_bytes += size_bytes
        while self.size_bytes > self._max_bytes:
            self._drop(next(iter(self._kept)))

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()
        self.size_bytes = 0

    def _drop(self, key: bytes) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self.size_bytes -= kept.size_bytes


def size_of(answer: Answer) -> int:
    """What an answer takes in memory."""
    return _ENTRY_BYTES + sum(len(piece) + _PIECE_BYTES for piece in answer)
