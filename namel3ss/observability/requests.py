"""One request to a model, observed: its times, tokens and outcome, for listeners and for OpenTelemetry.

A provider starts an observation when it is about to send, tells it what happens, and ends it exactly once:

    observation = start_request(operation="chat", provider="ollama", model="llama3:8b", stream=True)
    try:
        ...
        observation.reading()               # about to wait for the next bytes
        observation.received(len(lines))    # here they are
        observation.first_token()           # the first of them that says something
        ...
        observation.finish(response_model=…, finish_reasons=(…,), usage=usage, timings=timings)
    except BaseException as error:
        observation.end_with(error)         # a cancellation is told from a failure
        raise

Nothing is done for each chunk: the clock is read twice for each *read*, which brings as many chunks as have arrived.
Metrics are computed and recorded once, at the end, and only if somebody receives them.
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from namel3ss.observability.arrivals import Arrivals
from namel3ss.observability.error_types import CANCELLED, closed_error_type, error_type_of
from namel3ss.observability.metrics import has_registered_listeners
from namel3ss.observability.propagation import inject_trace_context
from namel3ss.observability.request_record import EndedRequest, RequestFacts
from namel3ss.observability.telemetry import current_telemetry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping
    from contextlib import AbstractContextManager

    from opentelemetry.trace import Span

    from namel3ss.observability.content import RequestContent
    from namel3ss.observability.request_record import (
        InputModality,
        Operation,
        Outcome,
        ReportedTimings,
        ReportedUsage,
    )
    from namel3ss.observability.telemetry import Telemetry

__all__ = ["RequestObservation", "start_request"]

_NO_PARAMETERS: Mapping[str, object] = MappingProxyType({})
_NO_LABELS: Mapping[str, str] = MappingProxyType({})
_NOTHING: AbstractContextManager[object] = nullcontext()
# Servers have reported negative and absurd durations; a number nobody can believe is left out.
_LONGEST_BELIEVABLE_S: Final = 7 * 24 * 3600.0


def start_request(
    *,
    operation: Operation,
    provider: str,
    model: str,
    server_address: str | None = None,
    server_port: int | None = None,
    stream: bool = False,
    parameters: Mapping[str, object] = _NO_PARAMETERS,
    labels: Mapping[str, str] = _NO_LABELS,
    input_modality: InputModality = "text",
    telemetry: Telemetry | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> RequestObservation:
    """Begin to observe a request that is about to be sent.

    `parameters` are the options as they are sent; they are read only if a span is recorded. `labels` go to metric
    listeners beside our own, and win over them. `stream` is whether the caller gets the answer piece by piece.
    `input_modality` is ``unknown`` for a prompt with images. `telemetry` is by default the process's own. Never
    raises.
    """
    facts = RequestFacts(
        operation, provider, model, server_address, server_port, stream, parameters, labels, input_modality
    )
    return RequestObservation(facts, telemetry or current_telemetry(), clock)


class RequestObservation:
    """One request under way. Exactly one of `finish`, `fail`, `cancel` and `end_with` counts: the first.

    Belongs to one request and the task that makes it. No method raises, whatever receives the telemetry does.
    """

    __slots__ = (
        "_arrivals",
        "_content",
        "_ended",
        "_facts",
        "_first_token",
        "_span",
        "_started_ns",
        "_telemetry",
    )

    def __init__(self, facts: RequestFacts, telemetry: Telemetry, clock: Callable[[], float]) -> None:
        self._facts = facts
        self._telemetry = telemetry
        self._arrivals = Arrivals(clock)
        self._first_token: float | None = None
        self._content: Callable[[], RequestContent] | None = None
        self._ended = False
        self._started_ns = time.time_ns()
        self._span = self._start_span()

    # -- while it runs ------------------------------------------------------------------------------------------

    def reading(self) -> None:
        """About to wait for the next bytes of a streamed answer."""
        self._arrivals.reading()

    def received(self, chunks: int) -> None:
        """The bytes are here and hold this many chunks, empty ones included."""
        self._arrivals.received(chunks)

    def first_token(self) -> None:
        """Among the last chunks is the first with text, thinking or a tool call. Later calls change nothing."""
        if self._first_token is None:
            self._first_token = self._arrivals.latest()

    def served_by(self, address: str | None, port: int) -> None:
        """Which server it was in the end, where there are several. Before the end, or it changes nothing."""
        facts = self._facts
        if self._ended or (address, port) == (facts.server_address, facts.server_port):
            return
        self._facts = msgspec.structs.replace(facts, server_address=address, server_port=port)
        if self._span is not None:
            with self._telemetry.guard("describe a span"):
                from namel3ss.observability.gen_ai import server_attributes

                self._span.set_attributes(server_attributes(address, port))

    def activate(self) -> AbstractContextManager[object]:
        """The span is the current one inside, so that the HTTP client's spans and logs belong to it.

        For awaits on the network. Never keep it open across a `yield`: the caller's own context would change.
        """
        if self._span is None:
            return _NOTHING
        from opentelemetry.trace import use_span

        return use_span(self._span, record_exception=False, set_status_on_exception=False)

    def inject(self, headers: MutableMapping[str, str]) -> None:
        """Add ``traceparent`` for the server, if it is configured to be sent."""
        if self._span is None or not self._telemetry.propagate:
            return
        with self._telemetry.guard("send the trace context"):
            inject_trace_context(headers, self._span)

    @property
    def wants_content(self) -> bool:
        """Whether `capture` is of any use: by default it is not."""
        capture = self._telemetry.capture
        on_span = capture.on_span and self._span is not None and self._span.is_recording()
        return on_span or (capture.on_event and self._telemetry.event_logger() is not None)

    def capture(self, content: Callable[[], RequestContent]) -> None:
        """Record prompt and answer, if that is switched on. `content` is asked at the end, or not at all."""
        self._content = content

    # -- the end ------------------------------------------------------------------------------------------------

    def finish(
        self,
        *,
        response_model: str | None = None,
        finish_reasons: tuple[str, ...] = (),
        usage: ReportedUsage | None = None,
        timings: ReportedTimings | None = None,
        chunks: int | None = None,
    ) -> None:
        """The answer is complete. What the server did not report stays None.

        `chunks` is how many pieces the caller was given, where that is not the number of those received.
        """
        if self._ended:
            return
        end = self._arrivals.complete_at(_believable(timings.total_s) if timings else None)
        reported = _Reported(response_model, finish_reasons, usage, timings, chunks)
        self._end("ok", None, end, reported)

    def fail(
        self,
        error_type: str,
        *,
        response_model: str | None = None,
        usage: ReportedUsage | None = None,
        timings: ReportedTimings | None = None,
        chunks: int | None = None,
    ) -> None:
        """The request failed. A word outside the closed list counts as ``_OTHER``."""
        if self._ended:
            return
        end = self._arrivals.failed_at()
        reported = _Reported(response_model, (), usage, timings, chunks)
        self._end("error", closed_error_type(error_type), end, reported)

    def cancel(self, *, chunks: int | None = None) -> None:
        """The caller stopped waiting: its task was cancelled, or it left the stream before the end."""
        if not self._ended:
            self._end("cancelled", CANCELLED, self._arrivals.clock(), _Reported(chunks=chunks))

    def end_with(self, error: BaseException, *, chunks: int | None = None) -> None:
        """`cancel` for a cancellation or a generator that was left, `fail` for any other exception."""
        word = error_type_of(error)
        if word == CANCELLED:
            self.cancel(chunks=chunks)
        else:
            self.fail(word, chunks=chunks)

    # -- inside -------------------------------------------------------------------------------------------------

    def _start_span(self) -> Span | None:
        tracer = self._telemetry.tracer()
        if tracer is None:
            return None
        with self._telemetry.guard("start a span"):
            from opentelemetry.trace import SpanKind

            from namel3ss.observability.gen_ai import created_with, requested_with

            span = tracer.start_span(
                f"{self._facts.operation} {self._facts.model}",
                kind=SpanKind.CLIENT,
                attributes=created_with(self._facts),
                start_time=self._started_ns,
            )
            if span.is_recording():
                span.set_attributes(requested_with(self._facts))
            return span
        return None

    def _end(self, outcome: Outcome, error_type: str | None, end: float, reported: _Reported) -> None:
        self._ended = True
        if self._span is None and not has_registered_listeners() and self._telemetry.instruments() is None:
            return
        arrivals, usage, timings = self._arrivals, reported.usage, reported.timings
        arrivals.settle()
        ended = EndedRequest(
            facts=self._facts,
            outcome=outcome,
            error_type=error_type,
            duration_s=end - arrivals.started,
            consumer_s=arrivals.consumer_s,
            first_chunk_s=_since(arrivals.started, arrivals.first),
            first_token_s=_since(arrivals.started, self._first_token),
            mean_chunk_gap_s=arrivals.mean_gap_s(end),
            chunks=arrivals.chunks if reported.chunks is None else reported.chunks,
            response_model=reported.response_model,
            finish_reasons=reported.finish_reasons,
            prompt_tokens=_counted(usage.prompt_tokens) if usage else None,
            completion_tokens=_counted(usage.completion_tokens) if usage else None,
            server_load_s=_believable(timings.load_s) if timings else None,
            server_prompt_eval_s=_believable(timings.prompt_eval_s) if timings else None,
            server_eval_s=_believable(timings.eval_s) if timings else None,
        )
        # Loaded with the first request that somebody hears of.
        from namel3ss.observability.recording import end_span, record_ended

        # The span is current meanwhile, so that an SDK may attach it to the measurements as an example.
        with self.activate():
            record_ended(ended, self._telemetry)
        if self._content is not None and self.wants_content:
            self._record_content(self._content)
        if self._span is not None:
            end_span(self._span, ended, self._started_ns, self._telemetry)

    def _record_content(self, content: Callable[[], RequestContent]) -> None:
        with self._telemetry.guard("record what was said"):
            from namel3ss.observability.content import record_content
            from namel3ss.observability.gen_ai import created_with

            record_content(content(), self._telemetry, self._span, created_with(self._facts))


class _Reported(NamedTuple):
    """What a provider says at the end."""

    response_model: str | None = None
    finish_reasons: tuple[str, ...] = ()
    usage: ReportedUsage | None = None
    timings: ReportedTimings | None = None
    chunks: int | None = None


def _since(started: float, moment: float | None) -> float | None:
    return None if moment is None else moment - started


def _believable(seconds: float | None) -> float | None:
    return seconds if seconds is not None and 0.0 <= seconds <= _LONGEST_BELIEVABLE_S else None


def _counted(tokens: int | None) -> int | None:
    return tokens if tokens is not None and tokens >= 0 else None
