"""What the API says when it refuses, and the error each kind becomes: one table.

An error names its kind; an answer of a proxy without one gets its class from the HTTP status. A few kinds are told
apart by their words, as far as those are published or recorded; unknown words are quoted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from namel3ss.providers.anthropic._errors import (
    AnthropicAuthError,
    AnthropicBadResponseError,
    AnthropicBillingError,
    AnthropicBusyError,
    AnthropicCapabilityError,
    AnthropicContextWindowExceededError,
    AnthropicError,
    AnthropicModelNotFoundError,
    AnthropicRateLimitError,
    AnthropicRequestError,
    AnthropicRequestTooLargeError,
    AnthropicServerError,
)
from namel3ss.providers.transport.wording import quote, retry_after_s

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["error_from_answer", "error_from_event"]

_LONGEST_TEXT: Final = 2000
# The kind that the API would name, for an answer that names none.
_KINDS: Final[Mapping[int, str]] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_REFUSED: Final = (
    "api_key and headers tell who you are: check the key (by default ANTHROPIC_API_KEY), that it has not been disabled,"
    " and that base_url is where it is valid."
)


@dataclass(frozen=True, slots=True)
class _Sort:
    """One sort of refusal. ``{where}`` becomes the HTTP status in brackets, ``{said}`` the API's words."""

    cls: type[AnthropicError]
    message: str
    suggestion: str | None = None


_SORTS: Final[Mapping[str, _Sort]] = {
    "invalid_request_error": _Sort(AnthropicRequestError, "The API refuses the request{said}"),
    "authentication_error": _Sort(AnthropicAuthError, "The API refuses the key{where}{said}", _REFUSED),
    "permission_error": _Sort(
        AnthropicAuthError,
        "The API does not allow this to the key{where}{said}",
        "Use a key of a workspace that may use the model, or ask whoever manages the account.",
    ),
    "billing_error": _Sort(
        AnthropicBillingError,
        "The account cannot pay for the request{where}{said}",
        "Look at the account's billing page, or use a key of another account.",
    ),
    "not_found_error": _Sort(
        AnthropicModelNotFoundError,
        "The API has no model {model!r}{said}",
        "Check the name: `list_models()` shows what the key may use.",
    ),
    "request_too_large": _Sort(
        AnthropicRequestTooLargeError,
        "The request is larger than the API takes{where}{said}",
        "Send fewer or smaller images, or shorten the conversation.",
    ),
    "rate_limit_error": _Sort(
        AnthropicRateLimitError,
        "The account has reached its rate limit{where}{said}",
        "Retry later, send less at once (max_concurrency), or raise the account's limits.",
    ),
    "overloaded_error": _Sort(
        AnthropicBusyError, "The API is overloaded{where}{said}", "Retry in a moment, or raise max_retries."
    ),
    "timeout_error": _Sort(
        AnthropicServerError,
        "The API took too long itself{where}{said}",
        "Retry, or ask for a shorter answer (max_tokens).",
    ),
    "api_error": _Sort(
        AnthropicServerError,
        "The API failed{where}{said}",
        "Retry. If it happens again, see https://status.anthropic.com",
    ),
}

# Words of an invalid_request_error that say more than its kind.
_WORDS: Final[tuple[tuple[re.Pattern[str], _Sort], ...]] = (
    (
        re.compile(
            r"prompt is too long|exceed(?:s|ed)? (?:the )?(?:model's )?context (?:limit|window|size)", re.I
        ),
        _Sort(
            AnthropicContextWindowExceededError,
            "Input is too large for model's context window{said}",
            "Shorten the input, or lower max_tokens: both share the window.",
        ),
    ),
    (re.compile(r"credit balance is too low", re.I), _SORTS["billing_error"]),
    (
        re.compile(
            r"\b(?:temperature|top_p|top_k)\b.*(?:not permitted|not supported|deprecated|cannot both|may only|must be)",
            re.I,
        ),
        _Sort(
            AnthropicRequestError,
            "The API refuses the request{said}",
            "Leave temperature, top_p and top_k out: newer models and newer versions of the API take none of them.",
        ),
    ),
    (
        re.compile(r"thinking\.type", re.I),
        _Sort(
            AnthropicCapabilityError,
            "The model {model!r} does not think in the way that was asked for{said}",
            "Newer models take thinking: adaptive, older ones a number of tokens.",
        ),
    ),
    (
        re.compile(r"does(?: not|n't) support|is not supported (?:on|for|by|with) (?:this|the) model", re.I),
        _Sort(
            AnthropicCapabilityError,
            "The model {model!r} cannot do what was asked{said}",
            "Choose a model that can, or leave it out.",
        ),
    ),
    (
        re.compile(
            r"(?:expected|must start with|must begin with) .{0,5}(?:a )?.?thinking|`?signature`?", re.I
        ),
        _Sort(
            AnthropicRequestError,
            "The API refuses the request{said}",
            "Thinking has to come back as it was given, with its signature: send the assistant's turn as"
            " response.as_message(), not as a text.",
        ),
    ),
    (
        re.compile(r"output_config|output format|json_schema", re.I),
        _Sort(
            AnthropicRequestError,
            "The API refuses the request{said}",
            "Structured output knows only part of JSON Schema, and not every model has it.",
        ),
    ),
)


