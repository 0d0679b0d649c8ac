from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.trace import SpanKind, StatusCode, get_current_span

from namel3ss.observability.cardinality import model_clamp
from namel3ss.observability.metrics import register_metric_listener, unregister_metric_listener
from namel3ss.observability.requests import start_request
from namel3ss.observability.telemetry import Telemetry
from tests.observability.receivers import (
    Clock,
    Listener,
    MemorySdk,
    Timings,
    Usage,
    attributes,
    chat,
    finished_chat,
    total,
)

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import Span

DURATION = "gen_ai.client.operation.duration"


# -- tokens ---------------------------------------------------------------------------------------------------


def test_counts_that_the_server_did_not_send_are_absent_not_zero(
    sdk: MemorySdk, newer: MemorySdk, listener: Listener
) -> None:
    for memory in (sdk, newer):
        chat(memory.telemetry).finish(usage=Usage(), timings=Timings())

    assert not [name for name in {**sdk.metrics(), **newer.metrics()} if "token" in name]
    assert not [name for name, _, _ in listener.calls if "token" in name]
    for span in [*sdk.spans(), *newer.spans()]:
        assert not [key for key in span.attributes or {} if "usage" in key]


def test_a_sum_of_which_one_part_is_missing_is_none(listener: Listener) -> None:
    for usage in (Usage(prompt_tokens=7), Usage(completion_tokens=7)):
        chat(Telemetry(environ={})).finish(usage=usage)

    assert {"ollama.tokens.prompt", "ollama.tokens.completion"} <= set(listener.values())
    assert "ollama.tokens.total" not in listener.values()


def test_a_count_of_zero_that_the_server_sent_is_recorded(newer: MemorySdk) -> None:
    chat(newer.telemetry).finish(usage=Usage(prompt_tokens=0, completion_tokens=0))

    histogram = newer.metrics()["gen_ai.client.inference.operation.output_tokens"]
    assert [getattr(point, "count", None) for point in histogram.data.data_points] == [1]


def test_tokens_of_a_failed_request_are_counted_but_left_out_of_distributions(newer: MemorySdk) -> None:
    chat(newer.telemetry).fail("bad_request", usage=Usage(prompt_tokens=7))

    assert total(newer.metrics()["gen_ai.client.inference.usage.input_tokens"]) == 7
    assert "gen_ai.client.inference.operation.input_tokens" not in newer.metrics()


def test_prompts_with_images_have_an_unknown_modality_and_answers_are_text(newer: MemorySdk) -> None:
    observation = chat(newer.telemetry, input_modality="unknown")
    observation.finish(usage=Usage(prompt_tokens=1, completion_tokens=2))

    (asked,) = attributes(newer.metrics()["gen_ai.client.inference.usage.input_tokens"])
    (answered,) = attributes(newer.metrics()["gen_ai.client.inference.usage.output_tokens"])
    assert asked["gen_ai.token.modality"] == "unknown"
    assert answered["gen_ai.token.modality"] == "text"


def test_impossible_numbers_of_a_server_are_left_out(sdk: MemorySdk, listener: Listener) -> None:
    chat(sdk.telemetry).finish(
        usage=Usage(prompt_tokens=-1, completion_tokens=5),
        timings=Timings(load_s=-3.0, prompt_eval_s=float("nan"), eval_s=float("inf"), total_s=1e12),
    )

    names = set(sdk.metrics())
    assert (
        not {"namel3ss.ollama.load.duration", "namel3ss.ollama.eval.duration", "ollama.tokens.prompt"} & names
    )
    assert not {"ollama.throughput.tokens_per_second", "ollama.tokens.prompt"} & set(listener.values())
    assert listener.values()["ollama.tokens.completion"] == 5
    told = set(sdk.spans()[0].attributes or {})
    assert not {"namel3ss.ollama.load.duration", "gen_ai.usage.input_tokens"} & told


def test_tokens_per_second_are_the_servers_count_over_its_own_clock(listener: Listener) -> None:
    clock = Clock()
    observation = chat(Telemetry(environ={}), clock)
    clock.advance(60.0)
    observation.finish(usage=Usage(completion_tokens=30), timings=Timings(eval_s=1.5))

    assert listener.values()["ollama.throughput.tokens_per_second"] == pytest.approx(20.0)


# -- ends -----------------------------------------------------------------------------------------------------


def test_only_the_first_end_counts(sdk: MemorySdk, listener: Listener) -> None:
    observation = chat(sdk.telemetry)

    observation.fail("queue_full")
    observation.finish(usage=Usage(1, 2))
    observation.cancel()
    observation.end_with(ValueError())

    assert len(sdk.spans()) == 1
    assert [name for name, _, _ in listener.calls].count("ollama.request.duration") == 1
    assert [point["error.type"] for point in attributes(sdk.metrics()[DURATION])] == ["queue_full"]


