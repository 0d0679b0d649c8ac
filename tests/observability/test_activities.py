from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from namel3ss.observability.activities import record_health_check, start_pull, start_server_start
from namel3ss.observability.cardinality import model_clamp
from namel3ss.observability.metrics import (
    emit_metric,
    has_metric_listeners,
    record_metric,
)
from namel3ss.observability.telemetry import Telemetry, use_telemetry
from tests.observability.receivers import Clock, Listener, MemorySdk, attributes, total

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def current(sdk: MemorySdk) -> Iterator[MemorySdk]:
    replaced = use_telemetry(sdk.telemetry)
    yield sdk
    use_telemetry(replaced)


def test_a_pull_records_its_time_and_the_bytes_that_came(sdk: MemorySdk, listener: Listener) -> None:
    clock = Clock()
    pull = start_pull("tiny", server_address="::1", server_port=11434, telemetry=sdk.telemetry, clock=clock)
    pull.progress(500)
    clock.advance(12.0)
    pull.progress(2_000)
    pull.finish()
    pull.cancel()

    assert listener.calls == [
        (
            "ollama.model.pull_duration",
            {"value": 12.0, "bytes": 2000.0},
            {"provider": "ollama", "model": "tiny", "status": "ok"},
        )
    ]
    assert total(sdk.metrics()["namel3ss.ollama.pull.bytes"]) == 2_000
    assert total(sdk.metrics()["namel3ss.ollama.pull.duration"]) == 12.0
    (span,) = sdk.spans()
    assert (span.name, span.kind) == ("pull tiny", SpanKind.CLIENT)
    assert (span.end_time or 0) - (span.start_time or 0) == 12_000_000_000
    assert dict(span.attributes or {}) == {
        "gen_ai.request.model": "tiny",
        "server.address": "::1",
        "server.port": 11434,
        "namel3ss.ollama.pull.bytes": 2000,
    }


@pytest.mark.parametrize(
    ("error", "status", "word"),
    [(asyncio.CancelledError(), "cancelled", "cancelled"), (ValueError("x"), "error", "_OTHER")],
)
def test_a_pull_that_does_not_succeed_says_so(
    sdk: MemorySdk, listener: Listener, error: BaseException, status: str, word: str
) -> None:
    start_pull("tiny", telemetry=sdk.telemetry).end_with(error)

    ((_, _, labels),) = listener.calls
    assert (labels["status"], labels["error_type"]) == (status, word)
    assert attributes(sdk.metrics()["namel3ss.ollama.pull.duration"])[0]["error.type"] == word
    assert sdk.spans()[0].status.status_code is StatusCode.ERROR


def test_the_model_of_a_pull_is_clamped_in_metrics_and_named_in_the_span(
    sdk: MemorySdk, listener: Listener
) -> None:
    telemetry = Telemetry(
        tracer_provider=sdk.tracer_provider,
        meter_provider=sdk.meter_provider,
        clamp_model=model_clamp(lambda: {"tiny"}),
        environ={},
    )

    start_pull("a-typo", telemetry=telemetry, clock=Clock()).finish()

    assert [labels["model"] for _, _, labels in listener.calls] == ["_other"]
    for name in ("ollama.model.pull_duration", "namel3ss.ollama.pull.duration"):
        (point,) = attributes(sdk.metrics()[name])
        assert "_other" in point.values()
        assert "a-typo" not in point.values()
    assert sdk.spans()[0].name == "pull a-typo"


def test_a_server_start_is_counted_when_the_server_answers(sdk: MemorySdk, listener: Listener) -> None:
    clock = Clock()
    start = start_server_start("ollama", server_address="127.0.0.1", telemetry=sdk.telemetry, clock=clock)
    clock.advance(1.5)
    start.finish(pid=42)

    assert listener.calls == [
        ("ollama.server.started", {"value": 1.0, "duration": 1.5}, {"provider": "ollama"})
    ]
    (span,) = sdk.spans()
    assert (span.name, span.kind) == ("start ollama", SpanKind.INTERNAL)
    assert dict(span.attributes or {})["process.pid"] == 42


def test_a_server_that_did_not_start_is_not_counted(sdk: MemorySdk, listener: Listener) -> None:
    start_server_start("ollama", telemetry=sdk.telemetry).fail("connect_refused")

    assert listener.calls == []
    assert dict(sdk.spans()[0].attributes or {})["error.type"] == "connect_refused"


def test_a_health_check_is_a_metric_and_no_span(sdk: MemorySdk, listener: Listener) -> None:
    record_health_check("degraded", 0.25, model="tiny", telemetry=sdk.telemetry)

    assert listener.calls == [
        (
            "ollama.health.check_duration",
            {"value": 0.25},
            {"provider": "ollama", "model": "tiny", "status": "degraded"},
        )
    ]
    assert attributes(sdk.metrics()["namel3ss.ollama.health.checks"]) == [
        {"gen_ai.request.model": "tiny", "namel3ss.health.status": "degraded"}
    ]
    assert sdk.spans() == []


def test_what_any_room_records_under_a_listed_name_reaches_opentelemetry(current: MemorySdk) -> None:
    assert has_metric_listeners()

    record_metric("ollama.models.count", 3, {"base_url": "http://127.0.0.1:11434"})
    record_metric("ollama.models.count", 2, {"base_url": "http://127.0.0.1:11434"})
    emit_metric("ollama.model.deleted", {"value": 1}, {"model": "tiny"})

    assert attributes(current.metrics()["ollama.models.count"]) == [{"base_url": "http://127.0.0.1:11434"}]
    assert total(current.metrics()["ollama.models.count"]) == 2
    assert total(current.metrics()["ollama.model.deleted"]) == 1


def test_names_and_labels_that_are_not_listed_stay_with_the_listeners(
    current: MemorySdk, listener: Listener
) -> None:
    record_metric("my.own.metric", 1, {"model": "tiny"})
    record_metric("ollama.model.deleted", 1, {"model": "tiny", "user": "alice"})
    emit_metric("ollama.model.deleted", {"other": 1}, {"model": "tiny"})

    assert set(current.metrics()) == {"ollama.model.deleted"}
    assert attributes(current.metrics()["ollama.model.deleted"]) == [{"model": "tiny"}]
    assert [name for name, _, _ in listener.calls] == ["my.own.metric", *["ollama.model.deleted"] * 2]
