"""From a request that is over to listeners, instruments and the end of its span."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from namel3ss.observability.gen_ai import ended_with, measurements
from namel3ss.observability.metrics import tell_listeners
from namel3ss.observability.ollama_metrics import (
    listener_metrics,
    product_measurements,
    product_span_attributes,
)

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from namel3ss.observability.request_record import EndedRequest
    from namel3ss.observability.telemetry import Telemetry

__all__ = ["end_span", "record_ended"]


def record_ended(ended: EndedRequest, telemetry: Telemetry) -> None:
    """Tell listeners and instruments. Never raises."""
    with telemetry.guard("record a request"):
        counted = _clamped(ended, telemetry)
        is_exported = telemetry.instruments() is not None
        if counted.facts.provider == "ollama":
            labels = _labels(counted)
            for name, values in listener_metrics(counted):
                tell_listeners(name, values, labels)
                if is_exported:
                    telemetry.forward(name, values, labels)
            if is_exported:
                telemetry.record(product_measurements(counted))
        if is_exported:
            telemetry.record(measurements(counted, telemetry.profiles))


def end_span(span: Span, ended: EndedRequest, started_ns: int, telemetry: Telemetry) -> None:
    """Describe the span and end it. Never raises."""
    with telemetry.guard("end a span"):
        if span.is_recording():
            _describe(span, ended)
        # The span lasts exactly as long as the duration says, also if the system's clock was set meanwhile.
        span.end(started_ns + round(ended.duration_s * 1e9))


def _describe(span: Span, ended: EndedRequest) -> None:
    from opentelemetry.trace import Status, StatusCode

    span.set_attributes(ended_with(ended))
    if ended.facts.provider == "ollama":
        span.set_attributes(product_span_attributes(ended))
    if ended.error_type is not None:
        span.set_status(Status(StatusCode.ERROR))


def _labels(ended: EndedRequest) -> dict[str, str]:
    labels = {
        "provider": ended.facts.provider,
        "model": ended.facts.model,
        "operation": ended.facts.operation,
        "stream": "true" if ended.facts.stream else "false",
        "status": ended.outcome,
    }
    if ended.error_type is not None:
        labels["error_type"] = ended.error_type
    labels.update(ended.facts.labels)
    return labels


def _clamped(ended: EndedRequest, telemetry: Telemetry) -> EndedRequest:
    if telemetry.clamp_model is None:
        return ended
    facts = msgspec.structs.replace(ended.facts, model=telemetry.counted_as(ended.facts.model))
    response_model = ended.response_model and telemetry.counted_as(ended.response_model)
    return msgspec.structs.replace(ended, facts=facts, response_model=response_model)
