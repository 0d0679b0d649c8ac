"""The scheduler's rules once more: slow, without any structure, everything worked out anew at each look.

It shares with the core nothing but the values that go in. Where the core keeps heaps, counters and alarms, this
walks over plain lists.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from namel3ss.scheduling.values import Policy, Request, Server


@dataclass(eq=False)
class RefTicket:
    seq: int
    id: str
    user: str
    level: int
    model: str
    cost: float
    since: float
    deadline: float
    server: str = ""
    expires_at: float = math.inf


@dataclass(eq=False)
class RefServer:
    spec: Server
    order: int
    dropped: bool = False
    loaded: dict[str, int] = field(default_factory=dict)  # model → when it was last used

    @property
    def open(self) -> bool:
        return self.spec.accepting and not self.dropped


@dataclass
class RefDrain:
    server: str
    model: str
    ordinary: bool
    until: float


class Reference:
    def __init__(self, policy: Policy, servers: list[Server]) -> None:
        self.policy = policy
        self.ranks = range(len(policy.classes))
        self.servers: list[RefServer] = []
        self.waiting: list[RefTicket] = []
        self.running: list[RefTicket] = []
        self.draining: list[RefDrain] = []
        # By class and user; what they are in a rank's count is more by the class's offset.
        self.tags: dict[tuple[int, str], float] = {}
        self.clock = dict.fromkeys(self.ranks, 0.0)
        self.offset = dict.fromkeys(self.ranks, 0.0)
        self.rank = {level: level for level in self.ranks}  # where each class stands
        self.passed: dict[str, float] = {}
        self.events: list[tuple[str, str]] = []
        self.now = -math.inf
        self.seq = self.uses = self.orders = 0
        for server in servers:
            self.put_server(server)

    # What the core is asked

    def submit(self, request: Request, request_id: str, now: float) -> str:
        """`waiting`, `running`, or why it was refused."""
        self.at(now)
        level = (
            self.policy.classes.index(request.priority) if request.priority is not None else self.ranks[-1]
        )
        if not self.serving(request.model):
            return "no server"
        full = self.full(request.user, level)
        self.seq += 1
        assert request.cost is not None
        wait = request.max_wait_s if request.max_wait_s is not None else self.policy.max_wait_s
        deadline = math.inf if wait is None else now + wait
        ticket = RefTicket(
            self.seq, request_id, request.user, level, request.model, request.cost, now, deadline
        )
        before = self.copy() if full else self
        self.enter_account(ticket)
        self.waiting.append(ticket)
        self.place()
        self.dispatch()
        if ticket in self.running:
            return "running"
        if full:
            self.__dict__.update(before.__dict__)
            return "full"
        return "waiting"

    def release(self, request_id: str, now: float, tokens: float | None, drain_s: float) -> bool:
        self.at(now)
        ticket = next((known for known in self.running if known.id == request_id), None)
        if ticket is None:
            return False
        self.give_back(ticket, tokens, drain_s)
        self.dispatch()
        return True

    def cancel(self, request_id: str, now: float) -> None:
        self.at(now)
        for ticket in list(self.waiting):
            if ticket.id == request_id:
                self.withdraw(ticket, "cancelled")
                self.dispatch()

    def put_server(self, server: Server) -> None:
        known = next((known for known in self.servers if known.spec.name == server.name), None)
        if known is None:
            self.servers.append(RefServer(server, self.orders))
            self.orders += 1
        else:
            known.spec, known.dropped = server, False
        self.place()
        self.dispatch()

    def drop_server(self, name: str) -> None:
        self.server(name).dropped = True
        self.forget_dropped()
        self.place()
        self.dispatch()

    def report_loaded(self, name: str, models: list[str]) -> None:
        server = self.server(name)
        for model in list(server.loaded):
            if model not in models and not self.busy(server, model):
                del server.loaded[model]
        for model in models:
            server.loaded.setdefault(model, 0)
        self.dispatch()

    def order(self) -> list[str]:
        """Who would start after whom if nobody came or left and each ended at once and cost its estimate."""
        play = self.copy()
        play.running.clear()
        play.draining.clear()
        play.forget_dropped()
        play.rest()
        found = []
        while (choice := play.choose()) is not None:
            found.append(play.start(*choice).id)
            play.running.clear()
            play.rest()
        return found

    def copy(self) -> Reference:
        twin = copy.copy(self)
        twin.waiting = [copy.copy(ticket) for ticket in self.waiting]
        twin.running = [copy.copy(ticket) for ticket in self.running]
        twin.draining = list(self.draining)
        twin.servers = [RefServer(s.spec, s.order, s.dropped, dict(s.loaded)) for s in self.servers]
        twin.tags, twin.clock = dict(self.tags), dict(self.clock)
        twin.offset, twin.rank = dict(self.offset), dict(self.rank)
        twin.passed = dict(self.passed)
        twin.events = list(self.events)
        return twin

    # Time

    def at(self, now: float) -> None:
        while (when := min(self.times(), default=math.inf)) <= now:
            self.now = when
            for drain in [drain for drain in self.draining if drain.until <= when]:
                self.draining.remove(drain)
            for ticket in [ticket for ticket in self.running if ticket.expires_at <= when]:
                self.give_back(ticket, None, 0.0)
                self.events.append((ticket.id, "lost"))
            for ticket in [ticket for ticket in self.waiting if ticket.deadline <= when]:
                self.withdraw(ticket, "expired")
            self.place()
            self.forget_dropped()
            self.dispatch()
        self.now = now

    def times(self) -> list[float]:
        """When something happens by itself."""
        times = [ticket.deadline for ticket in self.waiting]
        times += [ticket.expires_at for ticket in self.running]
        times += [drain.until for drain in self.draining]
        for level in self.ranks:
            oldest = self.oldest(level)
            if oldest is not None and self.rank[level]:
                times.append(oldest.since + (level - self.rank[level] + 1) * self.policy.ageing_s)
        return times

    # Lines and accounts

    @staticmethod
    def line(ticket: RefTicket) -> tuple[str, int, str]:
        return (ticket.user, ticket.level, ticket.model)

    def heads(self) -> list[RefTicket]:
        """The first request of every line, the oldest first."""
        found: dict[tuple[str, int, str], RefTicket] = {}
        for ticket in self.waiting:
            found.setdefault(self.line(ticket), ticket)
        return list(found.values())

    def oldest(self, level: int) -> RefTicket | None:
        """What the class owes its rank to."""
        return next((t for t in self.waiting if t.level == level and self.serving(t.model)), None)

    def place(self) -> None:
        """Let every class stand where its oldest request belongs now."""
        for level in self.ranks:
            steps, oldest = 0, self.oldest(level)
            while (
                oldest is not None
                and steps < level
                and oldest.since + (steps + 1) * self.policy.ageing_s <= self.now
            ):
                steps += 1
            before, self.rank[level] = self.rank[level], level - steps
            self.offset[level] += self.clock[self.rank[level]] - self.clock[before]
        self.rest()

    def enter_account(self, ticket: RefTicket) -> None:
        """Who comes anew starts at the clock."""
        key = (ticket.level, ticket.user)
        if all((known.level, known.user) != key for known in self.waiting):
            clock = self.clock[self.rank[ticket.level]] - self.offset[ticket.level]
            self.tags[key] = max(self.tags.get(key, clock), clock)

    def rest(self) -> None:
        """Where nothing of a class waits and nothing runs, its accounts are forgotten."""
        living = {ticket.level for ticket in (*self.waiting, *self.running)}
        self.tags = {key: tag for key, tag in self.tags.items() if key[0] in living}

    def tag(self, ticket: RefTicket) -> float:
        """By the count of the rank that its class stands in."""
        return self.tags[(ticket.level, ticket.user)] + self.offset[ticket.level]

    def withdraw(self, ticket: RefTicket, why: str) -> None:
        self.waiting.remove(ticket)
        self.place()
        self.clear_passed(ticket.model)
        self.events.append((ticket.id, why))

    def give_back(self, ticket: RefTicket, tokens: float | None, drain_s: float) -> None:
        self.running.remove(ticket)
        if tokens is not None:
            self.tags[(ticket.level, ticket.user)] += tokens - ticket.cost
        if drain_s:
            drain = RefDrain(ticket.server, ticket.model, ticket.level > 0, self.now + drain_s)
            self.draining.append(drain)
        self.rest()
        self.forget_dropped()

    def full(self, user: str, level: int) -> bool:
        policy = self.policy
        own_class = policy.max_waiting_per_class.get(policy.classes[level], policy.max_waiting)
        return (
            len(self.waiting) >= policy.max_waiting
            or sum(ticket.level == level for ticket in self.waiting) >= own_class
            or sum(ticket.user == user for ticket in self.waiting) >= policy.max_waiting_per_user
        )

    # Servers

    def server(self, name: str) -> RefServer:
        return next(server for server in self.servers if server.spec.name == name)

    def serving(self, model: str) -> list[RefServer]:
        return [server for server in self.servers if server.open and server.spec.offers(model)]

    def busy(self, server: RefServer, model: str | None = None) -> int:
        taken = [(ticket.server, ticket.model) for ticket in self.running]
        taken += [(drain.server, drain.model) for drain in self.draining]
        return sum(name == server.spec.name and model in (None, held) for name, held in taken)

    def load(self, server: RefServer) -> tuple[float, int]:
        return ((self.busy(server) + 1) / server.spec.weight, server.order)

    def ordinary_allowed(self, model: str) -> bool:
        """Whether one more request that did not come in the top class may run."""
        if not self.policy.reserve:
            return True
        running = sum(ticket.model == model and ticket.level > 0 for ticket in self.running)
        running += sum(drain.model == model and drain.ordinary for drain in self.draining)
        slots = sum(server.spec.slots_for(model) for server in self.serving(model))
        return running < max(1, slots - self.policy.reserve)

    def forget_dropped(self) -> None:
        self.servers = [server for server in self.servers if not server.dropped or self.busy(server)]

    def clear_passed(self, model: str) -> None:
        if all(ticket.model != model for ticket in self.waiting):
            self.passed.pop(model, None)

    # The decision

    def dispatch(self) -> None:
        while (choice := self.choose()) is not None:
            self.start(*choice)

    def choose(self) -> tuple[RefTicket, RefServer, str | None, str | None, float] | None:
        """Request, server, model pushed out, model passed over, tag of the first in the class."""
        barred: list[RefServer] = []
        claimants: set[str] = set()
        for rank in self.ranks:
            open_to_class: list[tuple[RefServer, str]] = []
            put_off = None
            heads = [head for head in self.heads() if self.rank[head.level] == rank]
            wanted = {head.model for head in heads}
            heads.sort(key=lambda head: (self.tag(head), head.seq))
            heads = [head for head in heads if self.serving(head.model)]
            for head in heads:
                model = head.model
                clock = self.tag(heads[0])
                if head.level and not self.ordinary_allowed(model):
                    continue
                claimed = [server for server, _ in open_to_class]
                servers = [server for server in self.serving(model) if server not in barred]
                free = [
                    server
                    for server in servers
                    if model in server.loaded and self.busy(server, model) < server.spec.slots_for(model)
                ]
                if free:
                    best = min(free, key=lambda server: (server in claimed, self.load(server)))
                    passed = next((name for server, name in open_to_class if server is best), None)
                    return head, best, None, passed, clock
                others = [server for server in servers if model not in server.loaded]
                room = [server for server in others if len(server.loaded) < server.spec.max_loaded_models]
                if room:
                    return head, min(room, key=self.load), None, None, clock
                if model in claimants:
                    continue
                others = [server for server in others if server not in claimed]
                overdue = model in self.passed and self.passed[model] + self.policy.batch_wait_s <= self.now
                idle = [
                    (server, held)
                    for server in others
                    for held in server.loaded
                    if not self.busy(server, held)
                ]
                if idle:
                    server, victim = min(idle, key=lambda pair: self.hurt(pair[0], pair[1], wanted))
                    if overdue or victim not in wanted:
                        return head, server, victim, None, clock
                    put_off = put_off or (head, server, victim, None, clock)
                    open_to_class.append((server, model))
                    claimants.add(model)
                elif others and not any(model in server.loaded for server in self.serving(model)):
                    server = min(others, key=self.load)
                    claimants.add(model)
                    if overdue:
                        barred.append(server)
                    else:
                        open_to_class.append((server, model))
            if put_off:
                return put_off
            barred += [server for server, _ in open_to_class]
        return None

    def hurt(self, server: RefServer, held: str, wanted: set[str]) -> tuple[int, tuple[float, int], int]:
        waited_for = any(ticket.model == held for ticket in self.waiting)
        return (2 if held in wanted else int(waited_for), self.load(server), server.loaded[held])

    def start(
        self, ticket: RefTicket, server: RefServer, victim: str | None, passed: str | None, clock: float
    ) -> RefTicket:
        rank = self.rank[ticket.level]
        if victim is not None:
            del server.loaded[victim]
        self.uses += 1
        server.loaded[ticket.model] = self.uses
        self.passed.pop(ticket.model, None)
        if passed is not None:
            self.passed.setdefault(passed, self.now)
        self.clock[rank] = max(self.clock[rank], clock)
        self.tags[(ticket.level, ticket.user)] += ticket.cost
        ticket.server = server.spec.name
        if self.policy.lease_ttl_s is not None:
            ticket.expires_at = self.now + self.policy.lease_ttl_s
        self.waiting.remove(ticket)
        self.running.append(ticket)
        self.place()
        self.events.append((ticket.id, f"starts on {ticket.server}"))
        return ticket
