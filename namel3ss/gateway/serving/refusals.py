"""Answers to requests that never become one: what cannot be read, comes too slowly, or finds no room."""

from __future__ import annotations

import http
import secrets
from typing import TYPE_CHECKING, Final

from namel3ss.gateway.dialects.refusals import error_body
from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.exchange import JSON_TYPE
from namel3ss.gateway.routes import Dialect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope

    from namel3ss.gateway.serving.limits import ConnectionLimits

__all__ = [
    "NO_ROOM",
    "fragment",
    "late_head",
    "not_http",
    "plain_answer",
    "refuse_all",
    "slow_body",
    "too_large_head",
    "too_many_headers",
]

NO_ROOM: Final = Refusal(
    Reason.queue_full,
    "The gateway has as many connections as it can take.",
    suggestion="Try again in a second.",
    retry_after_s=1.0,
)


def not_http() -> Refusal:
    """For what HTTP forbids, and for what it leaves to guess."""
    return Refusal(Reason.bad_framing, "The request is not HTTP/1.1 as it is defined.")


def fragment() -> Refusal:
    """For a target with a part that clients keep to themselves."""
    return Refusal(Reason.bad_framing, "The request's target holds a `#`.")


def too_many_headers(limits: ConnectionLimits) -> Refusal:
    """For more headers than a request may have."""
    return Refusal(Reason.headers_too_large, f"The request has more than {limits.header_count} headers.")


def too_large_head(limits: ConnectionLimits) -> Refusal:
    """For a request line and headers of more bytes than they may have."""
    return Refusal(
        Reason.headers_too_large, f"The request's headers take more than {limits.head_bytes} bytes."
    )


def late_head(limits: ConnectionLimits) -> Refusal:
    """For headers that do not come to their end."""
    return Refusal(
        Reason.header_timeout, f"The request's headers were not complete after {limits.head_s:g} seconds."
    )


def slow_body(limits: ConnectionLimits) -> Refusal:
    """For a body that hardly comes."""
    return Refusal(
        Reason.body_timeout,
        f"Less than {limits.body_pace_bytes} bytes of the request's body came in {limits.body_pace_s:g} seconds.",
    )


def plain_answer(refusal: Refusal) -> bytes:
    """The whole answer as it goes over the wire, the last one of its connection."""
    body = _body(refusal)
    lines = [f"HTTP/1.1 {refusal.status} {http.HTTPStatus(refusal.status).phrase}".encode()]
    lines += [b"%b: %b" % header for header in _headers(refusal, body)]
    return b"\r\n".join([*lines, b"", body])


def refuse_all(refusal: Refusal) -> ASGI3Application:
    """An application that gives every request this answer."""
    body = _body(refusal)
    headers = list(_headers(refusal, body))

    async def refuse(_scope: Scope, _receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    return refuse


def _body(refusal: Refusal) -> bytes:
    # Whose protocol it was is not known yet, or is no matter: these are met by no client that keeps to HTTP.
    return error_body(Dialect.OLLAMA, refusal, secrets.token_hex(8))


def _headers(refusal: Refusal, body: bytes) -> Iterator[tuple[bytes, bytes]]:
    yield b"content-type", JSON_TYPE
    yield b"content-length", str(len(body)).encode()
    yield b"connection", b"close"
    yield b"x-namel3ss-error", refusal.reason.name.encode()
    if refusal.retry_after_s is not None:
        yield b"retry-after", str(max(1, round(refusal.retry_after_s))).encode()
