"""What a server says when it refuses, and the error it becomes: one table of codes and texts.

The servers that speak this protocol word errors in their own ways. A text that nobody knows keeps its words and gets its
class from the HTTP status.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from namel3ss.providers.local.openai_compatible._errors import (
    OpenAICompatibleAuthError,
    OpenAICompatibleBadResponseError,
    OpenAICompatibleBusyError,
    OpenAICompatibleCapabilityError,
    OpenAICompatibleContextWindowExceededError,
    OpenAICompatibleError,
    OpenAICompatibleModelNotFoundError,
    OpenAICompatibleQuotaError,
    OpenAICompatibleRateLimitError,
    OpenAICompatibleRequestError,
    OpenAICompatibleServerError,
)
from namel3ss.providers.transport.wording import quote, retry_after_s

if TYPE_CHECKING:
    from collections.abc import Mapping

    from namel3ss.providers.local.openai_compatible._kinds import Kind

__all__ = ["Refusal", "error_from_answer", "error_from_refusal", "find_refusal"]

_LONGEST_TEXT = 500


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a server wrote: its words, and its code or type for the case where it has one."""

    text: str
    code: str


@dataclass(frozen=True, slots=True)
class _Case:
    """A refusal and who asked what; `status` is None inside a stream."""

    text: str
    status: int | None
    model: str | None
    base_url: str
    kind: Kind

    def error(
        self, cls: type[OpenAICompatibleError], message: str, suggestion: str | None
    ) -> OpenAICompatibleError:
        return cls(
            message, model=self.model, base_url=self.base_url, suggestion=suggestion, status=self.status
        )


_Maker: TypeAlias = Callable[[_Case], OpenAICompatibleError]


def _says(cls: type[OpenAICompatibleError], message: str, suggestion: str | None = None) -> _Maker:
    """A maker whose message quotes the server (``{text}``) and names the server and the model."""

    def make(case: _Case) -> OpenAICompatibleError:
        named = message.format(text=case.text, model=case.model, server=case.kind.label)
        return case.error(cls, named, suggestion)

    return make


_WINDOW = re.compile(
    r"maximum (?:context|model) length (?:is|of) (?P<a>\d+)|available context size \((?P<b>\d+)"
    r"|max_model_len[^\d]{0,20}(?P<c>\d+)|context (?:window|length) of (?P<d>\d+)",
    re.IGNORECASE,
)
_PROMPT = re.compile(
    r"(?:request \(|requested |resulted in |passed |prompt \(length |prompt contains (?:at least )?)(\d+)",
    re.IGNORECASE,
)


def _overflow(case: _Case) -> OpenAICompatibleError:
    error = OpenAICompatibleContextWindowExceededError(
        f"Input is too large for model's context window: {case.text}",
        model=case.model,
        base_url=case.base_url,
        suggestion="Shorten the input, or lower max_tokens: the window holds both.",
        status=case.status,
    )
    if match := _WINDOW.search(case.text):
        error.window = next(int(number) for number in match.groups() if number)
    if match := _PROMPT.search(case.text):
        error.prompt_tokens = int(match[1])
    return error


# First match wins; the search goes through code and text, ignoring case.
_TABLE: tuple[tuple[re.Pattern[str], _Maker], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), maker)
    for pattern, maker in (
        (
            r"context_length_exceeded|exceed_context_size_error|maximum (?:context|model) length"
            r"|exceeds the available context size|longer than the (?:maximum|context)|exceeds max_model_len"
            r"|prompt is too long|input length exceeds|exceeds? the (?:model'?s )?context",
            _overflow,
        ),
        (
            r"insufficient_quota|exceeded your current quota|billing_(?:hard_limit|not_active)|insufficient (?:balance|credits)",
            _says(
                OpenAICompatibleQuotaError,
                "The account at {server} has nothing left to spend: {text}",
                "Look at the account's plan and billing. Retrying does not help.",
            ),
        ),
        (
            r"model_not_found|model_not_available|^(?:\S+ )?the model .* does not exist"
            r"|model ['\"`]?.{1,200}?['\"`]? (?:not found|does not exist|is not found)|could not load model .* not found",
            _says(
                OpenAICompatibleModelNotFoundError,
                "The {server} server does not have the model '{model}': {text}",
                "provider.list_models() says what it has.",
            ),
        ),
        (
            r"requires --enable-auto-tool-choice|tool-call-parser",
            _says(
                OpenAICompatibleCapabilityError,
                "The server was started without tool calling: {text}",
                "Start vLLM with --enable-auto-tool-choice and --tool-call-parser.",
            ),
        ),
        (
            r"does not support (?!the ')|is not a multimodal model|image input is not supported|unsupported_value.*tools",
            _says(
                OpenAICompatibleCapabilityError,
                "The model '{model}' cannot do what was asked: {text}",
                "Choose a model that can, or leave it out.",
            ),
        ),
        (
            r"invalid_api_key|incorrect api key|invalid_organization|no api key provided",
            _says(
                OpenAICompatibleAuthError,
                "The {server} server refuses this client: {text}",
                "Check api_key and where it comes from.",
            ),
        ),
        (
            r"rate_limit_exceeded|rate limit reached",
            _says(
                OpenAICompatibleRateLimitError,
                "The {server} server limits how often it is asked: {text}",
                "Retry in a moment, or lower max_concurrency.",
            ),
        ),
        (
            r"server busy|maximum pending requests|overloaded|server_overloaded|loading model",
            _says(
                OpenAICompatibleBusyError,
                "The {server} server is busy: {text}",
                "Retry in a moment, or lower max_concurrency.",
            ),
        ),
        (
            r"use 'max_completion_tokens' instead",
            _says(
                OpenAICompatibleRequestError,
                "The {server} server refuses the request: {text}",
                "Write max_completion_tokens in place of max_tokens.",
            ),
        ),
        (
            r"stream_options",
            _says(
                OpenAICompatibleRequestError,
                "The {server} server refuses the request: {text}",
                "Write stream_usage: false; token counts are then missing.",
            ),
        ),
    )
)  # fmt: skip


