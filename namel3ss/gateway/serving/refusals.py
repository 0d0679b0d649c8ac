"""Answers to requests that never become one: what cannot be read, comes too slowly, or finds no room."""

from __future__ import annotations

import http
import secrets
from typing import TYPE_CHECKING

from namel3ss.gateway.dialects.refusals import error_body
from namel3ss.gateway.exchange import JSON_TYPE
from namel3ss.gateway.routes import Dialect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope

    from namel3ss.gateway.errors import Refusal

__all__ = ["plain_answer", "refuse_all"]


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
