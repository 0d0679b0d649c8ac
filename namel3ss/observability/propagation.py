"""Trace context across the wire: ``traceparent`` out when configured, baggage never, silence around probes."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, MutableMapping

    from opentelemetry.context import Context
    from opentelemetry.trace import Span

__all__ = ["extract_trace_context", "inject_trace_context", "suppress_instrumentation"]


def inject_trace_context(headers: MutableMapping[str, str], span: Span) -> None:
    """Add ``traceparent`` (and ``tracestate``, if the trace has one) for `span`; nothing for a span that is no part
    of a trace.

    The globally configured propagators are left aside on purpose: they may send baggage, which can hold data about
    the caller's own users.
    """
    from opentelemetry.trace import set_span_in_context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    TraceContextTextMapPropagator().inject(headers, set_span_in_context(span))


def extract_trace_context(headers: Mapping[bytes, bytes]) -> Context:
    """The trace that a caller's headers, with names in lower case, say its request belongs to: an empty context for none.

    Baggage is not read: it is the caller's, and not for whom this process asks.
    """
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    said = {
        name: headers[name.encode()].decode("latin-1")
        for name in ("traceparent", "tracestate")
        if name.encode() in headers
    }
    return TraceContextTextMapPropagator().extract(said, Context())


@contextmanager
def suppress_instrumentation() -> Iterator[None]:
    """Inside, HTTP instrumentations of other packages make no spans: for probes that repeat every few seconds.

    Enter and leave it in one coroutine; a generator must not yield inside.
    """
    if "opentelemetry.context" not in sys.modules:
        yield
        return
    from opentelemetry import context

    suppressed = context.get_current()
    # The first is what the SDK and the instrumentations of today look for, the second the name that older ones use.
    for key in (context._SUPPRESS_INSTRUMENTATION_KEY, "suppress_instrumentation"):
        suppressed = context.set_value(key, True, suppressed)
    token = context.attach(suppressed)
    try:
        yield
    finally:
        context.detach(token)
