"""What the scheduler refuses, and why.

N3Error
└── SchedulingError              a request could not be admitted, or lost its place
    ├── QueueFullError           a cap is reached: come back after `retry_after_s`
    │   └── QueueMemoryError     the requests that wait or run take all the memory that they may
    ├── NoServerError            no server that accepts work offers the model
    ├── WaitTimeoutError         it waited as long as it may (also a TimeoutError)
    ├── RequestCancelledError    somebody cancelled it by its id
    ├── LeaseLostError           its lease ran out while it ran; the slot belongs to others now
    ├── DuplicateRequestError    a living request has this id already (also a ValueError)
    └── SchedulerClosedError     the scheduler is closed (also a RuntimeError)
"""

from __future__ import annotations

from typing import Literal

from namel3ss.errors import N3Error

__all__ = [
    "CapScope",
    "DuplicateRequestError",
    "LeaseLostError",
    "NoServerError",
    "QueueFullError",
    "QueueMemoryError",
    "RequestCancelledError",
    "SchedulerClosedError",
    "SchedulingError",
    "WaitTimeoutError",
]

CapScope = Literal["user", "class", "total"]

_WHOSE: dict[CapScope, str] = {"user": "this user", "class": "this class", "total": "everybody"}


class SchedulingError(N3Error):
    """A request could not be admitted, or lost its place. `request_id` is None where it never got one."""

    def __init__(self, message: str, *, request_id: str | None = None, suggestion: str | None = None) -> None:
        super().__init__(message, suggestion=suggestion)
        self.request_id = request_id


class QueueFullError(SchedulingError):
    """A cap on waiting requests is reached. `scope` says whose cap, `retry_after_s` when a place may be free."""

    def __init__(self, scope: CapScope, limit: int, retry_after_s: float) -> None:
        super().__init__(
            f"The queue is full: {limit} of {limit} places for {_WHOSE[scope]} are taken.",
            suggestion=f"Try again in {retry_after_s:g} s.",
        )
        self.scope: CapScope = scope
        self.limit = limit
        self.retry_after_s = retry_after_s


class QueueMemoryError(QueueFullError):
    """The bodies of all requests that wait or run would take more memory than they may. `limit` is in bytes."""

    def __init__(self, size_bytes: int, limit_bytes: int, retry_after_s: float) -> None:
        SchedulingError.__init__(
            self,
            f"The queue is full: a request of {size_bytes} bytes would take it beyond {limit_bytes} bytes.",
            suggestion=f"Try again in {retry_after_s:g} s.",
        )
        self.scope = "total"
        self.limit = limit_bytes
        self.retry_after_s = retry_after_s


class NoServerError(SchedulingError):
    """No server that accepts work offers the model, so waiting would be in vain."""

    def __init__(self, model: str, retry_after_s: float) -> None:
        super().__init__(
            f"No server that accepts work offers the model '{model}'.",
            suggestion="Start a server that has it, or ask for another model.",
        )
        self.model = model
        self.retry_after_s = retry_after_s


class WaitTimeoutError(SchedulingError, TimeoutError):
    """The request waited as long as it may and never ran."""

    def __init__(self, request_id: str, waited_s: float) -> None:
        super().__init__(
            f"The request waited {waited_s:.1f} s in the queue without getting a slot.",
            request_id=request_id,
            suggestion="Try again later, or allow a longer wait.",
        )
        self.waited_s = waited_s


class RequestCancelledError(SchedulingError):
    """Somebody cancelled the request by its id. A caller's own cancellation stays `asyncio.CancelledError`."""

    def __init__(self, request_id: str) -> None:
        super().__init__(f"The request '{request_id}' was cancelled.", request_id=request_id)


class LeaseLostError(SchedulingError):
    """The lease ran out while the request ran; whatever it still does is no longer counted against its slot."""

    def __init__(self, request_id: str, server: str) -> None:
        super().__init__(
            f"The request '{request_id}' lost its slot on '{server}': its lease was not renewed in time.",
            request_id=request_id,
            suggestion="Stop the request; look for what blocked the event loop or the process.",
        )
        self.server = server


class DuplicateRequestError(SchedulingError, ValueError):
    """A request's id is unique while it lives."""

    def __init__(self, request_id: str) -> None:
        super().__init__(
            f"A request with the id '{request_id}' is still waiting or running.",
            request_id=request_id,
            suggestion="Leave the id out, or make a new one for each request.",
        )


class SchedulerClosedError(SchedulingError, RuntimeError):
    """The scheduler is closed: it admits nothing more."""

    def __init__(self, request_id: str | None = None) -> None:
        super().__init__("Cannot admit a request: the scheduler is closed.", request_id=request_id)
