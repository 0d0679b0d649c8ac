"""Requests that two readers could read differently, and requests that nobody should. Each hides another one, to /api/push."""

from __future__ import annotations

from typing import Final

__all__ = ["AMBIGUOUS", "HIDDEN", "SENSIBLE", "chunked", "post"]

HIDDEN: Final = (
    b"POST /api/push HTTP/1.1\r\nHost: localhost\r\nx-api-key: secret\r\nContent-Length: 0\r\n\r\n"
)


def post(*headers: bytes, body: bytes = b"", path: bytes = b"/api/chat", version: bytes = b"1.1") -> bytes:
    """A request with a key, and with these header lines besides."""
    head = b"POST %b HTTP/%b\r\nHost: localhost\r\nx-api-key: secret\r\n" % (path, version)
    return head + b"".join(header + b"\r\n" for header in headers) + b"\r\n" + body


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + end


_TE: Final = b"Transfer-Encoding: chunked"
_LENGTH: Final = b"Content-Length: %d" % len(HIDDEN)

# Refused, with the end of the connection.
AMBIGUOUS: Final[dict[str, bytes]] = {
    "length, then chunks": post(_LENGTH, _TE, body=b"0\r\n\r\n" + HIDDEN),
    "chunks, then length": post(_TE, _LENGTH, body=b"0\r\n\r\n" + HIDDEN),
    "length 0 and chunks": post(b"Content-Length: 0", _TE, body=chunked(HIDDEN)),
    "two lengths": post(b"Content-Length: 0", _LENGTH, body=HIDDEN),
    "the same length twice": post(_LENGTH, _LENGTH, body=HIDDEN),
    "a list of lengths": post(b"Content-Length: 0, %d" % len(HIDDEN), body=HIDDEN),
    "a length with a sign": post(b"Content-Length: +0", body=HIDDEN),
    "a negative length": post(b"Content-Length: -1", body=HIDDEN),
    "a length in hexadecimal": post(b"Content-Length: 0x10", body=HIDDEN),
    "a length with a point": post(b"Content-Length: 0.0", body=HIDDEN),
    "a length with a blank inside": post(b"Content-Length: 1 0", body=HIDDEN),
    "a length beyond all numbers": post(b"Content-Length: 99999999999999999999999", body=HIDDEN),
    "a length that is empty": post(b"Content-Length:", body=HIDDEN),
    "a blank before the colon of the length": post(b"Content-Length : 0", body=HIDDEN),
    "a blank before the colon of the coding": post(b"Transfer-Encoding : chunked", body=chunked(HIDDEN)),
    "a tab before the colon": post(b"Transfer-Encoding\t: chunked", body=chunked(HIDDEN)),
    "a coding that is none": post(b"Transfer-Encoding: xchunked", body=chunked(HIDDEN)),
    "identity": post(b"Transfer-Encoding: identity", body=HIDDEN),
    "chunked, then identity": post(b"Transfer-Encoding: chunked, identity", body=chunked(HIDDEN)),
    "gzip, then chunked": post(b"Transfer-Encoding: gzip, chunked", body=chunked(HIDDEN)),
    "chunked twice": post(b"Transfer-Encoding: chunked, chunked", body=chunked(HIDDEN)),
    "two codings": post(_TE, b"Transfer-Encoding: identity", body=chunked(HIDDEN)),
    "two codings that are one": post(_TE, _TE, body=chunked(HIDDEN)),
    "a quoted coding": post(b'Transfer-Encoding: "chunked"', body=chunked(HIDDEN)),
    "a coding with a parameter": post(b"Transfer-Encoding: chunked;x=1", body=chunked(HIDDEN)),
    "a coding with a control character": post(b"Transfer-Encoding: \x0bchunked", body=chunked(HIDDEN)),
    "a folded coding": post(b"Transfer-Encoding:\r\n chunked", body=chunked(HIDDEN)),
    "a folded header": post(b"X-A: b\r\n Transfer-Encoding: chunked", body=chunked(HIDDEN)),
    "a coding after a bare line feed": post(b"X-A: b\nTransfer-Encoding: chunked", body=chunked(HIDDEN)),
    "a coding after a bare return": post(b"X-A: b\rTransfer-Encoding: chunked", body=chunked(HIDDEN)),
    "chunks before HTTP/1.1": post(_TE, body=chunked(HIDDEN), version=b"1.0"),
    "a header with a null byte": post(b"X-A: \0", body=HIDDEN),
    "a header without a colon": post(b"X-A", body=HIDDEN),
    "a header without a name": post(b": x", body=HIDDEN),
    "a name with a blank": post(b"X A: b", body=HIDDEN),
    "a name beyond ASCII": post("X-\u00e9: b".encode(), body=HIDDEN),
    "a blank before the first header": b"POST /api/chat HTTP/1.1\r\n Host: localhost\r\nx-api-key: secret\r\n\r\n" + HIDDEN,
    "only line feeds": post(b"Content-Length: 0", body=HIDDEN).replace(b"\r\n", b"\n"),
    "a line feed at the end of the head": post(b"Content-Length: 0").replace(b"\r\n\r\n", b"\n\n") + HIDDEN,
    "a chunk without a size": post(_TE, body=b"\r\nabc\r\n0\r\n\r\n" + HIDDEN),
    "a chunk with a sign": post(_TE, body=b"+3\r\nabc\r\n0\r\n\r\n" + HIDDEN),
    "a chunk in hexadecimal notation": post(_TE, body=b"0x3\r\nabc\r\n0\r\n\r\n" + HIDDEN),
    "a chunk of a negative size": post(_TE, body=b"-3\r\nabc\r\n0\r\n\r\n" + HIDDEN),
    "a chunk beyond all numbers": post(_TE, body=b"FFFFFFFFFFFFFFFFFF\r\nabc\r\n0\r\n\r\n" + HIDDEN),
    "a chunk that wraps around": post(_TE, body=b"10000000000000003\r\nabc\r\n0\r\n\r\n" + HIDDEN),
    "a chunk that is longer than it says": post(_TE, body=b"3\r\nabcd\r\n0\r\n\r\n" + HIDDEN),
    "a chunk that ends in a line feed": post(_TE, body=b"3\r\nabc\n0\r\n\r\n" + HIDDEN),
    "a size that ends in a line feed": post(_TE, body=b"3\nabc\r\n0\r\n\r\n" + HIDDEN),
    "a size with a blank before it": post(_TE, body=b" 3\r\nabc\r\n0\r\n\r\n" + HIDDEN),
    "a size with a bare return": post(_TE, body=b"3\rX\r\nabc\r\n0\r\n\r\n" + HIDDEN),
    "an extension of a chunk": post(_TE, body=b'3;a=b;c="d"\r\nabc\r\n0\r\n\r\n' + HIDDEN),
    "an extension of the last chunk": post(_TE, body=b"3\r\nabc\r\n0;x\r\n\r\n" + HIDDEN),
    "an extension with a line feed": post(_TE, body=b"3;\n\r\nabc\r\n0\r\n\r\n" + HIDDEN),
    "an endless size": post(_TE, body=b"0" * 500),
    "a blank behind a size": post(_TE, body=b"3 \r\nabc\r\n0\r\n\r\n" + HIDDEN),
    "a broken trailer": post(_TE, body=b"3\r\nabc\r\n0\r\nbroken\r\n\r\n" + HIDDEN),
    "a length in the trailers": post(_TE, body=b"3\r\nabc\r\n0\r\nContent-Length: 9\r\n\r\n" + HIDDEN),
    "an offer of HTTP/2 with a coding that is none": post(
        b"Connection: Upgrade", b"Upgrade: h2c", b"Transfer-Encoding: xchunked", body=chunked(HIDDEN)
    ),
    "an offer of HTTP/2 with length and chunks": post(
        b"Connection: Upgrade", b"Upgrade: h2c", _TE, _LENGTH, body=chunked(HIDDEN)
    ),
    "a broken chunk of a body that waits to be asked for": post(
        b"Expect: 100-continue", _TE, body=b"zz\r\nabc\r\n0\r\n\r\n" + HIDDEN
    ),
    "two hosts": post(b"Host: localhost", b"Content-Length: 0", body=HIDDEN),
    "two keys": post(b"x-api-key: other", b"Content-Length: 0", body=HIDDEN),
}  # fmt: skip

