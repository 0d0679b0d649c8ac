"""The face for threads: the same rules behind one lock."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from namel3ss.scheduling import (
    LeaseLostError,
    Policy,
    Request,
    RequestCancelledError,
    SchedulerClosedError,
    Server,
    SyncScheduler,
    WaitTimeoutError,
)
from namel3ss.scheduling.tickets import TicketState

if TYPE_CHECKING:
    from namel3ss.scheduling.cores import Outcome

ONE_SLOT = Server(name="gpu1")
FOR_EVER = Policy(max_wait_s=None, max_waiting=10_000, max_waiting_per_user=10_000)


class Listener:
    """Keeps what it hears and lets a test wait for it."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self._news = threading.Condition()

    def __call__(self, outcome: Outcome) -> None:
        with self._news:
            self.outcomes.append(outcome)
            self._news.notify_all()

    def wait_for(self, state: TicketState) -> Outcome:
        with self._news:
            assert self._news.wait_for(lambda: any(o.state is state for o in self.outcomes), timeout=10)
            return next(o for o in self.outcomes if o.state is state)


def test_many_threads_never_exceed_the_slots_and_all_get_through() -> None:
    servers = [Server(name="gpu1", slots=3), Server(name="gpu2", slots=2)]
    inside: Counter[str] = Counter()
    worst: Counter[str] = Counter()
    lock = threading.Lock()

    def work(number: int) -> None:
        for turn in range(20):
            with scheduler.admit(model="m", user=f"u{number % 7}", priority=turn % 3) as lease:
                with lock:
                    inside[lease.server] += 1
                    worst[lease.server] = max(worst[lease.server], inside[lease.server])
                with lock:
                    inside[lease.server] -= 1
                lease.settle(10 + number)

    with SyncScheduler(servers, policy=FOR_EVER) as scheduler:
        with ThreadPoolExecutor(40) as pool:
            list(pool.map(work, range(40)))
        statistics = scheduler.statistics()

    assert statistics.finished == 800
    assert (statistics.waiting, statistics.running) == (0, 0)
    assert worst["gpu1"] <= 3
    assert worst["gpu2"] <= 2


def test_each_request_hears_its_outcomes_once_and_in_order() -> None:
    """Threads submit, release and cancel at random; listeners act from within."""
    listeners = [Listener() for _ in range(200)]

    def listen(number: int) -> None:
        def hear(outcome: Outcome) -> None:
            listeners[number](outcome)
            if outcome.state is TicketState.RUNNING and outcome.lease is not None:
                scheduler.release(outcome.lease, tokens=5)

        request = Request(model="m", user=f"u{number % 3}", id=f"r{number}")
        scheduler.submit(request, hear)
        if number % 4 == 0:
            scheduler.cancel(f"r{number}")

    with SyncScheduler([ONE_SLOT], policy=FOR_EVER) as scheduler:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(listen, range(200)))
        statistics = scheduler.statistics()

    assert (statistics.waiting, statistics.running) == (0, 0)
    for listener in listeners:
        states = [outcome.state for outcome in listener.outcomes]
        assert states in (
            [TicketState.RUNNING],
            [TicketState.CANCELLED],
            [TicketState.RUNNING, TicketState.STOPPING],
        )


def test_wait_ends_at_its_deadline_without_anybody_looking() -> None:
    with SyncScheduler([ONE_SLOT]) as scheduler, scheduler.admit(model="m"):
        with (
            pytest.raises(WaitTimeoutError) as caught,
            scheduler.admit(model="m", max_wait_s=0.02),
        ):
            raise AssertionError("there was no slot")

        assert caught.value.waited_s >= 0.019


def test_earlier_deadline_is_kept_although_a_later_one_was_waited_for() -> None:
    late, soon = Listener(), Listener()
    with SyncScheduler([ONE_SLOT]) as scheduler, scheduler.admit(model="m"):
        scheduler.submit(Request(model="m", max_wait_s=60.0, id="late"), late)
        scheduler.submit(Request(model="m", max_wait_s=0.02, id="soon"), soon)

        soon.wait_for(TicketState.EXPIRED)

        assert late.outcomes == []
        assert scheduler.state("late") is TicketState.WAITING


