"""What a request's headers must be before anything in them counts.

The server's parser has refused broken HTTP already. This holds under any server, and for what the parser lets pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from namel3ss.gateway.errors import Reason, Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "LONGEST_TARGET",
    "MOST_HEADERS",
    "MOST_HEADER_BYTES",
    "check_encoding",
    "check_headers",
    "check_target",
]

MOST_HEADERS: Final = 100
MOST_HEADER_BYTES: Final = 32_768
LONGEST_TARGET: Final = 8_192
"""Bytes of path and query together."""

# Said twice, these would mean one thing to us and another to somebody else.
_ONCE: Final = frozenset(
    {
        b"authorization",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"host",
        b"origin",
        b"transfer-encoding",
        b"x-api-key",
        b"x-namel3ss-server",
        b"x-queue-events",
        b"x-request-id",
    }
)


def check_headers(pairs: Sequence[tuple[bytes, bytes]], headers: Mapping[bytes, bytes]) -> None:
    """Raises Refusal for headers that are too many, too long, or say something in two ways."""
    if len(headers) != len(pairs):
        _refuse_repeated(pairs)
    size = sum([len(name) + len(value) for name, value in pairs])
    if size > MOST_HEADER_BYTES or len(pairs) > MOST_HEADERS:
        raise Refusal(
            Reason.headers_too_large,
            f"The request has more than {MOST_HEADER_BYTES} bytes of headers, or more than {MOST_HEADERS} of them.",
        )
    if b"transfer-encoding" in headers:
        if b"content-length" in headers:
            raise Refusal(Reason.bad_framing, "The request says the length of its body in two ways.")
        if headers[b"transfer-encoding"].strip().lower() != b"chunked":
            raise Refusal(Reason.bad_framing, "The only transfer encoding that is read here is `chunked`.")


def _refuse_repeated(pairs: Sequence[tuple[bytes, bytes]]) -> None:
    seen: set[bytes] = set()
    for name, _ in pairs:
        if name in seen and name in _ONCE:
            raise Refusal(Reason.bad_framing, f"The request has the header {name.decode('latin-1')} twice.")
        seen.add(name)


def check_target(path: bytes, query: bytes) -> None:
    """Raises Refusal for a target that is too long."""
    if len(path) + len(query) > LONGEST_TARGET:
        raise Refusal(Reason.headers_too_large, f"The request's target has more than {LONGEST_TARGET} bytes.")


def check_encoding(headers: Mapping[bytes, bytes]) -> None:
    """Raises Refusal for a compressed body: nothing is unpacked here."""
    encoding = headers.get(b"content-encoding")
    if encoding is not None and encoding.strip().lower() not in (b"", b"identity"):
        raise Refusal(
            Reason.unsupported_media,
            "The request's body is compressed, and nothing is unpacked here.",
            suggestion="Send the body as plain JSON, without Content-Encoding.",
        )
