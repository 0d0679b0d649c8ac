"""What the owner of a slot holds while it uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from namel3ss.errors import UsageError

if TYPE_CHECKING:
    from namel3ss.scheduling.values import Lease

__all__ = ["HeldLease"]


class HeldLease:
    """A slot in use. Tell it what the request really took; leaving its block gives the slot back."""

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        self.tokens: float | None = None
        self.drain_s = 0.0

    @property
    def id(self) -> str:
        return self.lease.request_id

    @property
    def server(self) -> str:
        return self.lease.server

    @property
    def model(self) -> str:
        return self.lease.model

    @property
    def waited_s(self) -> float:
        return self.lease.waited_s

    @property
    def cold(self) -> bool:
        """Whether the model has to be loaded first."""
        return self.lease.cold

    def settle(self, tokens: float) -> None:
        """Say how many tokens the request really took, prompt and answer; without it the estimate stands."""
        if not tokens >= 0:
            raise UsageError(f"tokens must be 0 or more, not {tokens!r}.")
        self.tokens = tokens

    def drain(self, seconds: float) -> None:
        """Keep the slot taken that long after the end: the server may still be busy with an abandoned request."""
        if not seconds >= 0:
            raise UsageError(f"seconds must be 0 or more, not {seconds!r}.")
        self.drain_s = seconds

    def __repr__(self) -> str:
        return f"<HeldLease {self.id} on {self.server}>"
