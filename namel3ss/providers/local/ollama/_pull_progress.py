"""The arithmetic of a pull, without I/O: from the lines of the server to progress, speed and the question whether
it has stalled.

A server fetches the manifest, then one layer after the other, then verifies and writes. It reports a layer about
every 60 ms, often with identical lines, and its count steps back when a part is tried again. What we report never
steps back.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["LayerProgress", "PullPhase", "PullProgress", "PullTracker"]

PullPhase: TypeAlias = Literal["manifest", "download", "verify", "write", "check", "success"]

_SPEED_WINDOW_S = 10.0
_SAMPLE_EVERY_S = 0.25
_MAX_LAYERS = 4096


@dataclass(frozen=True, slots=True)
class LayerProgress:
    """One layer: `total_bytes` is 0 while the server has not said how large it is."""

    digest: str
    completed_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class PullProgress:
    """How far a pull is. `completed_bytes` and `fraction` never go down during one pull.

    `status` is the server's own word. `total_bytes` covers the layers known so far, so it may grow. `fraction`
    (0 to 1), `bytes_per_s` and `eta_s` (seconds left) are None while nothing is known.
    """

    model: str
    phase: PullPhase
    status: str
    digest: str | None
    completed_bytes: int
    total_bytes: int
    fraction: float | None
    bytes_per_s: float | None
    eta_s: float | None
    layers: tuple[LayerProgress, ...]


class _Layer:
    __slots__ = ("best", "now", "total")

    def __init__(self) -> None:
        self.best = 0  # the most bytes ever reported
        self.now: int | None = None  # the latest report of this attempt
        self.total = 0

    @property
    def is_incomplete(self) -> bool:
        return self.now is not None and self.now < self.total


class PullTracker:
    """Follows one pull over all its attempts.

    `begin()` starts an attempt, `feed()` takes one line of the server. `stall_at` is the time at which the pull
    counts as stalled if nothing moves until then; None while there is no limit. Times are seconds of one clock.
    """

    def __init__(self, model: str, *, stall_limit_s: float, now: float) -> None:
        self.phase: PullPhase = "manifest"
        self.completed_bytes = 0
        self._model = model
        self._stall_limit_s = stall_limit_s
        self._layers: dict[str, _Layer] = {}
        self._fraction: float | None = None
        self._received_bytes = 0
        self._samples: deque[tuple[float, int]] = deque()
        self._last_line: object = None
        self._last_news = now
        self._last_movement = now

    def begin(self, now: float) -> None:
        """A new attempt: the server starts again at the manifest and reports what it kept."""
        self.phase = "manifest"
        self._last_line = None
        self._last_news = self._last_movement = now
        self._samples.clear()
        for layer in self._layers.values():
            layer.now = None

    def feed(
        self, status: str, digest: str | None, total: int | None, completed: int | None, now: float
    ) -> PullProgress | None:
        """Progress after one line; None when the line only repeats the one before."""
        line = (status, digest, total, completed)
        if line == self._last_line:
            self._sample(now)
            return None
        self._last_line = line
        self._last_news = now
        self.phase = _phase(status, has_size=bool(total or digest), before=self.phase)
        if total or completed or digest:
            self._report(digest or status, total or 0, completed or 0, now)
        self._sample(now)
        return self.progress(status, digest)

    def progress(
        self, status: str, digest: str | None = None, *, phase: PullPhase | None = None
    ) -> PullProgress:
        """How far it is by now."""
        total_bytes = sum(layer.total for layer in self._layers.values())
        speed = self._speed()
        left = total_bytes - self.completed_bytes
        return PullProgress(
            model=self._model,
            phase=phase or self.phase,
            status=status,
            digest=digest,
            completed_bytes=self.completed_bytes,
            total_bytes=total_bytes,
            fraction=self._fraction,
            bytes_per_s=speed,
            eta_s=left / speed if speed else None,
            layers=tuple(
                LayerProgress(name, layer.best, layer.total) for name, layer in self._layers.items()
            ),
        )

    @property
    def received_bytes(self) -> int:
        """What has come since it began, as far as the server's reports tell; what was there before does not count."""
        return self._received_bytes

    @property
    def stall_at(self) -> float | None:
        if self.phase == "manifest":
            return self._last_news + self._stall_limit_s
        if self.phase == "download" and any(layer.is_incomplete for layer in self._layers.values()):
            return self._last_movement + self._stall_limit_s
        return None  # verifying and writing take as long as the disk needs

    def _report(self, name: str, total: int, completed: int, now: float) -> None:
        layer = self._layers.get(name)
        if layer is None:
            if len(self._layers) >= _MAX_LAYERS:
                return
            layer = self._layers[name] = _Layer()
        layer.total = max(layer.total, total, completed)
        if layer.now != completed:
            self._last_movement = now
        if layer.now is not None:
            # The first report of an attempt holds what was there before; it says nothing about speed.
            self._received_bytes += max(0, completed - max(layer.now, 0))
        layer.now = completed
        layer.best = max(layer.best, completed)
        self.completed_bytes = sum(known.best for known in self._layers.values())
        total_bytes = sum(known.total for known in self._layers.values())
        if total_bytes:
            self._fraction = max(self._fraction or 0.0, self.completed_bytes / total_bytes)

    def _sample(self, now: float) -> None:
        if self.phase != "download":
            return
        samples = self._samples
        if len(samples) > 1 and now - samples[-2][0] < _SAMPLE_EVERY_S:
            samples.pop()
        samples.append((now, self._received_bytes))
        while now - samples[0][0] > _SPEED_WINDOW_S:
            samples.popleft()

    def _speed(self) -> float | None:
        if self.phase != "download" or len(self._samples) < 2:
            return None
        (since, before), (now, received) = self._samples[0], self._samples[-1]
        return (received - before) / (now - since) if now > since else None


def _phase(status: str, *, has_size: bool, before: PullPhase) -> PullPhase:
    """The phase that a status belongs to; one that nobody knows leaves it as it was."""
    word = status.strip().lower()
    if word == "success":
        return "success"
    if has_size:
        return "download"
    if word == "pulling manifest":
        return "manifest"
    if word.startswith("verifying"):
        return "verify"
    if word.startswith(("writing", "removing", "couldn't remove")):
        return "write"
    return before
