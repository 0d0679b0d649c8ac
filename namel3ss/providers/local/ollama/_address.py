"""Where the Ollama server is: URLs, host and port, and the environment, in one order.

Highest first: an explicit ``base_url``; ``NAMEL3SS_OLLAMA_BASE_URL``; ``host`` and ``port``; ``OLLAMA_HOST`` as
Ollama itself reads it; the default. Pure functions; the environment is a parameter.
"""

from __future__ import annotations

import base64
import ipaddress
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from namel3ss.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "DEFAULT_OLLAMA_URL",
    "OLLAMA_BASE_URL_ENV",
    "Address",
    "display_url",
    "is_loopback",
    "parse_url",
    "resolve_address",
]

DEFAULT_OLLAMA_URL = "http://localhost:11434"
OLLAMA_BASE_URL_ENV = "NAMEL3SS_OLLAMA_BASE_URL"

_HOST_ENV = "OLLAMA_HOST"
_HOST_HINT = "Set OLLAMA_HOST to an address such as 127.0.0.1:11434, or unset it."
_DEFAULT_PORT = 11434
_SCHEME_PORTS = {"http": 80, "https": 443}
_HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252})", re.ASCII)


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


def resolve_address(
    base_url: str | None = None,
    host: str | None = None,
    port: int | None = None,
    environ: Mapping[str, str] | None = None,
) -> Address:
    """The address in force. `environ` is the process's environment unless given; an empty variable is unset.

    Raises UsageError that names the setting or variable with the bad address.
    """
    variables = os.environ if environ is None else environ
    if base_url is not None:
        return parse_url(base_url, name="base_url")
    if own := variables.get(OLLAMA_BASE_URL_ENV, "").strip():
        return parse_url(own, name=OLLAMA_BASE_URL_ENV)
    if host is not None or port is not None:
        return _from_host_and_port(host, port)
    if theirs := _unquoted(variables.get(_HOST_ENV, "")):
        return _from_ollama_host(theirs)
    return Address(DEFAULT_OLLAMA_URL, "default")


