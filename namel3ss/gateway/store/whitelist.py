"""Addresses that classes may be used from: those of the file, which are read-only here, and those stored besides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import sqlalchemy as sa

from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.store.records import WhitelistEntry, read_networks
from namel3ss.gateway.store.schema import WHITELIST
from namel3ss.gateway.store.texts import check_name, check_note, fit, is_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.engine import Connection

    from namel3ss.gateway.plan import GatewayPlan
    from namel3ss.gateway.store.acts import Acts
    from namel3ss.gateway.store.classes import Classes
    from namel3ss.gateway.store.records import Network

__all__ = ["Whitelist"]


class Whitelist:
    """The whitelist of one store and one file. A class with an entry, declared or stored, needs a known address."""

    def __init__(self, acts: Acts, declared: Iterable[WhitelistEntry], classes: Classes | None) -> None:
        self._acts = acts
        self._declared = tuple(declared)
        self._classes = classes

    @classmethod
    def of(cls, acts: Acts, plan: GatewayPlan | None, classes: Classes | None) -> Self:
        """With what the file of `plan` declares."""
        if plan is None:
            return cls(acts, (), classes)
        declared = [
            WhitelistEntry(class_name=name, network=network, origin=plan.declared_at)
            for name, networks in plan.settings.whitelist.items()
            for network in networks
        ]
        return cls(acts, declared, classes)

    async def list(self) -> tuple[WhitelistEntry, ...]:
        """What the file declares, then what is stored."""
        query = sa.select(WHITELIST).order_by(WHITELIST.c.class_name, WHITELIST.c.network)

        def look(connection: Connection) -> tuple[WhitelistEntry, ...]:
            return tuple(
                WhitelistEntry(class_name=row.class_name, network=network, note=row.note)
                for row in connection.execute(query)
                for network in read_networks([row.network]) or ()
            )

        return (*self._declared, *await self._acts.store.read(look))

    async def add(self, class_name: str, network: Network, *, actor: str, note: str = "") -> WhitelistEntry:
        """Let the class be used from there. Raises Refusal `conflict` for what is there already."""
        check_name(class_name, "a class")
        check_note(note)
        if self._classes is not None:
            self._classes.check(class_name)
        if (origin := self._origin(class_name, network)) is not None:
            raise Refusal(Reason.conflict, f"{network} is declared for {class_name!r} already, at {origin}.")
        values = {"class_name": class_name, "network": str(network)}

        def add(connection: Connection) -> None:
            if connection.execute(sa.select(WHITELIST.c.note).filter_by(**values)).first():
                raise Refusal(Reason.conflict, f"{network} is on the whitelist of {class_name!r} already.")
            connection.execute(
                WHITELIST.insert().values(
                    **values, note=note, created_at=self._acts.clock(), created_by=fit(actor, 64)
                )
            )

        await self._acts.do(add, actor=actor, action="whitelist.add", subject=f"{class_name} {network}")
        return WhitelistEntry(class_name=class_name, network=network, note=note)

    async def remove(self, class_name: str, network: Network, *, actor: str) -> None:
        """Take a stored entry away. Raises Refusal: `read_only` for what the file declares, `not_found`."""
        if (origin := self._origin(class_name, network)) is not None:
            raise Refusal(
                Reason.read_only,
                f"{network} is declared for {class_name!r} at {origin}, and can only be changed there.",
                suggestion="Change the file, and start the gateway again.",
            )

        def remove(connection: Connection) -> None:
            where = (WHITELIST.c.class_name == class_name) & (WHITELIST.c.network == str(network))
            if not is_name(class_name) or not connection.execute(WHITELIST.delete().where(where)).rowcount:
                raise Refusal(
                    Reason.not_found,
                    f"{network} is not on the whitelist of {class_name[:80]!r}.",
                    suggestion="Name it as the list shows it.",
                )

        await self._acts.do(remove, actor=actor, action="whitelist.remove", subject=f"{class_name} {network}")

    def _origin(self, class_name: str, network: Network) -> str | None:
        for entry in self._declared:
            if (entry.class_name, entry.network) == (class_name, network):
                return entry.origin
        return None
