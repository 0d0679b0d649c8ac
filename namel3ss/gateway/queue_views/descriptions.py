"""What is told of a request under way. Without I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

from namel3ss.gateway.live import Stage

if TYPE_CHECKING:
    from namel3ss.gateway.live import LiveRequest
    from namel3ss.scheduling import Position

__all__ = ["described", "place_of", "queue_entry"]


def described(request: LiveRequest, position: Position | None, now: float) -> dict[str, object]:
    """One request, for its user and for operators. Times are seconds.

    `wait_time` is how long it has waited, or did until it was sent.
    """
    sent_at = request.started_at
    told: dict[str, object] = {
        "id": request.id,
        "state": request.stage.value,
        "user": request.principal.user,
        "source": request.source,
        "priority": request.principal.priority,
        "model": request.model,
        "route": request.route,
        "wait_time": _seconds((now if sent_at is None else sent_at) - request.arrived_at),
    }
    if request.stage is Stage.WAITING:
        return told | place_of(position)
    return told | {
        "server": request.server,
        "running_time": None if sent_at is None else _seconds(now - sent_at),
        "pieces": request.pieces,
    }


def place_of(position: Position | None) -> dict[str, object]:
    """Where a request stands: how many go first, and how long it may still take.

    Far back in a long queue the position is a range. No estimate until requests to its model have been measured.
    """
    if position is None:
        return {}
    place: dict[str, object] = {"position": position.at_least, "waiting": position.total}
    if not position.exact:
        place["position_at_most"] = position.at_most
    if position.wait is not None:
        place["eta"] = _seconds(position.wait.expected_s)
        place["eta_low"] = _seconds(position.wait.low_s)
        place["eta_high"] = _seconds(position.wait.high_s)
    return place


def queue_entry(request: LiveRequest, position: Position | None, now: float) -> dict[str, object]:
    """One waiting request in the queue's list."""
    return {
        "id": request.id,
        "source": request.source,
        "priority": request.principal.priority,
        "wait_time": _seconds(now - request.arrived_at),
        "position": None if position is None else position.at_least,
        "user": request.principal.user,
        "model": request.model,
    }


def _seconds(value: float) -> float:
    return round(max(value, 0.0), 3)
