"""Files on their way from a registry: shared by everybody who pulls them, and resumed where they stopped."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from namel3ss.sandbox.clock import Clock

__all__ = ["Download", "Downloads"]


@dataclass(slots=True)
class Download:
    """One file. It grows at a steady pace while somebody waits for it."""

    total: int
    bytes_per_second: float | None
    """None for one that is there at once."""
    had: int = 0
    """What had arrived when it last stood still."""
    since_ns: int = 0
    waiting: int = 0

    def arrived(self, now_ns: int) -> int:
        if not self.waiting:
            return self.had
        if self.bytes_per_second is None:
            return self.total
        grown = int((now_ns - self.since_ns) / 1e9 * self.bytes_per_second)
        return min(self.had + grown, self.total)


class Downloads:
    """All files that are on their way or were left half done."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._downloads: dict[str, Download] = {}

    @contextmanager
    def joined(self, digest: str, total: int, model_size: int, model_seconds: float) -> Iterator[Download]:
        """The download, running for as long as the block lasts; what has arrived is kept.

        The pace is such that the whole model takes `model_seconds`.
        """
        pace = model_size / model_seconds if model_seconds else None
        download = self._downloads.setdefault(digest, Download(total, pace))
        if not download.waiting:
            download.since_ns = self._clock.ticks_ns()
        download.waiting += 1
        try:
            yield download
        finally:
            had = download.arrived(self._clock.ticks_ns())
            download.waiting -= 1
            if not download.waiting:
                download.had = had
            if had >= total:
                self._downloads.pop(digest, None)
