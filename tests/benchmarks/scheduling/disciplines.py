"""Who goes next: namel3ss' scheduler, and the two usual answers to compare it with.

First come, first served and plain priority start the request at their head wherever a slot is free, if need be by
loading its model in place of an idle one. Both prefer a server that has the model loaded.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from namel3ss.scheduling.core import SchedulerCore
from namel3ss.scheduling.tickets import TicketState
from namel3ss.scheduling.values import Policy, Request
from tests.benchmarks.scheduling.loads import CLASSES

if TYPE_CHECKING:
    from collections.abc import Callable

    from namel3ss.scheduling.values import Lease, Server
    from tests.benchmarks.scheduling.loads import Arrival


@dataclass(frozen=True)
class Start:
    id: str
    server: str
    cold: bool


@dataclass(frozen=True)
class Expected:
    """How long a request will wait: about so long, and where the discipline knows of one, a range."""

    middle_s: float
    range_s: tuple[float, float] | None = None


class Discipline(Protocol):
    def submit(self, arrival: Arrival, now: float) -> None: ...

    def finish(self, request_id: str, now: float, tokens: float) -> None: ...

    def starts(self) -> list[Start]: ...

    def expected_wait(self, request_id: str, now: float) -> Expected | None: ...


class Fair:
    """namel3ss with its default policy, but for caps and deadlines, which the comparison is not about."""

    def __init__(self, servers: tuple[Server, ...], *, ageing_s: float = 60.0) -> None:
        policy = Policy(
            classes=CLASSES,
            ageing_s=ageing_s,
            max_waiting=100_000,
            max_waiting_per_user=100_000,
            max_wait_s=None,
        )
        self.core = SchedulerCore(policy, servers)
        self._leases: dict[str, Lease] = {}

    def submit(self, arrival: Arrival, now: float) -> None:
        self.core.submit(
            Request(
                model=arrival.model,
                user=arrival.user,
                priority=arrival.priority,
                cost=arrival.estimate,
                id=arrival.id,
            ),
            now,
        )

    def finish(self, request_id: str, now: float, tokens: float) -> None:
        self.core.release(self._leases.pop(request_id), now, tokens=tokens)

    def starts(self) -> list[Start]:
        found = []
        for state, ticket in self.core.take_events():
            if state is TicketState.RUNNING and ticket.lease is not None:
                self._leases[ticket.id] = ticket.lease
                found.append(Start(ticket.id, ticket.lease.server, ticket.lease.cold))
        return found

    def expected_wait(self, request_id: str, now: float) -> Expected | None:
        position = self.core.position(request_id, now)
        if position is None or position.wait is None:
            return None
        wait = position.wait
        return Expected(wait.expected_s, (wait.low_s, wait.high_s))


@dataclass(eq=False)
class _Backend:
    server: Server
    loaded: dict[str, int] = field(
        default_factory=dict
    )  # model → requests in flight, least recently used first

    def place(self, model: str) -> bool | None:
        """Whether the model would have to be loaded; None if nothing more can start here."""
        if model in self.loaded:
            return False if self.loaded[model] < self.server.slots else None
        room = len(self.loaded) < self.server.max_loaded_models
        return True if room or 0 in self.loaded.values() else None

    def start(self, model: str) -> None:
        if model not in self.loaded and len(self.loaded) >= self.server.max_loaded_models:
            del self.loaded[next(held for held, busy in self.loaded.items() if not busy)]
        self.loaded[model] = self.loaded.pop(model, 0) + 1


class InOrder:
    """One queue in one order; its head waits for the first slot it can get."""

    def __init__(self, servers: tuple[Server, ...], key: Callable[[Arrival], int]) -> None:
        self._backends = [_Backend(server) for server in servers]
        self._key = key
        self._queue: list[tuple[int, int, Arrival]] = []
        self._running: dict[str, tuple[_Backend, str, float]] = {}
        self._started: list[Start] = []
        self._count = 0
        self._durations: list[float] = []

    def submit(self, arrival: Arrival, now: float) -> None:
        self._count += 1
        heapq.heappush(self._queue, (self._key(arrival), self._count, arrival))
        self._dispatch(now)

    def finish(self, request_id: str, now: float, tokens: float) -> None:
        backend, model, since = self._running.pop(request_id)
        backend.loaded[model] -= 1
        self._durations.append(now - since)
        self._dispatch(now)

    def starts(self) -> list[Start]:
        started, self._started = self._started, []
        return started

    def expected_wait(self, request_id: str, now: float) -> Expected | None:
        """What a queue without knowledge of its rules says: those before it times the usual duration, by slots."""
        if not self._durations:
            return None
        before = sorted(self._queue)
        place = next(index for index, entry in enumerate(before) if entry[2].id == request_id)
        recent = self._durations[-128:]
        slots = sum(backend.server.slots for backend in self._backends)
        return Expected((place + 1) * sum(recent) / len(recent) / slots)

    def _dispatch(self, now: float) -> None:
        while self._queue:
            arrival = self._queue[0][2]
            places = [(cold, b) for b in self._backends if (cold := b.place(arrival.model)) is not None]
            if not places:
                return
            cold, backend = min(places, key=lambda place: place[0])
            heapq.heappop(self._queue)
            backend.start(arrival.model)
            self._running[arrival.id] = (backend, arrival.model, now)
            self._started.append(Start(arrival.id, backend.server.name, cold))


def first_come(servers: tuple[Server, ...]) -> InOrder:
    return InOrder(servers, lambda arrival: 0)


def by_priority(servers: tuple[Server, ...]) -> InOrder:
    return InOrder(servers, lambda arrival: arrival.priority)


DISCIPLINES: dict[str, Callable[[tuple[Server, ...]], Discipline]] = {
    "first come": first_come,
    "priority": by_priority,
    "namel3ss": Fair,
}
