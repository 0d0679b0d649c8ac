"""The admission queue: who may send a request to which server, and when.

`Scheduler` is for asyncio, `SyncScheduler` for threads; both follow the rules at the head of
`namel3ss.scheduling.core`.
"""

from namel3ss.scheduling.engine import Engine, MemoryEngine
from namel3ss.scheduling.errors import (
    DuplicateRequestError,
    LeaseLostError,
    NoServerError,
    QueueFullError,
    RequestCancelledError,
    SchedulerClosedError,
    SchedulingError,
    WaitTimeoutError,
)
from namel3ss.scheduling.leases import HeldLease
from namel3ss.scheduling.scheduler import Move, Scheduler
from namel3ss.scheduling.sync import SyncScheduler
from namel3ss.scheduling.values import (
    Lease,
    MoveReason,
    Policy,
    Position,
    Request,
    Server,
    Statistics,
    WaitEstimate,
)

__all__ = [
    "DuplicateRequestError",
    "Engine",
    "HeldLease",
    "Lease",
    "LeaseLostError",
    "MemoryEngine",
    "Move",
    "MoveReason",
    "NoServerError",
    "Policy",
    "Position",
    "QueueFullError",
    "Request",
    "RequestCancelledError",
    "Scheduler",
    "SchedulerClosedError",
    "SchedulingError",
    "Server",
    "Statistics",
    "SyncScheduler",
    "WaitEstimate",
    "WaitTimeoutError",
]
