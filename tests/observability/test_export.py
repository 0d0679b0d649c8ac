"""Telemetry that leaves the process: a real OTLP receiver, and Prometheus scraped over HTTP."""

from __future__ import annotations

import logging
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from typing import TYPE_CHECKING

import pytest

from namel3ss._version import __version__
from namel3ss.errors import UsageError
from namel3ss.observability.content import RequestContent
from namel3ss.observability.export import configure_from_environment, is_export_configured
from namel3ss.observability.telemetry import Telemetry, current_telemetry, use_telemetry
from tests.observability.collector import Collector
from tests.observability.receivers import chat, finished_chat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def export(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Callable[[], None]]]:
    """Starts an export with these variables and stops it at the end, as a program would."""
    stops: list[Callable[[], None]] = []

    def start(**variables: str) -> Callable[[], None]:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        stop = configure_from_environment()
        stops.append(stop)
        return stop

    yield start
    for stop in stops:
        stop()


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


def test_spans_and_metrics_arrive_at_a_real_collector(
    collector: Collector, export: Callable[..., Callable[[], None]]
) -> None:
    stop = export(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_EXPORTER_OTLP_HEADERS="x-tenant=a")
    finished_chat(current_telemetry())
    stop()

    (span,) = collector.spans()
    assert span.name == "chat llama3:8b"
    assert {attribute.key for attribute in span.attributes} >= {"gen_ai.usage.input_tokens", "server.port"}
    metrics = collector.metrics_by_name()
    assert metrics["gen_ai.client.operation.duration"].histogram.data_points[0].sum == pytest.approx(1.25)
    assert metrics["ollama.tokens.total"].sum.data_points[0].as_int == 36
    assert metrics["ollama.tokens.total"].sum.is_monotonic
    assert {headers["x-tenant"] for headers in collector.headers} == {"a"}


