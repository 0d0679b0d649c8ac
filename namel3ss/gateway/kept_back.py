"""Addresses that machines keep for themselves: where clouds tell a machine its own secrets, and what only one link knows."""

from __future__ import annotations

import ipaddress
from typing import Final, TypeAlias

__all__ = ["Address", "is_kept_back"]

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

# Those of clouds that lie in no range of their own: Alibaba, Oracle, Azure; Amazon and Google by IPv6.
_METADATA: Final = frozenset(
    map(
        ipaddress.ip_address,
        ("100.100.100.200", "192.0.0.192", "168.63.129.16", "fd00:ec2::254", "fd20:ce::254"),
    )
)
_TRANSLATED: Final = ipaddress.IPv6Network("64:ff9b::/96")


def is_kept_back(text: str) -> bool:
    """Whether an address, as a resolver or a socket writes it, is such a one, or means one by way of IPv6."""
    address = _meant(ipaddress.ip_address(text.partition("%")[0]))
    return address.is_link_local or address.is_multicast or address.is_unspecified or address in _METADATA


def _meant(address: Address) -> Address:
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address.sixtofour is not None:
            return address.sixtofour
        if address in _TRANSLATED:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address
