"""What every engine must do. An engine's own test module derives from `EngineConformance` and says how to make one.

The suite speaks to the engine through its contract alone, and moves time by the harness: a store-backed engine moves
its store's time.
"""

from __future__ import annotations

import abc
import asyncio
import math
import random
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from namel3ss.errors import UsageError
from namel3ss.scheduling import (
    DuplicateRequestError,
    MoveReason,
    NoServerError,
    Policy,
    QueueFullError,
    Request,
    SchedulerClosedError,
    Server,
)
from namel3ss.scheduling.tickets import TicketState
from namel3ss.scheduling.values import reasons_for_move

if TYPE_CHECKING:
    from namel3ss.scheduling import Engine, Lease
    from namel3ss.scheduling.cores import Outcome

ONE_SLOT = Server(name="gpu1")


class Harness(abc.ABC):
    """One engine, everything it has said, and power over its time."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.changes = 0

    @property
    @abc.abstractmethod
    def engine(self) -> Engine: ...

    @abc.abstractmethod
    async def advance(self, seconds: float) -> None:
        """Let time pass and everything that is due by then happen."""

    def note_change(self) -> None:
        self.changes += 1

    async def submit(self, request_id: str, model: str = "m", **options: object) -> None:
        await self.engine.submit(Request(id=request_id, model=model, **options))  # type: ignore[arg-type]  # by name

    def lease(self, request_id: str) -> Lease:
        found = [o.lease for o in self.outcomes if o.request_id == request_id and o.lease is not None]
        assert found, f"{request_id} has not started"
        return found[-1]

    async def finish(self, request_id: str, tokens: float | None = None) -> None:
        assert await self.engine.release(self.lease(request_id), tokens=tokens)

    def started(self) -> list[str]:
        return [outcome.request_id for outcome in self.outcomes if outcome.state is TicketState.RUNNING]

    def states(self, request_id: str) -> list[TicketState]:
        return [outcome.state for outcome in self.outcomes if outcome.request_id == request_id]

    async def drain_in_order(self) -> list[str]:
        """Finish whatever runs, oldest first, until nothing starts any more; who started, in order."""
        done = 0
        while done < len(self.started()):
            await self.engine.release(self.lease(self.started()[done]))
            done += 1
        return self.started()


class EngineConformance(abc.ABC):
    @abc.abstractmethod
    async def open(self, policy: Policy, *servers: Server) -> Harness: ...

    async def close(self, harness: Harness) -> None:
        await harness.engine.aclose()

    # Slots and leases

    async def test_free_slot_is_leased_at_once(self) -> None:
        harness = await self.open(Policy(), ONE_SLOT)

        await harness.submit("a")

        lease = harness.lease("a")
        assert (lease.server, lease.model, lease.cold, lease.waited_s) == ("gpu1", "m", True, 0.0)
        await self.close(harness)

    async def test_no_more_leases_than_slots(self) -> None:
        harness = await self.open(Policy(), Server(name="gpu1", slots=2, model_slots={"embed": 1}))

        for name in "abc":
            await harness.submit(name)
        assert harness.started() == ["a", "b"]
        await harness.finish("b")
        assert harness.started() == ["a", "b", "c"]
        await self.close(harness)

    async def test_tokens_grow_with_every_lease(self) -> None:
        harness = await self.open(Policy(), ONE_SLOT)

        for name in "abcd":
            await harness.submit(name)
        await harness.drain_in_order()

        tokens = [harness.lease(name).token for name in harness.started()]
        assert tokens == sorted(set(tokens))
        await self.close(harness)

    async def test_second_release_changes_nothing(self) -> None:
        harness = await self.open(Policy(), ONE_SLOT)
        for name in "abc":
            await harness.submit(name)

        await harness.finish("a")
        assert not await harness.engine.release(harness.lease("a"))

        assert harness.started() == ["a", "b"]
        await self.close(harness)

    async def test_expired_lease_is_lost_and_fenced(self) -> None:
        harness = await self.open(Policy(lease_ttl_s=10.0), ONE_SLOT)
        await harness.submit("a")
        await harness.submit("b")

        await harness.advance(10.0)

        assert harness.states("a") == [TicketState.RUNNING, TicketState.LOST]
        assert harness.started() == ["a", "b"]
        assert not await harness.engine.release(harness.lease("a"))
        assert await harness.engine.renew(harness.lease("a")) is None
        await harness.submit("c")
        assert harness.started() == ["a", "b"]
        await self.close(harness)

    async def test_renewed_lease_is_kept(self) -> None:
        harness = await self.open(Policy(lease_ttl_s=10.0), ONE_SLOT)
        await harness.submit("a")

        await harness.advance(6.0)
        renewed = await harness.engine.renew(harness.lease("a"))
        assert renewed is not None
        await harness.advance(9.0)
        assert harness.states("a") == [TicketState.RUNNING]
        await harness.advance(1.0)

        assert harness.states("a") == [TicketState.RUNNING, TicketState.LOST]
        await self.close(harness)

    async def test_draining_slot_is_taken_until_it_has_drained(self) -> None:
        harness = await self.open(Policy(), ONE_SLOT)
        await harness.submit("a")
        await harness.submit("b")

        assert await harness.engine.release(harness.lease("a"), drain_s=3.0)
        assert (await harness.engine.statistics()).draining == 1
        await harness.advance(2.9)
        assert harness.started() == ["a"]
        await harness.advance(0.1)

        assert harness.started() == ["a", "b"]
        await self.close(harness)

    # Order

    async def test_better_class_goes_first(self) -> None:
        harness = await self.open(Policy(classes=(0, 5)), ONE_SLOT)

        await harness.submit("first")
        await harness.submit("low", priority=5)
        await harness.submit("high", priority=0)

        assert await harness.drain_in_order() == ["first", "high", "low"]
        await self.close(harness)

    async def test_first_in_first_out_inside_a_user(self) -> None:
        harness = await self.open(Policy(), ONE_SLOT)

        for number in range(5):
            await harness.submit(f"r{number}", user="ada", cost=float(100 - number))

        assert await harness.drain_in_order() == [f"r{number}" for number in range(5)]
        await self.close(harness)

    async def test_users_share_by_tokens(self) -> None:
        harness = await self.open(Policy(), ONE_SLOT)

        await harness.submit("running", user="other", cost=1.0)
        for number in range(3):
            await harness.submit(f"long{number}", user="ada", cost=200.0)
        for number in range(4):
            await harness.submit(f"short{number}", user="bo", cost=100.0)

        order = await harness.drain_in_order()
        assert order[1:] == ["long0", "short0", "short1", "long1", "short2", "short3", "long2"]
        await self.close(harness)

    async def test_real_tokens_replace_the_estimate(self) -> None:
        harness = await self.open(Policy(), ONE_SLOT)
        await harness.submit("ada0", user="ada", cost=10.0)
        for name in ("ada1", "bo1", "ada2", "bo2"):
            await harness.submit(name, user=name[:-1], cost=10.0)

        await harness.finish("ada0", tokens=1000.0)

        assert (await harness.drain_in_order())[1:] == ["bo1", "bo2", "ada1", "ada2"]
        await self.close(harness)

    async def test_idle_user_saves_up_nothing(self) -> None:
        harness = await self.open(Policy(), ONE_SLOT)
        await harness.submit("ada0", user="ada", cost=100.0)
        for number in range(1, 6):
            await harness.submit(f"ada{number}", user="ada", cost=100.0)
        for number in range(3):
            await harness.finish(f"ada{number}")

        await harness.submit("bo0", user="bo", cost=100.0)
        await harness.submit("bo1", user="bo", cost=100.0)

        assert harness.started() == ["ada0", "ada1", "ada2", "ada3"]
        await harness.finish("ada3")
        assert harness.started()[-1] == "bo0"
        await harness.finish("bo0")
        assert harness.started()[-1] == "ada4"
        await self.close(harness)

    async def test_waiting_improves_by_a_class_each_time(self) -> None:
        harness = await self.open(Policy(classes=(0, 5, 9), ageing_s=60.0), ONE_SLOT)
        await harness.submit("running")
        await harness.submit("old", priority=9, user="ada", max_wait_s=1000.0)

        await harness.advance(60.0)
        await harness.submit("middle", priority=5, user="bo", max_wait_s=1000.0)
        await harness.advance(60.0)
        await harness.submit("top", priority=0, user="cy", max_wait_s=1000.0)

        assert await harness.drain_in_order() == ["running", "old", "middle", "top"]
        await self.close(harness)

    async def test_request_ages_from_its_admission_on_also_behind_others_of_its_user(self) -> None:
        harness = await self.open(Policy(classes=(0, 5, 9), ageing_s=60.0), ONE_SLOT)
        await harness.submit("running")
        for number in range(2):
            await harness.submit(f"old{number}", priority=9, user="ada", max_wait_s=1000.0)
        await harness.advance(120.0)

        await harness.submit("middle", priority=5, user="bo")

        assert await harness.drain_in_order() == ["running", "old0", "old1", "middle"]
        await self.close(harness)

    async def test_aged_backlog_of_one_user_leaves_those_of_its_class_their_turn(self) -> None:
        harness = await self.open(Policy(classes=(0, 5), ageing_s=60.0), ONE_SLOT)
        await harness.submit("running", user="ada", priority=5)
        for number in range(3):
            await harness.submit(f"ada{number}", priority=5, user="ada", max_wait_s=1000.0)
        await harness.advance(120.0)

        await harness.submit("bo", priority=5, user="bo")

        assert await harness.drain_in_order() == ["running", "bo", "ada0", "ada1", "ada2"]
        await self.close(harness)

    async def test_ageing_never_leads_into_the_reserve(self) -> None:
        harness = await self.open(
            Policy(classes=(0, 9), ageing_s=60.0, reserve=1), Server(name="gpu1", slots=2)
        )
        for name in ("a", "b"):
            await harness.submit(name, priority=9, max_wait_s=1000.0)
        assert harness.started() == ["a"]

        await harness.advance(120.0)
        assert harness.started() == ["a"]
        await harness.submit("top", priority=0)

        assert harness.started() == ["a", "top"]
        await self.close(harness)

    async def test_reserve_leaves_one_slot_to_all(self) -> None:
        harness = await self.open(Policy(classes=(0, 9), reserve=5), Server(name="gpu1", slots=2))

        await harness.submit("a", priority=9)

        assert harness.started() == ["a"]
        await self.close(harness)

    # Servers and models

    async def test_what_runs_on_a_drained_server_keeps_nobody_from_another(self) -> None:
        harness = await self.open(Policy(), Server(name="gpu1", weight=2), Server(name="gpu2"))
        await harness.submit("a")
        await harness.engine.put_server(Server(name="gpu1", accepting=False))

        await harness.submit("b")

        assert (harness.lease("a").server, harness.lease("b").server) == ("gpu1", "gpu2")
        await self.close(harness)

    async def test_requests_wait_for_a_server_that_is_expected_back_and_for_no_other(self) -> None:
        away = Server(name="gpu1", accepting=False, expected_back=True)
        harness = await self.open(Policy(), away)
        await harness.submit("a")
        await harness.submit("b")
        places = [await harness.engine.position(name) for name in ("a", "b")]

        await harness.engine.put_server(Server(name="gpu1", accepting=False))
        with pytest.raises(NoServerError):
            await harness.submit("c")
        await harness.engine.put_server(Server(name="gpu1"))

        assert [place.at_least for place in places if place is not None] == [0, 1]
        assert harness.lease("a").server == "gpu1"
        await self.close(harness)

    async def test_request_goes_where_its_model_is_loaded(self) -> None:
        harness = await self.open(Policy(), Server(name="gpu1"), Server(name="gpu2"))
        await harness.engine.report_loaded("gpu2", ["m"])

        await harness.submit("a")

        assert (harness.lease("a").server, harness.lease("a").cold) == ("gpu2", False)
        await self.close(harness)

    async def test_loaded_model_is_used_up_before_it_is_pushed_out(self) -> None:
        harness = await self.open(Policy(batch_wait_s=30.0), ONE_SLOT)
        await harness.submit("a0", model="a", user="ada")
        for number in range(1, 3):
            await harness.submit(f"b{number}", model="b", user="bo")
            await harness.submit(f"a{number}", model="a", user="ada")

        assert await harness.drain_in_order() == ["a0", "a1", "a2", "b1", "b2"]
        assert (await harness.engine.statistics()).swaps == 1
        await self.close(harness)

    async def test_swap_is_put_off_no_longer_than_the_batch_wait(self) -> None:
        harness = await self.open(Policy(batch_wait_s=30.0), ONE_SLOT)
        await harness.submit("a0", model="a", user="ada", max_wait_s=1000.0)
        await harness.submit("b", model="b", user="bo", max_wait_s=1000.0)
        for number in range(1, 5):
            await harness.submit(f"a{number}", model="a", user="ada", max_wait_s=1000.0)

        for name in ("a0", "a1"):
            await harness.advance(10.0)
            await harness.finish(name)
        await harness.advance(25.0)
        await harness.finish("a2")

        assert harness.started() == ["a0", "a1", "a2", "b"]
        await self.close(harness)

    async def test_worse_class_takes_no_server_that_a_better_one_waits_for(self) -> None:
        harness = await self.open(Policy(classes=(0, 9)), Server(name="gpu1", slots=2))
        await harness.submit("a0", model="a", priority=9)
        await harness.submit("b", model="b", priority=0)

        await harness.submit("a1", model="a", priority=9)

        assert harness.started() == ["a0"]
        assert await harness.drain_in_order() == ["a0", "b", "a1"]
        await self.close(harness)

    async def test_dropped_server_gets_nothing_more_and_returns_with_its_slots_taken(self) -> None:
        harness = await self.open(Policy(), ONE_SLOT)
        await harness.submit("a")
        await harness.submit("b")

        await harness.engine.drop_server("gpu1")
        with pytest.raises(NoServerError):
            await harness.submit("c")
        await harness.engine.put_server(ONE_SLOT)
        assert harness.started() == ["a"]
        await harness.finish("a")

        assert harness.started() == ["a", "b"]
        await self.close(harness)

    async def test_new_server_takes_from_the_queue_at_once(self) -> None:
        harness = await self.open(Policy(), ONE_SLOT)
        await harness.submit("a")
        await harness.submit("b")

        await harness.engine.put_server(Server(name="gpu2"))

        assert harness.lease("b").server == "gpu2"
        await self.close(harness)

    async def test_lane_is_a_queue_of_its_own(self) -> None:
        harness = await self.open(Policy(lanes={"pull": 1}), ONE_SLOT)
        await harness.submit("a")

        await harness.submit("p1", lane="pull")
        await harness.submit("p2", lane="pull")
        assert harness.started() == ["a", "p1"]
        assert await harness.engine.position("p2") is not None
        with pytest.raises(DuplicateRequestError):
            await harness.submit("p2")
        with pytest.raises(UsageError, match="no lane 'push'"):
            await harness.submit("x", lane="push")
        await harness.finish("p1")

        assert harness.started() == ["a", "p1", "p2"]
        await self.close(harness)

    # Refusals and ends

    @pytest.mark.parametrize(
        ("policy", "scope"),
        [
            (Policy(classes=(0, 5), max_waiting=2), "total"),
            (Policy(classes=(0, 5), max_waiting_per_user=2), "user"),
            (Policy(classes=(0, 5), max_waiting_per_class={5: 2}), "class"),
        ],
    )
    async def test_cap_refuses_with_a_hint(self, policy: Policy, scope: str) -> None:
        harness = await self.open(policy, ONE_SLOT)
        for name in "abc":
            await harness.submit(name, user="ada", priority=5)

        with pytest.raises(QueueFullError) as caught:
            await harness.submit("d", user="ada", priority=5)

        assert (caught.value.scope, caught.value.limit) == (scope, 2)
        assert caught.value.retry_after_s >= 1
        assert harness.states("d") == []
        await self.close(harness)

    async def test_cap_on_waiting_does_not_refuse_what_can_start(self) -> None:
        harness = await self.open(Policy(max_waiting=0), Server(name="gpu1", max_loaded_models=2))

        await harness.submit("a", model="a")
        await harness.submit("b", model="b")
        with pytest.raises(QueueFullError):
            await harness.submit("c", model="a")

        assert harness.started() == ["a", "b"]
        await self.close(harness)

    async def test_model_without_a_server_is_refused(self) -> None:
        harness = await self.open(Policy(), Server(name="gpu1", models=frozenset({"a"})))

        with pytest.raises(NoServerError, match="offers the model 'b'"):
            await harness.submit("x", model="b")
        await self.close(harness)

    async def test_id_is_unique_while_its_request_lives(self) -> None:
        harness = await self.open(Policy(), ONE_SLOT)
        await harness.submit("a")
        with pytest.raises(DuplicateRequestError):
            await harness.submit("a")
        await harness.finish("a")

        await harness.submit("a")

        assert harness.started() == ["a", "a"]
        await self.close(harness)

    async def test_earlier_user_of_an_id_cannot_cost_the_later_one_its_lease(self) -> None:
        harness = await self.open(Policy(lease_ttl_s=10.0), ONE_SLOT)
        await harness.submit("a")
        await harness.finish("a")
        await harness.advance(6.0)
        await harness.submit("a")

        await harness.advance(5.0)

        assert harness.states("a") == [TicketState.RUNNING, TicketState.RUNNING]
        await harness.finish("a")
        await self.close(harness)

    async def test_each_may_have_a_deadline_of_its_own(self) -> None:
        harness = await self.open(Policy(max_wait_s=20.0), ONE_SLOT)
        waits = {"for ever": math.inf, "usual": None, "short": 5.0, "long": 30.0, "shorter": 4.0}
        await harness.submit("a")
        for name, max_wait_s in waits.items():
            await harness.submit(name, max_wait_s=max_wait_s)

        ended = []
        for _ in range(40):
            await harness.advance(1.0)
            ended += [name for name in waits if harness.states(name) and name not in ended]

        assert ended == ["shorter", "short", "usual", "long"]
        await self.close(harness)

    async def test_deadline_ends_waiting(self) -> None:
        harness = await self.open(Policy(max_wait_s=20.0), ONE_SLOT)
        await harness.submit("a")
        await harness.submit("b")
        await harness.submit("c", max_wait_s=5.0)

        await harness.advance(5.0)
        assert (harness.states("b"), harness.states("c")) == ([], [TicketState.EXPIRED])
        await harness.advance(15.0)

        assert harness.states("b") == [TicketState.EXPIRED]
        assert harness.states("a") == [TicketState.RUNNING]
        await self.close(harness)

    async def test_cancelled_while_waiting_never_starts(self) -> None:
        harness = await self.open(Policy(), ONE_SLOT)
        for name in "abc":
            await harness.submit(name)

        assert await harness.engine.cancel("b")
        assert not await harness.engine.cancel("b")

        assert harness.states("b") == [TicketState.CANCELLED]
        assert await harness.drain_in_order() == ["a", "c"]
        await self.close(harness)

    async def test_cancelled_while_running_keeps_its_slot_until_released(self) -> None:
        harness = await self.open(Policy(), ONE_SLOT)
        await harness.submit("a")
        await harness.submit("b")

        assert await harness.engine.cancel("a")
        assert await harness.engine.cancel("a")
        assert harness.states("a") == [TicketState.RUNNING, TicketState.STOPPING]
        assert harness.started() == ["a"]
        await harness.finish("a")

        assert harness.started() == ["a", "b"]
        assert not await harness.engine.cancel("a")
        assert (await harness.engine.statistics()).cancelled == 1
        await self.close(harness)

    async def test_closing_ends_what_waits_and_lets_run_what_runs(self) -> None:
        harness = await self.open(Policy(), ONE_SLOT)
        await harness.submit("a")
        await harness.submit("b")

        await harness.engine.aclose()
        await harness.engine.aclose()

        assert harness.states("b") == [TicketState.CLOSED]
        with pytest.raises(SchedulerClosedError):
            await harness.submit("c")
        await harness.finish("a")
        assert harness.started() == ["a"]

    # Positions

    async def test_position_is_the_number_of_those_who_go_first(self) -> None:
        harness = await self.open(Policy(classes=(0, 5)), ONE_SLOT)
        await harness.submit("running")
        for number in range(3):
            await harness.submit(f"low{number}", priority=5, user=f"u{number}")
        await harness.submit("high", priority=0)

        found = {name: await harness.engine.position(name) for name in ("high", "low0", "low1", "low2")}

        places = {name: (p.at_least, p.at_most, p.total) for name, p in found.items() if p is not None}
        assert places == {"high": (0, 0, 4), "low0": (1, 1, 4), "low1": (2, 2, 4), "low2": (3, 3, 4)}
        assert await harness.engine.position("running") is None
        assert await harness.engine.position("unknown") is None
        await self.close(harness)

    async def test_position_moves_back_for_a_stated_reason(self) -> None:
        harness = await self.open(Policy(classes=(0, 5)), ONE_SLOT)
        await harness.submit("running")
        await harness.submit("low", priority=5)
        before = await harness.engine.position("low")

        await harness.submit("high", priority=0)
        after = await harness.engine.position("low")

        assert before is not None
        assert after is not None
        assert (before.at_least, after.at_least) == (0, 1)
        assert reasons_for_move(before, after) == {MoveReason.ARRIVAL}
        assert reasons_for_move(after, before) == frozenset()
        await self.close(harness)

    async def test_wait_is_learnt_from_real_durations(self) -> None:
        harness = await self.open(Policy(), ONE_SLOT)
        await harness.submit("warm up")
        await harness.advance(3.0)
        await harness.finish("warm up")
        await harness.submit("sample")
        await harness.advance(10.0)
        await harness.finish("sample")
        await harness.submit("running")
        for number in range(3):
            await harness.submit(f"r{number}")

        position = await harness.engine.position("r2")

        assert position is not None
        assert position.wait is not None
        assert position.wait.expected_s == pytest.approx(30.0)
        assert position.wait.low_s <= 30.0 <= position.wait.high_s
        await self.close(harness)

    # Everything at once

    @pytest.mark.parametrize("seed", range(3))
    async def test_every_request_ends_once_and_slots_come_back(self, seed: int) -> None:
        chance = random.Random(seed)
        policy = Policy(classes=(0, 5, 9), lease_ttl_s=40.0, max_waiting=30, ageing_s=5.0, batch_wait_s=5.0)
        harness = await self.open(policy, Server(name="gpu1", slots=2), Server(name="gpu2"))
        accepted, owned = [], set[str]()
        for number in range(400):
            name = f"r{number}"
            try:
                await harness.submit(
                    name,
                    model=chance.choice("abc"),
                    user=chance.choice("xyz"),
                    priority=chance.choice((0, 5, 9)),
                    max_wait_s=chance.choice((3.0, 60.0)),
                )
                accepted.append(name)
            except QueueFullError:
                pass
            await harness.advance(chance.random())
            if chance.random() < 0.2 and accepted:
                await harness.engine.cancel(chance.choice(accepted))
            owned = {o.request_id for o in harness.outcomes if o.state is TicketState.RUNNING} - owned
            if chance.random() < 0.5 and owned:
                drain = chance.choice((0.0, 2.0))
                await harness.engine.release(harness.lease(chance.choice(sorted(owned))), drain_s=drain)
        while (left := await harness.engine.statistics()).waiting or left.running or left.draining:
            await harness.advance(10.0)

        counts = Counter((outcome.request_id, outcome.state) for outcome in harness.outcomes)
        assert max(counts.values()) == 1
        assert left.admitted == left.finished + left.lost + sum(
            counts[(name, TicketState.STOPPING)] and not counts[(name, TicketState.LOST)] for name in accepted
        )
        assert set(left.busy_by_server.values()) == {0}
        await self.close(harness)

    async def test_cancelled_caller_of_release_has_released(self) -> None:
        harness = await self.open(Policy(), ONE_SLOT)
        await harness.submit("a")
        await harness.submit("b")

        release = asyncio.create_task(harness.finish("a"))
        await asyncio.sleep(0)
        release.cancel()
        await asyncio.wait([release])
        await harness.advance(0.0)

        assert harness.started() == ["a", "b"]
        await self.close(harness)