def test_the_process_says_what_it_is(collector: Collector, export: Callable[..., Callable[[], None]]) -> None:
    stop = export(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    finished_chat(current_telemetry())
    stop()

    resource = collector.resource()
    assert resource["service.name"] == "namel3ss"
    assert resource["service.version"] == __version__
    assert resource["service.instance.id"]


def test_the_standard_variables_name_the_process(
    collector: Collector, export: Callable[..., Callable[[], None]]
) -> None:
    stop = export(
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        OTEL_SERVICE_NAME="helpdesk",
        OTEL_RESOURCE_ATTRIBUTES="service.instance.id=worker-1,team=support",
    )
    finished_chat(current_telemetry())
    stop()

    resource = collector.resource()
    assert (resource["service.name"], resource["service.instance.id"]) == ("helpdesk", "worker-1")
    assert resource["team"] == "support"


def test_content_arrives_as_an_event_when_it_is_switched_on(
    collector: Collector, export: Callable[..., Callable[[], None]]
) -> None:
    stop = export(
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT="EVENT_ONLY",
    )
    observation = chat(current_telemetry())
    observation.capture(lambda: RequestContent(messages=[{"role": "user", "content": "a canary"}]))
    observation.finish()
    stop()

    assert [b"a canary" in request.SerializeToString() for request in collector.logs] == [True]
    assert not any(b"a canary" in request.SerializeToString() for request in collector.traces)


def test_stopping_puts_back_what_was_in_force_and_may_be_repeated(
    collector: Collector, export: Callable[..., Callable[[], None]]
) -> None:
    before = use_telemetry(None)
    replaced = current_telemetry()

    stop = export(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    during = current_telemetry()
    stop()
    put_back = current_telemetry()
    later = Telemetry(environ={})
    use_telemetry(later)
    stop()

    assert during is not replaced
    assert put_back is replaced
    assert current_telemetry() is later
    use_telemetry(before)


def test_set_up_that_fails_half_way_leaves_no_thread_and_nothing_in_force(
    collector: Collector, export: Callable[..., Callable[[], None]]
) -> None:
    threads, telemetry = set(threading.enumerate()), current_telemetry()

    with pytest.raises(UsageError, match="carrier-pigeon"):
        export(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_METRICS_EXPORTER="carrier-pigeon")

    assert set(threading.enumerate()) <= threads
    assert current_telemetry() is telemetry


# -- trouble --------------------------------------------------------------------------------------------------


def test_without_a_collector_requests_run_on_and_leaving_is_quick(
    export: Callable[..., Callable[[], None]], caplog: pytest.LogCaptureFixture
) -> None:
    stop = export(
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{free_port()}",
        OTEL_EXPORTER_OTLP_TIMEOUT="1",
        OTEL_BSP_SCHEDULE_DELAY="1",
    )
    began = time.monotonic()
    for _ in range(200):
        finished_chat(current_telemetry())
    requests_s = time.monotonic() - began
    stop()

    # Guards against hanging; the requests themselves need a few hundredths of a second.
    assert requests_s < 5.0
    assert time.monotonic() - began < 12.0
    told = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(told) == 1
    assert "telemetry is not exported" in told[0].getMessage()


def test_a_collector_that_never_answers_delays_no_request(export: Callable[..., Callable[[], None]]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        stop = export(
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{silent.getsockname()[1]}",
            OTEL_EXPORTER_OTLP_TIMEOUT="0.5",
            OTEL_METRICS_EXPORTER="none",
            OTEL_BSP_SCHEDULE_DELAY="1",
        )
        finished_chat(current_telemetry())
        connection, _ = silent.accept()  # the exporter is now waiting for an answer
        began = time.monotonic()
        for _ in range(20):
            finished_chat(current_telemetry())
        requests_s = time.monotonic() - began
        stop()
        connection.close()

    # Had each waited for the collector, they would have needed ten seconds.
    assert requests_s < 5.0


def test_a_collector_that_refuses_is_reported_once(
    export: Callable[..., Callable[[], None]], caplog: pytest.LogCaptureFixture
) -> None:
    with Collector(status=400) as collector:
        stop = export(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
        finished_chat(current_telemetry())
        stop()

    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.name for record in warnings] == ["namel3ss.observability.export"]
    assert "400" in warnings[0].getMessage()


def test_a_port_that_is_taken_is_an_error_with_the_way_out(export: Callable[..., Callable[[], None]]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with pytest.raises(UsageError) as raised:
            export(
                OTEL_TRACES_EXPORTER="none",
                OTEL_METRICS_EXPORTER="prometheus",
                OTEL_EXPORTER_PROMETHEUS_HOST="127.0.0.1",
                OTEL_EXPORTER_PROMETHEUS_PORT=port,
            )

    assert f"Metrics cannot be served on 127.0.0.1:{port}" in str(raised.value)
    assert "OTEL_EXPORTER_PROMETHEUS_PORT" in str(raised.value)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        (
            {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc', but namel3ss sends OTLP as http/protobuf only.",
        ),
        (
            {"OTEL_TRACES_EXPORTER": "zipkin"},
            "OTEL_TRACES_EXPORTER names 'zipkin', which is not an exporter of namel3ss.",
        ),
        (
            {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "otlp,statsd"},
            "OTEL_METRICS_EXPORTER names 'statsd', which is not an exporter of namel3ss.",
        ),
        (
            {
                "OTEL_TRACES_EXPORTER": "none",
                "OTEL_METRICS_EXPORTER": "prometheus",
                "OTEL_EXPORTER_PROMETHEUS_PORT": "http",
            },
            "OTEL_EXPORTER_PROMETHEUS_PORT='http' is not a port.",
        ),
    ],
)
def test_what_cannot_be_done_is_an_error_that_names_the_variable(
    export: Callable[..., Callable[[], None]], variables: dict[str, str], message: str
) -> None:
    before = use_telemetry(None)
    replaced = current_telemetry()

    with pytest.raises(UsageError) as raised:
        export(**variables)

    assert raised.value.message == message
    assert raised.value.suggestion
    assert current_telemetry() is replaced
    use_telemetry(before)


def test_without_the_sdk_the_error_says_what_to_install() -> None:
    code = (
        "import sys\n"
        "sys.modules['opentelemetry.sdk'] = None\n"
        "from namel3ss.observability.export import configure_from_environment\n"
        "try:\n"
        "    configure_from_environment()\n"
        "except Exception as error:\n"
        "    print(type(error).__name__, error)\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == (
        "UsageError The OpenTelemetry SDK is not installed, so telemetry cannot be exported.\n\n"
        "Suggestion: Run: pip install 'namel3ss[otel]'"
    )


def test_a_disabled_sdk_exports_nothing(
    collector: Collector, export: Callable[..., Callable[[], None]]
) -> None:
    stop = export(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_SDK_DISABLED="true")
    finished_chat(current_telemetry())
    stop()

    assert collector.headers == []


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
        ({"OTEL_METRICS_EXPORTER": "prometheus"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_SDK_DISABLED": "TRUE"}, False),
        ({"OTEL_SERVICE_NAME": "helpdesk"}, False),
    ],
)
def test_the_environment_asks_for_export_by_an_endpoint_or_an_exporter(
    environ: dict[str, str], expected: bool
) -> None:
    assert is_export_configured(environ) is expected


# -- Prometheus -----------------------------------------------------------------------------------------------


def scrape(port: int) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        text: str = answer.read().decode()
        return text


def test_prometheus_scrapes_metrics_over_http(
    export: Callable[..., Callable[[], None]], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="namel3ss.observability"):
        stop = export(
            OTEL_TRACES_EXPORTER="none",
            OTEL_METRICS_EXPORTER="prometheus",
            OTEL_EXPORTER_PROMETHEUS_HOST="127.0.0.1",
            OTEL_EXPORTER_PROMETHEUS_PORT="0",
        )
    address = re.search(r"http://127\.0\.0\.1:(\d+)/metrics", caplog.text)
    assert address is not None
    finished_chat(current_telemetry())
    text = scrape(int(address[1]))
    stop()

    assert re.search(
        r'^gen_ai_client_operation_duration_seconds_bucket\{.*le="1.28".*\} 1\.0$', text, re.MULTILINE
    )
    assert re.search(
        r"^gen_ai_client_operation_time_to_first_chunk_seconds_sum\{.*\} 0\.5$", text, re.MULTILINE
    )
    assert re.search(r'^ollama_tokens_prompt_total\{.*model="llama3:8b".*\} 26\.0$', text, re.MULTILINE)
    assert "otel_scope_version" not in text
