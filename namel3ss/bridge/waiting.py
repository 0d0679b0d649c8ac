"""The words for a user who waits."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from namel3ss.scheduling import RequestQueue

__all__ = ["waiting_message"]


def waiting_message(queue: RequestQueue, request_id: str) -> str | None:
    """What to tell the user whose request this is: how many others wait, and how long it will take if that is known.

    None when it does not wait (any more).
    """
    where = queue.get_queue_position(request_id)
    if where is None or not isinstance(where["position"], int):
        return None
    others = where["total"] - 1
    noun = "request" if others == 1 else "requests"
    words = f"Your request is in a queue with {others} other {noun}."
    wait_s = where["estimated_wait_s"]
    if wait_s is None:
        return words
    seconds = math.ceil(wait_s)
    return f"{words} Estimated wait time: {seconds} second{'' if seconds == 1 else 's'}."
