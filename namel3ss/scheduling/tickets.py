"""A request's record inside the core, from its arrival to its end."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from namel3ss.scheduling.placement import Residency
    from namel3ss.scheduling.tiers import Account, Line
    from namel3ss.scheduling.values import Lease

__all__ = ["Event", "Ticket", "TicketState"]


class TicketState(enum.Enum):
    """WAITING → RUNNING (→ STOPPING) → one of the ends, or WAITING → one of the ends. An end is final."""

    WAITING = "waiting"
    RUNNING = "running"
    STOPPING = "stopping"
    """Cancelled while it ran: its owner has been told and holds the slot until it has stopped."""
    FINISHED = "finished"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    LOST = "lost"
    CLOSED = "closed"


# Looked up once: on Python 3.11 finding a member of an enumeration takes longer than a call.
_WAITING = TicketState.WAITING


class Ticket:
    """One request. Lives until its end is reported; the core alone changes it.

    `line` says whose it is, in which class and for which model. `seq` counts arrivals. `residency` is whose slot it
    holds, while it runs.
    """

    __slots__ = ("cost", "deadline", "id", "lease", "line", "residency", "seq", "since", "state")

    def __init__(
        self, seq: int, request_id: str, line: Line, cost: float, since: float, deadline: float
    ) -> None:
        self.seq = seq
        self.id = request_id
        self.line = line
        self.cost = cost
        self.since = since
        self.deadline = deadline
        self.state = _WAITING
        self.lease: Lease | None = None
        self.residency: Residency | None = None

    @property
    def account(self) -> Account:
        """Who pays for it."""
        return self.line.account

    @property
    def level(self) -> int:
        """Its own class as an index, 0 for the top one."""
        return self.line.account.tier.level

    @property
    def model(self) -> str:
        return self.line.bucket.model.name

    def __repr__(self) -> str:
        return f"<Ticket {self.id} {self.state.value}>"


Event: TypeAlias = "tuple[TicketState, Ticket]"
"""What became of a request at one moment; it may have gone on since."""