_MODEL_NAME: Final = re.compile(r"\bmodel:?\s+['\"`]?([^\s'\"`]+)", re.I)


class _ErrorBody(msgspec.Struct):
    """A refusal as the API sends it: ``{"type": "error", "error": {"type": …, "message": …}, "request_id": …}``."""

    error: object
    request_id: str | None = None


def error_from_answer(
    status: int, headers: Mapping[str, str], body: bytes, *, model: str | None, base_url: str
) -> AnthropicError:
    """The error for an answer whose status is not a success. `body` may be only the beginning of what was sent."""
    error = _error_from_answer(status, headers, body, model, base_url)
    error.request_id = error.request_id or request_id_of(headers)
    error.may_retry = {"true": True, "false": False}.get(headers.get("x-should-retry", ""))
    if isinstance(error, AnthropicBusyError):
        error.retry_after_s = _asked_pause_s(headers)
    return error


def error_from_event(
    error: object, *, model: str | None, base_url: str | None, request_id: str | None
) -> AnthropicError:
    """The error that an ``error`` event tells of, in an answer that had begun as a success."""
    kind, text = _parts_of(error)
    return _error(kind or "api_error", text, None, model, base_url, request_id)


def request_id_of(headers: Mapping[str, str]) -> str | None:
    """The API's number of a request."""
    return headers.get("request-id") or headers.get("x-request-id")


def _error_from_answer(
    status: int, headers: Mapping[str, str], body: bytes, model: str | None, base_url: str
) -> AnthropicError:
    if 300 <= status < 400:
        return AnthropicBadResponseError(
            f"The server answers with a redirect (HTTP {status}) to {headers.get('location', 'nowhere')!r:.200}.",
            model=model,
            base_url=base_url,
            suggestion="Redirects are not followed, so that the key goes nowhere else: use the final address as base_url.",
            status=status,
        )
    try:
        refusal = msgspec.json.decode(body, type=_ErrorBody)
    except (ValueError, RecursionError):
        return _error_of_a_stranger(status, body, model, base_url)
    kind, text = _parts_of(refusal.error)
    if kind is None or kind not in _SORTS:
        kind = _KINDS.get(status, "invalid_request_error" if 400 <= status < 500 else "api_error")
    if kind == "not_found_error":
        named = _MODEL_NAME.search(text)
        if named is None:
            return _unknown_path(status, text, base_url, model)
        model = model or named[1]
    return _error(kind, text, status, model, base_url, refusal.request_id)


def _error_of_a_stranger(status: int, body: bytes, model: str | None, base_url: str) -> AnthropicError:
    """For an answer that is not the API's: a proxy's, most likely."""
    if status in (404, 405):
        return _unknown_path(status, quote(body), base_url, model)
    if status in (401, 403, 413, 429, 503, 529):
        return _error(_KINDS[status], quote(body) if body else "", status, model, base_url, None)
    return AnthropicBadResponseError(
        f"HTTP {status}, and the answer is not the API's: {quote(body)}",
        model=model,
        base_url=base_url,
        suggestion="A proxy may stand before the server; look at its log.",
        status=status,
    )


def _unknown_path(status: int, said: str, base_url: str, model: str | None = None) -> AnthropicError:
    return AnthropicBadResponseError(
        f"The server does not know this path of Anthropic's API (HTTP {status}): {said}",
        model=model,
        base_url=base_url,
        suggestion="Check base_url: it is the address without /v1. A server that only speaks part of the API may also"
        " lack the call.",
        status=status,
    )


def _error(
    kind: str, text: str, status: int | None, model: str | None, base_url: str | None, request_id: str | None
) -> AnthropicError:
    sort = _SORTS.get(kind, _SORTS["api_error"])
    if kind == "invalid_request_error":
        sort = next((better for words, better in _WORDS if words.search(text)), sort)
    where = f" (HTTP {status})" if status is not None else ""
    said = f": {text}" if text else "."
    return sort.cls(
        sort.message.format(where=where, said=said, model=model),
        model=model,
        base_url=base_url,
        suggestion=sort.suggestion,
        status=status,
        request_id=request_id,
    )


def _parts_of(error: object) -> tuple[str | None, str]:
    """Kind and words of an ``error`` value: an object as the API sends it, or whatever a proxy wrote there."""
    kind, words = (error.get("type"), error.get("message")) if isinstance(error, dict) else (None, error)
    if not isinstance(words, str):
        words = msgspec.json.encode(error).decode()
    return kind if isinstance(kind, str) else None, " ".join(words.split())[:_LONGEST_TEXT]


def _asked_pause_s(headers: Mapping[str, str]) -> float | None:
    """How long the API asks to wait: in milliseconds where it says them, else as Retry-After."""
    milliseconds = headers.get("retry-after-ms", "").strip()
    if milliseconds.isdecimal():
        return min(float(milliseconds), 3_600_000.0) / 1000
    return retry_after_s(headers.get("retry-after"))
