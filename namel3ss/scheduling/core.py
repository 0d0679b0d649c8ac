"""The admission queue's rules, without clock, threads or event loop.

The rules:

 1. A request has a class, a user and a model. It waits until it gets a slot: one request in flight for one model
    loaded on one server. There are never more leases and draining slots on a (server, model) than its slots.
 2. The best class goes first. For each `ageing_s` that a request has waited since it was admitted its class improves by
    one, up to the top one, until it leaves: a class stands where its oldest request says. So whoever fairly goes
    before that request goes along with it, and classes that stand together share as users do. Requests for a model
    that no server offers do not age. (`fairness`)
 3. Inside a class the users share fairly by tokens: who was charged least is next. Starting charges the estimate,
    the end replaces it by the real count. Being idle saves up nothing. (`fairness`)
 4. Requests of one user, class and model start in the order in which they came.
 5. `reserve` slots of each model are kept for requests that came in the top class; ageing never leads into them.
    At least one slot of a model is never reserved.
 6. A request goes to the server that has its model loaded; only if there is no free slot, to one that can load it.
    A model that the class still waits for is not pushed out until the first request has been passed over for
    `batch_wait_s`. Nobody of a worse class takes a server that a better one waits for. (`selection`)
 7. A request that would exceed a cap on waiting requests (user, class, total) is refused, unless it can start at
    once. One whose model no accepting server offers is refused, unless such a server is expected back.
 8. A request that waited until its deadline ends. A running one keeps its slot until its owner releases it, or
    until its lease expires; a released slot may drain for a while before it is free.
 9. A lease is released once. Whoever comes later, or with an old token, changes nothing.
10. A position is the number of waiting requests that would start first if nobody came or left and each ended at
    once and cost its estimate.

Every method takes the time of the event; times never go back. What happened to requests as a result is collected
in order and fetched with `take_events`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from namel3ss.scheduling.errors import (
    DuplicateRequestError,
    NoServerError,
    QueueFullError,
    SchedulerClosedError,
)
from namel3ss.scheduling.selection import choose, settle_in, slot_at_hand
from namel3ss.scheduling.state import CoreState, Drain
from namel3ss.scheduling.tickets import TicketState, new_ticket
from namel3ss.scheduling.values import lease_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from namel3ss.scheduling.caps import ReachedCap
    from namel3ss.scheduling.placement import Model, Residency
    from namel3ss.scheduling.roster import LineKey
    from namel3ss.scheduling.tickets import Event, Ticket
    from namel3ss.scheduling.tiers import Line
    from namel3ss.scheduling.values import Lease, Position, Request, Server

__all__ = ["SchedulerCore"]


# Looked up once: on Python 3.11 finding a member of an enumeration takes longer than a call.
_WAITING = TicketState.WAITING
_RUNNING = TicketState.RUNNING
_STOPPING = TicketState.STOPPING
_FINISHED = TicketState.FINISHED


class SchedulerCore(CoreState):
    """Who waits, who runs, who is next. Not thread-safe; the faces see to that.

    `sequence` numbers the requests and `tokens` the leases; cores that share them share their ids.
    """

    __slots__ = ()

    # Requests

    def submit(self, request: Request, now: float) -> Ticket:
        """Let a request wait, or start it at once. Raises what `errors` names; then nothing has changed."""
        if self.now <= now < self._alarms.next_at:  # `_at`, without a call
            self.now = now
        else:
            now = self._at(now)
        if self._closed:
            raise SchedulerClosedError
        key = (request.user, request.priority, request.model)
        line = self._queue.roster.lines.get(key) or self._new_line(key)
        model = line.model
        if not model.is_offered:
            self._refuse_model(model)
        reached: ReachedCap | None = None
        if len(self._tickets) >= self._caps.lowest:
            reached = self._caps.reached(line, self._waiting)
            if reached is not None and not self._pool.openings:
                self._refuse(reached)
        seq = next(self._sequence)
        request_id = request.id
        if request_id is None:
            request_id = f"request-{seq}"
        if request_id in self._tickets:
            raise DuplicateRequestError(request_id)
        cost = request.cost
        if cost is None:
            cost = model.usage.cost
        wait_s = request.max_wait_s
        if wait_s is None:
            wait_s = self._max_wait_s
        self._tickets[request_id] = ticket = new_ticket(seq, request_id, line, cost, now, now + wait_s)
        self._queue.add(ticket)
        if self._pool.openings and line.bucket.top()[2] is line:
            self._dispatch(now)
        if reached is not None and ticket.state is _WAITING:
            # Something was free, but not for this one.
            self._withdraw(ticket, TicketState.CLOSED, now)
            self._refuse(reached)
        self._recent.append(ticket)
        return ticket

    def release(
        self,
        lease: Lease,
        now: float,
        *,
        tokens: float | None = None,
        drain_s: float = 0.0,
        completed: bool = True,
    ) -> bool:
        """Give a slot back; False if the lease no longer held it.

        `tokens` is what the request really cost; None leaves the estimate. `completed` says that its duration is
        worth learning from. `drain_s` keeps the slot taken that much longer.
        """
        if self.now <= now < self._alarms.next_at:  # `_at`, without a call
            self.now = now
        else:
            now = self._at(now)
        ticket = self._running.pop(lease.token, None)
        if ticket is None:
            return False
        del self._tickets[ticket.id]
        residency, ticket.residency = ticket.residency, None
        assert residency is not None  # it ran
        if ticket.state is _STOPPING:
            self._stopped += 1
            ticket.state = TicketState.CANCELLED
        else:
            ticket.state = _FINISHED
            if completed:
                residency.history.learn(ticket.cost, now - lease.granted_at, tokens, lease.cold)
        if drain_s > 0.0:
            drain = Drain(residency, ticket.is_ordinary, now + drain_s)
            self._draining[drain] = None
            self._alarms.set(drain.until, drain)
        else:
            self._pool.vacate(residency, ticket.line.is_ordinary)
        self._queue.settle(ticket, ticket.cost if tokens is None else tokens)
        self._dispatch(now)
        return True

    def renew(self, lease: Lease, now: float) -> Lease | None:
        """Extend a lease by the policy's time to live; None if it is lost."""
        now = self._at(now)
        ticket = self._running.get(lease.token)
        if ticket is None:
            return None
        if self.policy.lease_ttl_s is not None:
            lease = ticket.lease = lease._replace(expires_at=now + self.policy.lease_ttl_s)
        return lease

    def cancel(self, request_id: str, now: float) -> bool:
        """End a waiting request, or ask the owner of a running one to stop; False for an unknown id."""
        now = self._at(now)
        ticket = self._tickets.get(request_id)
        if ticket is None:
            return False
        if ticket.state is _WAITING:
            self._cancelled += 1
            self._withdraw(ticket, TicketState.CANCELLED, now)
            self._events.append((ticket.state, ticket))
            self._dispatch(now)
        elif ticket.state is _RUNNING:
            ticket.state = _STOPPING
            self._events.append((ticket.state, ticket))
        return True

    def tick(self, now: float) -> None:
        """Let happen what is due by now. Every other method does so first."""
        self._at(now)

    def next_alarm(self) -> float:
        """When `tick` should be called if nothing else happens before; `math.inf`: never."""
        return self._alarms.next_at

    def take_events(self) -> list[Event]:
        """The requests that started, were asked to stop, or ended other than by their release; in order."""
        events, self._events = self._events, []
        return events

    def close(self, now: float) -> None:
        """Admit nothing more and end what waits. What runs keeps its leases."""
        now = self._at(now)
        self._closed = True
        for ticket in [known for known in self._tickets.values() if known.state is _WAITING]:
            self._withdraw(ticket, TicketState.CLOSED, now)
            self._events.append((ticket.state, ticket))

    # Servers

    def put_server(self, server: Server, now: float) -> None:
        """Add a server, or change the one of that name."""
        now = self._at(now)
        self._pool.put(server)
        self._servers_changed(now)

    def drop_server(self, name: str, now: float) -> None:
        """Send nothing more to a server and forget it once nothing runs there; KeyError if there is none."""
        now = self._at(now)
        self._pool.drop(name)
        self._servers_changed(now)

    def report_loaded(self, name: str, models: Collection[str], now: float) -> None:
        """Correct what is taken to be loaded on a server by what it says; KeyError if there is no such server."""
        now = self._at(now)
        if self._pool.report(name, models):
            self._servers_changed(now)

    def position(self, request_id: str, now: float) -> Position | None:
        """Where a waiting request stands; None for any other id."""
        return self._position(request_id, self._at(now))

    # Rules

    def _at(self, now: float) -> float:
        """Let happen what is due by now, each thing at its own time, however late this is called."""
        if self._alarms.next_at <= now:
            self._catch_up(now)
        if now < self.now:
            return self.now
        self.now = now
        return now

    def _catch_up(self, now: float) -> None:
        while (when := self._alarms.next_at) <= now:
            self.now = max(self.now, when)
            self._changes += 1
            while (item := self._alarms.pop_due(self.now)) is not None:
                self._ring(item, self.now)
            for ticket in self._queue.overdue(self.now):
                self._expired += 1
                self._withdraw(ticket, TicketState.EXPIRED, self.now)
                self._events.append((ticket.state, ticket))
            self._queue.promote(self.now)
            self._dispatch(self.now)

    def _ring(self, item: Ticket | Drain, now: float) -> None:
        if isinstance(item, Drain):
            del self._draining[item]
            self._pool.vacate(item.residency, item.is_ordinary)
        elif item.residency is not None and item.lease is not None and item.lease.expires_at is not None:
            if item.lease.expires_at > now:
                self._alarms.set(item.lease.expires_at, item)
                return
            self._lost += 1
            item.state = TicketState.LOST
            del self._running[item.lease.token], self._tickets[item.id]
            self._pool.vacate(item.residency, item.is_ordinary)
            item.residency = None
            self._queue.settle(item, item.cost)
            self._events.append((item.state, item))

    def _new_line(self, key: LineKey) -> Line:
        """The line for a user, priority and model of whom nothing is known."""
        _, priority, name = key
        level = self._levels.get(priority)
        if level is None:
            raise self.policy.no_such_class(priority)
        model = self._pool.model(name)
        if not model.is_offered:
            self._refuse_model(model)
        return self._queue.roster.enter(key, level, model, self._running.values())

    def _refuse_model(self, model: Model) -> NoReturn:
        self._refused += 1
        raise NoServerError(model.name, self._pace.retry_after_s)

    def _refuse(self, reached: ReachedCap) -> NoReturn:
        self._refused += 1
        raise QueueFullError(reached.scope, reached.limit, self._pace.retry_after_s)

    def _dispatch(self, now: float) -> None:
        """Start whatever can start. Between two events nothing that waits can start."""
        pool, queue = self._pool, self._queue
        while pool.openings and (first := queue.first()) is not None:
            clock, _, line = first
            residency = slot_at_hand(line)
            if residency is not None:
                residency.model.passed_at = None
                self._start(line, clock, residency, now)
                continue
            choice = choose(queue.ranks, pool, now, self.policy.batch_wait_s)
            if choice is None:
                return
            if choice.residency is None:
                self._loads += 1
                self._swaps += choice.victim is not None
            self._overtakings += choice.overtakes
            self._start(choice.line, choice.clock, settle_in(choice, pool, now), now)

    def _start(self, line: Line, clock: float, residency: Residency, now: float) -> None:
        ticket = self._queue.take(line, clock, now)
        self._pool.occupy(residency, line.is_ordinary)
        waited_s = now - ticket.since
        if waited_s:
            self._pace.learn_start(now)
        expires_at = None
        if self._lease_ttl_s is not None:
            expires_at = now + self._lease_ttl_s
            self._alarms.set(expires_at, ticket)
        residency.used = token = next(self._tokens)
        ticket.residency = residency
        ticket.lease = lease_of(
            (
                ticket.id,
                residency.server.name,
                residency.model.name,
                token,
                now,
                waited_s,
                residency.is_cold,
                expires_at,
            )
        )
        residency.is_cold = False
        self._running[token] = ticket
        self._events.append((_RUNNING, ticket))

    def _withdraw(self, ticket: Ticket, state: TicketState, now: float) -> None:
        """End a request that waits."""
        ticket.state = state
        del self._tickets[ticket.id]
        self._withdrawn += 1
        self._queue.withdraw(ticket, now)
        model = ticket.line.model
        if model.passed_at is not None and not self._queue.wants(model.name):
            model.passed_at = None

    def _servers_changed(self, now: float) -> None:
        self._server_changes += 1
        self._changes += 1
        self._queue.servers_changed(now)
        self._dispatch(now)
