"""What a provider does besides requests, observed: downloading a model, probing a server, starting one.

These are no GenAI operations: their spans and metrics are our own. Each observation ends exactly once, at its first
end; no method raises.
"""

from __future__ import annotations

import abc
import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeAlias

from namel3ss.observability.error_types import CANCELLED, closed_error_type, error_type_of
from namel3ss.observability.gen_ai import server_attributes
from namel3ss.observability.instruments import Measurement
from namel3ss.observability.metrics import deliver_metric
from namel3ss.observability.ollama_metrics import HEALTH_CHECKS, PULL_BYTES, PULL_DURATION
from namel3ss.observability.telemetry import current_telemetry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.trace import Span

    from namel3ss.observability.instruments import AttributeValue
    from namel3ss.observability.request_record import Outcome
    from namel3ss.observability.telemetry import Telemetry

__all__ = [
    "HealthStatus",
    "PullObservation",
    "ServerStartObservation",
    "record_health_check",
    "start_pull",
    "start_server_start",
]

HealthStatus: TypeAlias = Literal["healthy", "degraded", "unhealthy"]

_NO_LABELS: Mapping[str, str] = MappingProxyType({})


def record_health_check(
    status: HealthStatus,
    duration_s: float,
    *,
    model: str | None = None,
    server_address: str | None = None,
    server_port: int | None = None,
    labels: Mapping[str, str] = _NO_LABELS,
    telemetry: Telemetry | None = None,
) -> None:
    """Record a finished probe, of a server alone if there is no `model`. `labels` are for listeners.

    It has no span: probes repeat, and would bury the requests.
    """
    receiver = telemetry or current_telemetry()
    counted = None if model is None else receiver.counted_as(model)
    told = {"provider": "ollama", "status": status, **labels}
    if counted is not None:
        told["model"] = counted
    deliver_metric("ollama.health.check_duration", {"value": duration_s}, told, receiver)
    attributes = _server_and_model(counted, server_address, server_port)
    receiver.record([Measurement(HEALTH_CHECKS, 1, {**attributes, "namel3ss.health.status": status})])


