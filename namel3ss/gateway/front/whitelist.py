"""Classes that may only be used from known addresses, and keys that may only be used from some."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.front.addresses import NetworkList, network_list

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from namel3ss.gateway.front.addresses import Caller, Network
    from namel3ss.gateway.principal import Principal

__all__ = ["StoredNetworks", "Whitelist"]

# The networks that administrators have stored for a class.
StoredNetworks: TypeAlias = "Callable[[str], tuple[Network, ...]]"


class Whitelist:
    """A class with an entry, in the file or stored, may be used from its addresses alone: one without any is open.

    An entry never stands for a key.
    """

    def __init__(self, declared: Mapping[str, Iterable[Network]], stored: StoredNetworks | None) -> None:
        self._declared = {name: NetworkList(networks) for name, networks in declared.items()}
        self._stored = stored

    def check(self, principal: Principal, caller: Caller) -> None:
        """Raises Refusal for an address from which the key, or its class, may not be used."""
        if principal.networks is not None and caller.address not in network_list(principal.networks):
            raise Refusal(
                Reason.address_not_allowed,
                f"This key may not be used from {caller.text}.",
                suggestion="Use it from where it is meant for, or ask an administrator for another.",
            )
        name = principal.class_name
        declared = self._declared.get(name)
        stored = self._stored(name) if self._stored is not None else ()
        if declared is None and not stored:
            return
        if declared is not None and caller.address in declared:
            return
        if stored and caller.address in network_list(stored):
            return
        raise Refusal(
            Reason.not_whitelisted,
            f"Keys of the class `{name}` may be used from listed addresses alone, and {caller.text} is not listed.",
            suggestion="Ask an administrator to add the address to the whitelist of the class.",
        )