# Unusual, and read in one way only: how many requests are in it, the hidden one not among them.
SENSIBLE: Final[dict[str, tuple[bytes, list[bytes]]]] = {
    "the hidden request is a body": (post(_LENGTH, body=HIDDEN), [HIDDEN]),
    "the hidden request is a chunk": (post(_TE, body=chunked(HIDDEN)), [HIDDEN]),
    "the hidden request is in many chunks": (
        post(_TE, body=chunked(*(HIDDEN[place : place + 1] for place in range(len(HIDDEN))))),
        [HIDDEN],
    ),
    "capital letters": (post(b"TRANSFER-ENCODING: CHUNKED", body=chunked(HIDDEN)), [HIDDEN]),
    "zeros before a size": (post(_TE, body=b"0003\r\nabc\r\n000\r\n\r\n"), [b"abc"]),
    "zeros before a length": (post(b"Content-Length: 0003", body=b"abc"), [b"abc"]),
    "trailers": (post(_TE, body=b"3\r\nabc\r\n0\r\nX-A: b\r\nx-api-key: other\r\n\r\n"), [b"abc"]),
    "line ends before the request": (b"\r\n\r\n" + post(b"Content-Length: 3", body=b"abc"), [b"abc"]),
    "an offer of HTTP/2 with a body": (
        post(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk", _LENGTH, body=HIDDEN),
        [HIDDEN],
    ),
    "an offer of a web socket": (
        post(b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13", _LENGTH, body=HIDDEN),
        [HIDDEN],
    ),
    "a key named as a header of the connection": (
        post(b"Connection: x-api-key, close", b"Content-Length: 3", body=b"abc"),
        [b"abc"],
    ),
    "a length under another name": (post(b"X-Content-Length: 0", _LENGTH, body=HIDDEN), [HIDDEN]),
    "an underscore for a dash": (post(b"Transfer_Encoding: chunked", _LENGTH, body=HIDDEN), [HIDDEN]),
}  # fmt: skip
