"""The whitelist over HTTP: addresses of the file, which are read-only, and stored ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from namel3ss.gateway.administration.calls import AnyOperation, Call, Nothing, Operation
from namel3ss.gateway.administration.keys import read_network
from namel3ss.gateway.administration.shapes import (
    CreateWhitelistEntry,
    WhitelistEntryView,
    WhitelistPlace,
    WhitelistView,
)
from namel3ss.gateway.errors import Reason

if TYPE_CHECKING:
    from namel3ss.gateway.store import KeyAdministration, WhitelistEntry

__all__ = ["WhitelistOperations"]


class WhitelistOperations:
    """Lists, adds and takes away addresses of classes."""

    def __init__(self, administration: KeyAdministration) -> None:
        self._whitelist = administration.whitelist

    def operations(self) -> tuple[AnyOperation, ...]:
        path = "/api/whitelist"
        return (
            Operation(
                method="GET",
                path=path,
                do=self.show,
                takes=Nothing,
                answers=WhitelistView,
                summary="From where classes may be used. A class without an entry may be used from anywhere.",
            ),
            Operation(
                method="POST",
                path=path,
                do=self.add,
                takes=CreateWhitelistEntry,
                answers=WhitelistEntryView,
                status=201,
                summary="Let a class be used from an address or range.",
                refusals=(Reason.conflict,),
            ),
            Operation(
                method="DELETE",
                path=path,
                do=self.remove,
                takes=WhitelistPlace,
                answers=Nothing,
                summary="Take a stored entry away.",
                refusals=(Reason.read_only,),
            ),
        )

    async def show(self, call: Call[Nothing]) -> WhitelistView:
        return WhitelistView(entries=[_view(entry) for entry in await self._whitelist.list()])

    async def add(self, call: Call[CreateWhitelistEntry]) -> WhitelistEntryView:
        taken = call.taken
        network = read_network(taken.network)
        return _view(await self._whitelist.add(taken.class_name, network, actor=call.actor, note=taken.note))

    async def remove(self, call: Call[WhitelistPlace]) -> Nothing:
        network = read_network(call.taken.network)
        await self._whitelist.remove(call.taken.class_name, network, actor=call.actor)
        return Nothing()


def _view(entry: WhitelistEntry) -> WhitelistEntryView:
    return WhitelistEntryView(
        class_name=entry.class_name,
        network=str(entry.network),
        note=entry.note,
        declared_at=entry.origin,
    )
