"""Everything that can go wrong with Ollama, as one tree.

    OllamaError
    ├── OllamaServerUnreachableError      nothing answers there (also a ConnectionError)
    │   └── OllamaConnectTimeoutError     … within the connect timeout (also a TimeoutError)
    ├── OllamaServerNotInstalledError     no `ollama` program on this machine
    ├── OllamaServerStartFailedError      it did not come up; `log_tail` says why
    ├── OllamaServerBusyError             503: its queue is full
    ├── OllamaServerTooOldError           needs a newer server
    ├── OllamaServerError                 any other failure inside the server
    │   └── OllamaRunnerError             a model could not be loaded, or its runner stopped
    │       └── OllamaOutOfMemoryError
    ├── OllamaBadResponseError            the answer is not Ollama's
    ├── OllamaAuthError                   401, 403
    ├── OllamaRequestError                400: the request was wrong
    │   ├── OllamaCapabilityError         the model cannot do that
    │   └── OllamaContextWindowExceededError
    ├── OllamaContextTruncatedError       the server cut the prompt silently; `response` is its answer
    ├── OllamaModelNotFoundError
    ├── OllamaModelPullError
    │   ├── OllamaPullStalledError        (also a TimeoutError)
    │   ├── OllamaDiskFullError
    │   └── OllamaManifestUnknownError    the registry does not have it
    ├── OllamaStructuredOutputError       the answer does not fit the schema
    ├── OllamaStreamInterruptedError      the answer ended without its last line
    ├── OllamaFirstTokenTimeoutError      (also a TimeoutError)
    ├── OllamaInterTokenTimeoutError      (also a TimeoutError)
    └── OllamaRequestTimeoutError         (also a TimeoutError)

An error that interrupts an answer keeps what had arrived in `partial_text`, `partial_thinking` and `chunks`.
`error_type` is a word from a closed list, for metrics and logs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict, Unpack

from namel3ss.providers.base import StructuredOutputError
from namel3ss.providers.remote_errors import RemoteError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from namel3ss.providers.base import ProviderResponse

__all__ = [
    "OllamaAuthError",
    "OllamaBadResponseError",
    "OllamaCapabilityError",
    "OllamaConnectTimeoutError",
    "OllamaContextTruncatedError",
    "OllamaContextWindowExceededError",
    "OllamaDiskFullError",
    "OllamaError",
    "OllamaFirstTokenTimeoutError",
    "OllamaInterTokenTimeoutError",
    "OllamaManifestUnknownError",
    "OllamaModelNotFoundError",
    "OllamaModelPullError",
    "OllamaOutOfMemoryError",
    "OllamaPullStalledError",
    "OllamaRequestError",
    "OllamaRequestTimeoutError",
    "OllamaRunnerError",
    "OllamaServerBusyError",
    "OllamaServerError",
    "OllamaServerNotInstalledError",
    "OllamaServerStartFailedError",
    "OllamaServerTooOldError",
    "OllamaServerUnreachableError",
    "OllamaStreamInterruptedError",
    "OllamaStructuredOutputError",
]


class ErrorContext(TypedDict, total=False):
    """What every error may be given beside its message; see `RemoteError`."""

    model: str | None
    base_url: str | None
    suggestion: str | None
    original_error: BaseException | None
    status: int | None
    error_type: str | None


class OllamaError(RemoteError):
    """Something about Ollama failed; see `RemoteError`."""


class OllamaServerUnreachableError(OllamaError, ConnectionError):
    """Nobody answers at the address: refused, unknown host, TLS trouble, or closed before a byte came back."""

    error_type = "connect_refused"
    retryable = True


class OllamaConnectTimeoutError(OllamaServerUnreachableError, TimeoutError):
    """No connection within the connect timeout, name resolution and TLS handshake included."""

    error_type = "connect_timeout"


class OllamaServerNotInstalledError(OllamaError):
    """There is no `ollama` program on this machine, so it cannot be started."""

    error_type = "connect_refused"


class OllamaServerStartFailedError(OllamaError):
    """The server did not come up. `log_tail` holds the last lines it wrote."""

    error_type = "connect_refused"

    def __init__(
        self,
        message: str,
        *,
        log_tail: str = "",
        **context: Unpack[ErrorContext],
    ) -> None:
        super().__init__(message, **context)
        self.log_tail = log_tail


class OllamaServerBusyError(OllamaError):
    """The server turned the request away because too many wait already. Nothing was computed.

    `retry_after_s`: how long it, or a proxy before it, asks to wait; None where it does not say.
    """

    error_type = "queue_full"
    retryable = True
    retry_after_s: float | None = None


class OllamaServerTooOldError(OllamaError):
    """The server does not know something that this call needs."""

    error_type = "upstream_error"


class OllamaServerError(OllamaError):
    """The server failed while working on the request."""

    error_type = "upstream_error"


class OllamaRunnerError(OllamaServerError):
    """The program that runs the model could not load it, or stopped."""


class OllamaOutOfMemoryError(OllamaRunnerError):
    """The machine has too little memory for this model with these settings."""

    error_type = "resource_exhausted"


class OllamaBadResponseError(OllamaError):
    """What came back is not an answer of Ollama: a proxy's page, broken JSON, another service."""

    error_type = "invalid_response"


