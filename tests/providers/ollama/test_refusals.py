"""What servers say when they refuse: the published texts, and every refusal ever recorded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from namel3ss.providers.local.ollama import _errors as errors
from namel3ss.providers.local.ollama._refusals import error_from_answer, error_from_text
from namel3ss.providers.transport.wording import quote
from tests.contract.recordings import Recording, all_recordings

OVERFLOW_JSON = (
    '{"error":{"code":400,"message":"request (9000 tokens) exceeds the available context size (4096 tokens), try'
    ' increasing it","type":"exceed_context_size_error","n_prompt_tokens":9000,"n_ctx":4096}}'
)
OVERFLOW_JSON_WITHOUT_WORDS = (
    '{"error":{"message":"too long","type":"exceed_context_size_error","n_prompt_tokens":9000,"n_ctx":4096}}'
)

TEXTS: list[tuple[int | None, str, type[errors.OllamaError]]] = [
    (404, "model 'llama3:8b' not found", errors.OllamaModelNotFoundError),
    (404, 'model "llama3:8b" not found, try pulling it first', errors.OllamaModelNotFoundError),
    (400, "registry.ollama.ai/library/tiny:latest does not support tools", errors.OllamaCapabilityError),
    (400, '"tiny" does not support thinking', errors.OllamaCapabilityError),
    (400, "x does not support insert\nx does not support tools", errors.OllamaCapabilityError),
    (400, "image generation models are not currently supported", errors.OllamaCapabilityError),
    (
        400,
        "this model only supports one image while more than one image requested",
        errors.OllamaCapabilityError,
    ),
    (503, "server busy, please try again.  maximum pending requests exceeded", errors.OllamaServerBusyError),
    (None, "server busy, please try again.  maximum pending requests exceeded", errors.OllamaServerBusyError),
    (403, "ollama cloud is disabled: remote model is unavailable", errors.OllamaAuthError),
    (401, "unauthorized", errors.OllamaAuthError),
    (400, "the input length exceeds the context length", errors.OllamaContextWindowExceededError),
    (400, "input after truncation exceeds maximum context length", errors.OllamaContextWindowExceededError),
    (
        400,
        "input exceeds maximum context length and cannot be truncated further",
        errors.OllamaContextWindowExceededError,
    ),
    (
        400,
        "the prompt is longer than the context length currently available to the model; shorten the prompt, adjust the"
        " context length in settings, or use a model with a longer context length",
        errors.OllamaContextWindowExceededError,
    ),
    (400, OVERFLOW_JSON, errors.OllamaContextWindowExceededError),
    (None, OVERFLOW_JSON_WITHOUT_WORDS, errors.OllamaContextWindowExceededError),
    (
        500,
        "model requires more system memory (9.1 GiB) than is available (3.2 GiB)",
        errors.OllamaOutOfMemoryError,
    ),
    (
        500,
        "llama runner process has terminated: cudaMalloc failed: out of memory",
        errors.OllamaOutOfMemoryError,
    ),
    (500, "llama runner process has terminated: signal: killed", errors.OllamaOutOfMemoryError),
    (
        None,
        "model runner has unexpectedly stopped, this may be due to resource limitations or an internal error, check"
        " ollama server logs for details",
        errors.OllamaOutOfMemoryError,
    ),
    (500, "llama runner process has terminated: exit status 2", errors.OllamaRunnerError),
    (
        500,
        "llama-server process has terminated: error loading model: unknown architecture",
        errors.OllamaRunnerError,
    ),
    (None, "an error was encountered while running the model: unexpected EOF", errors.OllamaRunnerError),
    (500, "timed out waiting for llama runner to start - progress 0.00 - ", errors.OllamaRunnerError),
    (500, "llama-server binary not found (checked: /usr/lib)", errors.OllamaRunnerError),
    (
        500,
        'invalid format: "\\"xml\\""; expected "json" or a valid JSON Schema object',
        errors.OllamaRequestError,
    ),
    (
        500,
        'invalid format: "\\"out of memory\\""; expected "json" or a valid JSON Schema object',
        errors.OllamaRequestError,
    ),
    (
        500,
        'template: :1:3: executing "" at <index "process has terminated" 99>: index out of range: 99',
        errors.OllamaRequestError,
    ),
    (500, 'option "num_ctx" must be of type integer', errors.OllamaRequestError),
    (500, 'option "stop" must be of an array of strings', errors.OllamaRequestError),
    (500, "invalid JSON schema in format", errors.OllamaRequestError),
    (500, "template: :1: unclosed action", errors.OllamaRequestError),
    (400, 'time: missing unit in duration "300"', errors.OllamaRequestError),
    (400, "invalid model name", errors.OllamaRequestError),
    (400, "this server cannot run this remote model", errors.OllamaRequestError),
    (None, "pull model manifest: file does not exist", errors.OllamaManifestUnknownError),
    (None, "write /x: no space left on device", errors.OllamaDiskFullError),
    (None, "max retries exceeded: EOF", errors.OllamaModelPullError),
    (500, "something nobody has seen", errors.OllamaServerError),
    (None, "something nobody has seen", errors.OllamaServerError),
    (418, "something nobody has seen", errors.OllamaRequestError),
]


@pytest.mark.parametrize(("status", "text", "cls"), TEXTS)
def test_known_text_becomes_its_error(status: int | None, text: str, cls: type[errors.OllamaError]) -> None:
    error = error_from_text(text, status=status, model="tiny", base_url="http://h:1")

    assert type(error) is cls
    assert (error.base_url, error.status) == ("http://h:1", status)


@pytest.mark.parametrize("text", [OVERFLOW_JSON, OVERFLOW_JSON_WITHOUT_WORDS])
def test_numbers_of_an_overflow_are_kept(text: str) -> None:
    error = error_from_text(text, status=400, model="tiny", base_url="http://h:1")

    assert isinstance(error, errors.OllamaContextWindowExceededError)
    assert (error.prompt_tokens, error.window) == (9000, 4096)
    assert "Input is too large for model's context window" in error.message


def test_missing_model_is_told_as_in_the_guide() -> None:
    error = error_from_text("model 'llama3:8b' not found", status=404, model=None, base_url="http://h:1")

    assert error.message == "Ollama model 'llama3:8b' is not available locally."
    assert error.model == "llama3:8b"
    assert "ollama pull llama3:8b" in str(error)


def recorded_refusals() -> list[Recording]:
    return [
        each
        for each in all_recordings()
        if each.response["status"] >= 400 and not each.request["path"].startswith("/v1")
    ]


@pytest.mark.parametrize("recorded", [pytest.param(each, id=each.name) for each in recorded_refusals()])
def test_every_recorded_refusal_becomes_an_error_that_keeps_its_status(recorded: Recording) -> None:
    response = recorded.response
    headers = {name.lower(): value for name, value in response["headers"]}

    error = error_from_answer(
        response["status"],
        headers,
        (response.get("body") or "").encode(),
        model="tiny",
        base_url="http://h:1",
    )

    assert error.status == response["status"]
    assert type(error) is not errors.OllamaServerError or response["status"] >= 500
    assert len(str(error)) < 1500


def test_foreign_host_refusal_without_a_body_explains_the_host_check() -> None:
    error = error_from_answer(403, {}, b"", model=None, base_url="http://h:1")

    assert type(error) is errors.OllamaAuthError
    assert "Host" in str(error)


def test_unknown_path_is_not_mistaken_for_a_missing_model() -> None:
    error = error_from_answer(
        404, {"content-type": "text/plain"}, b"404 page not found", model="tiny", base_url="http://h:1"
    )

    assert type(error) is errors.OllamaBadResponseError
    assert "404 page not found" in error.message
    assert "base_url" in str(error)


@pytest.mark.parametrize("status", [500, 502, 504])
def test_page_of_a_proxy_is_quoted_and_keeps_its_status(status: int) -> None:
    error = error_from_answer(
        status, {}, b"<html><h1>Bad Gateway</h1>" * 1000, model=None, base_url="http://h:1"
    )

    assert (type(error), error.status) == (errors.OllamaBadResponseError, status)
    assert "<h1>Bad Gateway</h1>" in error.message


def test_error_object_of_a_gateway_is_read_too() -> None:
    error = error_from_answer(
        429, {}, b'{"error":{"message":"slow down","code":null}}', model=None, base_url="http://h:1"
    )

    assert type(error) is errors.OllamaServerBusyError
    assert "slow down" in error.message


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7.0), ("99999999", 3600.0), ("soon", None), ("", None), (None, None), ("-5", None)],
)
def test_retry_after_is_read_and_bounded(value: str | None, seconds: float | None) -> None:
    headers = {} if value is None else {"retry-after": value}

    error = error_from_answer(503, headers, b"", model=None, base_url="http://h:1")

    assert isinstance(error, errors.OllamaServerBusyError)
    assert error.retry_after_s == seconds


def test_retry_after_may_be_a_date() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)

    error = error_from_answer(503, {"retry-after": date}, b"", model=None, base_url="http://h:1")

    assert isinstance(error, errors.OllamaServerBusyError)
    assert error.retry_after_s == pytest.approx(60, abs=3)


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"", "(empty)"),
        (b"one\r\n  two", "'one two'"),
        (b"\x1b[31mred\x00", "'\\x1b[31mred\\x00'"),
        (b"x" * 5000, "'" + "x" * 200 + "'…"),
    ],
)
def test_quoted_beginning_is_short_printable_and_on_one_line(data: bytes, shown: str) -> None:
    assert quote(data) == shown
