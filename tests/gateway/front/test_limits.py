"""One below, at and one above each limit of a request's head and body."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.front.framing import LONGEST_TARGET, MOST_HEADER_BYTES, MOST_HEADERS
from namel3ss.gateway.serving.limits import ConnectionLimits
from tests.gateway.front.door import open_door

if TYPE_CHECKING:
    from namel3ss.gateway.exchange import Exchange
    from namel3ss.gateway.principal import Principal

# The connection's own limits are kept out of the way of the front's.
WIDE = ConnectionLimits(head_bytes=200_000, header_count=500)


def headers_of(size: int) -> list[tuple[str, str]]:
    """Headers that make a request with a key to `localhost` as large as this, names and values."""
    known = sum(map(len, ("Host", "localhost", "Authorization", "Bearer secret", "X-Fill")))
    return [("X-Fill", "x" * (size - known))]


@pytest.mark.security(27)
@pytest.mark.parametrize(("beyond", "status"), [(-1, 200), (0, 200), (1, 431)])
async def test_headers_have_a_largest_size(beyond: int, status: int) -> None:
    async with open_door(limits=WIDE) as door:
        answer = await door.ask("GET", "/api/tags", headers=headers_of(MOST_HEADER_BYTES + beyond))

    assert answer.status == status
    assert answer.reason == ("headers_too_large" if beyond > 0 else None)


@pytest.mark.security(27)
@pytest.mark.parametrize(("beyond", "status"), [(-1, 200), (0, 200), (1, 431)])
async def test_there_is_a_largest_number_of_headers(beyond: int, status: int) -> None:
    async with open_door(limits=WIDE) as door:
        more = [(f"X-{number}", "") for number in range(MOST_HEADERS - 2 + beyond)]
        answer = await door.ask("GET", "/api/tags", headers=more)

    assert answer.status == status


@pytest.mark.security(27)
@pytest.mark.parametrize(("beyond", "status"), [(-1, 200), (0, 200), (1, 431)])
async def test_a_target_has_a_largest_size(beyond: int, status: int) -> None:
    query = "x" * (LONGEST_TARGET - len("/api/tags") + beyond)
    async with open_door(limits=WIDE) as door:
        answer = await door.ask("GET", f"/api/tags?{query}")

    assert answer.status == status


@pytest.mark.security(27)
@pytest.mark.fault(53)
@pytest.mark.parametrize(("beyond", "status"), [(-1, 200), (0, 200), (1, 413)])
@pytest.mark.parametrize("is_chunked", [False, True], ids=["length", "chunked"])
async def test_a_body_has_a_largest_size_whether_it_is_announced_or_not(
    beyond: int, status: int, is_chunked: bool
) -> None:
    async def read(exchange: Exchange) -> None:
        body = await exchange.read_body(100_000)
        await exchange.reply(200, json.dumps(len(body)).encode())

    body = b"x" * (100_000 + beyond)
    async with open_door(CHAT=read) as door, door.wire() as wire:
        if is_chunked:
            head = b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nx-api-key: secret\r\nTransfer-Encoding: chunked\r\n\r\n"
            pieces = [body[start : start + 30_000] for start in range(0, len(body), 30_000)]
            wire.send(
                head + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
            )
            answer = await wire.answer()
            assert answer is not None
        else:
            answer = await wire.ask("POST", "/api/chat", body=body)

    assert answer.status == status
    assert answer.reason == ("body_too_large" if beyond > 0 else None)


@pytest.mark.security(27)
@pytest.mark.fault(53)
async def test_a_body_that_is_announced_too_large_is_refused_before_it_is_sent() -> None:
    async def read(exchange: Exchange) -> None:
        await exchange.read_body(1000)

    async with open_door(CHAT=read) as door, door.wire() as wire:
        wire.send(
            b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nx-api-key: secret\r\nContent-Length: 99999999999\r\n\r\n"
        )
        answer = await wire.answer()

        assert answer is not None
        assert (answer.status, answer.reason) == (413, "body_too_large")
        assert answer.json["error"]["type"] == "request_too_large"
        assert answer.header("connection") == "close"
        wire.half_close()
        assert await wire.rest() == b""


@pytest.mark.security(27)
async def test_a_client_that_waits_to_be_told_does_not_send_a_body_that_is_refused() -> None:
    async with open_door() as door, door.wire() as wire:
        wire.send(
            b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n"
        )
        refused = await wire.answer()

    assert refused is not None
    assert (refused.status, refused.header("connection")) == (401, "close")


@pytest.mark.security(27)
async def test_a_small_body_that_is_refused_unread_costs_no_connection() -> None:
    async with open_door() as door, door.wire() as wire:
        answers = [await wire.ask("POST", "/api/nothing", body=b"x" * 1000) for _ in range(3)]

    assert [answer.status for answer in answers] == [404, 404, 404]


@pytest.mark.parametrize("encoding", ["gzip", "zstd", "br", "deflate", "gzip, identity", "GZIP"])
async def test_a_packed_body_is_not_unpacked(encoding: str) -> None:
    """A few bytes could become gigabytes; nothing that a client of Ollama's sends is packed."""
    async with open_door() as door:
        packed = await door.ask("POST", "/api/chat", headers=[("Content-Encoding", encoding)], body=b"x")
        plain = await door.ask("POST", "/api/chat", headers=[("Content-Encoding", "identity")], body=b"x")

    assert (packed.status, packed.reason) == (415, "unsupported_media")
    assert plain.status == 200


