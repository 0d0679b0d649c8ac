"""Everything that can go wrong with Anthropic's API, as one tree.

    AnthropicError
    ├── AnthropicUnreachableError         nothing answers there (also a ConnectionError)
    │   └── AnthropicConnectTimeoutError  … within the connect timeout (also a TimeoutError)
    ├── AnthropicKeyMissingError          no API key: nothing was sent
    ├── AnthropicAuthError                401, 403: the key was refused, or may not do this
    ├── AnthropicBillingError             402: the account cannot pay for it
    ├── AnthropicRequestError             400: the request was wrong
    │   ├── AnthropicRequestTooLargeError 413
    │   ├── AnthropicContextWindowExceededError
    │   └── AnthropicCapabilityError      the model, or the API, cannot do that
    ├── AnthropicModelNotFoundError       404
    ├── AnthropicBusyError                503, 529: overloaded; nothing was computed
    │   └── AnthropicRateLimitError       429: this account sends too much
    ├── AnthropicServerError              500 and others: the API failed
    ├── AnthropicBadResponseError         the answer is not the API's
    ├── AnthropicStreamInterruptedError   the answer ended without its last event
    ├── AnthropicFirstTokenTimeoutError   (also a TimeoutError)
    ├── AnthropicInterTokenTimeoutError   (also a TimeoutError)
    └── AnthropicRequestTimeoutError      (also a TimeoutError)

An error that interrupts an answer keeps what had arrived in `partial_text`, `partial_thinking` and `chunks`.
`error_type` is a word from a closed list, for metrics and logs. `request_id` is the API's own number of the request,
which its support asks for.
"""

from __future__ import annotations

from namel3ss.providers.remote_errors import RemoteError

__all__ = [
    "AnthropicAuthError",
    "AnthropicBadResponseError",
    "AnthropicBillingError",
    "AnthropicBusyError",
    "AnthropicCapabilityError",
    "AnthropicConnectTimeoutError",
    "AnthropicContextWindowExceededError",
    "AnthropicError",
    "AnthropicFirstTokenTimeoutError",
    "AnthropicInterTokenTimeoutError",
    "AnthropicKeyMissingError",
    "AnthropicModelNotFoundError",
    "AnthropicRateLimitError",
    "AnthropicRequestError",
    "AnthropicRequestTimeoutError",
    "AnthropicRequestTooLargeError",
    "AnthropicServerError",
    "AnthropicStreamInterruptedError",
    "AnthropicUnreachableError",
]


class AnthropicError(RemoteError):
    """Something about Anthropic's API failed; see `RemoteError`.

    `may_retry`: the API's own word on whether the same request may succeed later, where it says it.
    """

    may_retry: bool | None = None


class AnthropicUnreachableError(AnthropicError, ConnectionError):
    """Nobody answers at the address: refused, unknown host, TLS trouble, or closed before a byte came back."""

    error_type = "connect_refused"
    retryable = True


class AnthropicConnectTimeoutError(AnthropicUnreachableError, TimeoutError):
    """No connection within the connect timeout, name resolution and TLS handshake included."""

    error_type = "connect_timeout"


class AnthropicKeyMissingError(AnthropicError):
    """There is no API key, so nothing was sent."""

    error_type = "auth"


class AnthropicAuthError(AnthropicError):
    """The API, or a proxy before it, refuses the key, or the key may not do this."""

    error_type = "auth"


class AnthropicBillingError(AnthropicError):
    """The account behind the key cannot pay for the request."""

    error_type = "auth"


class AnthropicRequestError(AnthropicError):
    """The API says that the request is wrong."""

    error_type = "bad_request"


class AnthropicRequestTooLargeError(AnthropicRequestError):
    """The request has more bytes than the API takes."""


class AnthropicContextWindowExceededError(AnthropicRequestError):
    """The prompt, or prompt and longest answer together, do not fit the model's context window."""


class AnthropicCapabilityError(AnthropicRequestError):
    """The model, or Anthropic's API, cannot do what was asked."""


class AnthropicModelNotFoundError(AnthropicError):
    """The API has no model of that name, or the key may not use it."""

    error_type = "model_not_found"


class AnthropicBusyError(AnthropicError):
    """The API turned the request away because it is overloaded. Nothing was computed, unless an answer had begun.

    `retry_after_s`: how long it asks to wait; None where it does not say.
    """

    error_type = "queue_full"
    retryable = True
    retry_after_s: float | None = None


class AnthropicRateLimitError(AnthropicBusyError):
    """This account has sent more requests or tokens than its limits allow."""


class AnthropicServerError(AnthropicError):
    """The API failed while working on the request."""

    error_type = "upstream_error"


class AnthropicBadResponseError(AnthropicError):
    """What came back is not an answer of Anthropic's API: a proxy's page, broken JSON, another service."""

    error_type = "invalid_response"


class AnthropicStreamInterruptedError(AnthropicError):
    """The answer ended without the event that says it is complete. `partial_text` is what had arrived."""

    error_type = "stream_incomplete"


class AnthropicFirstTokenTimeoutError(AnthropicError, TimeoutError):
    """Connected, but nothing of the answer came within `first_token_timeout`."""

    error_type = "first_token_timeout"


class AnthropicInterTokenTimeoutError(AnthropicError, TimeoutError):
    """The answer stopped part way for longer than `idle_timeout`."""

    error_type = "idle_timeout"


class AnthropicRequestTimeoutError(AnthropicError, TimeoutError):
    """The whole request took longer than its limit."""

    error_type = "total_timeout"
