"""One request on its way through a server, from the moment it is sent: what its sender tells, and is told."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, TypeAlias

from namel3ss.gateway.backends.evidence import Blame, judge_answer, judge_failure, judge_text

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Mapping

    from namel3ss.gateway.backends.backend import Backend
    from namel3ss.gateway.backends.first_tokens import Silence
    from namel3ss.gateway.upstream import UpstreamError

    Report: TypeAlias = Callable[["Backend", "Attempt", Blame, str], Awaitable[None]]

__all__ = ["Attempt", "Loader", "OnWedged"]

OnWedged: TypeAlias = "Callable[[asyncio.Future[bool]], None]"
"""Told that the model hangs: close the connection now, and send again once the future is done. Its value says whether
the server was cured; if not, another server is the better choice. Never called twice for one attempt."""

Loader: TypeAlias = "Mapping[str, object]"
"""The options by which a server loads the model (`num_ctx`, …): another request with others would load it anew."""


class Attempt:
    """Made by `Backends.note_sent`. Ends exactly once: `ok`, `failed`, `refused`, `broke_off` or `left`.

    Whatever is told after the end changes nothing.
    """

    __slots__ = (
        "_backend",
        "_report",
        "first_at",
        "loader",
        "model",
        "on_wedged",
        "patient_until",
        "prompt_tokens",
        "sent_at",
        "silence",
        "spelling",
    )

    def __init__(
        self,
        backend: Backend,
        report: Report,
        silence: Silence,
        model: str,
        *,
        spelling: str,
        prompt_tokens: int,
        loader: Loader,
        on_wedged: OnWedged | None,
        now: float,
    ) -> None:
        self._backend: Final = backend
        self._report = report
        self.silence = silence
        self.model = model
        self.spelling = spelling
        self.prompt_tokens = prompt_tokens
        self.loader = loader
        self.on_wedged = on_wedged
        self.sent_at = now
        self.first_at: float | None = None
        self.patient_until = -math.inf
        """Silent beyond this, it is looked into whether the model hangs."""
        backend.begin(self)

    def __repr__(self) -> str:
        state = "over" if self not in self._backend.attempts else "answering" if self.first_at else "silent"
        return f"<Attempt {self.model} on {self._backend.name}, {state}>"

    @property
    def key(self) -> str:
        """What the queue counts the model by."""
        return self.silence.model

    @property
    def server(self) -> str:
        return self._backend.name

    def first_token(self) -> None:
        """Something of the answer has come."""
        if self.first_at is None and self in self._backend.attempts:
            now = self.first_at = self._backend.now()
            self._backend.first_tokens.learn(self.silence, now - self.sent_at, self.prompt_tokens)

    def ok(self) -> None:
        """The whole answer has come."""
        self.first_token()
        if self._backend.end(self):
            self._backend.request_succeeded(self.key)

    async def failed(self, error: UpstreamError) -> Blame:
        """It failed below HTTP, or its answer broke off."""
        return await self._tell(judge_failure(error.kind), error.kind.value)

    async def refused(self, status: int, body: bytes) -> Blame:
        """The server answered with a status of failure. What it says of whom may decide where to try again."""
        return await self._tell(judge_answer(status, body), f"HTTP {status}")

    async def broke_off(self, text: str) -> Blame:
        """The answer ended with an error line or event."""
        return await self._tell(judge_text(text), "an error inside an answer")

    def left(self) -> float:
        """Its caller is gone, or it is given up. How long the server may go on with it, in seconds: the time for which
        its slot drains.
        """
        return self._backend.abandoned(self) if self._backend.end(self) else 0.0

    async def _tell(self, blame: Blame, reason: str) -> Blame:
        if self._backend.end(self):
            await self._report(self._backend, self, blame, reason)
        return blame