class OllamaAuthError(OllamaError):
    """The server, or a proxy before it, refuses this client."""

    error_type = "auth"


class OllamaRequestError(OllamaError):
    """The server says that the request is wrong."""

    error_type = "bad_request"


class OllamaCapabilityError(OllamaRequestError):
    """The model cannot do what was asked: tools, thinking, embedding, inserting."""


class OllamaContextWindowExceededError(OllamaRequestError):
    """The prompt does not fit the model's context window.

    `window` is the window in force, in tokens, and `window_source` says where that number came from; None and
    "unknown" when nobody reported one. `prompt_tokens` is the server's count, or None; `prompt_tokens_estimate`
    is ours, made from the text's size.
    """

    def __init__(
        self,
        message: str,
        *,
        window: int | None = None,
        window_source: str = "unknown",
        prompt_tokens: int | None = None,
        prompt_tokens_estimate: int | None = None,
        **context: Unpack[ErrorContext],
    ) -> None:
        super().__init__(message, **context)
        self.window = window
        self.window_source = window_source
        self.prompt_tokens = prompt_tokens
        self.prompt_tokens_estimate = prompt_tokens_estimate


class OllamaContextTruncatedError(OllamaError):
    """The server cut the prompt without saying so. `response` is the answer it gave to what was left."""

    error_type = "bad_request"

    def __init__(
        self,
        message: str,
        *,
        response: ProviderResponse | None = None,
        window: int | None = None,
        window_source: str = "unknown",
        **context: Unpack[ErrorContext],
    ) -> None:
        super().__init__(message, **context)
        self.response = response
        self.window = window
        self.window_source = window_source


class OllamaModelNotFoundError(OllamaError):
    """The server does not have the model. `nearest` are installed names that look like it."""

    error_type = "model_not_found"

    def __init__(
        self,
        message: str,
        *,
        nearest: Sequence[str] = (),
        **context: Unpack[ErrorContext],
    ) -> None:
        super().__init__(message, **context)
        self.nearest = tuple(nearest)


class OllamaModelPullError(OllamaError):
    """A model could not be pulled. What was downloaded stays; pulling again resumes.

    `phase` is how far it came: ``manifest``, ``download``, ``verify``, ``write`` or ``check``; None when it never
    began.
    """

    error_type = "pull_failed"
    phase: str | None = None


class OllamaPullStalledError(OllamaModelPullError, TimeoutError):
    """A pull made no progress for too long, or took longer than `pull_timeout`."""

    retryable = True


class OllamaDiskFullError(OllamaModelPullError):
    """The server's disk has no room for the model."""

    error_type = "disk_full"


class OllamaManifestUnknownError(OllamaModelPullError):
    """The registry has no model of that name."""

    error_type = "model_not_found"


class OllamaStructuredOutputError(OllamaError, StructuredOutputError):
    """The answer does not fit the schema. `raw_text` is the answer, `problems` says what is wrong with it."""

    error_type = "invalid_response"

    def __init__(
        self,
        message: str,
        *,
        raw_text: str = "",
        problems: Sequence[str] = (),
        **context: Unpack[ErrorContext],
    ) -> None:
        super().__init__(message, **context)
        self.raw_text = raw_text
        self.problems = tuple(problems)


class OllamaStreamInterruptedError(OllamaError):
    """The answer ended without the line that says it is complete. `partial_text` is what had arrived."""

    error_type = "stream_incomplete"


class OllamaFirstTokenTimeoutError(OllamaError, TimeoutError):
    """Connected, but nothing of the answer came within `first_token_timeout`.

    `model_state` is what the server said then: ``loading`` (it does not list the model as loaded), ``loaded``, or
    ``unknown``.
    """

    error_type = "first_token_timeout"
    model_state: str = "unknown"


class OllamaInterTokenTimeoutError(OllamaError, TimeoutError):
    """The answer stopped part way for longer than `idle_timeout`."""

    error_type = "idle_timeout"


class OllamaRequestTimeoutError(OllamaError, TimeoutError):
    """The whole request took longer than its limit."""

    error_type = "total_timeout"
