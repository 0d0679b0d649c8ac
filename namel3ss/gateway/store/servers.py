"""Servers that an administrator added, besides those of the file, which are read-only here.

The gateway sends prompts to them and asks them for things, so where they are is an administrator's to say, and never an
address that machines keep for themselves.
"""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import sqlalchemy as sa

from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.kept_back import is_kept_back
from namel3ss.gateway.store.holders import read_servers
from namel3ss.gateway.store.records import StoredServer
from namel3ss.gateway.store.schema import SERVERS
from namel3ss.gateway.store.texts import check_name, fit
from namel3ss.language.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.engine import Connection

    from namel3ss.gateway.plan import GatewayPlan
    from namel3ss.gateway.store.acts import Acts

__all__ = ["Servers", "check_server_url"]

_LONGEST_URL: Final = 1024
_MOST: Final = 1024
# Where clouds tell a machine its own secrets, under the names that need no address.
_METADATA_NAMES: Final = ("metadata.google.internal", "metadata", "instance-data")


class Servers:
    """The stored servers of one store, by name."""

    def __init__(self, acts: Acts, plan: GatewayPlan | None) -> None:
        self._acts = acts
        self._declared: Mapping[str, str | None] = (
            {} if plan is None else {backend.name: backend.declared_at for backend in plan.backends}
        )
        self._file = None if plan is None else plan.declared_at

    async def list(self) -> tuple[StoredServer, ...]:
        """All that are stored, disabled ones included."""
        return await self._acts.store.read(read_servers)

    async def add(
        self,
        name: str,
        base_url: str,
        *,
        actor: str,
        slots: int = 1,
        max_loaded_models: int | None = None,
        weight: float = 1.0,
        shared: bool = False,
    ) -> StoredServer:
        """Use one more server. Raises Refusal: `invalid`, `conflict`, `read_only`."""
        check_name(name, "a server")
        self._refuse_declared(name)
        _check_number("slots", slots, 1, _MOST)
        _check_number("max_loaded_models", max_loaded_models, 1, _MOST)
        _check_number("weight", weight, 0.001, 1000)
        server = StoredServer(
            name=name,
            base_url=check_server_url(base_url),
            slots=slots,
            max_loaded_models=max_loaded_models,
            weight=weight,
            shared=shared,
            disabled_at=None,
            created_at=self._acts.clock(),
            created_by=fit(actor, 64),
        )

        def add(connection: Connection) -> None:
            if connection.execute(sa.select(SERVERS.c.name).where(SERVERS.c.name == name)).first():
                raise Refusal(Reason.conflict, f"There is a server {name!r} already.")
            connection.execute(SERVERS.insert().values(**_values(server)))

        await self._acts.do(
            add, actor=actor, action="server.add", subject=name, detail={"base_url": server.base_url}
        )
        return server

    async def disable(self, name: str, *, actor: str) -> StoredServer:
        """Send nothing more to a stored server. Raises Refusal: `not_found`, `read_only`."""
        return await self._set_disabled(name, self._acts.clock(), actor, "server.disable")

    async def enable(self, name: str, *, actor: str) -> StoredServer:
        """Use a stored server again. Raises Refusal: `not_found`, `read_only`."""
        return await self._set_disabled(name, None, actor, "server.enable")

    async def remove(self, name: str, *, actor: str) -> None:
        """Forget a stored server. Raises Refusal: `not_found`, `read_only`."""
        self._refuse_declared(name)

        def remove(connection: Connection) -> None:
            _require(connection, name)
            connection.execute(SERVERS.delete().where(SERVERS.c.name == name))

        await self._acts.do(remove, actor=actor, action="server.remove", subject=name)

    async def _set_disabled(self, name: str, at: float | None, actor: str, action: str) -> StoredServer:
        self._refuse_declared(name)

        def change(connection: Connection) -> StoredServer:
            server = _require(connection, name)
            connection.execute(SERVERS.update().where(SERVERS.c.name == name).values(disabled_at=at))
            return replace(server, disabled_at=at)

        return await self._acts.do(change, actor=actor, action=action, subject=name)

    def _refuse_declared(self, name: str) -> None:
        if name in self._declared:
            raise Refusal(
                Reason.read_only,
                f"The server {name!r} is declared at {self._declared[name] or self._file}, "
                "and can only be changed there.",
                suggestion="Change the file, and start the gateway again.",
            )


def check_server_url(url: str) -> str:
    """The URL as it is stored. Raises Refusal for what is no address of a server, or one that must not be asked."""
    host = _host(url)
    if host is None:
        raise Refusal(
            Reason.invalid,
            f"{url[:80]!r} is not the URL of a server.",
            suggestion="Write scheme, host and port: http://10.0.0.5:11434",
        )
    if host.rstrip(".") in _METADATA_NAMES or _is_address_kept_back(host):
        raise Refusal(
            Reason.invalid,
            f"{host} is an address that machines use among themselves, and no server's.",
            suggestion="Name the address at which the server listens for others.",
        )
    return url.rstrip("/")


def _host(url: str) -> str | None:
    """The host of a plain URL: without user, query and fragment, whose secrets would be shown in every list."""
    if len(url) > _LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return None
    try:
        parts = urlsplit(url)
        is_plain = parts.port != 0 and not (parts.query or parts.fragment or parts.username or parts.password)
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname or not is_plain or "@" in parts.netloc:
        return None
    return parts.hostname


def _is_address_kept_back(host: str) -> bool:
    """Whether a host is written as such an address, in any of the spellings that a resolver takes for one.

    Where a name leads is looked at with each connection: it may lead elsewhere by then.
    """
    try:
        return is_kept_back(host)
    except ValueError:
        try:
            return is_kept_back(socket.inet_ntoa(socket.inet_aton(host)))
        except OSError:
            return False


def _require(connection: Connection, name: str) -> StoredServer:
    servers = {server.name: server for server in read_servers(connection)}
    if name not in servers:
        raise Refusal(
            Reason.not_found,
            f"There is no stored server {name[:80]!r}.",
            suggestion=did_you_mean(name, servers),
        )
    return servers[name]


def _values(server: StoredServer) -> dict[str, Any]:
    return {column.name: getattr(server, column.name) for column in SERVERS.columns}


def _check_number(name: str, value: float | None, least: float, most: float) -> None:
    if value is not None and not least <= value <= most:
        raise Refusal(Reason.invalid, f"{name} is a number from {least} to {most}, not {value}.")
