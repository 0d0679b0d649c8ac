"""What the core knows, and what can be seen of it: states, positions, statistics. Looking changes nothing."""

from __future__ import annotations

import itertools
import math
from collections import deque
from typing import TYPE_CHECKING

from namel3ss.scheduling.calibration import Calibration
from namel3ss.scheduling.caps import Caps
from namel3ss.scheduling.estimates import Pace
from namel3ss.scheduling.fairness import FairQueue
from namel3ss.scheduling.forecast import Busy, Order, Outlook, Schedule, Sums
from namel3ss.scheduling.placement import Model, Pool, Residency
from namel3ss.scheduling.recent_order import Happenings
from namel3ss.scheduling.tickets import Ticket, TicketState
from namel3ss.scheduling.timers import Timers
from namel3ss.scheduling.values import Marks, Policy, Position, Server, Statistics, WaitEstimate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from namel3ss.scheduling.tickets import Event

__all__ = ["CoreState", "Drain"]

# Looked up once: on Python 3.11 finding a member of an enumeration takes longer than a call.
_WAITING = TicketState.WAITING


class Drain:
    """A slot whose request has ended here, but perhaps not on the server."""

    __slots__ = ("is_ordinary", "residency", "until")

    def __init__(self, residency: Residency, is_ordinary: bool, until: float) -> None:
        self.residency = residency
        self.is_ordinary = is_ordinary
        self.until = until


