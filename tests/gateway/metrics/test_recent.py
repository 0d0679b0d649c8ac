"""What has ended lately is what ended well within five minutes."""

from __future__ import annotations

from namel3ss.gateway.metrics import GatewayMetrics
from namel3ss.gateway.metrics.recent import Completions, RecentCompletions
from namel3ss.gateway.usage import Usage, UsageEvent


def event(at: float, *, outcome: str = "ok", duration_s: float = 3.0) -> UsageEvent:
    return UsageEvent(
        at=at,
        request_id="r",
        user="ada",
        key_id="k",
        class_name="chat",
        model="tiny",
        server="gpu1",
        route="/api/chat",
        outcome=outcome,
        status=200,
        usage=Usage(1, 1),
        wait_s=1.0,
        first_token_s=0.1,
        duration_s=duration_s,
    )


def test_the_average_is_of_what_ended_well_without_its_wait():
    recent = RecentCompletions(clock=lambda: 1000.0)
    recent.record(event(990.0, duration_s=3.0))
    recent.record(event(991.0, duration_s=5.0))
    recent.record(event(992.0, duration_s=50.0, outcome="interrupted"))

    assert recent.now() == Completions(2, 3.0)


def test_what_ended_long_ago_is_forgotten():
    now = [1000.0]
    recent = RecentCompletions(clock=lambda: now[0])
    recent.record(event(1000.0))
    now[0] = 1300.0
    just = recent.now()
    now[0] = 1300.1

    assert (just.number, recent.now()) == (1, Completions(0, None))


def test_the_gateways_figures_feed_it():
    metrics = GatewayMetrics({"tiny"})
    metrics.recent = RecentCompletions(clock=lambda: 1000.0)
    metrics.record(event(999.0))

    assert metrics.recent.now().number == 1
