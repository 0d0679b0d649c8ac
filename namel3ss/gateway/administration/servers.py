"""Servers over HTTP: how they are, taking them out of use and back, and those that are stored beside the file's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from namel3ss.gateway.administration.activity_shapes import CreateServer, ServerList, ServerView
from namel3ss.gateway.administration.calls import AnyOperation, Call, Nothing, Operation
from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.language.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from namel3ss.gateway.administration.roster import Roster
    from namel3ss.gateway.backends.backends import Backends
    from namel3ss.gateway.backends.status import ServerStatus
    from namel3ss.gateway.store import Audit, KeyAdministration, StoredServer

__all__ = ["ServerOperations"]


class ServerOperations:
    """Any server can be drained, until the gateway is started again. Only stored ones can be changed."""

    def __init__(
        self, administration: KeyAdministration, backends: Backends, roster: Roster, audit: Audit
    ) -> None:
        self._stored = administration.servers
        self._backends = backends
        self._roster = roster
        self._audit = audit

    def operations(self) -> tuple[AnyOperation, ...]:
        return (
            Operation(
                method="GET",
                path="/api/servers",
                do=self.show,
                takes=Nothing,
                answers=ServerList,
                summary="The servers, with their health and what they have loaded.",
            ),
            Operation(
                method="POST",
                path="/api/servers",
                do=self.add,
                takes=CreateServer,
                answers=ServerView,
                status=201,
                summary="Use one more server.",
                refusals=(Reason.conflict, Reason.read_only),
            ),
            Operation(
                method="DELETE",
                path="/api/servers/{name}",
                do=self.remove,
                takes=Nothing,
                answers=Nothing,
                summary="Forget a stored server.",
                refusals=(Reason.read_only,),
            ),
            self._action("disable", self.disable, "Send a stored server nothing more, restarts included."),
            self._action("enable", self.enable, "Use a disabled server again."),
            self._action("drain", self.drain, "Send a server nothing new; what runs there goes on."),
            self._action("undrain", self.undrain, "Use a drained server again."),
        )

    def _action(
        self, name: str, do: Callable[[Call[Nothing]], Awaitable[ServerView]], summary: str
    ) -> AnyOperation:
        return Operation(
            method="POST",
            path=f"/api/servers/{{name}}/{name}",
            do=do,
            takes=Nothing,
            answers=ServerView,
            summary=summary,
            refusals=(Reason.read_only,),
        )

    async def show(self, call: Call[Nothing]) -> ServerList:
        return ServerList(servers=await self.views())

    async def add(self, call: Call[CreateServer]) -> ServerView:
        taken = call.taken
        await self._stored.add(
            taken.name,
            taken.base_url,
            actor=call.actor,
            slots=taken.slots,
            max_loaded_models=taken.max_loaded_models,
            weight=taken.weight,
            shared=taken.shared,
        )
        return await self._one(taken.name)

    async def remove(self, call: Call[Nothing]) -> Nothing:
        await self._stored.remove(call.parameters["name"], actor=call.actor)
        await self._roster.follow()
        return Nothing()

    async def disable(self, call: Call[Nothing]) -> ServerView:
        name = call.parameters["name"]
        await self._stored.disable(name, actor=call.actor)
        return await self._one(name)

    async def enable(self, call: Call[Nothing]) -> ServerView:
        name = call.parameters["name"]
        await self._stored.enable(name, actor=call.actor)
        return await self._one(name)

    async def drain(self, call: Call[Nothing]) -> ServerView:
        name = self._used(call.parameters["name"])
        await self._audit.record(call.actor, "server.drain", name)
        await self._backends.drain(name)
        return await self._one(name)

    async def undrain(self, call: Call[Nothing]) -> ServerView:
        name = self._used(call.parameters["name"])
        await self._audit.record(call.actor, "server.undrain", name)
        await self._backends.resume(name)
        return await self._one(name)

    async def views(self) -> list[ServerView]:
        """All servers: the file's, those that were added, and those that are disabled."""
        used = [_view(self._backends.status(name)) for name in self._backends.names]
        names = set(self._backends.names)
        return used + [_disabled(server) for server in await self._stored.list() if server.name not in names]

    async def _one(self, name: str) -> ServerView:
        await self._roster.follow()
        return next(view for view in await self.views() if view.name == name)

    def _used(self, name: str) -> str:
        """The name of a server that is in use. Raises Refusal."""
        if name not in self._backends.names:
            raise Refusal(
                Reason.not_found,
                f"The gateway uses no server {name[:100]!r}.",
                suggestion=did_you_mean(name, self._backends.names),
            )
        return name


def _view(status: ServerStatus) -> ServerView:
    return ServerView(
        name=status.name,
        base_url=status.base_url,
        state=status.state,
        reason=status.reason,
        since=status.since_s,
        version=status.version,
        warning=status.warning,
        slots=status.slots,
        in_flight=status.in_flight,
        loaded=[model.name for model in status.loaded],
        loading=list(status.loading),
        declared_at=status.declared_at,
    )


def _disabled(server: StoredServer) -> ServerView:
    return ServerView(
        name=server.name,
        base_url=server.base_url,
        state="disabled",
        reason="an administrator disabled it",
        since=None,
        version=None,
        warning=None,
        slots=server.slots,
        in_flight=0,
        loaded=[],
        loading=[],
        declared_at=None,
    )
