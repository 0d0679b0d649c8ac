"""How a gateway ends: it says so, lets running answers finish, and ends the rest in their own protocol."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.live import Stage

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from namel3ss.gateway.front.front import Front
    from namel3ss.gateway.live import LiveRequests
    from namel3ss.gateway.serving.listening import Endpoint

__all__ = ["Course", "stop_serving"]

_LAST_WORDS_S: Final = 5.0


class Course:
    """How far the gateway has come with ending; what its parts and its owner share."""

    def __init__(self) -> None:
        self.is_stopping = False
        """From now on it is not ready for new requests, though it takes them for a moment."""
        self.hurry = asyncio.Event()
        """Wait for nothing any more."""


async def stop_serving(
    course: Course,
    front: Front,
    live: LiveRequests,
    endpoint: Endpoint,
    *,
    notice_s: float,
    grace_s: float,
) -> None:
    """End the main address. `notice_s` is for those in front, who ask for readiness before they send requests."""
    course.is_stopping = True
    await _unless_in_hurry(course, asyncio.sleep(notice_s), notice_s)
    front.begin_shutdown()
    endpoint.stop_accepting()
    still_waiting = _stopped("this request was still waiting")
    for request in list(live.by_id.values()):
        if request.stage is Stage.WAITING:
            request.interrupt(still_waiting)
    await _unless_in_hurry(course, front.drained(), grace_s)
    front.interrupt(_stopped("this answer took longer than it may then"))
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LAST_WORDS_S):
            await front.drained()
    await endpoint.aclose()


def _stopped(why: str) -> Refusal:
    return Refusal(
        Reason.shutting_down,
        f"The gateway is being stopped, and {why}.",
        suggestion="Ask again shortly.",
        retry_after_s=5.0,
    )


async def _unless_in_hurry(course: Course, ending: Awaitable[None], limit_s: float) -> None:
    """Wait for something, but not for longer than the limit, nor once there is hurry."""
    waiters = [asyncio.ensure_future(ending), asyncio.ensure_future(course.hurry.wait())]
    try:
        await asyncio.wait(waiters, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for waiter in waiters:
            waiter.cancel()
        await asyncio.gather(*waiters, return_exceptions=True)
