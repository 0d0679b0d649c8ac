"""Files are passed on as they come: bounded, never kept whole, and no faster than the server takes them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.exchange import CallerLeft, Exchange
from namel3ss.gateway.management.passing import Upload
from namel3ss.gateway.plan import BackendPlan
from namel3ss.gateway.upstream import Upstream
from tests.gateway.management.calling import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import MutableMapping

PIECE = bytes(64 * 1024)


def sending(messages: list[dict[str, object]], announced: int | None = None) -> Exchange:
    """A request whose body comes in these messages."""
    left = list(reversed(messages))

    async def receive() -> MutableMapping[str, Any]:
        return left.pop()

    async def send(message: MutableMapping[str, Any]) -> None:
        raise AssertionError(f"nothing is answered here: {message}")

    headers = [] if announced is None else [(b"content-length", str(announced).encode())]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
    return Exchange(scope, receive, send, request_id="r", client="127.0.0.1")


def body(*pieces: bytes) -> list[dict[str, object]]:
    last = len(pieces) - 1
    return [
        {"type": "http.request", "body": piece, "more_body": number < last}
        for number, piece in enumerate(pieces)
    ]


async def test_the_pieces_are_those_that_came():
    upload = Upload(sending(body(b"GG", b"", b"UF", b"")), limit=4)

    assert [piece async for piece in upload.pieces()] == [b"GG", b"UF"]
    assert upload.trouble is None


@pytest.mark.security(27)
@pytest.mark.parametrize(("size", "fits"), [(9, True), (10, True), (11, False)])
async def test_a_file_may_be_as_large_as_the_limit(size: int, fits: bool):
    upload = Upload(sending(body(bytes(size - 1), b"x")), limit=10)
    if fits:
        assert sum([len(piece) async for piece in upload.pieces()]) == size
        return
    with pytest.raises(Refusal) as caught:
        async for _ in upload.pieces():
            pass

    assert caught.value.reason is Reason.body_too_large
    assert upload.trouble is caught.value


async def test_an_announced_size_is_believed_before_anything_is_read():
    Upload(sending([], announced=10), limit=10)
    with pytest.raises(Refusal, match="larger than 10 bytes"):
        Upload(sending([], announced=11), limit=10)


async def test_a_caller_that_leaves_is_told_from_a_server_that_does():
    upload = Upload(
        sending([*body(b"GG", b"")[:1], {"type": "http.disconnect"}]),
        limit=10,
    )
    with pytest.raises(CallerLeft):
        async for _ in upload.pieces():
            pass

    assert isinstance(upload.trouble, CallerLeft)


@pytest.mark.fault(42)
async def test_a_server_that_does_not_read_holds_the_caller_back():
    """What is under way is what sockets hold, however large the file."""
    asked = 0
    stuck = asyncio.Event()
    let_go = asyncio.Event()
    over = asyncio.Event()

    async def receive() -> MutableMapping[str, Any]:
        nonlocal asked
        asked += 1
        return {"type": "http.request", "body": PIECE, "more_body": True}

    async def send(message: MutableMapping[str, Any]) -> None:
        raise AssertionError(message)

    async def read_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket's can be read, too
        stuck.set()
        await let_go.wait()
        writer.transport.abort()
        with suppress(ConnectionError):
            await writer.wait_closed()
        over.set()

    server = await asyncio.start_server(read_nothing, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
        exchange = Exchange(scope, receive, send, request_id="r", client="127.0.0.1")
        async with Upstream(BackendPlan(name="gpu1", base_url=url)) as upstream:
            pieces = Upload(exchange, limit=1 << 40).pieces()
            task = asyncio.create_task(upstream.send("POST", "/api/blobs/x", pieces, content_type=None))
            async with asyncio.timeout(PATIENCE_S):
                await stuck.wait()
                before = -1
                while asked != before:
                    before = asked
                    for _ in range(50):
                        await asyncio.sleep(0.001)
            task.cancel()
            await asyncio.wait([task])
            let_go.set()
            await over.wait()

    assert 0 < asked * len(PIECE) < 64 * 1024 * 1024
