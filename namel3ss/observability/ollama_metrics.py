"""The metrics of the `ollama` provider: the user's `ollama.*` names, and the product's `namel3ss.ollama.*`.

Neither depends on the profile, and no name here is ever changed.

`ollama.*` go to listeners and to OpenTelemetry; what a listener gets as labels, OpenTelemetry gets as attributes.
`namel3ss.ollama.*` go to OpenTelemetry alone, with attributes named as its conventions name them.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from namel3ss.observability.gen_ai import SECONDS_BUCKETS, TOKEN_BUCKETS, created_with
from namel3ss.observability.instruments import InstrumentSpec, Measurement

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from namel3ss.observability.instruments import AttributeValue
    from namel3ss.observability.request_record import EndedRequest

__all__ = [
    "HEALTH_CHECKS",
    "LISTENER_INSTRUMENTS",
    "LISTENER_LABELS",
    "PRODUCT_INSTRUMENTS",
    "PULL_BYTES",
    "PULL_DURATION",
    "ListenerMetric",
    "listener_metrics",
    "product_measurements",
    "product_span_attributes",
]

# Pulls and loads take from a moment to an hour.
LONG_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
RATE_BUCKETS = (1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 75.0, 100.0, 150.0, 200.0, 300.0, 500.0)

# Every label that an `ollama.*` metric takes to OpenTelemetry. Any other stays with the listeners, so that a label
# with many values cannot become a series for each of them.
LISTENER_LABELS = (
    "base_url", "error_type", "model", "name", "operation", "provider", "status", "stream",
)  # fmt: skip


def _histogram(name: str, unit: str, description: str, buckets: tuple[float, ...]) -> InstrumentSpec:
    return InstrumentSpec(name, "histogram", unit, description, LISTENER_LABELS, buckets)


def _counter(name: str, unit: str, description: str) -> InstrumentSpec:
    return InstrumentSpec(name, "counter", unit, description, LISTENER_LABELS)


LISTENER_INSTRUMENTS: Mapping[str, InstrumentSpec] = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            _histogram("ollama.request.duration", "s", "A whole request.", SECONDS_BUCKETS),
            _counter("ollama.tokens.prompt", "{token}", "Tokens of prompts."),
            _counter("ollama.tokens.completion", "{token}", "Generated tokens."),
            _counter("ollama.tokens.total", "{token}", "Tokens of prompts and answers."),
            _histogram(
                "ollama.throughput.tokens_per_second",
                "{token}/s",
                "Generation speed of a request, by the server's clock.",
                RATE_BUCKETS,
            ),
            _histogram("ollama.stream.duration", "s", "A whole streamed answer.", SECONDS_BUCKETS),
            _histogram("ollama.stream.chunks", "{chunk}", "Pieces of a streamed answer.", TOKEN_BUCKETS),
            _histogram("ollama.stream.tokens", "{token}", "Tokens of a streamed answer.", TOKEN_BUCKETS),
            _histogram(
                "ollama.stream.throughput",
                "{token}/s",
                "Generation speed of a streamed answer.",
                RATE_BUCKETS,
            ),
            _histogram("ollama.model.check_duration", "s", "A look-up of a model.", SECONDS_BUCKETS),
            _histogram("ollama.model.pull_duration", "s", "A download of a model.", LONG_BUCKETS),
            _histogram("ollama.health.check_duration", "s", "A health probe.", SECONDS_BUCKETS),
            _counter("ollama.model.deleted", "{model}", "Models deleted."),
            InstrumentSpec("ollama.models.count", "gauge", "{model}", "Models installed.", LISTENER_LABELS),
            _counter("ollama.server.started", "{server}", "Servers started by this program."),
            _counter("ollama.server.stopped", "{server}", "Servers stopped by this program."),
        )
    }
)

_ON_SERVER = ("gen_ai.request.model", "server.address", "server.port")
_OF_REQUEST = ("gen_ai.operation.name", "gen_ai.provider.name", *_ON_SERVER)


def _seconds(name: str, description: str, buckets: tuple[float, ...]) -> InstrumentSpec:
    return InstrumentSpec(f"namel3ss.ollama.{name}", "histogram", "s", description, _OF_REQUEST, buckets)


_LOAD = _seconds(
    "load.duration", "Loading of the model, and waiting for it, by the server's clock.", LONG_BUCKETS
)
_PROMPT_EVAL = _seconds(
    "prompt_eval.duration", "Reading of the prompt, by the server's clock.", SECONDS_BUCKETS
)
_EVAL = _seconds("eval.duration", "Generation, by the server's clock.", SECONDS_BUCKETS)
_FIRST_TOKEN = _seconds(
    "time_to_first_token", "Time until the first text, thinking or tool call.", SECONDS_BUCKETS
)
_CONSUMER = _seconds(
    "consumer.duration",
    "Time the program kept the pieces of an answer before asking for more.",
    SECONDS_BUCKETS,
)
_RATE = InstrumentSpec(
    "namel3ss.ollama.output_token_rate",
    "histogram",
    "{token}/s",
    "Generation speed of a request, by the server's clock.",
    _OF_REQUEST,
    RATE_BUCKETS,
)
PULL_DURATION = InstrumentSpec(
    "namel3ss.ollama.pull.duration",
    "histogram",
    "s",
    "A download of a model.",
    (*_ON_SERVER, "error.type"),
    LONG_BUCKETS,
)
PULL_BYTES = InstrumentSpec("namel3ss.ollama.pull.bytes", "counter", "By", "Bytes downloaded.", _ON_SERVER)
HEALTH_CHECKS = InstrumentSpec(
    "namel3ss.ollama.health.checks",
    "counter",
    "{check}",
    "Health probes, by what they found.",
    (*_ON_SERVER, "namel3ss.health.status"),
)

PRODUCT_INSTRUMENTS = (
    _LOAD, _PROMPT_EVAL, _EVAL, _FIRST_TOKEN, _CONSUMER, _RATE, PULL_DURATION, PULL_BYTES, HEALTH_CHECKS,
)  # fmt: skip


class ListenerMetric(NamedTuple):
    """What one listener call carries; its labels are those of the request."""

    name: str
    values: Mapping[str, float]


def listener_metrics(ended: EndedRequest) -> Iterator[ListenerMetric]:
    """The `ollama.*` metrics of a request; a number that nobody reported is left out."""
    timed = {"value": ended.duration_s}
    if ended.consumer_s:
        timed["consumer"] = ended.consumer_s
    if ended.first_token_s is not None:
        timed["first_token"] = ended.first_token_s
    yield ListenerMetric("ollama.request.duration", timed)
    prompt, completion, rate = ended.prompt_tokens, ended.completion_tokens, ended.tokens_per_second
    if prompt is not None:
        yield ListenerMetric("ollama.tokens.prompt", {"value": prompt})
    if completion is not None:
        yield ListenerMetric("ollama.tokens.completion", {"value": completion})
    if prompt is not None and completion is not None:
        yield ListenerMetric("ollama.tokens.total", {"value": prompt + completion})
    if rate is not None:
        yield ListenerMetric("ollama.throughput.tokens_per_second", {"value": rate})
    if ended.facts.stream:
        yield ListenerMetric("ollama.stream.duration", timed)
        yield ListenerMetric("ollama.stream.chunks", {"value": ended.chunks})
        if completion is not None:
            yield ListenerMetric("ollama.stream.tokens", {"value": completion})
        if rate is not None:
            yield ListenerMetric("ollama.stream.throughput", {"value": rate})


def product_measurements(ended: EndedRequest) -> Iterator[Measurement]:
    """The `namel3ss.ollama.*` metrics of a request."""
    attributes = created_with(ended.facts)
    known = (
        (_LOAD, ended.server_load_s),
        (_PROMPT_EVAL, ended.server_prompt_eval_s),
        (_EVAL, ended.server_eval_s),
        (_FIRST_TOKEN, ended.first_token_s),
        (_CONSUMER, ended.consumer_s if ended.facts.stream else None),
        (_RATE, ended.tokens_per_second),
    )
    for instrument, value in known:
        if value is not None:
            yield Measurement(instrument, value, attributes)


def product_span_attributes(ended: EndedRequest) -> dict[str, AttributeValue]:
    """What the span of a request tells beyond the conventions: the server's own times, in seconds."""
    known: Mapping[str, float | None] = {
        "namel3ss.ollama.load.duration": ended.server_load_s,
        "namel3ss.ollama.prompt_eval.duration": ended.server_prompt_eval_s,
        "namel3ss.ollama.eval.duration": ended.server_eval_s,
        "namel3ss.ollama.time_to_first_token": ended.first_token_s,
        "namel3ss.ollama.consumer.duration": ended.consumer_s or None,
    }
    return {name: value for name, value in known.items() if value is not None}
