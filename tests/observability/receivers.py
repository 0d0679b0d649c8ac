"""Receivers of telemetry for the tests: an SDK in memory, and the facts of a request that all tests share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, Metric, NumberDataPoint
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from namel3ss.observability.requests import start_request
from namel3ss.observability.telemetry import Telemetry

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import ReadableLogRecord
    from opentelemetry.sdk.trace import ReadableSpan

    from namel3ss.observability.capture import ContentCapture
    from namel3ss.observability.profiles import ProfileChoice
    from namel3ss.observability.requests import RequestObservation


@dataclass(frozen=True)
class Usage:
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


@dataclass(frozen=True)
class Timings:
    total_s: float | None = None
    load_s: float | None = None
    prompt_eval_s: float | None = None
    eval_s: float | None = None


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class Listener:
    """A metric listener that keeps what it was told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, float], dict[str, str]]] = []

    def __call__(self, name: str, values: dict[str, float], labels: dict[str, str]) -> None:
        self.calls.append((name, values, labels))

    def values(self) -> dict[str, float]:
        return {name: values["value"] for name, values, _ in self.calls}


class MemorySdk:
    """An SDK whose spans, metrics and events can be looked at. Close it."""

    def __init__(
        self,
        profile: ProfileChoice | None = None,
        *,
        capture: ContentCapture | None = None,
        propagate: bool = False,
        environ: dict[str, str] | None = None,
    ) -> None:
        self._reader = InMemoryMetricReader()
        self._spans = InMemorySpanExporter()
        self._events = InMemoryLogRecordExporter()
        self.meter_provider = MeterProvider([self._reader], shutdown_on_exit=False)
        self.tracer_provider = TracerProvider(shutdown_on_exit=False)
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self._spans))
        self.logger_provider = LoggerProvider(shutdown_on_exit=False)
        self.logger_provider.add_log_record_processor(SimpleLogRecordProcessor(self._events))
        self.telemetry = Telemetry(
            profile=profile,
            tracer_provider=self.tracer_provider,
            meter_provider=self.meter_provider,
            logger_provider=self.logger_provider,
            capture=capture,
            propagate=propagate,
            environ=environ or {},
        )

    def close(self) -> None:
        self.meter_provider.shutdown()
        self.tracer_provider.shutdown()
        self.logger_provider.shutdown()

    def metrics(self) -> dict[str, Metric]:
        data = self._reader.get_metrics_data()
        if data is None:
            return {}
        scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics]
        return {metric.name: metric for scope in scopes for metric in scope.metrics}

    def scopes(self) -> list[tuple[str, str | None, str | None]]:
        data = self._reader.get_metrics_data()
        assert data is not None
        scopes = [scope.scope for resource in data.resource_metrics for scope in resource.scope_metrics]
        return [(scope.name, scope.version, scope.schema_url) for scope in scopes]

    def spans(self) -> list[ReadableSpan]:
        return list(self._spans.get_finished_spans())

    def events(self) -> list[ReadableLogRecord]:
        return list(self._events.get_finished_logs())


def total(metric: Metric) -> float:
    """All measurements of a histogram or counter added up."""
    added = 0.0
    for point in metric.data.data_points:
        added += point.sum if isinstance(point, HistogramDataPoint) else cast("NumberDataPoint", point).value
    return added


def attributes(metric: Metric) -> list[dict[str, object]]:
    return [dict(point.attributes or {}) for point in metric.data.data_points]


def chat(
    telemetry: Telemetry,
    clock: Clock | None = None,
    *,
    model: str = "llama3:8b",
    stream: bool = True,
    **more: object,
) -> RequestObservation:
    """A chat with every option that telemetry knows."""
    return start_request(
        operation="chat",
        provider="ollama",
        model=model,
        server_address="127.0.0.1",
        server_port=11434,
        stream=stream,
        parameters={
            "temperature": 0.7,
            "top_p": 0.9,
            "top_k": 40,
            "num_predict": 256,
            "seed": 7,
            "stop": ["END"],
            "frequency_penalty": 0.1,
            "presence_penalty": 0.2,
            "format": "json",
        },
        telemetry=telemetry,
        clock=clock or Clock(),
        **more,  # type: ignore[arg-type]  # keyword arguments of start_request
    )


def finished_chat(telemetry: Telemetry, *, model: str = "llama3:8b", stream: bool = True) -> None:
    """A whole chat in four reads: three chunks, and the last line."""
    clock = Clock()
    observation = chat(telemetry, clock, model=model, stream=stream)
    for wait_s in (0.5, 0.25, 0.25, 0.25):
        observation.reading()
        clock.advance(wait_s)
        observation.received(1)
        observation.first_token()
    observation.finish(
        response_model=model,
        finish_reasons=("stop",),
        usage=Usage(prompt_tokens=26, completion_tokens=10),
        timings=Timings(total_s=1.2, load_s=0.4, prompt_eval_s=0.1, eval_s=0.5),
    )
