"""A refusal as an answer: in the words of the protocol that was called."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from typing import TYPE_CHECKING, Final

from namel3ss.gateway.dialects import error_body, error_content_type

if TYPE_CHECKING:
    from namel3ss.gateway.errors import Refusal
    from namel3ss.gateway.exchange import Exchange
    from namel3ss.gateway.routes import Dialect

__all__ = ["refuse"]

_logger: Final = logging.getLogger("namel3ss.gateway")

_SMALL_BODY: Final = 65_536
"""As much is taken from the caller for the sake of its connection."""
_MOST_DISCARDED: Final = 32 * 1024 * 1024
_LINGER_S: Final = 2.0


def _refusal_headers(refusal: Refusal) -> list[tuple[bytes, bytes]]:
    """What a refusal says beside its body."""
    headers = [(b"x-namel3ss-error", refusal.reason.name.encode()), *refusal.headers]
    if refusal.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % max(1, math.ceil(refusal.retry_after_s))))
    return headers


async def refuse(exchange: Exchange, refusal: Refusal, dialect: Dialect) -> None:
    """Answer with the refusal. Where an answer has begun already, it stays incomplete, and the server ends the connection.

    Many callers read an answer only once they have sent everything, and a connection that is closed before takes the
    answer with it. So what they are still sending is taken and thrown away, for a while.
    """
    if exchange.started:
        _logger.error("request %s: its answer broke off: %s", exchange.id, refusal.message)
        return
    whole = error_body(dialect, refusal, exchange.id)
    content_type, headers = error_content_type(dialect, refusal), _refusal_headers(refusal)
    if not exchange.has_unread_body:
        await exchange.reply(refusal.status, whole, content_type, headers)
        return
    if not _is_small(exchange.headers.get(b"content-length")):
        headers.append((b"connection", b"close"))
    headers += [(b"content-type", content_type), (b"content-length", b"%d" % len(whole))]
    body = b"" if exchange.method == "HEAD" else whole
    await exchange.start(refusal.status, headers)
    if b"expect" not in exchange.headers:
        await exchange.send_piece(body)
        body = b""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_S):
                await exchange.discard_body(_MOST_DISCARDED)
    await exchange.finish(body)


def _is_small(length: bytes | None) -> bool:
    return length is not None and len(length) <= 6 and length.isdigit() and int(length) <= _SMALL_BODY
