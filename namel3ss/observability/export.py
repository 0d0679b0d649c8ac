"""Telemetry out of a program of ours, by the standard ``OTEL_`` variables: for the command line, not for libraries.

An application that has an SDK of its own needs none of this: namel3ss uses the global providers it finds. Here an SDK
is set up for namel3ss alone; global providers are left as they are.

What is read: ``OTEL_TRACES_EXPORTER`` (otlp, console, none), ``OTEL_METRICS_EXPORTER`` (the same and prometheus),
``OTEL_EXPORTER_PROMETHEUS_HOST`` and ``_PORT``, ``OTEL_SDK_DISABLED``, and by the SDK itself everything about
endpoints, headers, time-outs, sampling, intervals and resources.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import uuid
from typing import TYPE_CHECKING, Protocol

from namel3ss._version import __version__
from namel3ss.errors import UsageError
from namel3ss.observability.capture import content_capture
from namel3ss.observability.telemetry import Telemetry, use_telemetry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import MetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

    from namel3ss.observability.profiles import ProfileChoice

__all__ = ["configure_from_environment", "is_export_configured"]

logger = logging.getLogger(__name__)

# A program that has answered must not hang because nobody takes its telemetry.
SHUTDOWN_TIMEOUT_S = 5.0
_AFTER_INTERRUPT_S = 1.0

_SWITCHES = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    "OTEL_TRACES_EXPORTER",
    "OTEL_METRICS_EXPORTER",
)
_PROTOCOLS = (
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
    "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL",
)


class _Interruptible(Protocol):
    def shutdown(self) -> object: ...


def is_export_configured(environ: Mapping[str, str]) -> bool:
    """Whether the environment asks for telemetry: an endpoint or an exporter is named, and it is not disabled."""
    return not _is_disabled(environ) and any(environ.get(name, "").strip() for name in _SWITCHES)


def configure_from_environment(*, profile: ProfileChoice | None = None) -> Callable[[], None]:
    """Send this process's telemetry where the environment says, by default to ``http://localhost:4318``.

    Call it after forking, once, and call what it returns before leaving: that sends what is left, for at most five
    seconds, and puts back what was in force before. Raises UsageError if the SDK is not installed or a variable asks
    for something that is not there.
    """
    if _is_disabled(os.environ):
        return lambda: None
    _refuse_unknown_protocols(os.environ)
    try:
        from opentelemetry.sdk.resources import Resource
    except ImportError as error:
        raise UsageError(
            "The OpenTelemetry SDK is not installed, so telemetry cannot be exported.",
            suggestion="Run: pip install 'namel3ss[otel]'",
        ) from error
    return _Export(profile, _resource(Resource)).stop


class _Export:
    """The SDK of this process, from set-up to the last flush."""

    def __init__(self, profile: ProfileChoice | None, resource: Resource) -> None:
        self._exporters: list[_Interruptible] = []
        self._closers: list[Callable[[], object]] = []
        self._has_stopped = False
        try:
            capture = content_capture(os.environ)
            telemetry = Telemetry(
                profile=profile,
                tracer_provider=self._tracer_provider(resource),
                meter_provider=self._meter_provider(resource),
                logger_provider=self._logger_provider(resource) if capture.on_event else None,
                capture=capture,
            )
        except BaseException:
            self._close()
            raise
        self._quiet = _QuietExporters()
        self._replaced = use_telemetry(telemetry)

    def stop(self) -> None:
        """Send what is left and stop. Further calls do nothing."""
        if self._has_stopped:
            return
        self._has_stopped = True
        use_telemetry(self._replaced)
        # On a thread of its own: an exporter whose collector is down waits between its attempts and cannot be told
        # to give up by the call that shuts it down.
        closing = threading.Thread(target=self._close, name="namel3ss-telemetry-shutdown", daemon=True)
        closing.start()
        closing.join(SHUTDOWN_TIMEOUT_S)
        if closing.is_alive():
            for exporter in self._exporters:
                exporter.shutdown()
            closing.join(_AFTER_INTERRUPT_S)
        self._quiet.remove()

    def _close(self) -> None:
        for close in self._closers:
            try:
                close()
            except Exception:
                logger.warning("a telemetry exporter could not be closed", exc_info=True)

    def _tracer_provider(self, resource: Resource) -> TracerProvider | None:
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import (
            BatchSpanProcessor,
            ConsoleSpanExporter,
            SimpleSpanProcessor,
        )

        chosen = _exporters("OTEL_TRACES_EXPORTER", known=("otlp", "console"))
        if not chosen:
            return None
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._closers.append(provider.shutdown)
        if "otlp" in chosen:
            exporter = self._otlp_span_exporter()
            provider.add_span_processor(BatchSpanProcessor(exporter))
        if "console" in chosen:
            provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(out=sys.stderr)))
        return provider

    def _otlp_span_exporter(self) -> SpanExporter:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        exporter = OTLPSpanExporter()
        self._exporters.append(exporter)
        return exporter

    def _meter_provider(self, resource: Resource) -> MeterProvider | None:
        from opentelemetry.sdk.metrics import MeterProvider

        chosen = _exporters("OTEL_METRICS_EXPORTER", known=("otlp", "console", "prometheus"))
        if not chosen:
            return None
        readers = [self._reader(name) for name in chosen]
        provider = MeterProvider(readers, resource, shutdown_on_exit=False)
        self._closers.append(provider.shutdown)
        return provider

    def _reader(self, exporter_name: str) -> MetricReader:
        from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, PeriodicExportingMetricReader

        if exporter_name == "prometheus":
            return self._prometheus_reader()
        if exporter_name == "console":
            return PeriodicExportingMetricReader(ConsoleMetricExporter(out=sys.stderr))
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

        exporter = OTLPMetricExporter()
        self._exporters.append(exporter)
        return PeriodicExportingMetricReader(exporter)

    def _prometheus_reader(self) -> MetricReader:
        try:
            from opentelemetry.exporter.prometheus import PrometheusMetricReader
            from prometheus_client import CollectorRegistry, start_http_server
        except ImportError as error:
            raise UsageError(
                "OTEL_METRICS_EXPORTER names prometheus, but its exporter is not installed.",
                suggestion="Run: pip install opentelemetry-exporter-prometheus",
            ) from error
        host = os.environ.get("OTEL_EXPORTER_PROMETHEUS_HOST", "").strip() or "localhost"
        port = _port("OTEL_EXPORTER_PROMETHEUS_PORT", 9464)
        # A registry of our own: the default one belongs to the application. Labels with our version would begin new
        # series at every release.
        registry = CollectorRegistry()
        reader = PrometheusMetricReader(scope_info_enabled=False, registry=registry)
        try:
            server, thread = start_http_server(port, host, registry)
        except OSError as error:
            raise UsageError(
                f"Metrics cannot be served on {host}:{port}: {error.strerror or error}.",
                suggestion="Choose another port with OTEL_EXPORTER_PROMETHEUS_PORT.",
            ) from error
        self._closers += [server.shutdown, server.server_close, thread.join]
        logger.info("serving metrics on http://%s:%s/metrics", host, server.server_port)
        return reader

    def _logger_provider(self, resource: Resource) -> LoggerProvider | None:
        from opentelemetry.sdk._logs import LoggerProvider
        from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, ConsoleLogRecordExporter

        chosen = _exporters("OTEL_LOGS_EXPORTER", known=("otlp", "console"))
        if not chosen:
            return None
        provider = LoggerProvider(resource, shutdown_on_exit=False)
        self._closers.append(provider.shutdown)
        if "otlp" in chosen:
            from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter

            exporter = OTLPLogExporter()
            self._exporters.append(exporter)
            provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
        if "console" in chosen:
            exporting = ConsoleLogRecordExporter(out=sys.stderr)
            provider.add_log_record_processor(BatchLogRecordProcessor(exporting))
        return provider


class _QuietExporters(logging.Handler):
    """An exporter that fails says so for each batch; here it is said once, in our own log, and then for debugging."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._has_spoken = False
        self._source = logging.getLogger("opentelemetry")
        self._propagated = self._source.propagate
        self._source.addHandler(self)
        self._source.propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        level = logging.DEBUG if self._has_spoken else logging.WARNING
        self._has_spoken = True
        logger.log(level, "telemetry is not exported: %s", record.getMessage())

    def remove(self) -> None:
        self._source.removeHandler(self)
        self._source.propagate = self._propagated


