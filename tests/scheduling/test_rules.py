"""The core against the slow reference, under any order of events."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from namel3ss.scheduling.core import SchedulerCore
from namel3ss.scheduling.errors import NoServerError, QueueFullError
from namel3ss.scheduling.tickets import TicketState
from namel3ss.scheduling.values import Policy, Position, Request, Server, reasons_for_move
from tests.scheduling.reference import Reference

if TYPE_CHECKING:
    from namel3ss.scheduling.values import Lease

MODELS = ("llama", "qwen", "embed")
USERS = ("ada", "bo", "cy")
CLASSES = (0, 5, 9)

servers = st.builds(
    Server,
    name=st.sampled_from(["gpu1", "gpu2"]),
    slots=st.integers(1, 3),
    max_loaded_models=st.integers(1, 2),
    weight=st.sampled_from([1.0, 2.0]),
    models=st.sampled_from([None] * 5 + [frozenset(MODELS), frozenset({"llama", "qwen"})]),
    model_slots=st.sampled_from([{}, {"embed": 1}]),
    accepting=st.sampled_from([True] * 7 + [False]),
)
requests = st.builds(
    Request,
    user=st.sampled_from(USERS),
    priority=st.sampled_from((*CLASSES, None)),
    model=st.sampled_from(MODELS),
    cost=st.integers(1, 40).map(float),
    max_wait_s=st.sampled_from([None, None, None, 0.0, 10.0, 40.0, math.inf]),
)
policies = st.builds(
    Policy,
    classes=st.just(CLASSES),
    ageing_s=st.sampled_from([7.0, 20.0]),
    reserve=st.integers(0, 2),
    batch_wait_s=st.sampled_from([0.0, 5.0, 30.0]),
    max_waiting=st.sampled_from([6, 100, 100]),
    max_waiting_per_user=st.sampled_from([4, 100, 100]),
    max_waiting_per_class=st.sampled_from([{}, {9: 3}]),
    max_wait_s=st.sampled_from([None, 15.0]),
    lease_ttl_s=st.sampled_from([None, None, 25.0]),
)


class CoreFollowsTheReference(RuleBasedStateMachine):
    """Every event goes to both; they must start, end and refuse the same requests, and agree on the order."""

    @initialize(policy=policies, first=st.lists(servers, min_size=1, max_size=2, unique_by=lambda s: s.name))
    def start(self, policy: Policy, first: list[Server]) -> None:
        self.policy = policy
        self.core = SchedulerCore(policy, first)
        self.reference = Reference(policy, first)
        self.leases: dict[str, Lease] = {}
        self.ended: Counter[str] = Counter()
        self.accepted: set[str] = set()
        self.positions: dict[str, Position] = {}
        self.seconds = 0
        self.operations = 0

    @property
    def now(self) -> float:
        # A fraction of its own for every operation, so that no two alarms fall on one moment.
        return self.seconds + self.operations / 4096

    def step(self) -> float:
        self.operations += 1
        return self.now

    @rule(requests=st.lists(requests, min_size=1, max_size=4))
    def submit(self, requests: list[Request]) -> None:
        for request in requests:
            now = self.step()
            name = f"{request.user}-{self.operations}"
            named = replace(request, id=name)
            expected = self.reference.submit(named, name, now)
            try:
                found = self.core.submit(named, now).state.value
            except NoServerError:
                found = "no server"
            except QueueFullError:
                found = "full"
            assert found == expected
            if found in ("waiting", "running"):
                self.accepted.add(name)
            self.they_agree()

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), tokens=st.none() | st.integers(0, 80), drain=st.sampled_from([0, 0, 3]))
    def release(self, data: st.DataObject, tokens: int | None, drain: int) -> None:
        now = self.step()
        name = data.draw(st.sampled_from(sorted(self.leases)))
        lease = self.leases.pop(name)
        real = None if tokens is None else float(tokens)
        expected = self.reference.release(name, now, real, float(drain))
        found = self.core.release(lease, now, tokens=real, drain_s=float(drain))
        assert found is expected
        assert self.core.release(lease, now) is False
        self.ended[name] += found

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def renew(self, data: st.DataObject) -> None:
        now = self.step()
        name = data.draw(st.sampled_from(sorted(self.leases)))
        self.reference.at(now)
        renewed = self.core.renew(self.leases[name], now)
        running = next((ticket for ticket in self.reference.running if ticket.id == name), None)
        assert (renewed is None) == (running is None)
        if renewed is not None and running is not None and self.policy.lease_ttl_s is not None:
            running.expires_at = now + self.policy.lease_ttl_s
            self.leases[name] = renewed

    @precondition(lambda self: self.accepted)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        now = self.step()
        name = data.draw(st.sampled_from(sorted(self.accepted)))
        self.reference.cancel(name, now)
        known = self.core.cancel(name, now)
        assert known == (not self.ended[name] and name not in self.gone_now())

    def gone_now(self) -> set[str]:
        """Requests that ended in the operation just made, before it looked for its own."""
        return {name for name, what in self.reference.events if what in ("expired", "lost")}

    @rule(seconds=st.integers(1, 30))
    def wait(self, seconds: int) -> None:
        self.seconds += seconds
        now = self.step()
        self.reference.at(now)
        self.core.tick(now)

    @precondition(lambda self: self.operations % 8 == 7)
    @rule(server=servers)
    def change_server(self, server: Server) -> None:
        now = self.step()
        self.reference.at(now)
        self.reference.put_server(server)
        self.core.put_server(server, now)

    @precondition(lambda self: self.operations % 16 == 15)
    @rule(data=st.data())
    def drop_server(self, data: st.DataObject) -> None:
        now = self.step()
        self.reference.at(now)
        names = [server.spec.name for server in self.reference.servers]
        if names:
            name = data.draw(st.sampled_from(names))
            self.reference.drop_server(name)
            self.core.drop_server(name, now)

    @precondition(lambda self: self.operations % 4 == 3)
    @rule(data=st.data(), models=st.lists(st.sampled_from(MODELS), unique=True))
    def report_loaded(self, data: st.DataObject, models: list[str]) -> None:
        now = self.step()
        self.reference.at(now)
        names = [server.spec.name for server in self.reference.servers]
        if names:
            name = data.draw(st.sampled_from(names))
            self.reference.report_loaded(name, models)
            self.core.report_loaded(name, models, now)

    @invariant()
    def they_agree(self) -> None:
        if hasattr(self, "core"):
            self.reference.at(self.now)
            self.core.tick(self.now)
            self.same_starts_and_ends()
            self.every_request_ends_once()
            self.same_slots()
            self.positions_are_the_order_of_starts()

    def same_starts_and_ends(self) -> None:
        found = []
        for state, ticket in self.core.take_events():
            assert ticket.lease is not None or state is not TicketState.RUNNING
            if state is TicketState.RUNNING and ticket.lease is not None:
                found.append((ticket.id, f"starts on {ticket.lease.server}"))
                self.leases[ticket.id] = ticket.lease
            elif state is not TicketState.STOPPING:
                found.append((ticket.id, state.value))
                self.ended[ticket.id] += 1
                self.leases.pop(ticket.id, None)
        assert found == self.reference.events
        self.reference.events.clear()

    def every_request_ends_once(self) -> None:
        living = {ticket.id for ticket in (*self.reference.waiting, *self.reference.running)}
        for name in self.accepted:
            assert self.ended[name] == (0 if name in living else 1)
            assert (self.core.state(name) is None) == (name not in living)

    def same_slots(self) -> None:
        statistics = self.core.statistics()
        assert statistics.waiting == len(self.reference.waiting)
        assert statistics.running == len(self.reference.running)
        assert statistics.draining == len(self.reference.draining)
        assert statistics.busy_by_server == {
            server.spec.name: self.reference.busy(server) for server in self.reference.servers
        }
        assert {name: set(models) for name, models in statistics.loaded.items()} == {
            server.spec.name: set(server.loaded) for server in self.reference.servers
        }

    def positions_are_the_order_of_starts(self) -> None:
        order = self.reference.order()
        before, self.positions = self.positions, {}
        for ticket in self.reference.waiting:
            position = self.core.position(ticket.id, self.now)
            assert position is not None
            assert position.total == len(self.reference.waiting)
            if ticket.id in order:
                assert (position.at_least, position.at_most) == (order.index(ticket.id),) * 2
            else:
                assert (position.at_least, position.at_most) == (len(order), position.total - 1)
            if ticket.id in before and position.at_least > before[ticket.id].at_least:
                assert reasons_for_move(before[ticket.id], position)
            self.positions[ticket.id] = position


CoreFollowsTheReference.TestCase.settings = settings(
    max_examples=50,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestCoreFollowsTheReference = CoreFollowsTheReference.TestCase