class StatedError(Exception):
    def __init__(self, error_type: str) -> None:
        super().__init__(error_type)
        self.error_type = error_type


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (asyncio.CancelledError(), "cancelled"),
        (GeneratorExit(), "cancelled"),
        (StatedError("disk_full"), "disk_full"),
        (StatedError("503"), "503"),
        (StatedError("something with a secret"), "_OTHER"),
        (StatedError("200"), "_OTHER"),
        (ValueError("x"), "_OTHER"),
    ],
)
def test_the_error_type_comes_from_a_closed_list(sdk: MemorySdk, error: BaseException, expected: str) -> None:
    chat(sdk.telemetry).end_with(error)

    (span,) = sdk.spans()
    assert dict(span.attributes or {})["error.type"] == expected
    assert span.status.status_code is StatusCode.ERROR
    assert span.events == ()
    assert [point["error.type"] for point in attributes(sdk.metrics()[DURATION])] == [expected]


def test_a_word_outside_the_closed_list_is_other_whoever_says_it(sdk: MemorySdk) -> None:
    chat(sdk.telemetry).fail("something with a secret")

    assert dict(sdk.spans()[0].attributes or {})["error.type"] == "_OTHER"


def test_a_request_that_went_well_has_no_error_type_and_no_status(sdk: MemorySdk, listener: Listener) -> None:
    finished_chat(sdk.telemetry)

    (span,) = sdk.spans()
    assert "error.type" not in (span.attributes or {})
    assert span.status.status_code is StatusCode.UNSET
    assert {labels["status"] for _, _, labels in listener.calls} == {"ok"}
    assert not [labels for _, _, labels in listener.calls if "error_type" in labels]


# -- what listeners get ---------------------------------------------------------------------------------------


def test_listeners_hear_the_names_of_the_guide_with_numbers_and_labels(listener: Listener) -> None:
    finished_chat(Telemetry(environ={}))

    assert listener.values() == pytest.approx(
        {
            "ollama.request.duration": 1.25,
            "ollama.tokens.prompt": 26,
            "ollama.tokens.completion": 10,
            "ollama.tokens.total": 36,
            "ollama.throughput.tokens_per_second": 20.0,
            "ollama.stream.duration": 1.25,
            "ollama.stream.chunks": 4,
            "ollama.stream.tokens": 10,
            "ollama.stream.throughput": 20.0,
        }
    )
    expected = {
        "provider": "ollama",
        "model": "llama3:8b",
        "operation": "chat",
        "stream": "true",
        "status": "ok",
    }
    assert all(labels == expected for _, _, labels in listener.calls)


def test_labels_and_the_number_of_pieces_may_be_the_providers_own(listener: Listener) -> None:
    observation = chat(Telemetry(environ={}), labels={"name": "helper", "operation": "generate"})
    observation.received(4)
    observation.finish(chunks=3)

    assert listener.values()["ollama.stream.chunks"] == 3
    assert {(labels["name"], labels["operation"]) for _, _, labels in listener.calls} == {
        ("helper", "generate")
    }


def test_another_provider_has_the_conventions_metrics_and_not_ollamas(
    sdk: MemorySdk, listener: Listener
) -> None:
    start_request(operation="chat", provider="openai", model="m", telemetry=sdk.telemetry).finish()

    assert set(sdk.metrics()) == {DURATION}
    assert listener.calls == []


# -- spans ----------------------------------------------------------------------------------------------------


class FirstSight(SpanProcessor):
    """What a span shows when it starts: what a sampler could see, and what is set at once."""

    def __init__(self) -> None:
        self.attributes: dict[str, object] = {}

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        self.attributes = dict(span.attributes or {})


def test_the_span_is_created_with_what_samplers_decide_by() -> None:
    seen = FirstSight()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(seen)

    chat(Telemetry(tracer_provider=provider, environ={})).cancel()

    assert seen.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "ollama",
        "gen_ai.request.model": "llama3:8b",
        "server.address": "127.0.0.1",
        "server.port": 11434,
    }


