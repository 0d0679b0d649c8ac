"""What one request has cost so far, and how it ended: for its bill, the books and the metrics."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from namel3ss.gateway.errors import Reason
from namel3ss.gateway.usage import Usage, UsageEvent

if TYPE_CHECKING:
    from namel3ss.gateway.forwarding.job import Job, Reader
    from namel3ss.gateway.live import LiveRequest

__all__ = ["INTERRUPTED", "NOTHING", "Account"]

NOTHING: Final = Usage(0, 0)
INTERRUPTED: Final = "interrupted"


class Account:
    """Lives as long as its request. Each attempt begins a new count; the last one's is charged."""

    __slots__ = (
        "_job",
        "first_token_s",
        "outcome",
        "reader",
        "sent_at",
        "status",
        "used",
        "waited_s",
    )

    def __init__(self, job: Job) -> None:
        self._job = job
        self.reader: Reader | None = None
        """Of an answer in pieces, which counts them."""
        self.used: Usage | None = None
        """What is known of it."""
        self.waited_s = 0.0
        self.sent_at: float | None = None
        self.first_token_s: float | None = None
        self.status = 200
        self.outcome = ""

    @property
    def is_whole(self) -> bool:
        """Whether the caller has a server's answer, to its end."""
        return self.outcome == "ok" and self.status == 200

    @property
    def has_last_word(self) -> bool:
        """Whether the server has said all of an answer in pieces, whatever becomes of its message's end."""
        return self.reader is not None and self.reader.ended_well

    def send(self, now: float) -> None:
        """An attempt is sent."""
        self.used, self.status, self.sent_at = None, 200, now

    def usage(self) -> Usage:
        """What is to be charged, also for an answer that was cut."""
        if self.used is not None:
            return self.used
        prompt_tokens = self._job.request.prompt_tokens
        if self.reader is not None:
            return self.reader.charged(prompt_tokens)
        return NOTHING if self.sent_at is None else Usage(prompt_tokens, 0, estimated=True)

    def end_as(self, reason: Reason, *, is_answered: bool) -> None:
        """The request was refused. `is_answered`: a status is out already."""
        self.outcome = self.outcome or reason.name
        if not is_answered:
            self.status = reason.status

    def leave(self, *, is_answered: bool) -> None:
        """The caller left. Many do at the last word, before the end of the message that carries it: they have it all."""
        if self.has_last_word:
            self.outcome = self.outcome or "ok"
        else:
            self.end_as(Reason.cancelled, is_answered=is_answered)

    def event(self, live: LiveRequest, usage: Usage, now: float) -> UsageEvent:
        """The request as the books take it, now that it has ended."""
        principal = self._job.principal
        return UsageEvent(
            at=time.time(),
            request_id=live.id,
            user=principal.user,
            key_id=principal.key_id,
            class_name=principal.class_name,
            model=self._job.model,
            server=live.server,
            route=self._job.route.path,
            outcome=self.outcome or INTERRUPTED,
            status=self.status,
            usage=usage,
            wait_s=self.waited_s,
            first_token_s=self.first_token_s,
            duration_s=now - live.arrived_at,
        )
