"""Why the gateway refuses a request: one table from the reason to the HTTP status.

The words of a refusal are for the caller; they never hold a path, an address of a server, a key or a prompt.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from namel3ss.errors import N3Error

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Reason", "Refusal"]


class Reason(enum.Enum):
    """A reason, as the header X-Namel3ss-Error names it, and its status."""

    bad_request = 400
    model_required = 400
    over_limit = 400
    bad_framing = 400
    no_key = 401
    bad_key = 401
    login_failed = 401
    forbidden = 403
    address_not_allowed = 403
    not_whitelisted = 403
    model_not_allowed = 403
    cloud_model = 403
    read_only = 409
    duplicate_request = 409
    not_found = 404
    model_not_found = 404
    method_not_allowed = 405
    header_timeout = 408
    body_timeout = 408
    conflict = 409
    body_too_large = 413
    unsupported_media = 415
    wrong_host = 421
    invalid = 422
    rate_limited = 429
    over_budget = 429
    user_queue_full = 429
    too_many_streams = 429
    headers_too_large = 431
    cancelled = 499
    internal = 500
    pull_failed = 500
    bad_upstream = 502
    queue_full = 503
    no_server = 503
    wait_timeout = 503
    server_down = 503
    store_down = 503
    shutting_down = 503
    upstream_timeout = 504
    pull_timeout = 504

    def __new__(cls, status: int) -> Reason:
        # Statuses repeat, and an enumeration's values must not: the value is the place in this list.
        member = object.__new__(cls)
        member._value_ = len(cls.__members__)
        member.status = status
        return member

    status: int


class Refusal(N3Error):  # noqa: N818 - not a fault: an answer
    """A request that is not done. `retry_after_s` is told to the caller; `headers` go with the answer as they are.

    Each that is raised is made anew: one that is kept and raised again holds the frames of everybody it was raised for.
    """

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        suggestion: str | None = None,
        retry_after_s: float | None = None,
        headers: Iterable[tuple[bytes, bytes]] = (),
    ) -> None:
        super().__init__(message, suggestion=suggestion)
        self.reason = reason
        self.retry_after_s = retry_after_s
        self.headers = tuple(headers)

    @property
    def status(self) -> int:
        return self.reason.status