def test_the_span_tells_what_was_asked_and_what_came(sdk: MemorySdk) -> None:
    finished_chat(sdk.telemetry)

    (span,) = sdk.spans()
    assert span.name == "chat llama3:8b"
    assert span.kind is SpanKind.CLIENT
    assert dict(span.attributes or {}) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "ollama",
        "gen_ai.request.model": "llama3:8b",
        "server.address": "127.0.0.1",
        "server.port": 11434,
        "gen_ai.request.stream": True,
        "gen_ai.request.temperature": 0.7,
        "gen_ai.request.top_p": 0.9,
        "gen_ai.request.top_k": 40,
        "gen_ai.request.max_tokens": 256,
        "gen_ai.request.seed": 7,
        "gen_ai.request.stop_sequences": ("END",),
        "gen_ai.request.frequency_penalty": 0.1,
        "gen_ai.request.presence_penalty": 0.2,
        "gen_ai.output.type": "json",
        "gen_ai.response.model": "llama3:8b",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.response.time_to_first_chunk": 0.5,
        "gen_ai.usage.input_tokens": 26,
        "gen_ai.usage.output_tokens": 10,
        "namel3ss.ollama.load.duration": 0.4,
        "namel3ss.ollama.prompt_eval.duration": 0.1,
        "namel3ss.ollama.eval.duration": 0.5,
        "namel3ss.ollama.time_to_first_token": 0.5,
    }


def test_parameters_of_a_wrong_type_are_left_out_of_the_span(sdk: MemorySdk) -> None:
    observation = start_request(
        operation="chat",
        provider="ollama",
        model="m",
        parameters={"temperature": "hot", "seed": True, "stop": [], "format": ""},
        telemetry=sdk.telemetry,
    )
    observation.finish()

    (span,) = sdk.spans()
    assert not [
        key for key in span.attributes or {} if key.startswith(("gen_ai.request.t", "gen_ai.request.s"))
    ]


def test_parameters_have_the_types_of_the_conventions(sdk: MemorySdk) -> None:
    observation = start_request(
        operation="chat",
        provider="ollama",
        model="m",
        parameters={"temperature": 1, "seed": 7.0, "stop": "END"},
        telemetry=sdk.telemetry,
    )
    observation.finish()

    told = dict(sdk.spans()[0].attributes or {})
    assert (told["gen_ai.request.temperature"], told["gen_ai.request.seed"]) == (1.0, 7)
    assert isinstance(told["gen_ai.request.temperature"], float)
    assert isinstance(told["gen_ai.request.seed"], int)
    assert told["gen_ai.request.stop_sequences"] == ("END",)


def test_an_answer_at_once_has_no_times_of_pieces(sdk: MemorySdk) -> None:
    finished_chat(sdk.telemetry, stream=False)

    assert "gen_ai.response.time_to_first_chunk" not in (sdk.spans()[0].attributes or {})
    assert "namel3ss.ollama.consumer.duration" not in sdk.metrics()


def test_the_span_is_current_while_its_metrics_are_told(sdk: MemorySdk) -> None:
    current: list[int] = []

    def listen(name: str, values: dict[str, float], labels: dict[str, str]) -> None:
        current.append(get_current_span().get_span_context().span_id)

    register_metric_listener(listen)
    finished_chat(sdk.telemetry)
    unregister_metric_listener(listen)

    assert set(current) == {sdk.spans()[0].context.span_id}


def test_the_span_is_current_only_inside_activate(sdk: MemorySdk) -> None:
    observation = chat(sdk.telemetry)
    outside = get_current_span()

    with observation.activate():
        inside = get_current_span()

    assert inside.get_span_context().is_valid
    assert get_current_span() is outside
    observation.cancel()
    assert sdk.spans()[0].context.span_id == inside.get_span_context().span_id


def test_an_exception_inside_activate_is_not_written_into_the_span(sdk: MemorySdk) -> None:
    observation = chat(sdk.telemetry)

    with pytest.raises(ValueError, match="a prompt"), observation.activate():
        raise ValueError("a prompt")
    observation.end_with(ValueError("a prompt"))

    assert "a prompt" not in sdk.spans()[0].to_json()


# -- nobody is disturbed --------------------------------------------------------------------------------------


def test_the_model_of_a_request_is_clamped_in_metrics_and_named_in_the_span(sdk: MemorySdk) -> None:
    telemetry = Telemetry(
        tracer_provider=sdk.tracer_provider,
        meter_provider=sdk.meter_provider,
        clamp_model=model_clamp(lambda: {"llama3:8b"}),
        environ={},
    )

    finished_chat(telemetry, model="a-typo")
    finished_chat(telemetry, model="llama3:8b")

    assert {str(point["gen_ai.request.model"]) for point in attributes(sdk.metrics()[DURATION])} == {
        "_other",
        "llama3:8b",
    }
    assert {str(point["model"]) for point in attributes(sdk.metrics()["ollama.tokens.total"])} == {
        "_other",
        "llama3:8b",
    }
    assert {str(point["gen_ai.response.model"]) for point in attributes(sdk.metrics()[DURATION])} == {
        "_other",
        "llama3:8b",
    }
    assert "chat a-typo" in {span.name for span in sdk.spans()}