def error_from_refusal(
    refusal: Refusal, *, status: int | None, model: str | None, base_url: str, kind: Kind
) -> OpenAICompatibleError:
    """The error for what a server wrote. `status` is None for an event inside a stream."""
    case = _Case(refusal.text, status, model, base_url, kind)
    for pattern, make in _TABLE:
        if pattern.search(f"{refusal.code} {refusal.text}"):
            return make(case)
    return _from_status(case)


def error_from_answer(
    status: int, headers: Mapping[str, str], body: bytes, *, model: str | None, base_url: str, kind: Kind
) -> OpenAICompatibleError:
    """The error for an answer whose status is not a success. `body` may be only the beginning of what was sent."""
    error = _from_answer(status, headers, body, _Case("", status, model, base_url, kind))
    if isinstance(error, OpenAICompatibleBusyError):
        error.retry_after_s = retry_after_s(headers.get("retry-after"))
    error.request_id = headers.get("x-request-id") or None
    return error


def find_refusal(document: object) -> Refusal | None:
    """What a JSON document says went wrong, in any of the forms that servers use; None where it says nothing."""
    if not isinstance(document, dict):
        return None
    error = document.get("error")
    if error is None and document.get("object") == "error":
        error = document
    if error is None and "detail" in document:
        error = document["detail"]
    if error is None:
        return None
    return Refusal(_words(error), _code(error))


def _words(error: Any) -> str:
    if isinstance(error, dict):
        error = error.get("message") or error
    text = error if isinstance(error, str) else msgspec.json.encode(error).decode()
    return " ".join(text.split())[:_LONGEST_TEXT]


def _code(error: object) -> str:
    if not isinstance(error, dict):
        return ""
    return " ".join(str(error[key]) for key in ("code", "type") if isinstance(error.get(key), str))[:100]


def _from_answer(status: int, headers: Mapping[str, str], body: bytes, case: _Case) -> OpenAICompatibleError:
    if 300 <= status < 400:
        return case.error(
            OpenAICompatibleBadResponseError,
            f"The server answers with a redirect (HTTP {status}) to {headers.get('location', 'nowhere')!r:.200}.",
            "Redirects are not followed: use the final address as base_url.",
        )
    try:
        refusal = find_refusal(msgspec.json.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        refusal = None
    if refusal is not None and not (status == 404 and refusal.text == "Not Found"):
        return error_from_refusal(
            refusal, status=status, model=case.model, base_url=case.base_url, kind=case.kind
        )
    if status in (404, 405):
        return case.error(
            OpenAICompatibleBadResponseError,
            f"The server does not know this path (HTTP {status}): {quote(body)}",
            f"Check base_url: requests go to {case.base_url}/chat/completions. It usually ends in /v1.",
        )
    if status in (401, 402, 403, 429, 503):
        return _from_status(_Case(quote(body) if body else "", status, case.model, case.base_url, case.kind))
    return case.error(
        OpenAICompatibleBadResponseError,
        f"HTTP {status}, and the answer is not of this protocol: {quote(body)}",
        "A proxy may stand before the server; look at its log.",
    )


def _from_status(case: _Case) -> OpenAICompatibleError:
    status, server = case.status, case.kind.label
    said = f": {case.text}" if case.text else ""
    if status in (401, 403):
        message = f"The {server} server refuses this client (HTTP {status}){said}"
        return case.error(OpenAICompatibleAuthError, message, "Check api_key and headers.")
    if status == 402:
        message = f"The account at {server} cannot pay for the request{said}"
        return case.error(OpenAICompatibleQuotaError, message, "Look at the account's billing.")
    if status == 429:
        message = f"The {server} server limits how often it is asked (HTTP 429){said}"
        return case.error(
            OpenAICompatibleRateLimitError, message, "Retry in a moment, or lower max_concurrency."
        )
    if status == 503:
        message = f"The {server} server is busy (HTTP 503){said}"
        return case.error(OpenAICompatibleBusyError, message, "Retry in a moment.")
    if status is not None and 400 <= status < 500:
        return case.error(
            OpenAICompatibleRequestError, f"The {server} server refuses the request{said}", None
        )
    where = f" (HTTP {status})" if status is not None else ""
    return case.error(
        OpenAICompatibleServerError, f"The {server} server failed{where}{said}", "Look at the server's log."
    )
