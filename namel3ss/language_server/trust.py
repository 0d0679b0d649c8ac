"""Whom the server may ask about models. A file must not choose whom we call.

Asked without a click are only this machine itself, the address in the user's own environment, and hosts that the
user's own settings allow. An address is taken apart and put together again, so that what is checked is what is asked;
nothing else of a file goes with it: no headers, no key, no user name.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from namel3ss.declarations import EnvironmentValue
from namel3ss.errors import UsageError
from namel3ss.providers.addresses import is_loopback, parse_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from namel3ss.declarations import ModelDeclaration

__all__ = ["Address", "Trust", "address_of"]


@dataclass(frozen=True, slots=True)
class Address:
    """A server that a file names; `url` is None for the one that the user's environment decides on."""

    url: str | None

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or "" if self.url is not None else ""


@dataclass(slots=True)
class Trust:
    """`allowed` are hosts of the user's settings, `clicked` those that the user let the server ask in this workspace."""

    allowed: frozenset[str] = frozenset()
    clicked: set[str] = field(default_factory=set)

    def may_ask(self, address: Address) -> bool:
        """Whether a look-up there needs nobody's leave."""
        if address.url is None or is_loopback(address.url):
            return True
        return address.host.lower() in self.allowed or address.host.lower() in self.clicked

    def allow(self, host: str) -> None:
        """The user clicked."""
        self.clicked.add(host.lower())


def address_of(model: ModelDeclaration, environ: Mapping[str, str]) -> Address | None:
    """The server that a model's settings name; None where they name none that can be read."""
    written = {**model.config, **model.deployment_config}
    url = _text(written.get("base_url"), environ)
    if url is None and (written.get("host") is not None or written.get("port") is not None):
        host, port = _text(written.get("host"), environ) or "localhost", written.get("port")
        port = port if isinstance(port, int) else 11434
        url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    if url is None:
        return None if "base_url" in written or "hosts" in written else Address(None)
    return _parsed(url)


@functools.lru_cache(maxsize=256)
def _parsed(url: str) -> Address | None:
    try:
        return Address(parse_url(url).url)
    except UsageError:
        return None


def _text(value: object, environ: Mapping[str, str]) -> str | None:
    if isinstance(value, EnvironmentValue):
        value = value.find(environ) or value.default
    return value if isinstance(value, str) else None
