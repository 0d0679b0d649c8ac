"""Which proxy of the environment stands before a server, if any.

``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY``, in either case, mean what they mean to other programs, with
one exception: a server on this machine or in a private network is always asked directly. A proxy for the internet cannot
reach it, and would be shown every prompt.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import (  # type: ignore[attr-defined]  # the second is missing in typeshed
    getproxies_environment,
    proxy_bypass_environment,
)

from namel3ss.providers.addresses import ip_address, is_loopback

__all__ = ["EnvironmentProxy", "proxy_for"]

_PRIVATE_DOMAINS = (".local", ".internal", ".lan", ".home.arpa")


@dataclass(frozen=True, slots=True)
class EnvironmentProxy:
    """A proxy's URL without user information, and what it is told of the user: the value of ``Proxy-Authorization``."""

    url: str
    authorization: str | None = field(default=None, repr=False)

    @property
    def scheme(self) -> str:
        return urlsplit(self.url).scheme


def proxy_for(base_url: str) -> EnvironmentProxy | None:
    """The proxy for a server, by the environment of now; None where it is asked directly."""
    server = urlsplit(base_url)
    host = server.hostname or ""
    if is_loopback(base_url) or _is_private(host):
        return None
    proxies = getproxies_environment()
    named = proxies.get(server.scheme) or proxies.get("all")
    if not named or proxy_bypass_environment(server.netloc, proxies):
        return None
    return _read(named if "://" in named else f"http://{named}")


def _read(url: str) -> EnvironmentProxy:
    parts = urlsplit(url)
    user, _, place = parts.netloc.rpartition("@")
    bare = urlunsplit((parts.scheme, place, "", "", ""))
    if not user:
        return EnvironmentProxy(bare)
    return EnvironmentProxy(bare, "Basic " + base64.b64encode(unquote(user).encode()).decode())


def _is_private(host: str) -> bool:
    """Whether a host is of no use to anybody outside: a private address, or a name that only a local resolver knows."""
    address = ip_address(host)
    if address is not None:
        return not address.is_global
    name = host.rstrip(".").lower()
    return "." not in name or name.endswith(_PRIVATE_DOMAINS)
