"""What an exception of httpx or aiohttp means, and the error it becomes: the one table of transport failures.

The adapter between the two libraries gives one httpx class to very different failures (`ConnectTimeout` for a refused
connection, an unknown host, a reset and a real timeout), and lets some aiohttp exceptions through. So a failure is
classified by aiohttp's exception where there is one, and by httpx's only where a given transport raised it itself.
"""

from __future__ import annotations

import enum
import errno
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp
import httpx
from aiohttp.http_exceptions import HttpProcessingError

from namel3ss.providers.local.ollama._errors import (
    OllamaBadResponseError,
    OllamaConnectTimeoutError,
    OllamaError,
    OllamaRequestTimeoutError,
    OllamaServerUnreachableError,
    OllamaStreamInterruptedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Failure", "classify", "library_error", "ollama_error"]


class Failure(enum.Enum):
    """What a transport can fail with."""

    REFUSED = "the connection was refused"
    UNKNOWN_HOST = "the host name is unknown"
    TLS = "the TLS handshake failed"
    CONNECT_TIMEOUT = "the connection took too long"
    TIMEOUT = "a read or write took too long"
    DISCONNECTED = "the connection was closed or reset"
    INVALID = "the answer is not HTTP"
    ADDRESS = "the address cannot be used"
    PROXY = "the proxy failed"
    NOTHING_LEFT = "this process may open nothing more"


# The nearest class in the exception's own order of inheritance decides.
_MEANINGS: dict[type[BaseException], Failure] = {
    aiohttp.ClientConnectorDNSError: Failure.UNKNOWN_HOST,
    aiohttp.ClientSSLError: Failure.TLS,
    aiohttp.ClientConnectorSSLError: Failure.TLS,
    aiohttp.ClientConnectorCertificateError: Failure.TLS,
    aiohttp.ServerFingerprintMismatch: Failure.TLS,
    aiohttp.ClientProxyConnectionError: Failure.PROXY,
    aiohttp.ClientHttpProxyError: Failure.PROXY,
    aiohttp.ClientConnectorError: Failure.REFUSED,
    aiohttp.ConnectionTimeoutError: Failure.CONNECT_TIMEOUT,
    aiohttp.ServerTimeoutError: Failure.TIMEOUT,
    aiohttp.ClientConnectionError: Failure.DISCONNECTED,
    aiohttp.ClientPayloadError: Failure.DISCONNECTED,
    aiohttp.ClientResponseError: Failure.INVALID,
    aiohttp.InvalidURL: Failure.ADDRESS,
    aiohttp.NonHttpUrlClientError: Failure.ADDRESS,
    aiohttp.RedirectClientError: Failure.ADDRESS,
    aiohttp.ClientError: Failure.DISCONNECTED,
    HttpProcessingError: Failure.INVALID,
    httpx.ConnectTimeout: Failure.CONNECT_TIMEOUT,
    httpx.PoolTimeout: Failure.CONNECT_TIMEOUT,
    httpx.TimeoutException: Failure.TIMEOUT,
    httpx.ConnectError: Failure.REFUSED,
    httpx.NetworkError: Failure.DISCONNECTED,
    httpx.ProxyError: Failure.PROXY,
    httpx.UnsupportedProtocol: Failure.ADDRESS,
    httpx.RemoteProtocolError: Failure.DISCONNECTED,
    httpx.HTTPError: Failure.INVALID,
    TimeoutError: Failure.TIMEOUT,
    OSError: Failure.DISCONNECTED,
}


# Error numbers that tell of this process or machine, and not of the server.
_NOTHING_LEFT = {errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM}


def classify(error: BaseException) -> Failure | None:
    """What went wrong; None for an exception that no transport raises."""
    if _error_number(error) in _NOTHING_LEFT:
        return Failure.NOTHING_LEFT
    for candidate in (library_error(error), error):
        for cls in type(candidate).__mro__:
            if cls in _MEANINGS:
                return _MEANINGS[cls]
    return None


def _reason(error: BaseException) -> str:
    """The cause in a few words, as the operating system or the library says it; "" where it says nothing."""
    inner = library_error(error)
    number = _error_number(error)
    if number in errno.errorcode:
        return os.strerror(number).lower()
    if isinstance(inner, aiohttp.ServerDisconnectedError):
        return "connection closed"
    if isinstance(inner, aiohttp.ClientResponseError):
        return " ".join(str(inner.message).split())[:200]
    return " ".join(str(inner).split())[:200]


def _error_number(error: BaseException) -> int:
    """The operating system's number for what went wrong; 0 where there is none."""
    inner = library_error(error)
    number = getattr(getattr(inner, "os_error", inner), "errno", None)
    return number if isinstance(number, int) else 0


def library_error(error: BaseException) -> BaseException:
    """The exception of aiohttp beneath httpx's, where there is one."""
    cause = error.__cause__
    return (
        cause
        if isinstance(error, httpx.HTTPError) and isinstance(cause, aiohttp.ClientError | OSError)
        else error
    )


# -- what it means for the caller -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Cause:
    """A failed request: the exception, and what its message needs."""

    exception: Exception
    base_url: str
    model: str | None
    connect_timeout_s: float
    is_answering: bool

    def unreachable(
        self,
        what: str,
        suggestion: str,
        error_type: str,
        cls: type[OllamaError] = OllamaServerUnreachableError,
    ) -> OllamaError:
        return cls(
            f"Could not reach Ollama server at {self.base_url}: {what}.",
            model=self.model,
            base_url=self.base_url,
            suggestion=suggestion,
            original_error=self.exception,
            error_type=error_type,
        )


_START = "Start it with: ollama serve\nOr check base_url and NAMEL3SS_OLLAMA_BASE_URL."


def _nothing_left(cause: _Cause) -> OllamaError:
    return cause.unreachable(
        f"this program has used up what it may open ({_reason(cause.exception)})",
        "Allow more open files (ulimit -n), or lower max_concurrency.",
        "_OTHER",
    )


def _refused(cause: _Cause) -> OllamaError:
    return cause.unreachable(_reason(cause.exception) or "connection refused", _START, "connect_refused")


def _unknown_host(cause: _Cause) -> OllamaError:
    return cause.unreachable(
        "its host name cannot be resolved", "Check the host in base_url; on this machine: ollama serve", "dns"
    )


def _tls(cause: _Cause) -> OllamaError:
    return cause.unreachable(
        f"TLS failed ({_reason(cause.exception)})",
        "Ollama itself speaks plain http; https needs a proxy with a certificate that this machine trusts.",
        "tls",
    )


def _proxy(cause: _Cause) -> OllamaError:
    return cause.unreachable(f"the proxy failed ({_reason(cause.exception)})", _START, "connect_refused")


def _address(cause: _Cause) -> OllamaError:
    return cause.unreachable(
        "the address cannot be used", "Write it like http://localhost:11434", "bad_request"
    )


def _connect_timeout(cause: _Cause) -> OllamaError:
    return cause.unreachable(
        f"no connection within {cause.connect_timeout_s:g} s",
        f"{_START} A firewall may also swallow the packets.",
        "connect_timeout",
        OllamaConnectTimeoutError,
    )


def _timeout(cause: _Cause) -> OllamaError:
    return OllamaRequestTimeoutError(
        "The transport gave up waiting for the server.",
        model=cause.model,
        base_url=cause.base_url,
        original_error=cause.exception,
    )


def _disconnected(cause: _Cause) -> OllamaError:
    if not cause.is_answering:
        return OllamaServerUnreachableError(
            f"The server at {cause.base_url} closed the connection without an answer"
            f" ({_reason(cause.exception) or 'no reason given'}).",
            model=cause.model,
            base_url=cause.base_url,
            suggestion="Retry. If it happens again, look at the server's log; is it Ollama (ollama serve)?",
            original_error=cause.exception,
            error_type="stream_reset",
        )
    return OllamaStreamInterruptedError(
        "The connection was lost before the answer was complete.",
        model=cause.model,
        base_url=cause.base_url,
        suggestion="Retry. If it happens again, look at the server's log.",
        original_error=cause.exception,
        error_type="stream_reset",
    )


def _invalid(cause: _Cause) -> OllamaError:
    return OllamaBadResponseError(
        f"The answer is not valid HTTP: {_reason(cause.exception)}",
        model=cause.model,
        base_url=cause.base_url,
        suggestion="Is this the address of an Ollama server? Something else may listen there.",
        original_error=cause.exception,
    )


_ERRORS: dict[Failure, Callable[[_Cause], OllamaError]] = {
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


def ollama_error(
    error: Exception,
    *,
    model: str | None,
    base_url: str,
    connect_timeout_s: float,
    is_answering: bool,
) -> OllamaError | None:
    """The OllamaError for an exception of a transport; None for any other. `is_answering`: a body had begun."""
    failure = classify(error)
    if failure is None:
        return None
    return _ERRORS[failure](_Cause(error, base_url, model, connect_timeout_s, is_answering))
