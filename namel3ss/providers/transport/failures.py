"""What an exception of httpx or aiohttp means: the one classification of transport failures.

The adapter between the two libraries gives one httpx class to very different failures (`ConnectTimeout` for a refused
connection, an unknown host, a reset and a real timeout), and lets some aiohttp exceptions through. So a failure is
classified by aiohttp's exception where there is one, and by httpx's only where a given transport raised it itself.
"""

from __future__ import annotations

import errno
import os
import ssl

import aiohttp
import httpx
from aiohttp.http_exceptions import HttpProcessingError

from namel3ss.providers.transport.failure_kinds import Failure

__all__ = ["classify", "library_error", "reason_of"]


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
    # aiohttp says so when it is asked to read on just after it has closed the connection itself.
    return Failure.DISCONNECTED if error.args == ("Connection closed.",) else None


def reason_of(error: BaseException) -> str:
    """The cause on one line, as the operating system or the library says it; "" where it says nothing.

    It may repeat what a server sent, at its length.
    """
    inner = library_error(error)
    if (tls := _tls_error(inner)) is not None:
        return _tls_reason(tls)
    number = _error_number(error)
    if number in errno.errorcode:
        return os.strerror(number).lower()
    if isinstance(inner, aiohttp.ServerDisconnectedError):
        return "connection closed"
    if isinstance(inner, aiohttp.ClientResponseError):
        return " ".join(str(inner.message).split())
    return " ".join(str(inner).split())


def _error_number(error: BaseException) -> int:
    """The operating system's number for what went wrong; 0 where there is none."""
    inner = library_error(error)
    if _tls_error(inner) is not None:
        return 0  # OpenSSL counts its errors for itself
    number = getattr(getattr(inner, "os_error", inner), "errno", None)
    return number if isinstance(number, int) else 0


def _tls_error(error: BaseException) -> ssl.SSLError | None:
    """What OpenSSL found wrong, where it was OpenSSL. aiohttp's own exceptions of that type only hold the real one."""
    for found in (error, getattr(error, "os_error", None), getattr(error, "certificate_error", None)):
        if isinstance(found, ssl.SSLError) and not isinstance(found, aiohttp.ClientError):
            return found
    return None


def _tls_reason(error: ssl.SSLError) -> str:
    """Such as "certificate verify failed: self-signed certificate"; OpenSSL's own text names lines of its source."""
    reason = (error.reason or "").replace("_", " ").lower() or " ".join(str(error).split())
    about = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else ""
    return f"{reason}: {about}" if about else reason


def library_error(error: BaseException) -> BaseException:
    """The exception of aiohttp beneath httpx's, where there is one."""
    cause = error.__cause__
    return (
        cause
        if isinstance(error, httpx.HTTPError) and isinstance(cause, aiohttp.ClientError | OSError)
        else error
    )