def test_drained_slot_starts_the_next_one_by_itself() -> None:
    waiting = Listener()
    with SyncScheduler([ONE_SLOT], policy=FOR_EVER) as scheduler:
        with scheduler.admit(model="m", priority=0) as lease:
            scheduler.submit(Request(model="m", priority=0, id="w"), waiting)
            lease.drain(0.02)

        started = waiting.wait_for(TicketState.RUNNING)

        assert started.lease is not None
        assert scheduler.release(started.lease)


def test_error_in_the_block_gives_the_slot_back() -> None:
    with SyncScheduler([ONE_SLOT]) as scheduler:
        with pytest.raises(KeyError), scheduler.admit(model="m"):
            raise KeyError("model")

        assert scheduler.statistics().running == 0


def test_waiting_thread_hears_that_it_was_cancelled_by_its_id() -> None:
    asked = threading.Event()

    class Asked(Listener):
        def __call__(self, outcome: Outcome) -> None:
            super().__call__(outcome)
            asked.set()

    with SyncScheduler([ONE_SLOT]) as scheduler, scheduler.admit(model="m"):
        scheduler.submit(Request(model="m", id="w"), Asked())
        assert scheduler.cancel("w")
        assert not scheduler.cancel("w")

        assert asked.wait(10)


def test_cancelled_by_id_while_it_runs_a_block_raises_at_its_end() -> None:
    def run() -> None:
        with scheduler.admit(model="m", request_id="r"):
            assert scheduler.cancel("r")
            assert scheduler.state("r") is TicketState.STOPPING

    with SyncScheduler([ONE_SLOT]) as scheduler:
        with pytest.raises(RequestCancelledError):
            run()

        assert scheduler.statistics().running == 0


def test_lost_lease_is_told_and_raised_at_the_end_of_the_block() -> None:
    now = [0.0]

    def run() -> None:
        with scheduler.admit(model="m", request_id="r") as lease:
            now[0] = 4.0
            assert scheduler.renew(lease.lease) is not None
            now[0] = 9.0
            assert scheduler.renew(lease.lease) is None

    with SyncScheduler([ONE_SLOT], policy=Policy(lease_ttl_s=5.0), clock=lambda: now[0]) as scheduler:
        with pytest.raises(LeaseLostError):
            run()

        assert scheduler.statistics().lost == 1


def test_closing_wakes_those_who_wait_and_leaves_no_thread() -> None:
    scheduler = SyncScheduler([ONE_SLOT])
    listener = Listener()
    running = Listener()
    scheduler.submit(Request(model="m", id="r"), running)
    scheduler.submit(Request(model="m", id="w"), listener)
    assert repr(scheduler) == "<SyncScheduler open, 1 running, 1 waiting>"

    scheduler.close()
    scheduler.close()

    assert listener.wait_for(TicketState.CLOSED).lease is None
    lease = running.outcomes[0].lease
    assert lease is not None
    assert scheduler.release(lease)
    with pytest.raises(SchedulerClosedError):
        scheduler.submit(Request(model="m"), listener)
    assert not [thread for thread in threading.enumerate() if thread.name == "namel3ss-scheduler"]


def test_positions_and_servers_can_be_asked_and_changed() -> None:
    listener = Listener()
    with SyncScheduler([ONE_SLOT], policy=FOR_EVER) as scheduler:
        for name in ("r", "w1", "w2"):
            scheduler.submit(Request(model="m", id=name), listener)
        position = scheduler.position("w2")
        assert position is not None
        assert (position.at_least, position.total) == (1, 2)

        scheduler.put_server(Server(name="gpu2"))
        assert scheduler.state("w1") is TicketState.RUNNING
        scheduler.report_loaded("gpu2", ["m", "n"])
        scheduler.drop_server("gpu1")

        assert scheduler.statistics().loaded["gpu2"] == ("m", "n")


def test_a_listener_may_look_at_positions_itself() -> None:
    with SyncScheduler([Server(name="gpu1")], policy=Policy(max_wait_s=0.01)) as scheduler:
        seen: list[object] = []
        told = threading.Event()

        def listener(outcome: Outcome) -> None:
            seen.append(scheduler.position("waits"))
            if outcome.state is TicketState.EXPIRED:
                told.set()

        scheduler.submit(Request(model="m", user="ada", id="runs"), listener)
        scheduler.submit(Request(model="m", user="ada", id="waits"), listener)
        while not told.wait(0.001):
            scheduler.position("waits")

    assert seen[-1] is None
