"""`namel3ss run` and `chat` send their telemetry to a real OTLP receiver."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.programs import write_program
from tests.observability.collector import Collector
from tests.support.command_line import run_command
from tests.support.scripted_server import refusing_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_program(tmp_path, "llama3:8b")
    return tmp_path


def test_run_with_otel_sends_its_span_and_metrics_before_it_ends(folder: Path, collector: Collector) -> None:
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}

    done = run_command("run", "app.ai", "Hi", "--sandbox", "--otel", cwd=folder, environ=environ)

    assert done.returncode == 0, done.stderr
    (span,) = collector.spans()
    told = {each.key: each.value for each in span.attributes}
    assert span.name == "chat llama3:8b"
    assert told["gen_ai.usage.output_tokens"].int_value > 0
    assert told["gen_ai.request.stream"].bool_value
    metrics = collector.metrics_by_name()
    tokens = metrics["ollama.tokens.completion"].sum.data_points[0].as_int
    assert tokens == told["gen_ai.usage.output_tokens"].int_value
    duration = metrics["ollama.request.duration"].histogram.data_points[0]
    assert duration.sum == pytest.approx(
        (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9, abs=1e-6
    )
    assert collector.resource()["service.name"] == "namel3ss"


def test_the_standard_variables_alone_switch_it_on(folder: Path, collector: Collector) -> None:
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}

    done = run_command("chat", "app.ai", "--sandbox", stdin="one\ntwo\n", cwd=folder, environ=environ)

    assert done.returncode == 0, done.stderr
    assert [span.name for span in collector.spans()] == ["chat llama3:8b", "chat llama3:8b"]


def test_a_command_that_fails_exports_why(folder: Path, collector: Collector) -> None:
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}

    with refusing_url() as url:
        write_program(folder, "llama3:8b", base_url=url, max_retries=0)
        done = run_command("run", "app.ai", "Hi", "--otel", cwd=folder, environ=environ)

    assert done.returncode == 3
    (span,) = collector.spans()
    assert {each.key: each.value.string_value for each in span.attributes}["error.type"] == "connect_refused"


def test_without_any_of_it_nothing_is_sent(folder: Path, collector: Collector) -> None:
    done = run_command("run", "app.ai", "Hi", "--sandbox", cwd=folder)

    assert done.returncode == 0
    assert (collector.traces, collector.metrics) == ([], [])


def test_what_is_wrong_with_the_variables_is_an_error_only_for_who_asks(folder: Path) -> None:
    environ = {"OTEL_TRACES_EXPORTER": "zipkin"}

    asked = run_command("run", "app.ai", "Hi", "--sandbox", "--otel", cwd=folder, environ=environ)
    meant_for_others = run_command("run", "app.ai", "Hi", "--sandbox", cwd=folder, environ=environ)

    assert asked.returncode == 2
    assert "OTEL_TRACES_EXPORTER names 'zipkin'" in asked.stderr
    assert meant_for_others.returncode == 0
    assert "You wrote: Hi" in meant_for_others.stdout
    assert "telemetry is not exported: OTEL_TRACES_EXPORTER names 'zipkin'" in meant_for_others.stderr


def test_the_console_exporter_leaves_the_answer_alone(folder: Path) -> None:
    environ = {"OTEL_TRACES_EXPORTER": "console", "OTEL_METRICS_EXPORTER": "none"}

    done = run_command("run", "app.ai", "Hi", "--sandbox", cwd=folder, environ=environ)

    assert done.stdout.endswith("You wrote: Hi\n")
    assert "span_id" not in done.stdout
    assert '"name": "chat llama3:8b"' in done.stderr
