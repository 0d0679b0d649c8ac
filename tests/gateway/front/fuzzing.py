"""Broken and strange HTTP by chance, from a seed: mutations of requests, and another reader to compare with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import h11

from tests.gateway.front.raw_requests import AMBIGUOUS, HIDDEN, SENSIBLE, chunked, post

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

__all__ = ["Read", "conversation", "first_request"]

_SEEDS: Final = (
    *AMBIGUOUS.values(),
    *(data for data, _ in SENSIBLE.values()),
    b"GET /api/tags HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer secret\r\n\r\n",
    b"GET /v1/models/library%2Ftiny:8b?x=1 HTTP/1.1\r\nHost: localhost:80\r\nx-api-key: secret\r\n\r\n",
    b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"OPTIONS /api/chat HTTP/1.1\r\nHost: localhost\r\nOrigin: http://a\r\nAccess-Control-Request-Method: POST\r\n\r\n",
    post(b"Content-Type: application/json", b"Content-Length: 2", b"Expect: 100-continue", body=b"{}"),
    post(b"Transfer-Encoding: chunked", body=chunked(b"a", b"bc", b"d" * 300)),
    HIDDEN,
)
_PIECES: Final = (
    b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b";", b",", b"%", b"%00", b"%2e%2e/", b"//", b"\xff", b"\x0b",
    b"HTTP/1.1", b"HTTP/1.0", b"HTTP/9.9", b"0\r\n\r\n", b"5\r\nabcde\r\n", b"FFFFFFFFFFFFFFFF\r\n", b"-1", b"+1", b"0x1",
    b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip\r\n",
    b"Host: elsewhere\r\n", b"Connection: close\r\n", b"Connection: Upgrade\r\nUpgrade: h2c\r\n", b"Expect: 100-continue\r\n",
    b"Cookie: " + b"x" * 3000 + b"\r\n", b"GET / HTTP/1.1\r\n", HIDDEN,
)  # fmt: skip


class Read(NamedTuple):
    """One request as a reader understood it."""

    method: bytes
    target: bytes
    body: bytes


def conversation(rng: random.Random) -> list[bytes]:
    """What one client sends, in pieces."""
    data = b"".join(rng.choice(_SEEDS) for _ in range(rng.choice((1, 1, 1, 2, 3))))
    for _ in range(rng.choice((0, 1, 1, 2, 4, 8))):
        data = rng.choice(_MUTATIONS)(rng, data)
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.choice((0, 0, 1, 3))))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def _flip(rng: random.Random, data: bytes) -> bytes:
    place = rng.randrange(len(data) + 1)
    return data[:place] + bytes([rng.randrange(256)]) + data[place + 1 :]


def _insert(rng: random.Random, data: bytes) -> bytes:
    place = rng.randrange(len(data) + 1)
    return data[:place] + rng.choice(_PIECES) + data[place:]


def _insert_line(rng: random.Random, data: bytes) -> bytes:
    lines = data.split(b"\r\n")
    lines.insert(rng.randrange(len(lines) + 1), rng.choice(_PIECES).removesuffix(b"\r\n"))
    return b"\r\n".join(lines)


def _delete(rng: random.Random, data: bytes) -> bytes:
    place = rng.randrange(len(data) + 1)
    return data[:place] + data[place + rng.randrange(1, 20) :]


def _repeat_line(rng: random.Random, data: bytes) -> bytes:
    lines = data.split(b"\r\n")
    line = rng.choice(lines)
    lines.insert(rng.randrange(len(lines) + 1), line)
    return b"\r\n".join(lines)


def _truncate(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _other_case(rng: random.Random, data: bytes) -> bytes:
    place = rng.randrange(len(data) + 1)
    return data[:place] + data[place : place + 20].swapcase() + data[place + 20 :]


_MUTATIONS: Final[tuple[Callable[[random.Random, bytes], bytes], ...]] = (
    _flip, _insert, _insert, _insert_line, _delete, _repeat_line, _truncate, _other_case,
)  # fmt: skip


def first_request(data: bytes) -> Read | None:
    """The first request as h11 reads it; None where it sees none, or not the whole of one."""
    reader = h11.Connection(h11.SERVER, max_incomplete_event_size=100_000)
    head: h11.Request | None = None
    body = b""
    try:
        reader.receive_data(data)
        reader.receive_data(b"")
        while True:
            event = reader.next_event()
            if isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                return Read(head.method, head.target, body)
            else:
                return None
    except h11.RemoteProtocolError:
        return None
