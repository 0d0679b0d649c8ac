from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from opentelemetry import baggage, context
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    TraceState,
    format_span_id,
    format_trace_id,
    set_span_in_context,
)

from namel3ss.observability.propagation import suppress_instrumentation
from namel3ss.observability.telemetry import Telemetry
from tests.observability.receivers import MemorySdk, chat

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def inside_a_trace() -> Iterator[SpanContext]:
    """A caller with a trace of its own, vendor state in it, and baggage about its users."""
    caller = SpanContext(
        trace_id=0x0AF7651916CD43DD8448EB211C80319C,
        span_id=0xB7AD6B7169203331,
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
        trace_state=TraceState([("vendor", "1")]),
    )
    token = context.attach(
        baggage.set_baggage("tenant", "acme", set_span_in_context(NonRecordingSpan(caller)))
    )
    yield caller
    context.detach(token)


def test_trace_context_is_sent_when_configured_and_never_baggage(inside_a_trace: SpanContext) -> None:
    sdk = MemorySdk(propagate=True)
    headers: dict[str, str] = {"accept": "*/*"}

    observation = chat(sdk.telemetry)
    observation.inject(headers)
    observation.finish()

    (span,) = sdk.spans()
    trace, own = format_trace_id(inside_a_trace.trace_id), format_span_id(span.context.span_id)
    assert headers == {"accept": "*/*", "traceparent": f"00-{trace}-{own}-01", "tracestate": "vendor=1"}
    assert span.parent is not None
    assert span.parent.span_id == inside_a_trace.span_id
    sdk.close()


def test_trace_context_is_not_sent_unless_configured(inside_a_trace: SpanContext) -> None:
    sdk = MemorySdk()
    headers: dict[str, str] = {}

    observation = chat(sdk.telemetry)
    observation.inject(headers)
    observation.finish()

    assert headers == {}
    sdk.close()


@pytest.mark.parametrize(("value", "expected"), [("true", True), ("1", True), ("", False), ("no", False)])
def test_the_environment_may_switch_propagation_on(value: str, expected: bool) -> None:
    assert Telemetry(environ={"NAMEL3SS_TELEMETRY_PROPAGATE": value}).propagate is expected


def test_probes_are_hidden_from_the_instrumentations_of_other_packages() -> None:
    keys = (context._SUPPRESS_INSTRUMENTATION_KEY, "suppress_instrumentation")

    with suppress_instrumentation():
        inside = [context.get_value(key) for key in keys]

    assert inside == [True, True]
    assert [context.get_value(key) for key in keys] == [None, None]
