"""Bytes of management requests on their way to a server and back: as they come, bounded, without words about its machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from namel3ss.gateway.answering import LINES_TYPE, line, send_empty, start_stream
from namel3ss.gateway.dialects.cleaning import clean_error
from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.exchange import CallerLeft
from namel3ss.gateway.management.fleet import failed
from namel3ss.gateway.upstream import UpstreamError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from namel3ss.gateway.exchange import Exchange
    from namel3ss.gateway.upstream import UpstreamAnswer

__all__ = ["Upload", "pass_answer"]

_LONGEST_LINE: Final = 1024 * 1024
_LONGEST_ERROR: Final = 64 * 1024


class Upload:
    """The body of a request as the pieces that a server is sent. Nothing is kept.

    It ends early where the caller leaves or sends more than `limit` bytes; `trouble` then says which, because whoever
    sends the pieces only sees that they broke off.
    """

    def __init__(self, exchange: Exchange, limit: int) -> None:
        self._exchange = exchange
        self._limit = limit
        self.trouble: CallerLeft | Refusal | None = None
        announced = exchange.headers.get(b"content-length")
        if announced is not None and announced.isdigit() and int(announced) > limit:
            raise self._too_large()

    async def pieces(self) -> AsyncIterator[bytes]:
        size = 0
        try:
            while (piece := await self._exchange.next_body_piece()) is not None:
                size += len(piece)
                if size > self._limit:
                    raise self._too_large()
                if piece:
                    yield piece
        except (CallerLeft, Refusal) as trouble:
            self.trouble = trouble
            raise

    def _too_large(self) -> Refusal:
        return Refusal(Reason.body_too_large, f"The file is larger than {self._limit} bytes.")


async def pass_answer(
    exchange: Exchange, server: str, answer: UpstreamAnswer, *, at_end: Callable[[], Awaitable[None]]
) -> None:
    """Send on what a server answers: lines as they come, anything else whole.

    `at_end` is awaited, however it ends, when the server has done and the caller does not know that yet.
    """
    if answer.status == 200 and answer.content_type.startswith(LINES_TYPE):
        await _pass_lines(exchange, server, answer, at_end)
        return
    try:
        body = await answer.read(_LONGEST_ERROR)
    except UpstreamError as error:
        raise failed(server, error) from error
    finally:
        await at_end()
    if not body:
        await send_empty(exchange, answer.status)
        return
    if answer.status >= 300:
        body = clean_error(body)
    await exchange.reply(answer.status, body, answer.content_type or b"application/json")


async def _pass_lines(
    exchange: Exchange, server: str, answer: UpstreamAnswer, at_end: Callable[[], Awaitable[None]]
) -> None:
    """Whole lines. What a server that dies has begun is dropped, and an error line ends the answer instead."""
    held = b""
    try:
        await start_stream(exchange, LINES_TYPE)
        while piece := await answer.read_piece():
            lines, newline, held = (held + piece).rpartition(b"\n")
            if newline:
                await exchange.send_piece(_clean(lines + newline))
            if len(held) > _LONGEST_LINE:
                raise Refusal(Reason.bad_upstream, f"The server {server} sends a line without end.")
    except UpstreamError as error:
        held = line({"error": failed(server, error).message})
    except Refusal as refusal:
        held = line({"error": refusal.message})
    finally:
        await at_end()
    await exchange.finish(_clean(held))


def _clean(lines: bytes) -> bytes:
    return clean_error(lines) if b'"error"' in lines else lines
