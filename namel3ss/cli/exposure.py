"""Whether an Ollama server of this machine answers other machines as well: it asks nobody for a key."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from namel3ss.declarations.gateway_values import is_loopback_host

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["how_to_hide", "own_addresses", "reached_from_outside"]

_PATIENCE_S: Final = 0.5
# Nobody is there, and nothing is sent: that a socket is pointed at them tells which address of ours would be used.
_FAR_AWAY: Final = (
    (socket.AF_INET, "192.0.2.1"),
    (socket.AF_INET, "10.255.255.254"),
    (socket.AF_INET, "172.31.255.254"),
    (socket.AF_INET, "192.168.255.254"),
    (socket.AF_INET6, "2001:db8::1"),
    (socket.AF_INET6, "fd00::1"),
)


def own_addresses() -> tuple[str, ...]:
    """This machine's addresses that others may know, as far as they can be told without sending anything."""
    found: dict[str, None] = {}
    for family, place in _FAR_AWAY:
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as pointed:
            pointed.connect((place, 9))
            found[pointed.getsockname()[0]] = None
    return tuple(address for address in found if not is_loopback_host(address))


def reached_from_outside(url: str, addresses: Iterable[str] | None = None) -> str | None:
    """Where a server that is meant for this machine alone answers as well; None where it does not, or is not meant so.

    Asks at this machine's own addresses and nowhere else.
    """
    place = urlsplit(url)
    if not is_loopback_host(place.hostname or "") or place.scheme != "http":
        return None
    port = place.port or 80
    for address in own_addresses() if addresses is None else addresses:
        if _is_ollama(address, port):
            return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    return None


def how_to_hide(port: int | None) -> str:
    """What to do about it."""
    return f"Start Ollama with OLLAMA_HOST=127.0.0.1:{port or 11434}, or let a firewall admit this machine alone."


def _is_ollama(address: str, port: int) -> bool:
    connection = http.client.HTTPConnection(address, port, timeout=_PATIENCE_S)
    try:
        connection.request("GET", "/api/version")
        answer = connection.getresponse()
        said = json.loads(answer.read(4096))
    except (OSError, http.client.HTTPException, ValueError):
        return False
    finally:
        connection.close()
    return isinstance(said, dict) and "version" in said
