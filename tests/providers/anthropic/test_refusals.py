"""What the API says when it refuses, as it is told to people."""

from __future__ import annotations

import json

import pytest

from namel3ss.providers.anthropic import (
    AnthropicBillingError,
    AnthropicBusyError,
    AnthropicCapabilityError,
    AnthropicContextWindowExceededError,
    AnthropicError,
    AnthropicRequestError,
)
from namel3ss.providers.anthropic import _errors as errors
from namel3ss.providers.anthropic._refusals import error_from_answer

URL = "https://api.anthropic.com"


def refused(status: int, kind: str, message: str, **headers: str) -> AnthropicError:
    body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_01"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return error_from_answer(status, named, json.dumps(body).encode(), model="claude-x", base_url=URL)


def test_error_says_what_happened_to_which_value_and_what_to_do() -> None:
    error = refused(429, "rate_limit_error", "This request would exceed 50 requests per minute.")

    assert str(error) == (
        "The account has reached its rate limit (HTTP 429): This request would exceed 50 requests per minute.\n"
        "Model: claude-x\n"
        "Server: https://api.anthropic.com\n"
        "Request: req_01\n"
        "\n"
        "Suggestion: Retry later, send less at once (max_concurrency), or raise the account's limits."
    )


@pytest.mark.parametrize(
    ("status", "kind", "said", "message"),
    [
        (
            401,
            "authentication_error",
            "invalid x-api-key",
            "The API refuses the key (HTTP 401): invalid x-api-key",
        ),
        (
            403,
            "permission_error",
            "Not allowed",
            "The API does not allow this to the key (HTTP 403): Not allowed",
        ),
        (404, "not_found_error", "model: claude-x", "The API has no model 'claude-x': model: claude-x"),
        (413, "request_too_large", "", "The request is larger than the API takes (HTTP 413)."),
        (500, "api_error", "Internal server error", "The API failed (HTTP 500): Internal server error"),
        (529, "overloaded_error", "Overloaded", "The API is overloaded (HTTP 529): Overloaded"),
        (418, "teapot_error", "short and stout", "The API refuses the request: short and stout"),
    ],
)
def test_message_names_the_status_and_quotes_the_api(status: int, kind: str, said: str, message: str) -> None:
    assert refused(status, kind, said).message == message


@pytest.mark.parametrize(
    ("said", "kind", "advice"),
    [
        (
            "prompt is too long: 212000 tokens > 200000 maximum",
            AnthropicContextWindowExceededError,
            "Shorten",
        ),
        (
            "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000",
            AnthropicContextWindowExceededError,
            "lower max_tokens",
        ),
        ("Your credit balance is too low to access the API", AnthropicBillingError, "billing page"),
        (
            "registry.ollama.ai/library/tiny does not support tools",
            AnthropicCapabilityError,
            "Choose a model",
        ),
        (
            "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `text`.",
            AnthropicRequestError,
            "response.as_message()",
        ),
        ("temperature: Extra inputs are not permitted", AnthropicRequestError, "Leave temperature"),
        ("`temperature` is deprecated for this model.", AnthropicRequestError, "Leave temperature"),
        (
            '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive".',
            AnthropicCapabilityError,
            "thinking: adaptive",
        ),
        ("output_config.format.schema: unsupported keyword", AnthropicRequestError, "part of JSON Schema"),
    ],
)
def test_words_that_say_more_than_their_kind(said: str, kind: type[AnthropicError], advice: str) -> None:
    error = refused(400, "invalid_request_error", said)

    assert type(error) is kind
    assert said in error.message
    assert advice in (error.suggestion or "")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": "7", "retry_after_ms": "1500"}, 1.5),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "Sat, 01 Jan 2000 00:00:00 GMT"}, 0.0),
    ],
)
def test_pause_that_the_api_asks_for_is_read(headers: dict[str, str], seconds: float | None) -> None:
    error = refused(529, "overloaded_error", "Overloaded", **headers)

    assert isinstance(error, AnthropicBusyError)
    assert error.retry_after_s == seconds


def test_number_of_the_request_comes_from_the_body_or_a_header() -> None:
    bare = error_from_answer(502, {"request-id": "req_7"}, b"<html>", model=None, base_url=URL)

    assert refused(500, "api_error", "x", request_id="req_8").request_id == "req_01"
    assert bare.request_id == "req_7"


def test_long_words_are_cut() -> None:
    assert len(refused(400, "invalid_request_error", "x" * 100_000).message) < 2100


def test_every_error_of_the_tree_is_exported_and_described() -> None:
    import namel3ss.providers.anthropic as package

    for name in errors.__all__:
        kind = getattr(package, name)
        assert issubclass(kind, AnthropicError)
        assert name in (errors.__doc__ or ""), name
        assert kind.error_type, name
