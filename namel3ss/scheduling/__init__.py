"""The admission queue: who may send a request to which server, and when.

`Scheduler` is for asyncio, `SyncScheduler` for threads; both follow the rules at the head of
`namel3ss.scheduling.core`. `RequestQueue` sends requests to Ollama by the same rules, for applications with threads.
"""

from namel3ss.scheduling.engine import Engine, MemoryEngine
from namel3ss.scheduling.errors import (
    DuplicateRequestError,
    LeaseLostError,
    NoServerError,
    QueueFullError,
    QueueMemoryError,
    RequestCancelledError,
    SchedulerClosedError,
    SchedulingError,
    WaitTimeoutError,
)
from namel3ss.scheduling.leases import HeldLease
from namel3ss.scheduling.queue_requests import ChatRequest
from namel3ss.scheduling.queue_shelf import ShelfLimits
from namel3ss.scheduling.request_queue import RequestQueue
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
    "ChatRequest",
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
    "QueueMemoryError",
    "Request",
    "RequestCancelledError",
    "RequestQueue",
    "Scheduler",
    "SchedulerClosedError",
    "SchedulingError",
    "Server",
    "ShelfLimits",
    "Statistics",
    "SyncScheduler",
    "WaitEstimate",
    "WaitTimeoutError",
]