class CoreState:
    """Who waits, who runs, on which servers, and the sums of what has happened."""

    __slots__ = (
        "_alarms",
        "_calibration",
        "_cancelled",
        "_caps",
        "_changes",
        "_closed",
        "_draining",
        "_events",
        "_expired",
        "_lease_ttl_s",
        "_levels",
        "_loads",
        "_lost",
        "_max_wait_s",
        "_order",
        "_overtakings",
        "_pace",
        "_pool",
        "_queue",
        "_recent",
        "_refused",
        "_running",
        "_schedule",
        "_sequence",
        "_server_changes",
        "_stopped",
        "_swaps",
        "_tickets",
        "_tokens",
        "_withdrawn",
        "now",
        "policy",
    )

    def __init__(
        self,
        policy: Policy,
        servers: Iterable[Server] = (),
        *,
        sequence: Iterator[int] | None = None,
        tokens: Iterator[int] | None = None,
    ) -> None:
        self.policy = policy
        self._pool = Pool(policy.reserve)
        self._alarms: Timers[Ticket | Drain] = Timers(_is_wanted)
        self._queue = FairQueue(policy, self._alarms)
        self._caps = Caps(policy)
        self._pace = Pace()
        self._sequence = sequence if sequence is not None else itertools.count(1)
        self._tokens = tokens if tokens is not None else itertools.count(1)
        self._levels: dict[int | None, int] = {None: len(policy.classes) - 1}
        self._levels.update((priority, level) for level, priority in enumerate(policy.classes))
        # All that wait or run, by id, and those that run, by their lease's token.
        self._tickets: dict[str, Ticket] = {}
        self._running: dict[int, Ticket] = {}
        self._draining: dict[Drain, None] = {}
        self._events: list[Event] = []
        self.now = -math.inf
        self._max_wait_s = math.inf if policy.max_wait_s is None else policy.max_wait_s
        self._lease_ttl_s = policy.lease_ttl_s
        self._closed = False
        self._order: Order | None = None
        self._schedule: Schedule | None = None
        self._calibration = Calibration()
        # Enough that one user's burst does not hide how often the others come.
        self._recent: deque[Ticket] = deque(maxlen=1024)
        # Sums for the statistics and for the reasons of moves. What usually becomes of a request is not counted: how many
        # came (`arrived` of the tiers) and how many left in another way says how many started and finished.
        self._overtakings = self._server_changes = self._changes = 0
        self._withdrawn = self._cancelled = self._expired = 0
        self._stopped = self._lost = self._refused = self._loads = self._swaps = 0
        for server in servers:
            self._pool.put(server)

    # Looking

    def state(self, request_id: str) -> TicketState | None:
        """Whether a request waits, runs or is asked to stop; None once it has ended."""
        ticket = self._tickets.get(request_id)
        return None if ticket is None else ticket.state

    @property
    def _waiting(self) -> int:
        """How many wait."""
        return len(self._tickets) - len(self._running)

    @property
    def _arrived(self) -> int:
        """How many have waited, were it for no time."""
        return sum(tier.arrived for tier in self._queue.tiers)

    @property
    def _admitted(self) -> int:
        """How many have started."""
        return self._arrived - self._waiting - self._withdrawn

    @property
    def _version(self) -> int:
        """Grows with everything that may move somebody's position: who comes, who leaves, and other changes."""
        arrived = self._arrived
        left = arrived - len(self._tickets)
        return arrived + left + self._changes

    def statistics(self) -> Statistics:
        servers = self._pool.servers
        return Statistics(
            waiting=self._waiting,
            running=len(self._running),
            draining=len(self._draining),
            waiting_by_class={
                priority: tier.waiting
                for priority, tier in zip(self.policy.classes, self._queue.tiers, strict=True)
            },
            busy_by_server={name: state.busy for name, state in servers.items()},
            loaded={name: tuple(state.residencies) for name, state in servers.items()},
            admitted=self._admitted,
            finished=self._admitted - len(self._running) - self._lost - self._stopped,
            cancelled=self._cancelled + self._stopped,
            expired=self._expired,
            lost=self._lost,
            refused=self._refused,
            loads=self._loads,
            swaps=self._swaps,
        )

    def _position(self, request_id: str, now: float) -> Position | None:
        ticket = self._tickets.get(request_id)
        if ticket is None or ticket.state is not _WAITING:
            return None
        order, waiting = self._order, self._waiting
        if order is None or not order.holds(now, self._version):
            outlook, sums = self._outlook(now), self._sums(now)
            happenings = Happenings(self._arrived, self._arrived - waiting, self._queue.moved)
            if order is not None and order.may_stand_in(outlook, sums):
                place = order.recent_place(ticket, waiting, happenings)
                return Position(
                    *place, waiting, self._wait(ticket, place, now), self._marks(ticket, order.sums)
                )
            order = self._order = Order(outlook, self._version, sums, happenings)
        place = order.place(ticket, waiting)
        return Position(*place, waiting, self._wait(ticket, place, now), self._marks(ticket, order.sums))

    def _wait(self, ticket: Ticket, place: tuple[int, int], now: float) -> WaitEstimate | None:
        schedule = self._schedule
        if schedule is None or not schedule.covers(place, now, self._version, self._admitted):
            busy = [Busy.by_running(ticket) for ticket in self._running.values()]
            busy.extend(
                Busy.by_drain(drain.residency, drain.is_ordinary, drain.until) for drain in self._draining
            )
            schedule = self._schedule = Schedule(
                self._outlook(now),
                busy,
                tuple(self._recent),
                self._waiting,
                self._version,
                self._admitted,
            )
        forecast = schedule.wait(ticket, place, now, self._version, self._admitted)
        return None if forecast is None else self._calibration.corrected(ticket, forecast, now)

    def _outlook(self, now: float) -> Outlook:
        return Outlook(self._queue, self._pool, now, self.policy.batch_wait_s)

    def _sums(self, now: float) -> Sums:
        overdue = (model.name for model in self._pool.models.values() if self._is_overdue(model, now))
        return Sums(
            arrivals=tuple(itertools.accumulate(self._queue.arrivals_by_rank())),
            settlements=self._queue.settlements,
            loads=self._loads,
            overtakings=self._overtakings,
            overdue=frozenset(overdue),
            # While a class is aged, what its other requests would fall back to depends on the time.
            promotions=(self._queue.promotions, now if self._queue.is_aged else None),
            servers=self._server_changes,
        )

    def _marks(self, ticket: Ticket, sums: Sums) -> Marks:
        # Worse classes get ahead of it only while no server offers its model.
        servable = ticket.line.model.is_offered
        rank = ticket.account.tier.rank.index if servable else -1
        return Marks(
            arrivals=sums.arrivals[rank],
            settlements=sums.settlements,
            batches=(sums.loads + sums.overtakings, sums.overdue),
            promotions=sums.promotions,
            servers=sums.servers,
        )

    def _is_overdue(self, model: Model, now: float) -> bool:
        return model.passed_at is not None and model.passed_at <= now - self.policy.batch_wait_s


def _is_wanted(_: float, item: Ticket | Drain) -> bool:
    return isinstance(item, Drain) or item.residency is not None
