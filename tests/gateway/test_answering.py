"""Answers in pieces: begun, broken off, and never begun."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

from namel3ss.gateway.answering import LINES_TYPE, stream
from namel3ss.gateway.exchange import Exchange

if TYPE_CHECKING:
    from collections.abc import MutableMapping


async def test_a_stream_that_is_ended_before_it_could_begin_drops_its_work() -> None:
    """The client still reads the answer before on the same connection."""
    reached = asyncio.Event()

    async def receive() -> MutableMapping[str, Any]:
        raise AssertionError("nothing is read before the answer has begun")

    async def send(_: MutableMapping[str, Any]) -> None:
        reached.set()
        await asyncio.Event().wait()

    async def work() -> None:
        raise AssertionError("nothing is done before the answer has begun")

    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    coroutine = work()
    exchange = Exchange(scope, receive, send, request_id="1", client="127.0.0.1")
    answering = asyncio.ensure_future(stream(exchange, LINES_TYPE, coroutine))
    await reached.wait()
    answering.cancel()
    await asyncio.wait([answering])

    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED
