"""Bodies that nobody reads: taken where they are small, so that their connection can carry the next request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from namel3ss.gateway.exchange import Exchange

__all__ = ["take_leftover"]

_SMALL: Final = 65_536
_LAST: Final = (b"connection", b"close")


async def take_leftover(exchange: Exchange) -> None:
    """Take the body, or announce the end of the connection with the answer, which must not have begun.

    Raises CallerLeft where the rest of the body never comes: the server has answered that already, if anybody is there.
    """
    if not exchange.has_unread_body:
        return
    length = exchange.headers.get(b"content-length", b"")
    is_small = len(length) <= 6 and length.isdigit() and int(length) <= _SMALL
    if not is_small or b"expect" in exchange.headers:
        # Nobody is to send all of it for nothing.
        if _LAST not in exchange.answer_headers:
            exchange.answer_headers.append(_LAST)
        return
    while await exchange.next_body_piece() is not None:
        pass