class BrokenReader(MetricReader):
    def _receive_metrics(self, *_args: object, **_more: object) -> None: ...

    def shutdown(self, timeout_millis: float = 0, **_more: object) -> None: ...


class BrokenProcessor(SpanProcessor):
    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        raise ZeroDivisionError("on_start")


def test_a_tracing_sdk_that_fails_is_logged_and_disturbs_no_request(
    listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BrokenProcessor())
    telemetry = Telemetry(tracer_provider=provider, environ={})

    with caplog.at_level(logging.DEBUG, logger="namel3ss.observability"):
        finished_chat(telemetry)
        finished_chat(telemetry)

    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(errors) == 1
    assert "could not start a span" in errors[0].getMessage()
    assert listener.values()["ollama.tokens.total"] == 36


class BrokenMeterProvider(MeterProvider):
    def get_meter(self, *_args: object, **_more: object):
        raise ZeroDivisionError("get_meter")


def test_a_metrics_sdk_that_fails_is_logged_and_disturbs_no_request(
    listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    telemetry = Telemetry(meter_provider=BrokenMeterProvider(shutdown_on_exit=False), environ={})

    finished_chat(telemetry)

    assert "could not get a meter" in caplog.text
    assert listener.values()["ollama.tokens.total"] == 36


def test_a_clamp_that_fails_disturbs_no_request(caplog: pytest.LogCaptureFixture, sdk: MemorySdk) -> None:
    def fails(model: str) -> str:
        raise KeyError(model)

    telemetry = Telemetry(tracer_provider=sdk.tracer_provider, clamp_model=fails, environ={})

    finished_chat(telemetry)

    assert "could not record a request" in caplog.text
    assert len(sdk.spans()) == 1


def test_an_interrupt_inside_telemetry_is_not_swallowed(sdk: MemorySdk) -> None:
    def interrupted(model: str) -> str:
        raise KeyboardInterrupt

    telemetry = Telemetry(meter_provider=sdk.meter_provider, clamp_model=interrupted, environ={})

    with pytest.raises(KeyboardInterrupt):
        finished_chat(telemetry)


def test_observing_loads_no_opentelemetry_while_nobody_uses_it() -> None:
    code = (
        "import sys\n"
        "from namel3ss.observability.requests import start_request\n"
        "from namel3ss.observability.metrics import record_metric\n"
        "import namel3ss.observability.activities, namel3ss.observability.logs, namel3ss.observability.export\n"
        "start_request(operation='chat', provider='ollama', model='m').finish()\n"
        "record_metric('ollama.models.count', 1)\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("signal", ["TRACER", "METER"])
def test_an_sdk_that_the_environment_names_is_loaded(signal: str) -> None:
    code = (
        "import sys\n"
        "from namel3ss.observability.requests import start_request\n"
        "start_request(operation='chat', provider='ollama', model='m').finish()\n"
        "print('opentelemetry.sdk' in sys.modules)\n"
    )
    named = {f"OTEL_PYTHON_{signal}_PROVIDER": f"sdk_{signal.lower()}_provider"}

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, **named}
    )

    assert done.stdout.strip() == "True"


def test_an_sdk_that_the_application_sets_up_later_is_found() -> None:
    """Global providers can be set once in a process, so this one is a process of its own."""
    code = (
        "from namel3ss.observability.requests import start_request\n"
        "def request():\n"
        "    start_request(operation='chat', provider='ollama', model='m').finish()\n"
        "request()\n"
        "from opentelemetry import metrics, trace\n"
        "request()\n"
        "from opentelemetry.sdk.metrics import MeterProvider\n"
        "from opentelemetry.sdk.metrics.export import InMemoryMetricReader\n"
        "from opentelemetry.sdk.trace import TracerProvider\n"
        "from opentelemetry.sdk.trace.export import SimpleSpanProcessor\n"
        "from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter\n"
        "spans, reader, tracing = InMemorySpanExporter(), InMemoryMetricReader(), TracerProvider()\n"
        "tracing.add_span_processor(SimpleSpanProcessor(spans))\n"
        "trace.set_tracer_provider(tracing)\n"
        "metrics.set_meter_provider(MeterProvider([reader]))\n"
        "request()\n"
        "names = [metric.name for metric in reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics]\n"
        "print(len(spans.get_finished_spans()), 'ollama.request.duration' in names)\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "1 True", done.stderr
