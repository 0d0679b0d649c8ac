"""One line for each request that was answered. Without query, headers and bodies, and with no key."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from namel3ss.gateway.front.targets import KEY_PREFIX
from namel3ss.observability.logs import fields, one_line, redact_text

if TYPE_CHECKING:
    from namel3ss.gateway.exchange import Exchange

__all__ = ["access_logger", "write_line"]

access_logger: Final = logging.getLogger("namel3ss.gateway.access")
_LONGEST_PATH: Final = 200


def write_line(exchange: Exchange, duration_s: float, *, has_key_in_address: bool) -> None:
    """Write down how a request ended; status 0 where nobody was left to answer."""
    path = exchange.path
    if len(path) > _LONGEST_PATH:
        path = redact_text(path)  # what writes the log does so too, but would not recognise half a secret
    path = one_line(f"{KEY_PREFIX}***{path}" if has_key_in_address else path, _LONGEST_PATH)
    user = exchange.principal.user if exchange.principal is not None else "-"
    access_logger.info(
        "%s %s %s %d %.1f ms %s %s",
        exchange.client or "-",
        exchange.method,
        path,
        exchange.status,
        duration_s * 1000,
        one_line(user),
        exchange.id,
        extra=fields(
            client=exchange.client,
            method=exchange.method,
            path=path,
            status=exchange.status,
            duration_ms=round(duration_s * 1000, 1),
            user=user,
            request_id=exchange.id,
        ),
    )
