"""One download of one model to one server: how far it is, how it ended, and the lines that tell of it."""

from __future__ import annotations

import asyncio
import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from namel3ss.gateway.dialects.cleaning import clean_words
from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.providers.local.ollama import (
    OllamaConnectTimeoutError,
    OllamaError,
    OllamaManifestUnknownError,
    OllamaModelPullError,
    OllamaServerUnreachableError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from namel3ss.providers.local.ollama import PullProgress

__all__ = ["PullJob", "PullLine", "PullState", "refusal_of_pull"]

_LINES: Final = 1000
_NO_MANIFEST: Final = "pull model manifest: file does not exist"


class PullState(enum.StrEnum):
    """How far a job has come."""

    WAITING = "waiting"
    """Others are pulled first."""
    INTERRUPTED = "interrupted"
    """The gateway was restarted; it goes on when the server is up."""
    PULLING = "pulling"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def is_end(self) -> bool:
        return self in (PullState.DONE, PullState.FAILED, PullState.STOPPED)


class PullLine(NamedTuple):
    """What was said last of one step. `number` rises with every line of a job."""

    number: int
    report: dict[str, Any]


@dataclass(slots=True, eq=False, kw_only=True)
class PullJob:
    """Lives on after its end, for a while, so that whoever started it can ask how it went. For one event loop."""

    id: str
    server: str
    model: str
    """As the server is asked for it."""
    user: str
    """Who asked first; "" for the gateway itself."""
    started_at: float
    """Seconds since the epoch."""
    state: PullState = PullState.WAITING
    progress: PullProgress | None = None
    updated: bool | None = None
    """Whether the server has another version than before; None until it is done."""
    refusal: Refusal | None = None
    """Why it failed."""
    ended_at: float | None = None
    _lines: dict[str, PullLine] = field(default_factory=dict)
    _number: int = 0
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def begin(self) -> None:
        self.state = PullState.PULLING
        self._tell()

    def note(self, progress: PullProgress) -> None:
        """Take over how far it is by now."""
        self.progress = progress
        report: dict[str, Any] = {"status": progress.status}
        if progress.digest is not None:
            report["digest"] = progress.digest
        place = progress.digest or progress.status
        layer = next((layer for layer in progress.layers if layer.digest == place), None)
        if layer is not None and layer.total_bytes:
            report["total"] = layer.total_bytes
            if layer.completed_bytes:
                report["completed"] = layer.completed_bytes
        if progress.status in self._lines or len(self._lines) < _LINES:
            self._number += 1
            self._lines[progress.status] = PullLine(self._number, report)
        self._tell()

    def end(self, state: PullState, at: float, refusal: Refusal | None = None) -> None:
        self.state, self.ended_at, self.refusal = state, at, refusal
        self._tell()

    @property
    def status_log(self) -> list[dict[str, Any]]:
        """What the server reported, the last of each step, in the order in which the steps began."""
        return [line.report for line in self._lines.values()]

    def lines_after(self, number: int) -> Iterator[PullLine]:
        """What is new since a line, in order. Whoever asks seldom gets the latest of each step alone."""
        return iter(sorted(line for line in self._lines.values() if line.number > number))

    @property
    def news(self) -> asyncio.Event:
        """Set by the next change."""
        return self._news

    async def ended(self) -> None:
        """Returns once it has ended, however."""
        while not self.state.is_end:
            await self._news.wait()

    def described(self) -> dict[str, Any]:
        """The job, for operators."""
        told: dict[str, Any] = {
            "id": self.id,
            "server": self.server,
            "model": self.model,
            "user": self.user,
            "state": self.state.value,
            "started_at": self.started_at,
            "ended_at": self.ended_at,
            "updated": self.updated,
            "error": None if self.refusal is None else self.refusal.message,
        }
        progress = self.progress
        if progress is not None:
            told |= {
                "phase": progress.phase,
                "status": progress.status,
                "completed": progress.completed_bytes,
                "total": progress.total_bytes,
                "fraction": progress.fraction,
                "bytes_per_s": progress.bytes_per_s,
                "eta": progress.eta_s,
            }
        return told

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


def refusal_of_pull(error: OllamaError, job: PullJob) -> Refusal:
    """Why a pull failed, in words without addresses and paths, and in Ollama's own where clients know them."""
    if isinstance(error, OllamaConnectTimeoutError):
        return Refusal(Reason.pull_timeout, f"The server {job.server} does not answer.", retry_after_s=5.0)
    if isinstance(error, OllamaServerUnreachableError):
        return Refusal(Reason.server_down, f"The server {job.server} is not running.", retry_after_s=5.0)
    if isinstance(error, OllamaManifestUnknownError):
        return Refusal(Reason.pull_failed, _NO_MANIFEST)
    message = (
        error.message if isinstance(error, OllamaModelPullError) else f"The pull failed: {error.message}"
    )
    return Refusal(
        Reason.pull_failed,
        clean_words(message),
        suggestion=None if error.suggestion is None else clean_words(error.suggestion),
    )
