"""What is emitted under each profile, compared with files: a changed name breaks somebody's dashboard."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

import pytest
from opentelemetry.sdk.metrics.export import Gauge, Histogram, Metric, Sum

from namel3ss._version import __version__
from namel3ss.errors import UsageError
from namel3ss.observability import gen_ai, ollama_metrics
from namel3ss.observability.activities import record_health_check, start_pull, start_server_start
from namel3ss.observability.metrics import record_metric
from namel3ss.observability.profiles import SCHEMA_URL, ProfileChoice
from namel3ss.observability.requests import start_request
from namel3ss.observability.telemetry import Telemetry, use_telemetry
from tests.observability.receivers import Clock, MemorySdk, Timings, Usage, attributes, chat, finished_chat

if TYPE_CHECKING:
    from collections.abc import Iterator

GOLDEN = Path(__file__).parent / "golden"
PROFILES = get_args(ProfileChoice)
# Set it to write the files anew, and look at the difference before committing it.
REWRITE = "NAMEL3SS_REWRITE_GOLDEN"
SHOULD_REWRITE = os.environ.get(REWRITE) == "1"


@pytest.fixture(params=PROFILES)
def sdk(request: pytest.FixtureRequest) -> Iterator[MemorySdk]:
    memory = MemorySdk(request.param)
    replaced = use_telemetry(memory.telemetry)
    yield memory
    use_telemetry(replaced)
    memory.close()


def do_everything(telemetry: Telemetry) -> None:
    finished_chat(telemetry)
    finished_chat(telemetry, stream=False)
    failed = chat(telemetry)
    failed.fail("queue_full", usage=Usage(prompt_tokens=3))
    embedding = start_request(
        operation="embeddings",
        provider="ollama",
        model="nomic-embed-text",
        server_address="127.0.0.1",
        server_port=11434,
        telemetry=telemetry,
        clock=Clock(),
    )
    embedding.finish(
        response_model="nomic-embed-text", usage=Usage(prompt_tokens=5), timings=Timings(load_s=0.1)
    )
    where: dict[str, Any] = {"server_address": "127.0.0.1", "server_port": 11434, "telemetry": telemetry}
    pull = start_pull("llama3:8b", clock=Clock(), **where)
    pull.progress(1_000)
    pull.finish()
    start_pull("llama3:8b", clock=Clock(), **where).fail("disk_full")
    start_server_start("ollama", clock=Clock(), **where).finish(pid=4711)
    record_health_check("healthy", 0.01, model="llama3:8b", **where)
    record_metric("ollama.model.check_duration", 0.01, {"model": "llama3:8b"})
    record_metric("ollama.model.deleted", 1, {"model": "llama3:8b"})
    record_metric("ollama.models.count", 3, {"base_url": "http://127.0.0.1:11434"})
    record_metric("ollama.server.stopped", 1)


def described(metric: Metric) -> dict[str, object]:
    data = metric.data
    entry: dict[str, object] = {"unit": metric.unit}
    if isinstance(data, Histogram):
        entry["type"] = "histogram"
        entry["buckets"] = list(data.data_points[0].explicit_bounds)
    elif isinstance(data, Sum):
        entry["type"] = "counter" if data.is_monotonic else "updown counter"
    else:
        assert isinstance(data, Gauge)
        entry["type"] = "gauge"
    entry["attributes"] = sorted({key for point in attributes(metric) for key in point})
    return entry


def everything_emitted(sdk: MemorySdk) -> dict[str, object]:
    spans: dict[str, set[str]] = {}
    for span in sdk.spans():
        kind = span.kind.name.lower()
        keys = spans.setdefault(f"{span.name} ({kind})", set())
        keys.update(span.attributes or {})
    return {
        "metrics": {name: described(metric) for name, metric in sorted(sdk.metrics().items())},
        "spans": {name: sorted(keys) for name, keys in sorted(spans.items())},
    }


def test_everything_emitted_is_as_in_the_golden_file(sdk: MemorySdk, request: pytest.FixtureRequest) -> None:
    do_everything(sdk.telemetry)

    emitted = everything_emitted(sdk)
    profile = cast("str", request.node.callspec.params["sdk"])
    path = GOLDEN / f"{profile}.json"
    if SHOULD_REWRITE:
        path.write_text(json.dumps(emitted, indent=2) + "\n", encoding="utf-8")
    assert emitted == json.loads(path.read_text(encoding="utf-8"))


def test_every_declared_instrument_and_nothing_else_is_emitted(
    sdk: MemorySdk, request: pytest.FixtureRequest
) -> None:
    do_everything(sdk.telemetry)

    by_profile = {
        "classic": gen_ai.CLASSIC_INSTRUMENTS,
        "genai-2026-10": gen_ai.GENAI_2026_10_INSTRUMENTS,
        "both": (*gen_ai.CLASSIC_INSTRUMENTS, *gen_ai.GENAI_2026_10_INSTRUMENTS),
    }
    profile = request.node.callspec.params["sdk"]
    declared = {
        spec.name: spec
        for spec in (
            *by_profile[profile],
            *ollama_metrics.PRODUCT_INSTRUMENTS,
            *ollama_metrics.LISTENER_INSTRUMENTS.values(),
        )
    }
    emitted = sdk.metrics()
    assert set(emitted) == set(declared)
    for name, metric in emitted.items():
        undeclared = {key for point in attributes(metric) for key in point} - set(declared[name].attributes)
        assert not undeclared, name


def test_the_scope_has_our_name_version_and_schema(sdk: MemorySdk) -> None:
    do_everything(sdk.telemetry)

    assert sdk.scopes() == [("namel3ss", __version__, "https://opentelemetry.io/schemas/1.44.0")]
    for span in sdk.spans():
        assert span.instrumentation_scope is not None
        assert span.instrumentation_scope.name == "namel3ss"
        assert span.instrumentation_scope.schema_url == SCHEMA_URL


def test_embeddings_are_no_inference(sdk: MemorySdk) -> None:
    embedding = start_request(
        operation="embeddings", provider="ollama", model="m", telemetry=sdk.telemetry, clock=Clock()
    )
    embedding.finish(usage=Usage(prompt_tokens=5))

    emitted = set(sdk.metrics())
    assert "gen_ai.client.operation.duration" in emitted
    assert not [name for name in emitted if "inference" in name]


def test_a_client_publishes_nothing_under_the_names_of_model_servers(sdk: MemorySdk) -> None:
    do_everything(sdk.telemetry)

    assert [name for name in sdk.metrics() if name.startswith("gen_ai.server.")] == []


@pytest.mark.parametrize(
    ("setting", "environ", "expected"),
    [
        (None, {}, ("classic",)),
        (None, {"OTEL_SEMCONV_STABILITY_OPT_IN": "http,gen_ai_latest_experimental"}, ("genai-2026-10",)),
        (None, {"OTEL_SEMCONV_STABILITY_OPT_IN": "http/dup, database"}, ("classic",)),
        ("classic", {"OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental"}, ("classic",)),
        ("both", {}, ("classic", "genai-2026-10")),
        (None, {"NAMEL3SS_TELEMETRY_PROFILE": "both"}, ("classic", "genai-2026-10")),
        (
            None,
            {
                "NAMEL3SS_TELEMETRY_PROFILE": "classic",
                "OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental",
            },
            ("classic",),
        ),
    ],
)
def test_the_profile_is_the_setting_else_ours_else_the_standard_variable_else_classic(
    setting: ProfileChoice | None, environ: dict[str, str], expected: tuple[str, ...]
) -> None:
    assert Telemetry(profile=setting, environ=environ).profiles == expected


def test_an_unknown_profile_in_the_environment_is_logged_and_classic_is_used(
    caplog: pytest.LogCaptureFixture,
) -> None:
    telemetry = Telemetry(
        environ={
            "NAMEL3SS_TELEMETRY_PROFILE": "genai-2031",
            "OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental",
        }
    )

    assert telemetry.profiles == ("classic",)
    assert "NAMEL3SS_TELEMETRY_PROFILE" in caplog.text
    assert "genai-2031" in caplog.text


def test_an_unknown_profile_as_a_setting_is_an_error_that_lists_the_profiles() -> None:
    with pytest.raises(UsageError) as raised:
        Telemetry(profile=cast("ProfileChoice", "newest"), environ={})

    assert str(raised.value) == (
        "There is no telemetry profile 'newest'.\n\nSuggestion: Choose one of: classic, genai-2026-10, both."
    )
