"""Told waits are corrected by how the earlier ones turned out."""

from __future__ import annotations

import math

import pytest

from namel3ss.scheduling.calibration import Calibration
from namel3ss.scheduling.fairness import FairQueue
from namel3ss.scheduling.placement import Pool
from namel3ss.scheduling.tickets import Ticket, TicketState, new_ticket
from namel3ss.scheduling.timers import Timers
from namel3ss.scheduling.values import Lease, Policy, WaitEstimate

FORECAST = WaitEstimate(9.0, 10.0, 11.0)
LINE = FairQueue(Policy(classes=(0,)), Timers(lambda *_: True)).roster.enter(
    ("ada", None, "m"), 0, Pool(0).model("m"), ()
)


def _ticket(number: int) -> Ticket:
    return new_ticket(number, f"request-{number}", LINE, 300.0, 0.0, math.inf)


def _start(ticket: Ticket, now: float) -> None:
    ticket.state = TicketState.RUNNING
    ticket.lease = Lease(ticket.id, "gpu1", "m", ticket.seq, now, now, False, None)


def _after_waits(*waits_s: float, forecast: WaitEstimate = FORECAST) -> Calibration:
    calibration = Calibration()
    for number, wait_s in enumerate(waits_s):
        ticket = _ticket(number)
        calibration.corrected(ticket, forecast, 0.0)
        _start(ticket, wait_s)
    return calibration


def test_without_experience_the_forecast_is_told_as_it_is() -> None:
    assert Calibration().corrected(_ticket(1), FORECAST, 0.0) == FORECAST


def test_waits_that_were_told_too_short_make_the_next_one_longer_but_no_longer_than_they_were() -> None:
    told = _after_waits(*[20.0] * 60).corrected(_ticket(99), FORECAST, 20.0)
    assert 12.0 < told.expected_s < 20.0


def test_range_holds_what_eight_in_ten_waited() -> None:
    told = _after_waits(*[float(seconds) for seconds in range(1, 41)]).corrected(_ticket(99), FORECAST, 40.0)
    assert told.low_s == pytest.approx(5.0, abs=1.0)
    assert told.high_s == pytest.approx(36.0, abs=1.0)


def test_expected_wait_lies_in_its_range() -> None:
    for count in (1, 5, 20, 60):
        told = _after_waits(*[40.0] * count).corrected(_ticket(99), FORECAST, 40.0)
        assert told.low_s <= told.expected_s <= told.high_s


def test_a_request_that_asks_again_counts_once_and_one_that_left_not_at_all() -> None:
    calibration = Calibration()
    gone, asking = _ticket(1), _ticket(2)
    for now in (0.0, 1.0, 2.0):
        calibration.corrected(gone, FORECAST, now)
        calibration.corrected(asking, FORECAST, now)
    gone.state = TicketState.CANCELLED
    _start(asking, 40.0)
    once = _after_waits(40.0).corrected(_ticket(99), FORECAST, 40.0)
    assert calibration.corrected(_ticket(3), FORECAST, 40.0) == once


def test_what_is_watched_is_bounded_by_letting_go_of_the_oldest() -> None:
    calibration = Calibration()
    tickets = [_ticket(number) for number in range(1000)]
    for ticket in tickets:
        calibration.corrected(ticket, FORECAST, 0.0)
    for ticket in tickets[:500]:
        _start(ticket, 90.0)
    assert calibration.corrected(_ticket(2000), FORECAST, 90.0) == FORECAST


def test_long_waits_teach_little_about_short_ones_where_both_are_known() -> None:
    calibration = Calibration()
    for number in range(120):
        ticket = _ticket(number)
        is_long = number % 2 == 0
        calibration.corrected(ticket, WaitEstimate(90.0, 100.0, 110.0) if is_long else FORECAST, 0.0)
        _start(ticket, 200.0 if is_long else 10.0)
    assert calibration.corrected(_ticket(999), FORECAST, 200.0).expected_s == pytest.approx(10.0)
