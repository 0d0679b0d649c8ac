"""The Host header: a page that has bent its own name towards this machine is not served."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from namel3ss.gateway.errors import Reason, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Hosts"]

_AUTHORITY: Final = re.compile(rb"([a-z0-9_.-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?", re.ASCII)
_REMEMBERED: Final = 64


class Hosts:
    """The names by which a gateway may be called. Ports do not count, and neither does case."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(name.casefold().rstrip(".").encode() for name in names)
        self._known: set[bytes] = set()

    def check(self, written: bytes | None) -> None:
        """Raises Refusal for a host that is missing, no host, or another's."""
        if written in self._known:
            return
        if written is None:
            raise Refusal(Reason.bad_framing, "The request has no Host header.")
        found = _AUTHORITY.fullmatch(written.lower())
        if found is None or found[1].rstrip(b".") not in self._names:
            raise Refusal(
                Reason.wrong_host,
                "This gateway is not called by that name.",
                suggestion="Use one of the names in `hosts`, or ask an administrator to add this one.",
            )
        if len(self._known) < _REMEMBERED:
            self._known.add(written)
