"""One line for each request that was answered. Without query, headers and bodies, and with no key."""

from __future__ import annotations

import contextlib
import logging
import time
from typing import TYPE_CHECKING, Final

from namel3ss.gateway.front.targets import KEY_PREFIX
from namel3ss.observability.logs import fields, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from namel3ss.gateway.exchange import Exchange

__all__ = ["AccessLog"]

_logger: Final = logging.getLogger("namel3ss.gateway.access")
_LONGEST_PATH: Final = 200


class AccessLog:
    """Writes at level INFO, and costs next to nothing where that is off."""

    @contextlib.contextmanager
    def line(self, exchange: Exchange, *, has_key_in_address: bool) -> Iterator[None]:
        if not _logger.isEnabledFor(logging.INFO):
            yield
            return
        began = time.perf_counter()
        try:
            yield
        finally:
            path = f"{KEY_PREFIX}***{exchange.path}" if has_key_in_address else exchange.path
            duration_ms = (time.perf_counter() - began) * 1000
            principal = exchange.principal
            user = principal.user if principal is not None else "-"
            _logger.info(
                "%s %s %s %d %.1f ms %s %s",
                exchange.client or "-",
                exchange.method,
                one_line(path, _LONGEST_PATH),
                exchange.status,
                duration_ms,
                one_line(user),
                exchange.id,
                extra=fields(
                    client=exchange.client,
                    method=exchange.method,
                    path=path,
                    status=exchange.status,
                    duration_ms=round(duration_ms, 1),
                    user=user,
                    request_id=exchange.id,
                ),
            )
