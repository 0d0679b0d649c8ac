"""The core for the models' slots, and one more for every lane of management work, side by side.

A lane is a queue by the same rules over one server of its own, so that a long pull never stands in the way of an
answer. Ids, arrivals and lease tokens are counted over all of them.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from namel3ss.errors import UsageError
from namel3ss.scheduling.core import SchedulerCore
from namel3ss.scheduling.errors import DuplicateRequestError
from namel3ss.scheduling.tickets import TicketState
from namel3ss.scheduling.values import Policy, Request, Server

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from namel3ss.scheduling.values import Lease, Position, Statistics

__all__ = ["Cores", "Outcome"]

_ENDS = frozenset({TicketState.CANCELLED, TicketState.EXPIRED, TicketState.LOST, TicketState.CLOSED})


class Outcome(NamedTuple):
    """What became of a request: it started (with its lease), was asked to stop, or ended."""

    request_id: str
    state: TicketState
    lease: Lease | None
    waited_s: float


class Cores:
    """What a face asks. The times are its business, as is calling from one thread at a time."""

    def __init__(self, policy: Policy, servers: Iterable[Server] = ()) -> None:
        sequence, tokens = itertools.count(1), itertools.count(1)
        self._models = SchedulerCore(policy, servers, sequence=sequence, tokens=tokens)
        own = replace(policy, reserve=0, lanes={})
        self._lanes = {
            lane: SchedulerCore(
                own,
                [Server(name=lane, slots=count, models=frozenset({lane}))],
                sequence=sequence,
                tokens=tokens,
            )
            for lane, count in policy.lanes.items()
        }
        self._all = (self._models, *self._lanes.values())
        # Only what is in a lane is noted; everything else is with the models.
        self._lane_of: dict[str, SchedulerCore] = {}

    def submit(self, request: Request, now: float) -> str:
        """Let a request wait or start; its id. Raises what `errors` names."""
        if request.lane is None:
            if request.id is not None and request.id in self._lane_of:
                raise DuplicateRequestError(request.id)
            return self._models.submit(request, now).id
        core = self._lane(request.lane)
        if request.id is not None and self.state(request.id) is not None:
            raise DuplicateRequestError(request.id)
        ticket = core.submit(replace(request, model=request.lane), now)
        self._lane_of[ticket.id] = core
        return ticket.id

    def release(
        self, lease: Lease, now: float, *, tokens: float | None, drain_s: float, completed: bool
    ) -> bool:
        core = self._core_of(lease.request_id)
        released = core.release(lease, now, tokens=tokens, drain_s=drain_s, completed=completed)
        if released:
            self._lane_of.pop(lease.request_id, None)
        return released

    def renew(self, lease: Lease, now: float) -> Lease | None:
        return self._core_of(lease.request_id).renew(lease, now)

    def cancel(self, request_id: str, now: float) -> bool:
        return self._core_of(request_id).cancel(request_id, now)

    def state(self, request_id: str) -> TicketState | None:
        return self._core_of(request_id).state(request_id)

    def position(self, request_id: str, now: float) -> Position | None:
        return self._core_of(request_id).position(request_id, now)

    def statistics(self, lane: str | None = None) -> Statistics:
        return (self._models if lane is None else self._lane(lane)).statistics()

    def put_server(self, server: Server, now: float) -> None:
        self._models.put_server(server, now)

    def drop_server(self, name: str, now: float) -> None:
        self._models.drop_server(name, now)

    def report_loaded(self, name: str, models: Collection[str], now: float) -> None:
        self._models.report_loaded(name, models, now)

    def close(self, now: float) -> None:
        for core in self._all:
            core.close(now)

    def tick(self, now: float) -> None:
        for core in self._all:
            core.tick(now)

    def next_alarm(self) -> float:
        return min(core.next_alarm() for core in self._all)

    def take_outcomes(self) -> list[Outcome]:
        """What has become of requests since the last call, in order for each request."""
        outcomes = []
        for core in self._all:
            for state, ticket in core.take_events():
                if state in _ENDS:
                    self._lane_of.pop(ticket.id, None)
                outcomes.append(Outcome(ticket.id, state, ticket.lease, core.now - ticket.since))
        return outcomes

    def _core_of(self, request_id: str) -> SchedulerCore:
        return self._lane_of.get(request_id, self._models)

    def _lane(self, name: str) -> SchedulerCore:
        core = self._lanes.get(name)
        if core is None:
            known = ", ".join(f"'{lane}'" for lane in self._lanes) or "none"
            raise UsageError(f"There is no lane '{name}'; there are: {known}.")
        return core
