"""Web pages of other origins: who may read answers (CORS). Nothing is said to pages that the file does not list."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias

from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.routes import ROUTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["CrossOrigin"]

Headers: TypeAlias = "list[tuple[bytes, bytes]]"

_METHODS: Final = ", ".join(sorted({route.method for route in ROUTES})).encode()
_EXPOSED: Final = b"Retry-After, X-Namel3ss-Error, X-Queue-ETA, X-Queue-Position, X-Queue-Wait, X-Request-Id"
_MAX_AGE_S: Final = b"600"
_HEADER_NAMES: Final = re.compile(
    rb"[A-Za-z0-9!#$%&'*+.^_`|~-]+(?:[ \t]*,[ \t]*[A-Za-z0-9!#$%&'*+.^_`|~-]+)*"
)
_VARY: Final = (b"vary", b"Origin")


class CrossOrigin:
    """What a gateway tells browsers. Each listed origin hears its own name, never a wildcard."""

    def __init__(self, origins: Iterable[str]) -> None:
        self._known: dict[bytes, Headers] = {
            origin.encode(): [
                (b"access-control-allow-origin", origin.encode()),
                (b"access-control-allow-credentials", b"true"),
                (b"access-control-expose-headers", _EXPOSED),
                _VARY,
            ]
            for origin in origins
        }
        self._unknown: Headers = [_VARY] if self._known else []

    def is_listed(self, origin: bytes) -> bool:
        return origin in self._known

    def answer_headers(self, origin: bytes | None) -> Headers:
        """What goes with every answer to a request of this origin; the list is the caller's."""
        return list(self._unknown if origin is None else self._known.get(origin, self._unknown))

    def preflight_headers(self, headers: Mapping[bytes, bytes]) -> Headers:
        """What a preflight is told besides. Raises Refusal for an origin that is not listed."""
        if not self.is_listed(headers[b"origin"]):
            raise Refusal(
                Reason.forbidden,
                "Web pages of this origin may not call the gateway.",
                suggestion="Ask an administrator to add the origin to `cors`.",
            )
        told: Headers = [
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-max-age", _MAX_AGE_S),
            (b"vary", b"Access-Control-Request-Method, Access-Control-Request-Headers"),
        ]
        asked = headers.get(b"access-control-request-headers", b"").strip()
        if _HEADER_NAMES.fullmatch(asked):
            told.append((b"access-control-allow-headers", asked))
        return told


def is_preflight(method: str, headers: Mapping[bytes, bytes]) -> bool:
    return method == "OPTIONS" and b"origin" in headers and b"access-control-request-method" in headers
