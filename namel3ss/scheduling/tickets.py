"""A request's record inside the core, from its arrival to its end."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from namel3ss.scheduling.placement import Residency
    from namel3ss.scheduling.tiers import Account, Line
    from namel3ss.scheduling.values import Lease

__all__ = ["Event", "Ticket", "TicketState", "new_ticket"]


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
    """One request. Made by `new_ticket`, lives until its end is reported; the core alone changes it.

    `line` says whose it is, in which class and for which model. `seq` counts arrivals. `residency` is whose slot it
    holds, while it runs.
    """

    __slots__ = ("cost", "deadline", "id", "lease", "line", "residency", "seq", "since", "state")

    seq: int
    id: str
    line: Line
    cost: float
    since: float
    deadline: float
    state: TicketState
    lease: Lease | None
    residency: Residency | None

    @property
    def account(self) -> Account:
        """Who pays for it."""
        return self.line.account

    @property
    def is_ordinary(self) -> bool:
        """Whether it may not have a reserved slot."""
        return self.line.is_ordinary

    @property
    def model(self) -> str:
        return self.line.model.name

    def __repr__(self) -> str:
        return f"<Ticket {self.id} {self.state.value}>"


def new_ticket(seq: int, request_id: str, line: Line, cost: float, since: float, deadline: float) -> Ticket:
    """The record of a request that begins to wait. As an `__init__` this would take twice as long."""
    ticket = Ticket()
    ticket.seq = seq
    ticket.id = request_id
    ticket.line = line
    ticket.cost = cost
    ticket.since = since
    ticket.deadline = deadline
    ticket.state = _WAITING
    ticket.lease = None
    ticket.residency = None
    return ticket


Event: TypeAlias = "tuple[TicketState, Ticket]"
"""What became of a request at one moment; it may have gone on since."""
