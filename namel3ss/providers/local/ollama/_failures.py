"""What a failure of the transport means for who asked Ollama: the one table from its kind to the error and its words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from namel3ss.providers.local.ollama._errors import (
    OllamaBadResponseError,
    OllamaConnectTimeoutError,
    OllamaError,
    OllamaRequestTimeoutError,
    OllamaServerUnreachableError,
    OllamaStreamInterruptedError,
)
from namel3ss.providers.transport.failure_kinds import Failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from namel3ss.providers.transport.failure_kinds import FailedRequest

__all__ = ["error_of"]


def error_of(failed: FailedRequest) -> OllamaError:
    """The OllamaError for a request that failed below HTTP."""
    return _ERRORS[failed.failure](failed)


def _unreachable(
    failed: FailedRequest,
    what: str,
    suggestion: str,
    error_type: str,
    cls: type[OllamaError] = OllamaServerUnreachableError,
) -> OllamaError:
    return cls(
        f"Could not reach Ollama server at {failed.base_url}: {what}.",
        model=failed.model,
        base_url=failed.base_url,
        suggestion=suggestion,
        original_error=failed.exception,
        error_type=error_type,
    )


_START = "Start it with: ollama serve\nOr check base_url and NAMEL3SS_OLLAMA_BASE_URL."


def _nothing_left(failed: FailedRequest) -> OllamaError:
    return _unreachable(
        failed,
        f"this program has used up what it may open ({failed.reason})",
        "Allow more open files (ulimit -n), or lower max_concurrency.",
        "_OTHER",
    )


def _refused(failed: FailedRequest) -> OllamaError:
    return _unreachable(failed, failed.reason or "connection refused", _START, "connect_refused")


def _unknown_host(failed: FailedRequest) -> OllamaError:
    return _unreachable(
        failed,
        "its host name cannot be resolved",
        "Check the host in base_url; on this machine: ollama serve",
        "dns",
    )


def _tls(failed: FailedRequest) -> OllamaError:
    return _unreachable(
        failed,
        f"TLS failed ({failed.reason})",
        "Ollama itself speaks plain http; https needs a proxy with a certificate that this machine trusts.",
        "tls",
    )


def _proxy(failed: FailedRequest) -> OllamaError:
    return _unreachable(
        failed,
        f"the proxy failed ({failed.reason})",
        "HTTP_PROXY, HTTPS_PROXY or ALL_PROXY names it. To do without it for this server, name the host in NO_PROXY.",
        "connect_refused",
    )


def _address(failed: FailedRequest) -> OllamaError:
    return _unreachable(
        failed, "the address cannot be used", "Write it like http://localhost:11434", "bad_request"
    )


def _connect_timeout(failed: FailedRequest) -> OllamaError:
    return _unreachable(
        failed,
        f"no connection within {failed.connect_timeout_s:g} s",
        f"{_START} A firewall may also swallow the packets.",
        "connect_timeout",
        OllamaConnectTimeoutError,
    )


def _timeout(failed: FailedRequest) -> OllamaError:
    return OllamaRequestTimeoutError(
        "The transport gave up waiting for the server.",
        model=failed.model,
        base_url=failed.base_url,
        original_error=failed.exception,
    )


def _disconnected(failed: FailedRequest) -> OllamaError:
    if not failed.is_answering:
        return OllamaServerUnreachableError(
            f"The server at {failed.base_url} closed the connection without an answer"
            f" ({failed.reason or 'no reason given'}).",
            model=failed.model,
            base_url=failed.base_url,
            suggestion="Retry. If it happens again, look at the server's log; is it Ollama (ollama serve)?",
            original_error=failed.exception,
            error_type="stream_reset",
        )
    return OllamaStreamInterruptedError(
        "The connection was lost before the answer was complete.",
        model=failed.model,
        base_url=failed.base_url,
        suggestion="Retry. If it happens again, look at the server's log.",
        original_error=failed.exception,
        error_type="stream_reset",
    )


def _invalid(failed: FailedRequest) -> OllamaError:
    return OllamaBadResponseError(
        f"The answer is not valid HTTP: {failed.reason}",
        model=failed.model,
        base_url=failed.base_url,
        suggestion="Is this the address of an Ollama server? Something else may listen there.",
        original_error=failed.exception,
    )


_ERRORS: dict[Failure, Callable[[FailedRequest], OllamaError]] = {
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
