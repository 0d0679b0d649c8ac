"""Answers that handlers give: documents, lines and events, and work that ends when its caller leaves."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from namel3ss.gateway.exchange import JSON_TYPE

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from namel3ss.gateway.exchange import Exchange, Headers

__all__ = [
    "EVENTS_TYPE",
    "LINES_TYPE",
    "event",
    "line",
    "send_document",
    "send_empty",
    "start_stream",
    "while_connected",
]

LINES_TYPE: Final = b"application/x-ndjson"
EVENTS_TYPE: Final = b"text/event-stream; charset=utf-8"

Result = TypeVar("Result")

_NOT_BUFFERED: Final = ((b"cache-control", b"no-store"), (b"x-accel-buffering", b"no"))


async def send_document(
    exchange: Exchange, value: object, status: int = 200, *, headers: Headers = ()
) -> None:
    """A whole answer in JSON."""
    await exchange.reply(status, msgspec.json.encode(value), JSON_TYPE, headers)


async def send_empty(exchange: Exchange, status: int, content_type: bytes = b"") -> None:
    """An answer that is only its status, as Ollama gives some."""
    told = [(b"content-type", content_type)] if content_type else []
    await exchange.start(status, [(b"content-length", b"0"), *told])
    await exchange.finish()


async def start_stream(exchange: Exchange, content_type: bytes) -> None:
    """The head of an answer that comes in pieces, which nothing on the way is to hold back."""
    await exchange.start(200, [(b"content-type", content_type), *_NOT_BUFFERED])
    await exchange.send_piece(b"")  # a head goes out with the first piece


async def stream(exchange: Exchange, content_type: bytes, work: Coroutine[object, object, None]) -> None:
    """A whole answer in pieces, which `work` sends. It ends early where the caller leaves.

    Where the gateway itself ends it (it is being stopped, the key was revoked), an error is the last that is said.
    """
    try:
        await start_stream(exchange, content_type)
    except BaseException:
        work.close()  # it is not begun any more
        raise
    try:
        await while_connected(exchange, work)
    except asyncio.CancelledError:
        cut = {"error": "The gateway ended this answer."}
        await exchange.finish(line(cut) if content_type == LINES_TYPE else event("error", cut))
        raise
    await exchange.finish()


def line(value: object) -> bytes:
    """One line of NDJSON."""
    return msgspec.json.encode(value) + b"\n"


def event(name: str, value: object) -> bytes:
    """One server-sent event. JSON has no line breaks, so its data is one line."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), msgspec.json.encode(value))


async def while_connected(exchange: Exchange, work: Coroutine[object, object, Result]) -> Result | None:
    """The result of `work`; None once the caller has left, `work` being cancelled. The body must have been read."""
    working = asyncio.ensure_future(work)
    departure = asyncio.ensure_future(exchange.wait_for_departure())
    try:
        await asyncio.wait((working, departure), return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        working.cancel()
        departure.cancel()
        await asyncio.wait((working, departure))
