"""What a bridge raises beside the errors of the provider and of the queue, which pass through as they are.

N3Error
└── BridgeError             a request failed, and no other class says how; `kind` is the queue's word for it
    └── BridgeTimeoutError  no answer in time; `position` says where it stood (also a TimeoutError)
"""

from __future__ import annotations

from namel3ss.errors import N3Error

__all__ = ["BridgeError", "BridgeTimeoutError"]


class BridgeError(N3Error):
    """A request failed."""

    def __init__(self, message: str, *, kind: str, request_id: str, suggestion: str | None = None) -> None:
        super().__init__(message, suggestion=suggestion)
        self.kind = kind
        self.request_id = request_id


class BridgeTimeoutError(BridgeError, TimeoutError):
    """No answer came in time. `position`: how many waiting requests were ahead; None if it was at work."""

    def __init__(self, timeout_s: float | None, position: int | None, *, request_id: str) -> None:
        if position is None:
            where = "It was being answered."
        elif position == 0:
            where = "It was next in the queue."
        else:
            where = f"It was at position {position} in the queue: so many requests were still ahead of it."
        within = "in time" if timeout_s is None else f"within {timeout_s:g} s"
        super().__init__(
            f"No answer came {within}. {where}",
            kind="timeout",
            request_id=request_id,
            suggestion="Raise the timeout, use a smaller model, or let fewer requests wait.",
        )
        self.position = position
