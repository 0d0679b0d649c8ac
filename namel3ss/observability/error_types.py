"""The values of ``error.type``: a closed list, so that dashboards and alerts can name each of them.

An HTTP status stands for itself (``"500"``) where the server refused without a reason that has a word here.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CANCELLED", "ERROR_TYPES", "OTHER", "closed_error_type", "error_type_of"]

CANCELLED = "cancelled"
OTHER = "_OTHER"

ERROR_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "connect_refused": "nothing listens at the address, or no server program could be started",
        "dns": "the host name is unknown",
        "tls": "the certificate or the TLS handshake was refused",
        "connect_timeout": "no connection within the connect timeout",
        "first_token_timeout": "connected, but no first line in time",
        "idle_timeout": "the answer stopped in the middle and nothing came in time",
        "total_timeout": "the whole request took longer than allowed",
        "pool_timeout": "no free connection in time",
        "stream_reset": "the connection was reset while the answer was coming",
        "stream_incomplete": "the answer ended without its last line",
        "invalid_response": "the answer is not what this server speaks",
        "upstream_error": "the server reported an error of its own",
        "model_not_found": "the model is not there",
        "queue_full": "the server has too many requests waiting",
        "pull_failed": "a model could not be downloaded",
        "disk_full": "no room for a model",
        "resource_exhausted": "not enough memory for the model",
        "auth": "the server refused the credentials",
        "bad_request": "the server refused the request itself",
        CANCELLED: "the caller stopped waiting, or left the stream early",
        OTHER: "anything else",
    }
)


def closed_error_type(value: str | None) -> str:
    """`value` if it is in the list or an HTTP status of an error, else ``_OTHER``."""
    if value is None:
        return OTHER
    if value in ERROR_TYPES:
        return value
    is_status = len(value) == 3 and value.isascii() and value.isdigit() and value[0] in "345"
    return value if is_status else OTHER


def error_type_of(error: BaseException) -> str:
    """The word for an exception: its own `error_type` if it is in the list; a cancellation is ``cancelled``."""
    # CancelledError and GeneratorExit (a generator that was left early) derive from BaseException alone.
    if not isinstance(error, Exception):
        return CANCELLED
    stated = getattr(error, "error_type", None)
    return closed_error_type(stated if isinstance(stated, str) else None)
