"""What observing a request costs: ``python -m tests.benchmarks.observability.cost``.

Measures one streamed request of 20 reads, from start to end, with nobody listening, with a listener, and with an
OpenTelemetry SDK. Each case runs in a process of its own, because what is imported is part of the question. Prints
medians and the spread of the rounds, in microseconds for each request; no number decides a test.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from namel3ss.observability.telemetry import Telemetry

ROUNDS = 9
REQUESTS = 2_000
READS = 20

CASES = {
    "nobody listens, OpenTelemetry not imported": "nobody",
    "nobody listens, OpenTelemetry imported without an SDK": "api",
    "one metric listener": "listener",
    "SDK: metrics": "metrics",
    "SDK: metrics and spans": "sdk",
    "SDK: metrics and spans, both profiles": "both",
}


class Usage:
    """Counts as a server reports them."""

    prompt_tokens = 26
    completion_tokens = 200


class Timings:
    """Times as a server reports them."""

    total_s = 1.0
    load_s = 0.1
    prompt_eval_s = 0.1
    eval_s = 0.8


def prepare(case: str) -> Telemetry:
    """The telemetry of a case, with everything imported that the case has."""
    from namel3ss.observability.metrics import register_metric_listener
    from namel3ss.observability.telemetry import Telemetry

    if case == "nobody":
        return Telemetry(environ={})
    if case == "listener":
        register_metric_listener(lambda _name, _values, _labels: None)
        return Telemetry(environ={})
    import opentelemetry.metrics
    import opentelemetry.trace  # noqa: F401  # the case is that both are there

    if case == "api":
        return Telemetry(environ={})
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

    tracing = TracerProvider(shutdown_on_exit=False)
    tracing.add_span_processor(SpanProcessor())
    return Telemetry(
        profile="both" if case == "both" else "classic",
        meter_provider=MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False),
        tracer_provider=None if case == "metrics" else tracing,
        environ={},
    )


def request_of(telemetry: Telemetry) -> Callable[[], None]:
    """One observed request, as a provider makes it."""
    from namel3ss.observability.requests import start_request

    usage, timings = Usage(), Timings()
    parameters = {"temperature": 0.7, "num_predict": 256}

    def request() -> None:
        observation = start_request(
            operation="chat",
            provider="ollama",
            model="llama3:8b",
            server_address="127.0.0.1",
            server_port=11434,
            stream=True,
            parameters=parameters,
            telemetry=telemetry,
        )
        for _ in range(READS):
            observation.reading()
            observation.received(10)
        observation.first_token()
        observation.finish(
            response_model="llama3:8b", finish_reasons=("stop",), usage=usage, timings=timings, chunks=200
        )

    return request


def measure(case: str) -> list[float]:
    """Microseconds for each request, one figure for each round."""
    request = request_of(prepare(case))
    for _ in range(100):
        request()
    figures = []
    for _ in range(ROUNDS):
        began = time.process_time_ns()
        for _ in range(REQUESTS):
            request()
        figures.append((time.process_time_ns() - began) / REQUESTS / 1e3)
    return figures


def main() -> None:
    """Run each case in a process of its own and print the table."""
    print(f"| case | median µs a request ({READS} reads) | minimum | maximum |")
    print("|---|---|---|---|")
    for title, case in CASES.items():
        command = [sys.executable, "-m", "tests.benchmarks.observability.cost", case]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        figures = json.loads(done.stdout)
        print(f"| {title} | {statistics.median(figures):.1f} | {min(figures):.1f} | {max(figures):.1f} |")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1])))
    else:
        main()
