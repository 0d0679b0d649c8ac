"""The gateway's figures: what is counted, under which bounded labels, and how Prometheus reads it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families

from namel3ss.gateway.errors import Reason
from namel3ss.gateway.metrics import GatewayMetrics, Reading
from namel3ss.gateway.metrics.families import EVENTS, FAMILIES, KEYS, SERVER_UP
from namel3ss.gateway.usage import Usage, UsageEvent

if TYPE_CHECKING:
    from collections.abc import Iterable

EVENT = UsageEvent(
    at=1_700_000_000.0,
    request_id="r1",
    user="ada-the-user",
    key_id="k-1234",
    class_name="chat",
    model="llama3:8b",
    server="gpu1",
    route="/api/chat",
    outcome="ok",
    status=200,
    usage=Usage(12, 30),
    wait_s=0.2,
    first_token_s=0.04,
    duration_s=1.5,
)


async def samples(metrics: GatewayMetrics) -> dict[str, float]:
    """Each series as Prometheus' own parser reads it, written as in a query."""
    body, _ = await metrics.scrape()
    return {
        sample.name + "".join(f",{key}={value}" for key, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


async def test_an_ended_request_is_counted_with_its_tokens_and_times() -> None:
    metrics = GatewayMetrics(["llama3:8b"])

    metrics.record(EVENT)
    metrics.record(replace(EVENT, outcome="wait_timeout", server=None, first_token_s=None, usage=Usage(0, 0)))

    shown = await samples(metrics)
    name = "namel3ss_gateway"
    labels = ",class=chat,model=llama3:8b"
    assert shown[f"{name}_requests_total{labels},outcome=ok,route=/api/chat"] == 1
    assert shown[f"{name}_requests_total{labels},outcome=wait_timeout,route=/api/chat"] == 1
    assert shown[f"{name}_tokens_total,class=chat,estimated=false,kind=prompt,model=llama3:8b"] == 12
    assert shown[f"{name}_tokens_total,class=chat,estimated=false,kind=completion,model=llama3:8b"] == 30
    assert shown[f"{name}_queue_wait_seconds_count{labels}"] == 1
    assert shown[f"{name}_queue_wait_seconds_sum{labels}"] == pytest.approx(0.2)
    assert shown[f"{name}_time_to_first_token_seconds_count,model=llama3:8b,server=gpu1"] == 1
    assert shown[f"{name}_request_duration_seconds_count{labels}"] == 2


async def test_buckets_are_cumulative_and_their_bounds_belong_to_them() -> None:
    metrics = GatewayMetrics(["llama3:8b"])

    for duration in (0.001, 0.0011, 59.9, 601.0):
        metrics.record(replace(EVENT, duration_s=duration))

    shown = await samples(metrics)
    counts = {
        match[1]: value
        for name, value in shown.items()
        if (match := re.fullmatch(r".*request_duration_seconds_bucket.*le=([^,]+).*", name))
    }
    assert (counts["0.001"], counts["0.0025"], counts["30.0"]) == (1, 2, 2)
    assert (counts["60.0"], counts["600.0"], counts["+Inf"]) == (3, 3, 4)


async def test_names_from_outside_make_no_series_of_their_own() -> None:
    metrics = GatewayMetrics(["llama3:8b"])

    for number in range(1_000):
        metrics.record(
            replace(
                EVENT,
                model=f"made-up-{number}",
                route=f"/api/chat/{number}",
                outcome=f"odd-{number}",
                user=f"user-{number}",
                key_id=f"key-{number}",
                request_id=f"id-{number}",
            )
        )

    shown = await samples(metrics)
    key = "namel3ss_gateway_requests_total,class=chat,model=_other,outcome=_other,route=_other"
    assert shown[key] == 1_000
    assert not any("made-up" in name or "user-" in name or "key-" in name for name in shown)


async def test_no_family_has_a_label_for_a_user_a_key_or_an_address() -> None:
    labels = {label for family in FAMILIES for label in family.labels}

    assert labels.isdisjoint({"user", "key", "key_id", "client", "address", "request", "request_id"})


async def test_every_event_is_counted_under_its_own_name() -> None:
    metrics = GatewayMetrics(["value"])

    for name, family in EVENTS.items():
        metrics.event(name, **dict.fromkeys(family.labels, "value"))

    shown = await samples(metrics)
    for family in EVENTS.values():
        key = f"{family.name}_total" + "".join(f",{label}=value" for label in sorted(family.labels))
        assert shown[key] == 1


async def test_an_event_with_other_labels_than_its_own_is_a_mistake_of_the_caller() -> None:
    metrics = GatewayMetrics()

    with pytest.raises(TypeError, match=r"'wedged' takes the labels \('server', 'model'\)"):
        metrics.event("wedged", server="gpu1")


async def test_refusals_are_counted_by_reason() -> None:
    metrics = GatewayMetrics()

    metrics.refused(Reason.queue_full)
    metrics.refused(Reason.queue_full)
    metrics.refused(Reason.bad_key)

    shown = await samples(metrics)
    assert shown["namel3ss_gateway_refusals_total,reason=queue_full"] == 2
    assert shown["namel3ss_gateway_refusals_total,reason=bad_key"] == 1


async def test_gauges_are_read_at_each_scrape() -> None:
    metrics = GatewayMetrics()
    keys = [3]

    async def read() -> Iterable[Reading]:
        return [Reading(KEYS, keys[0]), Reading(SERVER_UP, 1, ("gpu1",)), Reading(SERVER_UP, 0, ("gpu2",))]

    metrics.add_gauges(read)
    first = await samples(metrics)
    keys[0] = 4
    second = await samples(metrics)

    assert (first["namel3ss_gateway_keys"], second["namel3ss_gateway_keys"]) == (3, 4)
    assert second["namel3ss_gateway_server_up,server=gpu1"] == 1
    assert second["namel3ss_gateway_server_up,server=gpu2"] == 0


async def test_a_scraper_gets_the_format_that_it_asks_for() -> None:
    metrics = GatewayMetrics(["llama3:8b"])
    metrics.record(EVENT)

    body, content_type = await metrics.scrape("application/openmetrics-text; version=1.0.0")

    assert content_type.startswith("application/openmetrics-text")
    assert any(family.name == "namel3ss_gateway_requests" for family in parse_openmetrics(body.decode()))


def test_names_are_prometheus_names_and_distinct() -> None:
    names = [family.name for family in FAMILIES]

    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"namel3ss_gateway_[a-z0-9_]+[a-z]", name) for name in names)
