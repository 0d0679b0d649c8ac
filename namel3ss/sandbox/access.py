"""Who may ask: the Host and Origin checks that keep web pages from reaching a local server."""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import TYPE_CHECKING, Final

from namel3ss.sandbox.http import Raw

if TYPE_CHECKING:
    from namel3ss.sandbox.http import Header, Request

__all__ = ["cross_origin", "host_refusal"]

_ALLOWED_HEADERS: Final = (
    "Authorization,Content-Type,User-Agent,Accept,X-Requested-With,Openai-Beta,X-Stainless-Arch,"
    "X-Stainless-Async,X-Stainless-Custom-Poll-Interval,X-Stainless-Helper-Method,X-Stainless-Lang,"
    "X-Stainless-Os,X-Stainless-Package-Version,X-Stainless-Poll-Helper,X-Stainless-Retry-Count,"
    "X-Stainless-Runtime,X-Stainless-Runtime-Version,X-Stainless-Timeout"
)
_PREFLIGHT: Final = (
    ("Access-Control-Allow-Headers", _ALLOWED_HEADERS),
    ("Access-Control-Allow-Methods", "GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS"),
    ("Access-Control-Max-Age", "43200"),
    ("Vary", "Origin"),
    ("Vary", "Access-Control-Request-Method"),
    ("Vary", "Access-Control-Request-Headers"),
)
_ORIGIN: Final = re.compile(
    r"https?://(?:localhost|127\.0\.0\.1|0\.0\.0\.0)(?::\d+)?|(?:app|file|tauri|vscode-webview|vscode-file)://.*",
    re.IGNORECASE,
)
_PRIVATE_NETWORKS: Final = tuple(
    ipaddress.ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
)
_LOCAL_SUFFIXES: Final = (".localhost", ".local", ".internal")


def cross_origin(request: Request) -> tuple[Raw | None, list[Header]]:
    """The answer to a preflight or to a foreign page, if this is one; else the headers that the answer needs."""
    origin = request.header("origin")
    if not origin or origin in (f"http://{request.header('host')}", f"https://{request.header('host')}"):
        return None, []
    if not _ORIGIN.fullmatch(origin):
        return Raw(403), []
    allowed = ("Access-Control-Allow-Origin", origin)
    if request.method == "OPTIONS":
        return Raw(204, headers=(allowed, *_PREFLIGHT)), []
    return None, [allowed, ("Vary", "Origin")]


def host_refusal(request: Request) -> Raw | None:
    """The answer to a request whose Host header names somebody else; this stops DNS rebinding."""
    host = _without_port(request.header("host") or "")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if not _is_local_name(host):
            return Raw(403)
        return Raw(204) if request.method == "OPTIONS" else None
    inside = any(address in network for network in _PRIVATE_NETWORKS if network.version == address.version)
    return None if inside or address.is_loopback or address.is_unspecified else Raw(403)


def _without_port(host: str) -> str:
    match = re.fullmatch(r"\[(?P<six>[^\]]*)\](?::\d*)?|(?P<other>[^:]*)(?::\d*)?", host)
    return (match["six"] or match["other"] or "") if match else host


def _is_local_name(host: str) -> bool:
    lowered = host.lower()
    return (
        lowered in ("", "localhost")
        or lowered.endswith(_LOCAL_SUFFIXES)
        or lowered == socket.gethostname().lower()
    )
