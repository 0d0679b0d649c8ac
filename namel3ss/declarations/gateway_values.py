"""The kinds of values that only `server` and `gateway` have: listeners, networks, origins, sizes, URLs of databases.

Each is an annotated type for a field of a settings model. A check raises ValueError where the setting's usual words say
enough, and UsageError where it knows better.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Annotated, Final, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from namel3ss.declarations.written import shortened
from namel3ss.errors import UsageError
from namel3ss.providers.setting_problems import describe_value

__all__ = [
    "Bytes",
    "DatabaseUrl",
    "HostName",
    "Listen",
    "Listener",
    "Network",
    "Networks",
    "Origin",
    "Priority",
    "ServerUrl",
    "TokenLimit",
    "is_loopback_host",
    "parse_size",
]

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?\.?", re.ASCII)
_SIZE: Final = re.compile(r"(\d{1,18}(?:\.\d{1,9})?)[ \t]*(B|[kKMGT]B|[KMGT]iB)", re.ASCII)
_UNITS: Final = {"B": 1} | {
    f"{letter}{ending}": base**power
    for power, letter in enumerate("KMGT", 1)
    for ending, base in (("B", 1000), ("iB", 1024))
}
_DATABASES: Final = ("sqlite", "postgresql")
_LARGEST_SIZE: Final = 2**53
_LARGEST_PRIORITY: Final = 999
_NETWORK_HELP: Final = "Write an address or a range, such as `127.0.0.1` or `10.1.0.0/16`"


@dataclass(frozen=True, slots=True)
class Listener:
    """An address to listen on. Port 0 lets the machine choose one."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback_host(self.host)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def is_loopback_host(host: str) -> bool:
    """Whether a name or address without brackets is this machine's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.casefold().rstrip(".") == "localhost"


def parse_size(text: str) -> int:
    """The bytes of a size such as 20MB or 512KiB. Raises ValueError for anything else."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a size; write a number with a unit, such as 20MB or 512KiB")
    return int(float(found[1]) * _UNITS[found[2].replace("k", "K")])


def _read_listener(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("not an address")
    host, colon, port = value.strip().rpartition(":")
    is_bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if is_bracketed else host
    if not (_is_ipv6(host) if is_bracketed else _HOST.fullmatch(host)):
        raise ValueError("not a host")
    if not colon or not (port.isascii() and port.isdigit()) or len(port) > 5 or int(port) > 65535:
        raise ValueError("not a port")
    return Listener(host, int(port))


def _read_network(value: object) -> object:
    if not isinstance(value, str):
        raise UsageError(f"{describe_value(value)} is no address.", suggestion=_NETWORK_HELP)
    try:
        return ipaddress.ip_network(value.strip())
    except ValueError:
        raise UsageError(
            f"`{shortened(value)}` is no address and no range of addresses.", suggestion=_meant_network(value)
        ) from None


def _meant_network(value: str) -> str:
    try:
        return f"Did you mean `{ipaddress.ip_network(value.strip(), strict=False)}`?"
    except ValueError:
        return _NETWORK_HELP


def _read_size(value: object) -> object:
    size = parse_size(value) if isinstance(value, str) else value
    if isinstance(size, int) and not isinstance(size, bool) and not 0 < size <= _LARGEST_SIZE:
        raise ValueError("not a size that can be")
    return size


def _read_token_limit(value: object) -> object:
    return None if value == "none" else value


def _check_origin(value: str) -> str:
    parts = urlsplit(value)
    is_origin = (
        parts.scheme in ("http", "https")
        and parts.hostname
        and parts.username is None
        and value == f"{parts.scheme}://{parts.netloc}"
        and _has_port_or_none(value)
    )
    if not is_origin:
        raise UsageError(
            f"`{shortened(value)}` is not the origin of a web page.",
            suggestion="Write scheme, host and port, as browsers send them: `https://chat.example.com`",
        )
    return value


def _check_server_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or not _has_port_or_none(value):
        raise ValueError("not a URL")
    if parts.query or parts.fragment:
        raise ValueError("more than an address")
    return value.rstrip("/")


def _has_port_or_none(url: str) -> bool:
    try:
        return urlsplit(url).port != 0
    except ValueError:
        return False


def _check_database(value: str) -> str:
    parts = urlsplit(value)
    scheme = parts.scheme.split("+")[0]
    if scheme not in _DATABASES or not (parts.path.strip("/") if scheme == "sqlite" else parts.hostname):
        raise ValueError("not a database")
    return value


def _check_host_name(value: str) -> str:
    is_bracketed = value.startswith("[") and value.endswith("]")
    if not (_is_ipv6(value[1:-1]) if is_bracketed else _HOST.fullmatch(value)):
        raise UsageError(
            f"`{shortened(value)}` is not the name of a host.",
            suggestion="Write a name or an address without scheme and port: `llm.example.com`",
        )
    return value.casefold()


def _is_ipv6(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).version == 6
    except ValueError:
        return False


def _check_priority(value: int) -> int:
    if not 0 <= value <= _LARGEST_PRIORITY:
        raise UsageError(f"A priority is a whole number from 0 to {_LARGEST_PRIORITY}, not {value}.")
    return value


_TEXT: Final = WithJsonSchema({"type": "string"})

Listen: TypeAlias = Annotated[Listener, BeforeValidator(_read_listener), _TEXT]
Networks: TypeAlias = list[Annotated[Network, BeforeValidator(_read_network), _TEXT]]
Bytes: TypeAlias = Annotated[
    int, BeforeValidator(_read_size), WithJsonSchema({"anyOf": [{"type": "integer"}, {"type": "string"}]})
]
# A number of tokens, or `none` for no limit of the gateway's.
TokenLimit: TypeAlias = Annotated[
    int | None,
    BeforeValidator(_read_token_limit),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"const": "none"}, {"type": "null"}]}),
]
Origin: TypeAlias = Annotated[str, AfterValidator(_check_origin)]
ServerUrl: TypeAlias = Annotated[str, AfterValidator(_check_server_url)]
Priority: TypeAlias = Annotated[
    int,
    AfterValidator(_check_priority),
    WithJsonSchema({"type": "integer", "minimum": 0, "maximum": _LARGEST_PRIORITY}),
]
DatabaseUrl: TypeAlias = Annotated[str, AfterValidator(_check_database)]
HostName: TypeAlias = Annotated[str, AfterValidator(_check_host_name)]
