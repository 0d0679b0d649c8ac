"""The requests that are under way: what the queue's views show, and where a cancellation finds its request."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from namel3ss.gateway.errors import Reason, Refusal

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

    from namel3ss.gateway.principal import Principal

__all__ = ["LiveRequest", "LiveRequests", "Stage"]


class Stage(enum.StrEnum):
    """How far a request has come."""

    WAITING = "waiting"
    SENT = "sent"
    """It has a slot; nothing has come back."""
    STREAMING = "streaming"


@dataclass(slots=True, eq=False, kw_only=True)
class LiveRequest:
    """One request from its admission to the queue until its end. Times are of the event loop's clock."""

    id: str
    principal: Principal
    client: str
    model: str
    """The Ollama name."""
    route: str
    arrived_at: float
    interrupt: Callable[[Refusal], None]
    """Ends the request wherever it stands; the caller gets this refusal, or the stream's error event."""
    stage: Stage = Stage.WAITING
    server: str | None = None
    started_at: float | None = None
    pieces: int = 0
    """Content events so far."""
    outcome: str = ""
    """How it ended, in the words of a UsageEvent; said before it is removed."""
    shares_place_of: str | None = None
    """The id of the equal request whose answer it waits for; None for one that is sent itself."""
    news: asyncio.Event | None = None
    """Set for whoever watches it, when it has come further or has ended."""

    @property
    def source(self) -> str:
        """The class, which the documents call the source."""
        return self.principal.class_name

    @property
    def place_id(self) -> str:
        """The id by which the queue knows it."""
        return self.shares_place_of or self.id

    def reach(self, stage: Stage) -> None:
        """Come further, and tell whoever watches."""
        self.stage = stage
        self.tell()

    def tell(self) -> None:
        if self.news is not None:
            self.news.set()


@dataclass(slots=True)
class LiveRequests:
    """All of them, by id. Ids are unique while their requests live."""

    by_id: dict[str, LiveRequest] = field(default_factory=dict)
    by_key: dict[str, set[LiveRequest]] = field(default_factory=dict)

    def add(self, request: LiveRequest) -> None:
        """Raises Refusal for an id that is taken."""
        if request.id in self.by_id:
            raise Refusal(
                Reason.duplicate_request,
                f"A request with the id {request.id!r} is already under way.",
                suggestion="Choose another X-Request-Id, or leave it out.",
            )
        self.by_id[request.id] = request
        self.by_key.setdefault(request.principal.key_id, set()).add(request)

    def remove(self, request: LiveRequest) -> None:
        del self.by_id[request.id]
        of_key = self.by_key[request.principal.key_id]
        of_key.discard(request)
        if not of_key:
            del self.by_key[request.principal.key_id]
        request.tell()

    def seen_by(self, principal: Principal, *, all_users: bool) -> Iterator[LiveRequest]:
        """Those a principal may know of: its user's, or everybody's."""
        return (
            request
            for request in self.by_id.values()
            if all_users or request.principal.user == principal.user
        )

    def interrupt_key(self, key_id: str, refusal: Refusal) -> None:
        """End everything of one key: it was revoked."""
        for request in list(self.by_key.get(key_id, ())):
            request.interrupt(refusal)