def parse_url(text: str, *, name: str = "base_url") -> Address:
    """The address of an explicit URL. Raises UsageError, naming `name`, that says what is wrong with it."""
    url = text.strip()
    shown = display_url(url)
    scheme, separator, rest = url.partition("://")
    if not separator:
        example = f"http://{shown}" if shown else DEFAULT_OLLAMA_URL
        raise UsageError(f"{name} {shown!r} is not a URL: it has no scheme.", suggestion=f"Write {example}")
    if scheme.lower() not in _SCHEME_PORTS:
        raise UsageError(
            f"{name} {shown!r} has the wrong scheme; only http and https reach a server.",
            suggestion=f"Write for example {DEFAULT_OLLAMA_URL}",
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
    host, port = _split_authority(host_port, name=name, shown=shown)
    return Address(
        url=_join(scheme.lower(), host, port, path),
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
    address = _ip_address(host)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address is not None and (address.is_loopback or address.is_unspecified)


# -- host and port --------------------------------------------------------------------------------------------


def _from_host_and_port(host: str | None, port: int | None) -> Address:
    name = (host or "localhost").strip()
    if "://" in name or "/" in name:
        raise UsageError(
            f"host {display_url(name)!r} is a URL, not the name or address of a host.",
            suggestion="Write it as base_url, or leave only the name, for example host: 192.168.1.100",
        )
    if port is not None and not 1 <= port <= 65535:
        raise UsageError(f"port must be a whole number from 1 to 65535, not {port}.")
    if _ip_address(name) is None:
        host_only, own_port = _split_authority(name, name="host", shown=name)
        if own_port is not None:
            raise UsageError(
                f"host {name!r} holds a port.", suggestion=f"Write host: {host_only} and port: {own_port}"
            )
        name = host_only
    return Address(_join("http", name, port or _DEFAULT_PORT, ""), "host and port")


# -- OLLAMA_HOST, read as Ollama reads it ---------------------------------------------------------------------


def _unquoted(value: str) -> str:
    return value.strip().strip("\"'").strip()


def _from_ollama_host(value: str) -> Address:
    scheme, separator, rest = value.partition("://")
    if not separator:
        scheme, rest = "http", value
        if value == "ollama.com":
            scheme, rest = "https", "ollama.com:443"
    default_port = _SCHEME_PORTS.get(scheme, _DEFAULT_PORT) if separator else _DEFAULT_PORT
    if scheme not in _SCHEME_PORTS:
        raise UsageError(
            f"{_HOST_ENV} {display_url(value)!r} has the wrong scheme; only http and https reach a server.",
            suggestion=_HOST_HINT,
        )
    host_port, _, path = rest.partition("/")
    if "@" in rest:
        raise UsageError(
            f"{_HOST_ENV} holds a user name or password, which Ollama does not read from there.",
            suggestion=f"Set {OLLAMA_BASE_URL_ENV} to the whole URL instead.",
        )
    split = _go_split_host_port(host_port)
    if split is None:  # no port that Go can split off: the whole is the host
        bare = host_port.strip("[]")
        split = (bare if _ip_address(bare) else host_port, str(default_port))
    host, port_text = split
    warning = None
    port = _go_port(port_text)
    if port is None:
        port = default_port
        warning = f"{_HOST_ENV}: invalid port {port_text!r}, using the default {default_port}"
    host = host or "127.0.0.1"
    if _ip_address(host) is None and not _HOST_NAME.fullmatch(host):
        raise UsageError(
            f"{_HOST_ENV} is not an address: {host!r} is not the name of a host.", suggestion=_HOST_HINT
        )
    return Address(_join(scheme, host, port, path.replace("%", "%25")), _HOST_ENV, warning=warning)


def _go_split_host_port(text: str) -> tuple[str, str] | None:
    """Go's net.SplitHostPort; None where it reports an error."""
    last_colon = text.rfind(":")
    if last_colon < 0:
        return None
    if text.startswith("["):
        end = text.find("]")
        if end < 0 or end + 1 != last_colon:
            return None
        host, rest_open, rest_close = text[1:end], text[1:], text[end + 1 :]
    else:
        host, rest_open, rest_close = text[:last_colon], text, text
        if ":" in host:
            return None
    if "[" in rest_open or "]" in rest_close:
        return None
    return host, text[last_colon + 1 :]


def _go_port(text: str) -> int | None:
    if not re.fullmatch(r"[+-]?[0-9]{1,12}", text):
        return None
    port = int(text)
    return port if 0 <= port <= 65535 else None


# -- shared pieces --------------------------------------------------------------------------------------------


def _split_authority(text: str, *, name: str, shown: str) -> tuple[str, int | None]:
    host, port_text = text, ""
    if text.startswith("["):
        host, bracket, after = text[1:].partition("]")
        if not bracket or _ip_address(host) is None or (after and not after.startswith(":")):
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
        raise UsageError(
            f"{name} {shown!r} has no host.", suggestion=f"Write for example {DEFAULT_OLLAMA_URL}"
        )
    if _ip_address(host) is None and not _HOST_NAME.fullmatch(host):
        raise UsageError(f"{name} {shown!r}: {host!r} is not the name or address of a host.")
    if not port_text:
        return host, None
    if not re.fullmatch(r"[0-9]{1,5}", port_text) or not 1 <= int(port_text) <= 65535:
        raise UsageError(
            f"{name} {shown!r}: the port must be a whole number from 1 to 65535, not {port_text!r}."
        )
    return host, int(port_text)


def _ip_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return None if isinstance(address, ipaddress.IPv6Address) and address.scope_id else address


def _join(scheme: str, host: str, port: int | None, path: str) -> str:
    address = _ip_address(host)
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
