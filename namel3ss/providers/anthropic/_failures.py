"""What a failure of the transport means for who asked: the one table from its kind to the error and its words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from namel3ss.providers.anthropic._errors import (
    AnthropicBadResponseError,
    AnthropicConnectTimeoutError,
    AnthropicError,
    AnthropicRequestTimeoutError,
    AnthropicStreamInterruptedError,
    AnthropicUnreachableError,
)
from namel3ss.providers.transport.failure_kinds import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from namel3ss.providers.transport.failure_kinds import FailedRequest

__all__ = ["RETRY_OR_LOOK", "error_of"]

_NETWORK: Final = "Check base_url, the network, and whether a proxy or firewall stands between."
RETRY_OR_LOOK: Final = (
    "Retry. If it happens again, look at the log of a proxy before the server, if there is one."
)

# What happened, what to do, and the word for metrics. ``{reason}`` is the system's own, ``{limit}`` the connect timeout.
_UNREACHABLE: Final[Mapping[Failure, tuple[str, str, str]]] = {
    Failure.REFUSED: ("{reason}", _NETWORK, "connect_refused"),
    Failure.UNKNOWN_HOST: ("its host name cannot be resolved", _NETWORK, "dns"),
    Failure.TLS: (
        "TLS failed ({reason})",
        "This machine must trust the certificate; a proxy that inspects traffic brings one of its own.",
        "tls",
    ),
    Failure.CONNECT_TIMEOUT: ("no connection within {limit:g} s", _NETWORK, "connect_timeout"),
    Failure.PROXY: ("the proxy failed ({reason})", _NETWORK, "connect_refused"),
    Failure.ADDRESS: (
        "the address cannot be used",
        "Write it like https://api.anthropic.com",
        "bad_request",
    ),
    Failure.NOTHING_LEFT: (
        "this program has used up what it may open ({reason})",
        "Allow more open files (ulimit -n), or lower max_concurrency.",
        "_OTHER",
    ),
}


def error_of(failed: FailedRequest) -> AnthropicError:
    """The error for a request that failed below HTTP."""
    if failed.failure in _UNREACHABLE:
        return _unreachable(failed)
    if failed.failure is Failure.INVALID:
        return _failed(
            AnthropicBadResponseError,
            failed,
            f"The answer is not valid HTTP: {failed.reason}",
            "Is this the address of Anthropic's API? Something else may listen there.",
        )
    if failed.failure is Failure.TIMEOUT:
        return _failed(
            AnthropicRequestTimeoutError,
            failed,
            "The transport gave up waiting for the server.",
            RETRY_OR_LOOK,
        )
    if failed.is_answering:
        return _failed(
            AnthropicStreamInterruptedError,
            failed,
            "The connection was lost before the answer was complete.",
            RETRY_OR_LOOK,
            "stream_reset",
        )
    return _failed(
        AnthropicUnreachableError,
        failed,
        f"The server at {failed.base_url} closed the connection without an answer"
        f" ({failed.reason or 'no reason given'}).",
        RETRY_OR_LOOK,
        "stream_reset",
    )


def _unreachable(failed: FailedRequest) -> AnthropicError:
    what, suggestion, error_type = _UNREACHABLE[failed.failure]
    reason = failed.reason or failed.failure.value
    is_timeout = failed.failure is Failure.CONNECT_TIMEOUT
    cls = AnthropicConnectTimeoutError if is_timeout else AnthropicUnreachableError
    told = what.format(reason=reason, limit=failed.connect_timeout_s)
    message = f"Could not reach Anthropic's API at {failed.base_url}: {told}."
    return _failed(cls, failed, message, suggestion, error_type)


def _failed(
    cls: type[AnthropicError],
    failed: FailedRequest,
    message: str,
    suggestion: str,
    error_type: str | None = None,
) -> AnthropicError:
    return cls(
        message,
        model=failed.model,
        base_url=failed.base_url,
        suggestion=suggestion,
        original_error=failed.exception,
        error_type=error_type,
    )
