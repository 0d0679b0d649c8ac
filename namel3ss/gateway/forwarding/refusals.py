"""What a caller is told when the queue or a server fails its request: one table each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.observability.error_types import OTHER
from namel3ss.providers.transport.failure_kinds import Failure
from namel3ss.scheduling import (
    DuplicateRequestError,
    QueueFullError,
    RequestCancelledError,
    SchedulerClosedError,
    WaitTimeoutError,
)

if TYPE_CHECKING:
    from namel3ss.gateway.upstream import UpstreamError
    from namel3ss.scheduling.errors import SchedulingError

__all__ = [
    "LATER_S",
    "broken_off",
    "error_type_of_server",
    "error_words",
    "refusal_of_queue",
    "refusal_of_server",
    "too_long",
]

LATER_S: Final = 5.0
"""When to come again, where nothing better is known."""


def refusal_of_queue(error: SchedulingError, *, retry_after_s: float) -> Refusal:
    """Why there is no slot. `retry_after_s` is the wait that was foreseen, for one that was too long."""
    if isinstance(error, QueueFullError):
        reason = Reason.user_queue_full if error.scope == "user" else Reason.queue_full
        return Refusal(
            reason,
            str(error.message),
            suggestion=error.suggestion,
            retry_after_s=error.retry_after_s,
        )
    if isinstance(error, WaitTimeoutError):
        return Refusal(
            Reason.wait_timeout,
            f"The request waited {error.waited_s:.1f} s in the queue without getting a slot.",
            suggestion="Try again later.",
            retry_after_s=retry_after_s,
        )
    if isinstance(error, DuplicateRequestError):
        return Refusal(
            Reason.duplicate_request,
            f"A request with the id {error.request_id!r} is already under way.",
            suggestion="Choose another X-Request-Id, or leave it out.",
        )
    if isinstance(error, RequestCancelledError):
        return Refusal(Reason.cancelled, "The request was cancelled.")
    if isinstance(error, SchedulerClosedError):
        return Refusal(
            Reason.shutting_down,
            "The gateway is being stopped.",
            suggestion="Send the request again.",
            retry_after_s=LATER_S,
        )
    return Refusal(Reason.no_server, "The request lost its slot.", retry_after_s=LATER_S)


def too_long(expected_s: float) -> Refusal:
    """For a request that would rather not wait."""
    return Refusal(
        Reason.wait_timeout,
        f"The request would have to wait about {expected_s:.0f} s for a slot.",
        suggestion="Try again later.",
        retry_after_s=expected_s,
    )


def refusal_of_server(error: UpstreamError) -> Refusal:
    """A server that could not be asked, or did not answer as it should. Its address is not told."""
    if error.kind is Failure.TIMEOUT:
        return Refusal(
            Reason.upstream_timeout,
            "The server did not answer in time.",
            suggestion="Try again; a smaller prompt or a model that is loaded already answers sooner.",
            retry_after_s=LATER_S,
        )
    if error.kind is Failure.INVALID:
        return Refusal(
            Reason.bad_upstream,
            "The server's answer is not what Ollama answers.",
            suggestion="Ask an administrator to look at the server.",
        )
    if error.may_have_run:
        return Refusal(
            Reason.bad_upstream,
            "The server ended the connection before it answered.",
            suggestion="Send the request again: the server may have been restarted.",
            retry_after_s=LATER_S,
        )
    return Refusal(
        Reason.server_down,
        "The server cannot be reached.",
        suggestion="Try again later.",
        retry_after_s=LATER_S,
    )


def broken_off(*, is_silent: bool) -> Refusal:
    """For a stream that has begun and does not come to its end; its status is out, so only the words are read.

    `is_silent`: its server is still there, and has sent nothing for longer than it may.
    """
    if is_silent:
        return Refusal(
            Reason.upstream_timeout,
            "The server fell silent, and its answer was ended before it was complete.",
        )
    return Refusal(Reason.bad_upstream, "The server ended its answer before it was complete.")


def error_type_of_server(error: UpstreamError) -> str:
    """The word for it that spans carry."""
    return _ERROR_TYPES.get(error.kind, OTHER)


_ERROR_TYPES: Final = {
    Failure.REFUSED: "connect_refused",
    Failure.UNKNOWN_HOST: "dns",
    Failure.TLS: "tls",
    Failure.CONNECT_TIMEOUT: "connect_timeout",
    Failure.TIMEOUT: "idle_timeout",
    Failure.DISCONNECTED: "stream_reset",
    Failure.INVALID: "invalid_response",
}


class _Error(msgspec.Struct):
    error: str | dict[str, object] = ""


def error_words(error: bytes) -> str:
    """What a server's error line or event says."""
    data = b"".join(line[5:] for line in error.splitlines() if line.startswith(b"data:")) or error
    try:
        said = msgspec.json.decode(data, type=_Error).error
    except (msgspec.MsgspecError, UnicodeDecodeError):
        said = ""
    words = said.get("message") if isinstance(said, dict) else said
    return words if isinstance(words, str) and words else "The server failed without saying why."