def _resource(resource: type[Resource]) -> Resource:
    """What this process is: as OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME say, else named by us."""
    stated = resource.create()
    ours = {"service.version": __version__, "service.instance.id": str(uuid.uuid4())}
    missing = {key: value for key, value in ours.items() if key not in stated.attributes}
    if str(stated.attributes.get("service.name", "")).startswith("unknown_service"):
        missing["service.name"] = "namel3ss"
    return stated.merge(resource(missing))


def _exporters(variable: str, known: Sequence[str]) -> list[str]:
    """The exporters that a variable names, ``otlp`` if it is not set."""
    named = [word.strip().lower() for word in os.environ.get(variable, "").split(",") if word.strip()] or [
        "otlp"
    ]
    if named == ["none"]:
        return []
    for name in named:
        if name not in known:
            raise UsageError(
                f"{variable} names {name!r}, which is not an exporter of namel3ss.",
                suggestion=f"Choose from: {', '.join([*known, 'none'])}.",
            )
    return list(dict.fromkeys(named))


def _port(variable: str, default: int) -> int:
    value = os.environ.get(variable, "").strip()
    if not value:
        return default
    if not (value.isascii() and value.isdigit() and int(value) <= 65535):
        raise UsageError(f"{variable}={value!r} is not a port.", suggestion="Give a number from 0 to 65535.")
    return int(value)


def _is_disabled(environ: Mapping[str, str]) -> bool:
    return environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


def _refuse_unknown_protocols(environ: Mapping[str, str]) -> None:
    for variable in _PROTOCOLS:
        value = environ.get(variable, "").strip()
        if value and value != "http/protobuf":
            raise UsageError(
                f"{variable} is {value!r}, but namel3ss sends OTLP as http/protobuf only.",
                suggestion=f"Set {variable}=http/protobuf (collectors take it on port 4318), or unset it.",
            )