def start_pull(
    model: str,
    *,
    server_address: str | None = None,
    server_port: int | None = None,
    labels: Mapping[str, str] = _NO_LABELS,
    telemetry: Telemetry | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> PullObservation:
    """Begin to observe the download of a model. `labels` are for listeners."""
    where = _server_and_model(model, server_address, server_port)
    return PullObservation(model, where, labels, telemetry or current_telemetry(), clock)


def start_server_start(
    program: str,
    *,
    server_address: str | None = None,
    server_port: int | None = None,
    labels: Mapping[str, str] = _NO_LABELS,
    telemetry: Telemetry | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> ServerStartObservation:
    """Begin to observe the start of a server: `program` is what is started, without its path. `labels` are for
    listeners.
    """
    attributes: dict[str, AttributeValue] = {"process.executable.name": program}
    attributes.update(server_attributes(server_address, server_port))
    return ServerStartObservation(program, attributes, labels, telemetry or current_telemetry(), clock)


class _Activity(abc.ABC):
    """A span of our own with its times, and the promise that it ends once."""

    def __init__(
        self,
        span_name: str,
        attributes: Mapping[str, AttributeValue],
        labels: Mapping[str, str],
        telemetry: Telemetry,
        clock: Callable[[], float],
        *,
        calls_server: bool,
    ) -> None:
        self._telemetry = telemetry
        self._attributes = attributes
        self._labels = labels
        self._clock = clock
        self._began = clock()
        self._began_ns = time.time_ns()
        self._has_ended = False
        self._span = self._start_span(span_name, calls_server=calls_server)

    def fail(self, error_type: str) -> None:
        """It failed. A word outside the closed list counts as ``_OTHER``."""
        self._end(closed_error_type(error_type))

    def cancel(self) -> None:
        """Nobody waits for it any more."""
        self._end(CANCELLED)

    def end_with(self, error: BaseException) -> None:
        """`cancel` for a cancellation, `fail` for any other exception."""
        self._end(error_type_of(error))

    def _start_span(self, name: str, *, calls_server: bool) -> Span | None:
        tracer = self._telemetry.tracer()
        if tracer is None:
            return None
        with self._telemetry.guard("start a span"):
            from opentelemetry.trace import SpanKind

            kind = SpanKind.CLIENT if calls_server else SpanKind.INTERNAL
            return tracer.start_span(name, kind=kind, attributes=self._attributes, start_time=self._began_ns)
        return None

    def _end(self, error_type: str | None) -> None:
        if self._has_ended:
            return
        self._has_ended = True
        duration_s = self._clock() - self._began
        with self._telemetry.guard("record an activity"):
            self._record(duration_s, error_type)
        if self._span is None:
            return
        with self._telemetry.guard("end a span"):
            if error_type is not None:
                from opentelemetry.trace import Status, StatusCode

                self._span.set_attribute("error.type", error_type)
                self._span.set_status(Status(StatusCode.ERROR))
            self._span.end(self._began_ns + round(duration_s * 1e9))

    @abc.abstractmethod
    def _record(self, duration_s: float, error_type: str | None) -> None:
        """Record the metrics of what has just ended."""


class PullObservation(_Activity):
    """A model being downloaded. Lives as long as the download, over all its attempts."""

    def __init__(
        self,
        model: str,
        attributes: Mapping[str, AttributeValue],
        labels: Mapping[str, str],
        telemetry: Telemetry,
        clock: Callable[[], float],
    ) -> None:
        super().__init__(f"pull {model}", attributes, labels, telemetry, clock, calls_server=True)
        self._model = model
        self._bytes = 0

    def progress(self, downloaded_bytes: int) -> None:
        """So many bytes were downloaded in all; what had been there before does not count."""
        self._bytes = downloaded_bytes

    def finish(self) -> None:
        """The model is there."""
        self._end(None)

    def _record(self, duration_s: float, error_type: str | None) -> None:
        counted = self._telemetry.counted_as(self._model)
        labels = {"provider": "ollama", "model": counted, "status": _status(error_type), **self._labels}
        if error_type is not None:
            labels["error_type"] = error_type
        deliver_metric(
            "ollama.model.pull_duration",
            {"value": duration_s, "bytes": self._bytes},
            labels,
            self._telemetry,
        )
        where = {**self._attributes, "gen_ai.request.model": counted}
        failed = where if error_type is None else {**where, "error.type": error_type}
        self._telemetry.record(
            [Measurement(PULL_DURATION, duration_s, failed), Measurement(PULL_BYTES, self._bytes, where)]
        )
        if self._span is not None:
            self._span.set_attribute("namel3ss.ollama.pull.bytes", self._bytes)


class ServerStartObservation(_Activity):
    """A server program being started, until it answers or does not."""

    def __init__(
        self,
        program: str,
        attributes: Mapping[str, AttributeValue],
        labels: Mapping[str, str],
        telemetry: Telemetry,
        clock: Callable[[], float],
    ) -> None:
        super().__init__(f"start {program}", attributes, labels, telemetry, clock, calls_server=False)

    def finish(self, pid: int) -> None:
        """It answers; `pid` is its process."""
        if self._span is not None:
            with self._telemetry.guard("describe a server"):
                self._span.set_attribute("process.pid", pid)
        self._end(None)

    def _record(self, duration_s: float, error_type: str | None) -> None:
        if error_type is None:
            deliver_metric(
                "ollama.server.started",
                {"value": 1, "duration": duration_s},
                {"provider": "ollama", **self._labels},
                self._telemetry,
            )


def _status(error_type: str | None) -> Outcome:
    if error_type is None:
        return "ok"
    return "cancelled" if error_type == CANCELLED else "error"


def _server_and_model(model: str | None, address: str | None, port: int | None) -> dict[str, AttributeValue]:
    named: dict[str, AttributeValue] = {} if model is None else {"gen_ai.request.model": model}
    return {**named, **server_attributes(address, port)}
