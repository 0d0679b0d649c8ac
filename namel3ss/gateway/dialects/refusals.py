"""Refusals and broken streams, in each protocol's own shape. The words are the refusal's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from namel3ss.gateway.errors import Reason
from namel3ss.gateway.exchange import JSON_TYPE
from namel3ss.gateway.routes import Dialect

if TYPE_CHECKING:
    from namel3ss.gateway.errors import Refusal
    from namel3ss.gateway.routes import Route

__all__ = ["EVENT_STREAM", "error_body", "error_content_type", "error_event"]

EVENT_STREAM: Final = b"text/event-stream"

_RESPONSES_PATH: Final = "/v1/responses"
_BARE_TYPE: Final = b"application/json"

_OPENAI_KINDS: Final = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
_ANTHROPIC_KINDS: Final = _OPENAI_KINDS | {413: "request_too_large", 503: "overloaded_error"}

# A broken body is found before Ollama's translation of the protocol, which ends its answers otherwise.
_SAID_BEFORE_TRANSLATION: Final = frozenset({Reason.bad_request})


def error_body(dialect: Dialect, refusal: Refusal, request_id: str) -> bytes:
    """The whole body of an answer that refuses a request."""
    value = _error_value(dialect, refusal, request_id)
    return go_json(value) + (b"\n" if _is_translated(dialect, refusal) else b"")


def error_content_type(dialect: Dialect, refusal: Refusal) -> bytes:
    """The content type that belongs to `error_body`."""
    return _BARE_TYPE if _is_translated(dialect, refusal) else JSON_TYPE


def error_event(route: Route, refusal: Refusal, request_id: str, *, events: int = 0) -> bytes:
    """What ends a stream that cannot go on: Ollama's last line, or the protocol's error event.

    `events`: how many have gone out; the Responses API numbers them.
    """
    if route.dialect is Dialect.OLLAMA:
        return error_body(route.dialect, refusal, request_id) + b"\n"
    if route.dialect is Dialect.ANTHROPIC:
        data = go_json(_error_value(route.dialect, refusal, request_id))
        return b"event: error\ndata: %b\n\n" % data
    if route.path == _RESPONSES_PATH:
        event = {
            "type": "error",
            "code": _kind(_OPENAI_KINDS, refusal),
            "message": _words(refusal),
            "param": None,
            "sequence_number": events,
        }
        return b"event: error\ndata: %b\n\n" % go_json(event)
    return b"data: %b\n\n" % go_json(_error_value(route.dialect, refusal, request_id))


def go_json(value: object) -> bytes:
    """Compact JSON as Go writes it: without the characters that HTML could misread."""
    text = msgspec.json.encode(value)
    return text.replace(b"<", b"\\u003c").replace(b">", b"\\u003e").replace(b"&", b"\\u0026")


def _error_value(dialect: Dialect, refusal: Refusal, request_id: str) -> dict[str, object]:
    message = _words(refusal)
    if dialect is Dialect.OLLAMA:
        return {"error": message}
    if dialect is Dialect.OPENAI:
        kind = _kind(_OPENAI_KINDS, refusal)
        return {"error": {"message": message, "type": kind, "param": None, "code": None}}
    kind = _kind(_ANTHROPIC_KINDS, refusal)
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": request_id}


def _kind(kinds: dict[int, str], refusal: Refusal) -> str:
    status = refusal.status
    return kinds.get(status) or ("api_error" if status >= 500 else "invalid_request_error")


def _words(refusal: Refusal) -> str:
    text = refusal.message
    if refusal.suggestion:
        # Ollama's own words, which clients look for, end without a stop.
        text += f" {refusal.suggestion}" if text.endswith((".", "?", "!")) else f". {refusal.suggestion}"
    # A name that a caller made up may hold halves of characters, which no JSON can.
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _is_translated(dialect: Dialect, refusal: Refusal) -> bool:
    return dialect is not Dialect.OLLAMA and refusal.reason not in _SAID_BEFORE_TRANSLATION
