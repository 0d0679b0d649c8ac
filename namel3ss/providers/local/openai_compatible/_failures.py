"""What a failure of the transport means for who asked: the one table from its kind to the error and its words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from namel3ss.providers.local.openai_compatible._errors import (
    OpenAICompatibleBadResponseError,
    OpenAICompatibleConnectTimeoutError,
    OpenAICompatibleError,
    OpenAICompatibleRequestTimeoutError,
    OpenAICompatibleStreamInterruptedError,
    OpenAICompatibleUnreachableError,
)
from namel3ss.providers.transport.failure_kinds import Failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from namel3ss.providers.local.openai_compatible._kinds import Kind
    from namel3ss.providers.transport.failure_kinds import FailedRequest

__all__ = ["error_of"]


def error_of(failed: FailedRequest, kind: Kind) -> OpenAICompatibleError:
    """The error for a request that failed below HTTP."""
    return _ERRORS[failed.failure](failed, kind)


def _unreachable(
    failed: FailedRequest,
    kind: Kind,
    what: str,
    suggestion: str,
    error_type: str,
    cls: type[OpenAICompatibleError] = OpenAICompatibleUnreachableError,
) -> OpenAICompatibleError:
    return cls(
        f"Could not reach the {kind.label} server at {failed.base_url}: {what}.",
        model=failed.model,
        base_url=failed.base_url,
        suggestion=suggestion,
        original_error=failed.exception,
        error_type=error_type,
    )


_RUNS = "Check that the server runs, and base_url."


def _nothing_left(failed: FailedRequest, kind: Kind) -> OpenAICompatibleError:
    what = f"this program has used up what it may open ({failed.reason})"
    return _unreachable(
        failed, kind, what, "Allow more open files (ulimit -n), or lower max_concurrency.", "_OTHER"
    )


def _refused(failed: FailedRequest, kind: Kind) -> OpenAICompatibleError:
    return _unreachable(failed, kind, failed.reason or "connection refused", _RUNS, "connect_refused")


def _unknown_host(failed: FailedRequest, kind: Kind) -> OpenAICompatibleError:
    return _unreachable(
        failed, kind, "its host name cannot be resolved", "Check the host in base_url.", "dns"
    )


def _tls(failed: FailedRequest, kind: Kind) -> OpenAICompatibleError:
    return _unreachable(
        failed,
        kind,
        f"TLS failed ({failed.reason})",
        "Is it http that is spoken there? With https, this machine must trust the server's certificate.",
        "tls",
    )


def _proxy(failed: FailedRequest, kind: Kind) -> OpenAICompatibleError:
    return _unreachable(failed, kind, f"the proxy failed ({failed.reason})", _RUNS, "connect_refused")


def _address(failed: FailedRequest, kind: Kind) -> OpenAICompatibleError:
    return _unreachable(
        failed,
        kind,
        "the address cannot be used",
        "Write base_url like http://127.0.0.1:8000/v1",
        "bad_request",
    )


def _connect_timeout(failed: FailedRequest, kind: Kind) -> OpenAICompatibleError:
    return _unreachable(
        failed,
        kind,
        f"no connection within {failed.connect_timeout_s:g} s",
        f"{_RUNS} A firewall may also swallow the packets.",
        "connect_timeout",
        OpenAICompatibleConnectTimeoutError,
    )


def _timeout(failed: FailedRequest, kind: Kind) -> OpenAICompatibleError:
    return OpenAICompatibleRequestTimeoutError(
        "The transport gave up waiting for the server.",
        model=failed.model,
        base_url=failed.base_url,
        original_error=failed.exception,
    )


def _disconnected(failed: FailedRequest, kind: Kind) -> OpenAICompatibleError:
    if failed.is_answering:
        return OpenAICompatibleStreamInterruptedError(
            "The connection was lost before the answer was complete.",
            model=failed.model,
            base_url=failed.base_url,
            suggestion="Retry. If it happens again, look at the server's log.",
            original_error=failed.exception,
            error_type="stream_reset",
        )
    return OpenAICompatibleUnreachableError(
        f"The server at {failed.base_url} closed the connection without an answer"
        f" ({failed.reason or 'no reason given'}).",
        model=failed.model,
        base_url=failed.base_url,
        suggestion="Retry. If it happens again, look at the server's log.",
        original_error=failed.exception,
        error_type="stream_reset",
    )


def _invalid(failed: FailedRequest, kind: Kind) -> OpenAICompatibleError:
    return OpenAICompatibleBadResponseError(
        f"The answer is not valid HTTP: {failed.reason}",
        model=failed.model,
        base_url=failed.base_url,
        suggestion="Check base_url: something else may listen there.",
        original_error=failed.exception,
    )


_ERRORS: dict[Failure, Callable[[FailedRequest, Kind], OpenAICompatibleError]] = {
    Failure.REFUSED: _refused,
    Failure.UNKNOWN_HOST: _unknown_host,
    Failure.TLS: _tls,
    Failure.CONNECT_TIMEOUT: _connect_timeout,
    Failure.TIMEOUT: _timeout,
    Failure.DISCONNECTED: _disconnected,
    Failure.INVALID: _invalid,
    Failure.ADDRESS: _address,
    Failure.PROXY: _proxy,
    Failure.NOTHING_LEFT: _nothing_left,
}
