"""Where a server is: URLs read, checked and shown, the same for every provider. Pure functions."""

from __future__ import annotations

import base64
import functools
import ipaddress
import re
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

from namel3ss.errors import UsageError

__all__ = [
    "HOST_NAME",
    "Address",
    "display_url",
    "ip_address",
    "is_loopback",
    "join_url",
    "parse_url",
    "server_of",
    "split_authority",
]

HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252})", re.ASCII)

_SCHEMES = ("http", "https")
_EXAMPLE = "http://localhost:11434"


@dataclass(frozen=True, slots=True)
class Address:
    """A server's URL and who said so.

    `url` has neither a trailing slash nor user information. `origin` is ``base_url``, the name of an environment
    variable, ``host and port`` or ``default``. `authorization` is the header made of the URL's user information; it
    is a secret. `warning` tells of a value that was put right.
    """

    url: str
    origin: str
    authorization: str | None = field(default=None, repr=False)
    warning: str | None = None


def parse_url(text: str, *, name: str = "base_url") -> Address:
    """The address of an explicit URL. Raises UsageError, naming `name`, that says what is wrong with it."""
    if not isinstance(text, str):
        raise UsageError(
            f"{name} must be a URL such as {_EXAMPLE}, not a value of type {type(text).__name__}."
        )
    url = text.strip()
    shown = display_url(url)
    scheme, separator, rest = url.partition("://")
    if not separator:
        example = f"http://{host}" if (host := shown.lstrip("/")) else _EXAMPLE
        raise UsageError(f"{name} {shown!r} is not a URL: it has no scheme.", suggestion=f"Write {example}")
    if scheme.lower() not in _SCHEMES:
        raise UsageError(
            f"{name} {shown!r} has the wrong scheme; only http and https reach a server.",
            suggestion=f"Write for example {_EXAMPLE}",
        )
    if re.search(r"[\s\\\x00-\x1f\x7f]", rest):
        raise UsageError(f"{name} {shown!r} contains a blank, a backslash or a control character.")
    if "?" in rest or "#" in rest:
        raise UsageError(
            f"{name} {shown!r} has a query or a fragment; a server's address has neither.",
            suggestion="Leave out everything from the first ? or # on.",
        )
    authority, _, path = rest.partition("/")
    if "@" in path:
        raise UsageError(
            f"{name} {shown!r} has an @ behind the host.",
            suggestion="In a user name or password write / as %2F and @ as %40.",
        )
    userinfo, _, host_port = authority.rpartition("@")
    host, port = split_authority(host_port, name=name, shown=shown)
    return Address(
        url=join_url(scheme.lower(), host, port, path),
        origin=name,
        authorization=_basic(userinfo) if userinfo else None,
    )


def display_url(url: str) -> str:
    """A URL for people and logs: without user information. Accepts any text, and rather hides too much."""
    scheme, separator, rest = url.partition("://")
    if not separator or "@" in scheme:
        return url.rpartition("@")[2]
    return f"{scheme}://{rest.rpartition('@')[2]}"


def is_loopback(url: str) -> bool:
    """Whether a URL can only mean this machine. A text that is no URL does not."""
    try:
        host = urlsplit(url).hostname
    except ValueError:
        return False
    if not host:
        return False
    name = host.rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    address = ip_address(host)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address is not None and (address.is_loopback or address.is_unspecified)


@functools.lru_cache(maxsize=256)  # asked twice for each request, and programs know few servers
def server_of(url: str) -> tuple[str | None, int]:
    """Host and port of an address, as telemetry names them."""
    server = urlsplit(url)
    return server.hostname, server.port or (443 if server.scheme == "https" else 80)


def split_authority(text: str, *, name: str, shown: str) -> tuple[str, int | None]:
    """Host and port of what stands between the scheme and the path. Raises UsageError, naming `name`."""
    host, port_text = text, ""
    if text.startswith("["):
        host, bracket, after = text[1:].partition("]")
        if not bracket or ip_address(host) is None or (after and not after.startswith(":")):
            raise UsageError(
                f"{name} {shown!r} has a broken IPv6 address.", suggestion="Write it as [::1]:11434"
            )
        port_text = after[1:]
    elif text.count(":") > 1:
        raise UsageError(
            f"{name} {shown!r} has an IPv6 address without brackets.", suggestion="Write it as [::1]:11434"
        )
    elif ":" in text:
        host, _, port_text = text.partition(":")
    if not host:
        raise UsageError(f"{name} {shown!r} has no host.", suggestion=f"Write for example {_EXAMPLE}")
    if ip_address(host) is None and not HOST_NAME.fullmatch(host):
        raise UsageError(f"{name} {shown!r}: {host!r} is not the name or address of a host.")
    if not port_text:
        return host, None
    if not re.fullmatch(r"[0-9]{1,5}", port_text) or not 1 <= int(port_text) <= 65535:
        raise UsageError(
            f"{name} {shown!r}: the port must be a whole number from 1 to 65535, not {port_text!r}."
        )
    return host, int(port_text)


def ip_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a host is; None for a name."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return None if isinstance(address, ipaddress.IPv6Address) and address.scope_id else address


def join_url(scheme: str, host: str, port: int | None, path: str) -> str:
    """The URL to connect to: without a trailing slash, in lower case."""
    address = ip_address(host)
    if address is None:
        target = host.lower()
    else:
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        # Addresses to listen on are not addresses to connect to.
        if (mapped or address).is_unspecified:
            address = ipaddress.ip_address("::1" if address.version == 6 and mapped is None else "127.0.0.1")
        target = f"[{address}]" if address.version == 6 else str(address)
    port_part = "" if port is None else f":{port}"
    path_part = quote(path.strip("/"), safe="/%:@!$&'()*+,;=~-._")
    return f"{scheme}://{target}{port_part}" + (f"/{path_part}" if path_part else "")


def _basic(userinfo: str) -> str:
    user, _, password = userinfo.partition(":")
    pair = f"{unquote(user)}:{unquote(password)}"
    return "Basic " + base64.b64encode(pair.encode()).decode("ascii")
