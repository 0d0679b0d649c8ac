"""Everything that can go wrong with a server that speaks OpenAI's protocol, as one tree.

    OpenAICompatibleError
    ├── OpenAICompatibleUnreachableError         nothing answers there (also a ConnectionError)
    │   └── OpenAICompatibleConnectTimeoutError  … within the connect timeout (also a TimeoutError)
    ├── OpenAICompatibleKeyMissingError          no key: nothing was sent
    ├── OpenAICompatibleAuthError                401, 403
    ├── OpenAICompatibleQuotaError               the account has nothing left to spend
    ├── OpenAICompatibleRequestError             400 and the like: the request was wrong
    │   ├── OpenAICompatibleCapabilityError      the model or server cannot do that
    │   └── OpenAICompatibleContextWindowExceededError
    ├── OpenAICompatibleModelNotFoundError
    ├── OpenAICompatibleBusyError                503: nothing was computed
    │   └── OpenAICompatibleRateLimitError       429
    ├── OpenAICompatibleServerError              any other failure inside the server
    ├── OpenAICompatibleBadResponseError         the answer is not of this protocol
    ├── OpenAICompatibleStreamInterruptedError   the answer ended without its end
    ├── OpenAICompatibleFirstTokenTimeoutError   (also a TimeoutError)
    ├── OpenAICompatibleInterTokenTimeoutError   (also a TimeoutError)
    └── OpenAICompatibleRequestTimeoutError      (also a TimeoutError)

An error that interrupts an answer keeps what had arrived in `partial_text`, `partial_thinking` and `chunks`.
`error_type` is a word from a closed list, for metrics and logs. `request_id` is the server's own number of the request.
"""

from __future__ import annotations

from namel3ss.providers.remote_errors import RemoteError

__all__ = [
    "OpenAICompatibleAuthError",
    "OpenAICompatibleBadResponseError",
    "OpenAICompatibleBusyError",
    "OpenAICompatibleCapabilityError",
    "OpenAICompatibleConnectTimeoutError",
    "OpenAICompatibleContextWindowExceededError",
    "OpenAICompatibleError",
    "OpenAICompatibleFirstTokenTimeoutError",
    "OpenAICompatibleInterTokenTimeoutError",
    "OpenAICompatibleKeyMissingError",
    "OpenAICompatibleModelNotFoundError",
    "OpenAICompatibleQuotaError",
    "OpenAICompatibleRateLimitError",
    "OpenAICompatibleRequestError",
    "OpenAICompatibleRequestTimeoutError",
    "OpenAICompatibleServerError",
    "OpenAICompatibleStreamInterruptedError",
    "OpenAICompatibleUnreachableError",
]


class OpenAICompatibleError(RemoteError):
    """Something about the server failed; see `RemoteError`."""


class OpenAICompatibleUnreachableError(OpenAICompatibleError, ConnectionError):
    """Nobody answers at the address: refused, unknown host, TLS trouble, or closed before a byte came back."""

    error_type = "connect_refused"
    retryable = True


class OpenAICompatibleConnectTimeoutError(OpenAICompatibleUnreachableError, TimeoutError):
    """No connection within the connect timeout, name resolution and TLS handshake included."""

    error_type = "connect_timeout"


class OpenAICompatibleKeyMissingError(OpenAICompatibleError):
    """The server asks for a key and there is none. Nothing was sent."""

    error_type = "auth"


class OpenAICompatibleAuthError(OpenAICompatibleError):
    """The server, or a proxy before it, refuses this client or its key."""

    error_type = "auth"


class OpenAICompatibleQuotaError(OpenAICompatibleError):
    """The account has used up what it may spend; waiting does not help."""

    error_type = "auth"


class OpenAICompatibleRequestError(OpenAICompatibleError):
    """The server says that the request is wrong."""

    error_type = "bad_request"


class OpenAICompatibleCapabilityError(OpenAICompatibleRequestError):
    """The model, or the server as it was started, cannot do what was asked."""


class OpenAICompatibleContextWindowExceededError(OpenAICompatibleRequestError):
    """The prompt, with the answer it leaves room for, does not fit the model's context window.

    `window` and `prompt_tokens` are the server's counts, None where it does not say them.
    """

    window: int | None = None
    prompt_tokens: int | None = None


class OpenAICompatibleModelNotFoundError(OpenAICompatibleError):
    """The server does not have the model."""

    error_type = "model_not_found"


class OpenAICompatibleBusyError(OpenAICompatibleError):
    """The server turned the request away because it has too much to do. Nothing was computed.

    `retry_after_s`: how long it, or a proxy before it, asks to wait; None where it does not say.
    """

    error_type = "queue_full"
    retryable = True
    retry_after_s: float | None = None


class OpenAICompatibleRateLimitError(OpenAICompatibleBusyError):
    """This client asks too often, or for too many tokens a minute."""


class OpenAICompatibleServerError(OpenAICompatibleError):
    """The server failed while working on the request."""

    error_type = "upstream_error"


class OpenAICompatibleBadResponseError(OpenAICompatibleError):
    """What came back is not an answer of this protocol: a proxy's page, broken JSON, another service."""

    error_type = "invalid_response"


class OpenAICompatibleStreamInterruptedError(OpenAICompatibleError):
    """The answer ended without its end. `partial_text` is what had arrived."""

    error_type = "stream_incomplete"


class OpenAICompatibleFirstTokenTimeoutError(OpenAICompatibleError, TimeoutError):
    """Connected, but nothing of the answer came within `first_token_timeout`."""

    error_type = "first_token_timeout"


class OpenAICompatibleInterTokenTimeoutError(OpenAICompatibleError, TimeoutError):
    """The answer stopped part way for longer than `idle_timeout`."""

    error_type = "idle_timeout"


class OpenAICompatibleRequestTimeoutError(OpenAICompatibleError, TimeoutError):
    """The whole request took longer than its limit."""

    error_type = "total_timeout"
