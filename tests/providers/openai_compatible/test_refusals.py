"""What servers say when they refuse, in their own words, and the error each becomes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from namel3ss.providers.local.openai_compatible import _errors as errors
from namel3ss.providers.local.openai_compatible._kinds import OPENAI
from namel3ss.providers.local.openai_compatible._refusals import error_from_answer
from tests.contract.recordings import Recording, all_recordings

Class = type[errors.OpenAICompatibleError]


def refused(status: int, body: object, headers: dict[str, str] | None = None) -> errors.OpenAICompatibleError:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return error_from_answer(status, headers or {}, data, model="m", base_url="http://h/v1", kind=OPENAI)


def said(message: str, **fields: Any) -> dict[str, Any]:
    return {"error": {"message": message, **fields}}


CASES: list[tuple[int, object, Class]] = [
    (401, said("Incorrect API key provided: sk-…", code="invalid_api_key"), errors.OpenAICompatibleAuthError),
    (401, {"error": "Unauthorized"}, errors.OpenAICompatibleAuthError),
    (403, b"<html>Forbidden</html>", errors.OpenAICompatibleAuthError),
    (402, said("Payment required"), errors.OpenAICompatibleQuotaError),
    (429, said("You exceeded your current quota", code="insufficient_quota"), errors.OpenAICompatibleQuotaError),
    (429, said("Rate limit reached for gpt-4o", code="rate_limit_exceeded"), errors.OpenAICompatibleRateLimitError),
    (429, b"", errors.OpenAICompatibleRateLimitError),
    (503, b"<html>busy</html>", errors.OpenAICompatibleBusyError),
    (503, said("server busy, please try again.  maximum pending requests exceeded"), errors.OpenAICompatibleBusyError),
    (503, said("Loading model", type="unavailable_error"), errors.OpenAICompatibleBusyError),
    (404, said("The model `m` does not exist", code="model_not_found"), errors.OpenAICompatibleModelNotFoundError),
    (
        404,
        {"object": "error", "message": "The model `m` does not exist.", "type": "NotFoundError", "code": 404},
        errors.OpenAICompatibleModelNotFoundError,
    ),
    (404, {"detail": "Not Found"}, errors.OpenAICompatibleBadResponseError),
    (404, b"404 page not found", errors.OpenAICompatibleBadResponseError),
    (405, b"", errors.OpenAICompatibleBadResponseError),
    (
        400,
        said(
            "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens (8000 in the"
            " messages, 1000 in the completion).",
            code="context_length_exceeded",
        ),
        errors.OpenAICompatibleContextWindowExceededError,
    ),
    (
        400,
        said("request (9000 tokens) exceeds the available context size (8192 tokens), try increasing it"),
        errors.OpenAICompatibleContextWindowExceededError,
    ),
    (
        400,
        said('"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'),
        errors.OpenAICompatibleCapabilityError,
    ),
    (400, said("m is not a multimodal model"), errors.OpenAICompatibleCapabilityError),
    (400, said("Unsupported value: 'temperature' does not support 0.1 with this model."), errors.OpenAICompatibleCapabilityError),
    (
        400,
        said("Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead."),
        errors.OpenAICompatibleRequestError,
    ),
    (422, {"detail": [{"loc": ["body", "messages"], "msg": "field required"}]}, errors.OpenAICompatibleRequestError),
    (500, said("CUDA error", code=500, type=""), errors.OpenAICompatibleServerError),
    (500, b"Internal Server Error", errors.OpenAICompatibleBadResponseError),
    (502, b"<html>Bad gateway</html>", errors.OpenAICompatibleBadResponseError),
    (302, b"", errors.OpenAICompatibleBadResponseError),
    (418, b"\xff\xfe", errors.OpenAICompatibleBadResponseError),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "kind"), CASES, ids=lambda value: str(value)[:60])
def test_refusal_becomes_its_error(status: int, body: object, kind: Class) -> None:
    error = refused(status, body)

    assert type(error) is kind
    assert error.status == status
    assert error.message
    assert (error.model, error.base_url) == ("m", "http://h/v1")


@pytest.mark.parametrize(
    "body", [case[1] for case in CASES if case[2] is errors.OpenAICompatibleContextWindowExceededError]
)
def test_numbers_of_the_window_are_read_out_of_the_words(body: object) -> None:
    error = refused(400, body)

    assert isinstance(error, errors.OpenAICompatibleContextWindowExceededError)
    assert (error.window, error.prompt_tokens) == (8192, 9000)


def test_number_of_the_request_and_the_asked_pause_come_from_the_headers() -> None:
    error = refused(429, b"", {"retry-after": "7", "x-request-id": "req_9"})

    assert isinstance(error, errors.OpenAICompatibleBusyError)
    assert (error.retry_after_s, error.request_id) == (7.0, "req_9")
    assert "Request: req_9" in str(error)


def test_page_behind_a_wrong_path_says_how_the_address_ends() -> None:
    suggestion = refused(404, b"404 page not found").suggestion
    assert suggestion is not None
    assert "http://h/v1/chat/completions" in suggestion


def recorded_refusals() -> list[Recording]:
    return [
        each
        for each in all_recordings()
        if each.request["path"].startswith("/v1/")
        and "messages" not in each.request["path"]
        and each.response["status"] >= 400
    ]


EXPECTED: dict[str, Class] = {
    "openai/unknown-path": errors.OpenAICompatibleBadResponseError,
    "openai/wrong-method": errors.OpenAICompatibleBadResponseError,
    "openai/chat-not-found": errors.OpenAICompatibleModelNotFoundError,
    "openai/model-not-found": errors.OpenAICompatibleModelNotFoundError,
    "openai/chat-tools-unsupported": errors.OpenAICompatibleCapabilityError,
    "openai/chat-image-url": errors.OpenAICompatibleRequestError,
    "openai/chat-no-model": errors.OpenAICompatibleRequestError,
    "openai/chat-empty-messages": errors.OpenAICompatibleRequestError,
    "openai/chat-bad-json": errors.OpenAICompatibleRequestError,
    "busy/openai-queue-full": errors.OpenAICompatibleBusyError,
    "overflow/openai-chat": errors.OpenAICompatibleContextWindowExceededError,
}


@pytest.mark.parametrize("recording", recorded_refusals(), ids=lambda recording: recording.name)
def test_recorded_refusals_become_their_errors(recording: Recording) -> None:
    response = recording.response
    error = refused(response["status"], response["body"].encode())

    assert type(error) is EXPECTED[recording.case]


def test_words_of_a_server_are_bounded() -> None:
    assert len(str(refused(400, said("x" * 100_000)))) < 2000
