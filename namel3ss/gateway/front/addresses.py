"""Where a request comes from: the peer's address, or what proxies that are trusted say of it; and lists of networks.

Only X-Forwarded-For counts, and only from a trusted proxy. It is read from its end: every trusted proxy has added the
address of the one that spoke to it, so the first that is not trusted is the caller, and what stands before it is the
caller's own invention. Forwarded and X-Real-IP are never read.

An IPv4 address inside IPv6 (`::ffff:10.0.0.1`) is that IPv4 address, in lists as well.
"""

from __future__ import annotations

import functools
import ipaddress
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from namel3ss.gateway.errors import Reason, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Address", "Caller", "Callers", "Network", "NetworkList", "network_list", "parse_address"]

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_REMEMBERED: Final = 4096
_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")
_LONGEST_ADDRESS: Final = 64


def parse_address(text: str) -> Address:
    """The address, an IPv4 one inside IPv6 as itself. Raises ValueError; a zone is none of an address's business."""
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            raise ValueError("an address with a zone")
        return address.ipv4_mapped or address
    return address


class NetworkList:
    """Whether an address is in one of many networks. An empty list holds nobody."""

    __slots__ = ("_v4", "_v6")

    def __init__(self, networks: Iterable[Network]) -> None:
        v4: set[tuple[int, int]] = set()
        v6: set[tuple[int, int]] = set()
        for network in networks:
            if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
                network = _unmapped(network)
            known = v4 if network.version == 4 else v6
            known.add((int(network.network_address), int(network.netmask)))
        self._v4 = tuple(v4)
        self._v6 = tuple(v6)

    def __contains__(self, address: Address) -> bool:
        number = int(address)
        networks = self._v4 if address.version == 4 else self._v6
        return any(number & mask == start for start, mask in networks)

    def __bool__(self) -> bool:
        return bool(self._v4 or self._v6)


@functools.lru_cache(maxsize=_REMEMBERED)
def network_list(networks: tuple[Network, ...]) -> NetworkList:
    """The list of these networks, made once."""
    return NetworkList(networks)


def _unmapped(network: ipaddress.IPv6Network) -> ipaddress.IPv4Network:
    start = int(network.network_address) & 0xFFFF_FFFF
    return ipaddress.IPv4Network((start, network.prefixlen - _MAPPED.prefixlen))


class Caller(NamedTuple):
    """Where a request comes from."""

    address: Address
    text: str


class Callers:
    """The caller's address of each request, and whether it may speak to the gateway at all."""

    def __init__(self, *, allowed: Iterable[Network], trusted_proxies: Iterable[Network]) -> None:
        self._allowed = NetworkList(allowed)
        self._trusted = NetworkList(trusted_proxies)
        # What was found out of peers that are no proxies: nearly every request comes from one seen before.
        self._peers: dict[str, Caller] = {}

    def find(self, peer: str | None, headers: Sequence[tuple[bytes, bytes]]) -> Caller:
        """The caller. Raises Refusal for one that is not allowed, or cannot be told."""
        known = self._peers.get(peer) if peer is not None else None
        if known is not None:
            return known
        address = _peer_address(peer)
        is_proxy = address in self._trusted
        if is_proxy:
            address = self._before_proxies(address, headers)
        if address not in self._allowed:
            raise Refusal(
                Reason.address_not_allowed,
                f"Requests from {address} are not accepted here.",
                suggestion="Ask an administrator to add the address to `allow_addresses`.",
            )
        caller = Caller(address, str(address))
        if not is_proxy and peer is not None:
            if len(self._peers) >= _REMEMBERED:
                self._peers.clear()
            self._peers[peer] = caller
        return caller

    def _before_proxies(self, proxy: Address, headers: Sequence[tuple[bytes, bytes]]) -> Address:
        written = b",".join(value for name, value in headers if name == b"x-forwarded-for")
        if not written:
            return proxy
        address = proxy
        for hop in reversed(written.split(b",")):
            address = _read_hop(hop)
            if address not in self._trusted:
                break
        return address


def _peer_address(peer: str | None) -> Address:
    try:
        # The zone of a link-local peer is the machine's own word for a cable.
        return parse_address((peer or "").partition("%")[0])
    except ValueError:
        raise Refusal(
            Reason.address_not_allowed, "The address that this request comes from cannot be told."
        ) from None


def _read_hop(hop: bytes) -> Address:
    text = hop.strip(b" \t").decode("latin-1")
    try:
        return parse_address(_without_port(text))
    except ValueError:
        raise Refusal(
            Reason.address_not_allowed,
            f"A proxy says that this request comes from {text[:_LONGEST_ADDRESS]!r}, which is no address.",
            suggestion="Have the proxy write plain addresses into X-Forwarded-For.",
        ) from None


def _without_port(text: str) -> str:
    """`1.2.3.4:80` and `[::1]:80` as some proxies write them."""
    if text.startswith("["):
        address, bracket, port = text[1:].partition("]")
        if not bracket or not (port == "" or _is_port(port)) or ":" not in address:
            raise ValueError("no address in brackets")
        return address
    address, colon, port = text.partition(":")
    if colon and "." in address and _is_port(f":{port}"):
        return address
    return text


def _is_port(text: str) -> bool:
    digits = text[1:]
    return text[0] == ":" and digits.isascii() and digits.isdigit() and len(digits) <= 5
