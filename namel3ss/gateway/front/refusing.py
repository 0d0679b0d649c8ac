"""A refusal as an answer: in the words of the protocol that was called."""

from __future__ import annotations

import http
import logging
import math
from typing import TYPE_CHECKING, Final

from namel3ss.gateway.dialects import error_body, error_content_type
from namel3ss.gateway.exchange import CallerLeft
from namel3ss.gateway.front.leftovers import take_leftover

if TYPE_CHECKING:
    from namel3ss.gateway.errors import Refusal
    from namel3ss.gateway.exchange import Exchange
    from namel3ss.gateway.routes import Dialect

__all__ = ["refuse"]

_logger: Final = logging.getLogger("namel3ss.gateway")


def _refusal_headers(refusal: Refusal) -> list[tuple[bytes, bytes]]:
    """What a refusal says beside its body."""
    headers = [(b"x-namel3ss-error", refusal.reason.name.encode()), *refusal.headers]
    if refusal.status == http.HTTPStatus.UNAUTHORIZED:
        headers.append((b"www-authenticate", b"Bearer"))
    if refusal.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % max(1, math.ceil(refusal.retry_after_s))))
    return headers


async def refuse(exchange: Exchange, refusal: Refusal, dialect: Dialect) -> None:
    """Answer with the refusal. Where an answer has begun already it stays incomplete, and the server ends the connection."""
    if exchange.started:
        _logger.warning("request %s: its answer broke off: %s", exchange.id, refusal.message)
        return
    try:
        await take_leftover(exchange)
    except CallerLeft:
        return
    body = error_body(dialect, refusal, exchange.id)
    await exchange.reply(
        refusal.status, body, error_content_type(dialect, refusal), _refusal_headers(refusal)
    )