async def test_a_caller_that_leaves_while_it_sends_is_noticed() -> None:
    left = asyncio.Event()

    async def read(exchange: Exchange) -> None:
        try:
            await exchange.read_body(1000)
        except ConnectionError:
            left.set()
            raise

    async with open_door(CHAT=read) as door, door.wire() as wire:
        wire.send(
            b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nx-api-key: secret\r\nContent-Length: 10\r\n\r\nhalf"
        )
        wire.reset()
        async with asyncio.timeout(10):
            await left.wait()
        await door.front.drained()

    assert door.refusals == []


@pytest.mark.parametrize("target", ["/api/nothing", "/health/live", "/api/tags"])
async def test_a_small_body_that_nobody_reads_and_that_comes_late_costs_no_connection(target: str) -> None:
    """Else a client that keeps its connection would send its next request into one that is closing."""
    async with open_door() as door, door.wire() as wire:
        for _ in range(2):
            wire.send(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n01234".encode())
            await asyncio.sleep(0)
            wire.send(b"56789")
            answer = await wire.answer()
            assert answer is not None
            assert answer.header("connection") is None


@pytest.mark.parametrize("length", ["65537", "99999999999"])
async def test_a_large_body_that_nobody_reads_ends_its_connection_and_says_so(length: str) -> None:
    async with open_door() as door, door.wire() as wire:
        wire.send(
            f"GET /api/tags HTTP/1.1\r\nHost: localhost\r\nx-api-key: secret\r\nContent-Length: {length}\r\n\r\n".encode()
        )
        answer = await wire.answer()

    assert answer is not None
    assert (answer.status, answer.header("connection")) == (200, "close")


@pytest.mark.security(28)
@pytest.mark.parametrize(
    ("method", "path", "is_counted"),
    [
        ("GET", "/api/tags", True),
        ("GET", "/requests/x", True),
        ("POST", "/api/providers/ollama/pull", True),
        ("POST", "/api/chat", False),
        ("POST", "/v1/embeddings", False),
        ("DELETE", "/requests/x", False),
        ("POST", "/auth/logout", False),
        ("GET", "/health/ready", False),
    ],
)
async def test_what_no_model_answers_is_counted_by_its_key(method: str, path: str, is_counted: bool) -> None:
    def full(principal: Principal) -> None:
        raise Refusal(Reason.rate_limited, f"{principal.user} has made too many.", retry_after_s=7.0)

    async with open_door(count=full) as door:
        answer = await door.ask(method, path)

    assert answer.status == (429 if is_counted else 200)
    assert answer.header("retry-after") == ("7" if is_counted else None)
