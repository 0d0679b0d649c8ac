"""How a server's health follows from probes and requests: pure, step by step."""

from __future__ import annotations

import pytest

from namel3ss.gateway.backends.breaker import Breaker
from namel3ss.gateway.backends.health import Health, ServerState


def half() -> float:
    return 0.5


def low() -> float:
    return 0.0


@pytest.fixture
def health() -> Health:
    """Of a server that is up."""
    health = Health(0.0, half)
    health.probe_succeeded(0.0)
    return health


def test_nothing_is_sent_before_the_first_good_probe() -> None:
    health = Health(0.0, half)
    states = [health.state]

    assert health.probe_succeeded(1.0)
    states.append(health.state)

    assert states == [ServerState.STARTING, ServerState.UP]


def test_server_that_was_never_seen_is_down_after_one_bad_probe() -> None:
    health = Health(0.0, half)

    assert health.probe_failed(1.0, "refused")
    assert health.state is ServerState.DOWN
    assert health.reason == "refused"


@pytest.mark.fault(60)
def test_one_bad_probe_among_good_ones_changes_nothing(health: Health) -> None:
    for _ in range(10):
        assert not health.probe_failed(1.0, "slow")
        assert not health.probe_succeeded(2.0)

    assert health.state is ServerState.UP


@pytest.mark.fault(60)
def test_two_bad_probes_in_a_row_take_it_down_and_two_good_ones_bring_it_back(health: Health) -> None:
    health.probe_failed(1.0, "slow")
    assert health.probe_failed(2.0, "slow")
    states = [health.state]

    assert not health.probe_succeeded(3.0)
    health.probe_failed(4.0, "slow")
    assert not health.probe_succeeded(5.0)
    assert health.probe_succeeded(6.0)
    states.append(health.state)

    assert states == [ServerState.DOWN, ServerState.UP]


def test_request_that_could_not_reach_it_and_one_bad_probe_take_it_down(health: Health) -> None:
    states = []
    assert health.request_failed(1.0, "refused", unreachable=True)
    states.append(health.state)
    assert health.probe_failed(1.0, "refused")
    states.append(health.state)

    assert states == [ServerState.SUSPECTED, ServerState.DOWN]


def test_good_probe_clears_a_suspicion_without_slow_start(health: Health) -> None:
    before = health.allowance
    health.request_failed(1.0, "reset", unreachable=False)

    assert health.probe_succeeded(1.0)

    assert health.state is ServerState.UP
    assert health.allowance == before


@pytest.mark.fault(58)
def test_recovered_server_gets_one_request_then_two_then_four(health: Health) -> None:
    health.probe_failed(1.0, "gone")
    health.probe_failed(1.0, "gone")
    health.probe_succeeded(2.0)
    health.probe_succeeded(2.0)
    allowances = [health.allowance]
    for _ in range(3):
        assert health.request_succeeded(3.0)
        allowances.append(health.allowance)

    assert allowances == [1, 2, 4, 8]


def test_many_requests_that_break_off_at_once_are_one_failure(health: Health) -> None:
    for _ in range(50):
        health.request_failed(1.0, "reset", unreachable=False)
    health.probe_succeeded(1.0)

    assert health.breaker.is_closed


def test_server_that_answers_probes_and_fails_three_requests_in_a_row_is_left_alone(health: Health) -> None:
    for _ in range(3):
        assert not health.breaker.is_resting(1.0)
        health.request_failed(1.0, "reset", unreachable=False)
        health.probe_succeeded(1.0)

    assert health.breaker.is_resting(1.0)
    assert health.state is ServerState.UP


def test_probes_are_seldom_at_rest_and_quick_in_doubt(health: Health) -> None:
    at_rest, in_use = health.next_probe_s(busy=False), health.next_probe_s(busy=True)
    health.request_failed(1.0, "reset", unreachable=False)
    in_doubt = health.next_probe_s(busy=True)

    assert (at_rest, in_use, in_doubt) == (30.0, 5.0, 0.25)


def test_probes_of_many_gateways_do_not_come_together() -> None:
    times = []
    for share in (0.0, 0.5, 1.0):
        health = Health(0.0, lambda share=share: share)  # type: ignore[misc]  # the default is the lambda's own
        health.probe_succeeded(0.0)
        times.append(health.next_probe_s(busy=True))

    assert times == pytest.approx([4.5, 5.0, 5.5])


def test_server_that_stays_down_is_asked_less_and_less_often(health: Health) -> None:
    pauses = []
    for _ in range(12):
        health.probe_failed(1.0, "refused")
        pauses.append(health.next_probe_s(busy=False))

    assert pauses[0] == 0.25  # one bad probe: ask again at once
    assert pauses[1:] == sorted(pauses[1:])
    assert pauses[-1] == 5.0


class TestBreaker:
    def test_three_failures_in_a_row_open_it_for_five_seconds(self) -> None:
        breaker = Breaker(low)

        assert [breaker.failed(1.0) for _ in range(3)] == [False, False, True]

        assert breaker.open_until == 6.0
        assert breaker.is_resting(5.9)
        assert breaker.is_half_open(6.0)

    def test_success_between_failures_starts_the_count_anew(self) -> None:
        breaker = Breaker(low)
        for _ in range(10):
            breaker.failed(1.0)
            breaker.failed(1.0)
            breaker.succeeded(1.0)

        assert breaker.is_closed

    def test_failed_trial_doubles_the_rest_up_to_five_minutes(self) -> None:
        breaker = Breaker(low)
        now, rests = 0.0, []
        breaker.failed(now, at_once=True)
        for _ in range(9):
            assert breaker.open_until is not None
            rests.append(breaker.open_until - now)
            now = breaker.open_until
            assert breaker.failed(now)

        assert rests == pytest.approx([5, 10, 20, 40, 80, 160, 300, 300, 300])

    def test_successful_trial_closes_it(self) -> None:
        breaker = Breaker(low)
        breaker.failed(0.0, at_once=True)

        assert breaker.succeeded(5.0)
        assert breaker.is_closed

    @pytest.mark.fault(60)
    def test_flapping_rests_longer_each_time_and_a_good_minute_is_forgiven(self) -> None:
        breaker = Breaker(low)
        breaker.failed(0.0, at_once=True)
        breaker.succeeded(5.0)

        breaker.failed(6.0, at_once=True)
        soon = breaker.open_until
        breaker.succeeded(16.0)
        breaker.failed(100.0, at_once=True)

        assert soon == 16.0
        assert breaker.open_until == 105.0

    def test_what_was_sent_before_the_opening_neither_closes_nor_prolongs_it(self) -> None:
        breaker = Breaker(low)
        breaker.failed(0.0, at_once=True)

        assert not breaker.failed(1.0)
        assert not breaker.succeeded(2.0)

        assert breaker.open_until == 5.0
