"""Where the Ollama server is: URLs, host and port, and the environment, in one order.

Highest first: an explicit ``base_url``; ``NAMEL3SS_OLLAMA_BASE_URL``; ``host`` and ``port``; ``OLLAMA_HOST`` as
Ollama itself reads it; the default. Pure functions; the environment is a parameter.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from namel3ss.errors import UsageError
from namel3ss.providers.addresses import (
    HOST_NAME,
    Address,
    display_url,
    ip_address,
    is_loopback,
    join_url,
    parse_url,
    split_authority,
)

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
    if ip_address(name) is None:
        host_only, own_port = split_authority(name, name="host", shown=name)
        if own_port is not None:
            raise UsageError(
                f"host {name!r} holds a port.", suggestion=f"Write host: {host_only} and port: {own_port}"
            )
        name = host_only
    return Address(join_url("http", name, port or _DEFAULT_PORT, ""), "host and port")


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
        split = (bare if ip_address(bare) else host_port, str(default_port))
    host, port_text = split
    warning = None
    port = _go_port(port_text)
    if port is None:
        port = default_port
        warning = f"{_HOST_ENV}: invalid port {port_text!r}, using the default {default_port}"
    host = host or "127.0.0.1"
    if ip_address(host) is None and not HOST_NAME.fullmatch(host):
        raise UsageError(
            f"{_HOST_ENV} is not an address: {host!r} is not the name of a host.", suggestion=_HOST_HINT
        )
    return Address(join_url(scheme, host, port, path.replace("%", "%25")), _HOST_ENV, warning=warning)


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
