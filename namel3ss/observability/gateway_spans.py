"""What OpenTelemetry learns of a request that goes through the gateway: three kinds of spans, two durations.

A request is one `SERVER` span from its arrival to its end. In it are the wait in the queue (`INTERNAL`) and each time that
it was sent to a server (`CLIENT`), or what a provider tells of the model that answered in a server's place. The caller's trace
is continued where it sends one. Users, keys, addresses, prompts and answers are in none of them.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol

from namel3ss.observability.error_types import ERROR_TYPES, closed_error_type
from namel3ss.observability.instruments import InstrumentSpec, Measurement
from namel3ss.observability.propagation import extract_trace_context, inject_trace_context

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opentelemetry.trace import Span, Tracer

    from namel3ss.observability.telemetry import Telemetry

__all__ = ["GATEWAY_INSTRUMENTS", "GatewayTrace", "record_gateway_request", "start_gateway_trace"]

_BUCKETS: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
_DURATION: Final = InstrumentSpec(
    "namel3ss.gateway.request.duration",
    "histogram",
    "s",
    "From a request's arrival at the gateway to its end.",
    ("http.route", "namel3ss.gateway.class", "gen_ai.request.model", "namel3ss.gateway.outcome"),
    _BUCKETS,
)
_WAIT: Final = InstrumentSpec(
    "namel3ss.gateway.queue.wait",
    "histogram",
    "s",
    "From a request's arrival to its slot, of those that got one.",
    ("namel3ss.gateway.class", "gen_ai.request.model"),
    _BUCKETS,
)
GATEWAY_INSTRUMENTS: Final[Mapping[str, InstrumentSpec]] = MappingProxyType(
    {spec.name: spec for spec in (_DURATION, _WAIT)}
)


class Ended(Protocol):
    """A request that has ended, as the gateway's books take it."""

    @property
    def route(self) -> str: ...
    @property
    def class_name(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def server(self) -> str | None: ...
    @property
    def outcome(self) -> str: ...
    @property
    def status(self) -> int: ...
    @property
    def usage(self) -> Counted: ...
    @property
    def wait_s(self) -> float: ...
    @property
    def duration_s(self) -> float: ...


class Counted(Protocol):
    """Tokens."""

    @property
    def prompt_tokens(self) -> int: ...
    @property
    def completion_tokens(self) -> int: ...
    @property
    def estimated(self) -> bool: ...


def record_gateway_request(telemetry: Telemetry, ended: Ended) -> None:
    """Measure a request that has ended."""
    if telemetry.instruments() is None:
        return
    which = {
        "namel3ss.gateway.class": ended.class_name,
        "gen_ai.request.model": telemetry.counted_as(ended.model),
    }
    whole = {**which, "http.route": ended.route, "namel3ss.gateway.outcome": ended.outcome}
    measured = [Measurement(_DURATION, ended.duration_s, whole)]
    if ended.server is not None:
        measured.append(Measurement(_WAIT, ended.wait_s, which))
    telemetry.record(measured)


def start_gateway_trace(
    telemetry: Telemetry, headers: Mapping[bytes, bytes], *, route: str, class_name: str, model: str
) -> GatewayTrace | None:
    """The spans of a request that has arrived; None while nobody could receive one."""
    tracer = telemetry.tracer()
    if tracer is None:
        return None
    with telemetry.guard("start a span"):
        return GatewayTrace(telemetry, tracer, headers, route, class_name, model)
    return None


class GatewayTrace:
    """The spans of one request. `end` it once, or `held` as often as something answers; what fails here disturbs no request."""

    __slots__ = (
        "_ended",
        "_had_slot",
        "_is_held",
        "_model",
        "_parent",
        "_root",
        "_sent",
        "_since_ns",
        "_telemetry",
        "_tracer",
    )

    def __init__(
        self,
        telemetry: Telemetry,
        tracer: Tracer,
        headers: Mapping[bytes, bytes],
        route: str,
        class_name: str,
        model: str,
    ) -> None:
        from opentelemetry.trace import SpanKind, set_span_in_context

        self._telemetry = telemetry
        self._tracer = tracer
        self._model = model
        self._since_ns = time.time_ns()
        """Since when it has been waiting."""
        self._had_slot = False
        self._is_held = False
        self._ended: Ended | None = None
        self._sent: Span | None = None
        self._root = tracer.start_span(
            f"POST {route}",
            context=extract_trace_context(headers),
            kind=SpanKind.SERVER,
            attributes={
                "http.request.method": "POST",
                "http.route": route,
                "gen_ai.request.model": model,
                "namel3ss.gateway.class": class_name,
            },
            start_time=self._since_ns,
        )
        self._parent = set_span_in_context(self._root)

    def sent(self, server: str) -> dict[str, str]:
        """It has a slot and is sent. What is returned are headers for the server, if it is to go on with the trace."""
        headers: dict[str, str] = {}
        with self._telemetry.guard("start a span"):
            from opentelemetry.trace import SpanKind

            self._had_slot = True
            self._wait_ended(None)
            self._sent = self._tracer.start_span(
                f"send {self._model}",
                context=self._parent,
                kind=SpanKind.CLIENT,
                attributes={"gen_ai.request.model": self._model, "namel3ss.gateway.server": server},
            )
            if self._telemetry.propagate:
                inject_trace_context(headers, self._sent)
        return headers

    def failed(self, error_type: str) -> None:
        """The server could not be asked, or did not answer as it should."""
        self._left(closed_error_type(error_type))

    def left(self, status: int) -> None:
        """The server has done its part; after `failed` that was said."""
        self._left(None if status < 400 else str(status))

    @contextmanager
    def held(self) -> Iterator[None]:
        """Somebody else may answer after the servers: the request has ended as was said last, and not before."""
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False
            if self._ended is not None:
                self.end(self._ended)

    @contextmanager
    def around(self) -> Iterator[None]:
        """Spans that are started within belong to the request."""
        from opentelemetry import context

        token = context.attach(self._parent)
        try:
            yield
        finally:
            context.detach(token)

    def end(self, ended: Ended) -> None:
        """The request has ended."""
        with self._telemetry.guard("end a span"):
            error_type = None if ended.outcome == "ok" and ended.status < 400 else _error_type(ended)
            if not self._had_slot:
                self._had_slot = True
                self._wait_ended(error_type)
            if self._is_held:
                self._ended = ended
                return
            self._root.set_attribute("http.response.status_code", ended.status)
            self._root.set_attribute("namel3ss.gateway.outcome", ended.outcome)
            if not ended.usage.estimated:
                self._root.set_attribute("gen_ai.usage.input_tokens", ended.usage.prompt_tokens)
                self._root.set_attribute("gen_ai.usage.output_tokens", ended.usage.completion_tokens)
            # What callers do wrong is no error of a server's span.
            _end(self._root, error_type, is_error=ended.status >= 500 or ended.outcome == "interrupted")

    def _left(self, error_type: str | None) -> None:
        with self._telemetry.guard("end a span"):
            span, self._sent = self._sent, None
            self._since_ns = time.time_ns()
            if span is not None:
                _end(span, error_type)

    def _wait_ended(self, error_type: str | None) -> None:
        span = self._tracer.start_span("queue", context=self._parent, start_time=self._since_ns)
        _end(span, error_type)


def _error_type(ended: Ended) -> str:
    """A word of the closed list; what the gateway itself calls it is the outcome."""
    if ended.outcome in ERROR_TYPES:
        return ended.outcome
    return str(ended.status) if ended.status >= 400 else "upstream_error"


def _end(span: Span, error_type: str | None, *, is_error: bool = True) -> None:
    if error_type is not None:
        from opentelemetry.trace import Status, StatusCode

        span.set_attribute("error.type", error_type)
        if is_error:
            span.set_status(Status(StatusCode.ERROR))
    span.end()
