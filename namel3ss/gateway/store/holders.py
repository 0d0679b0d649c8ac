"""Everything that requests are judged by, read from the tables in one go."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.principal import Principal
from namel3ss.gateway.store.records import StoredServer, read_key, read_networks, read_scopes
from namel3ss.gateway.store.schema import KEYS, SERVERS, SESSIONS, STATE, USERS, WHITELIST
from namel3ss.gateway.store.tokens import KEY_PREFIX, SESSION_PREFIX, has_checksum, public_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.engine import Connection, RowMapping

    from namel3ss.gateway.store.classes import Classes
    from namel3ss.gateway.store.records import Network

__all__ = [
    "SESSION_IDLE_S",
    "Holder",
    "Snapshot",
    "describe_unknown",
    "nobody",
    "read_revision",
    "read_snapshot",
]

SESSION_IDLE_S: Final = 3600.0


@dataclass(slots=True, eq=False, kw_only=True)
class Holder:
    """A key or session that is known. `problem` says why it cannot be used all the same."""

    digest: bytes
    principal: Principal
    what: str
    is_session: bool = False
    expires_at: float = math.inf
    idle_s: float = math.inf
    last_used_at: float = 0.0
    stored_use_at: float = 0.0
    problem: str | None = None

    @property
    def is_mortal(self) -> bool:
        """Whether it ends by itself."""
        return self.expires_at != math.inf or self.idle_s != math.inf

    def is_usable(self, now: float) -> bool:
        return self.problem is None and now < self.expires_at and now - self.last_used_at <= self.idle_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The store at one revision. `whitelist` holds what is stored, not what the file declares."""

    revision: int
    holders: dict[bytes, Holder]
    whitelist: Mapping[str, tuple[Network, ...]]
    servers: tuple[StoredServer, ...]
    """Those that are not disabled."""


def read_revision(connection: Connection) -> int:
    """A number that is another one after every change."""
    revision: int = connection.execute(sa.select(STATE.c.revision)).scalar_one()
    return revision


def read_snapshot(connection: Connection, classes: Classes) -> Snapshot:
    """Read it all in the connection's transaction, so that the parts fit each other."""
    revision = read_revision(connection)
    users = {row["name"]: row for row in connection.execute(sa.select(USERS)).mappings()}
    holders = {}
    for row in connection.execute(sa.select(KEYS).where(KEYS.c.revoked_at.is_(None))).mappings():
        holders[row["digest"]] = _key_holder(row, users[row["user_name"]], classes)
    for row in connection.execute(sa.select(SESSIONS)).mappings():
        holders[row["digest"]] = _session_holder(row, users[row["user_name"]], classes)
    return Snapshot(
        revision=revision,
        holders=holders,
        whitelist=_read_whitelist(connection),
        servers=read_servers(connection, usable=True),
    )


def read_servers(connection: Connection, *, usable: bool = False) -> tuple[StoredServer, ...]:
    """The stored servers by name; only `usable` ones where disabled ones do not count."""
    query = sa.select(SERVERS).order_by(SERVERS.c.name)
    if usable:
        query = query.where(SERVERS.c.disabled_at.is_(None))
    return tuple(StoredServer(**row) for row in connection.execute(query).mappings())


def write_last_used(connection: Connection, used: Sequence[tuple[Holder, float]]) -> None:
    """Note the last use of keys and sessions."""
    for table, is_session in ((KEYS, False), (SESSIONS, True)):
        values: list[dict[str, Any]] = [
            {"which": holder.digest, "at": at} for holder, at in used if holder.is_session is is_session
        ]
        if values:
            update = table.update().where(table.c.digest == sa.bindparam("which"))
            connection.execute(update.values(last_used_at=sa.bindparam("at")), values)


def nobody() -> Holder:
    """Stands in for every token that is unknown, so that those are compared like any other."""
    principal = Principal(user="", key_id="", class_name="", priority=0, scopes=frozenset())
    return Holder(digest=bytes(32), principal=principal, what="Nothing", problem="it is nobody's")


def describe_unknown(token: str) -> Refusal:
    """Why a token that is not known is refused, as far as its own letters tell."""
    if token.count(".") == 2 and token.startswith("ey"):
        return Refusal(
            Reason.bad_key,
            "This is a JSON Web Token, and the gateway takes none.",
            suggestion="Send a key of the gateway.",
        )
    prefix = token[:4]
    if prefix not in (f"{KEY_PREFIX}_", f"{SESSION_PREFIX}_"):
        return Refusal(
            Reason.bad_key,
            "This is not a key of the gateway.",
            suggestion=f"Its keys begin with {KEY_PREFIX}_; an administrator gives them out.",
        )
    if not has_checksum(token):
        return Refusal(
            Reason.bad_key,
            "The key has a typing mistake, or a part of it is missing.",
            suggestion="Copy it again, whole.",
        )
    if prefix == f"{SESSION_PREFIX}_":
        return Refusal(Reason.bad_key, "The session has ended.", suggestion="Sign in again.")
    return Refusal(
        Reason.bad_key,
        f"The key {public_id(token)} is not known: it was revoked, or is another gateway's.",
        suggestion="Ask an administrator for a key.",
    )


def _key_holder(row: RowMapping, user: RowMapping, classes: Classes) -> Holder:
    key = read_key(row)
    grant = key.grant
    class_name = grant.class_name if grant.class_name is not None else classes.default
    principal = Principal(
        user=key.user,
        key_id=key.id,
        class_name=class_name,
        priority=classes.priorities.get(class_name, 0),
        scopes=grant.scopes,
        models=grant.models,
        networks=grant.networks,
        limits=grant.limits,
        allows_fallback=grant.allows_fallback,
        allows_cloud=grant.allows_cloud,
        in_address=grant.in_address,
        expires_at=grant.expires_at,
    )
    used_at = key.last_used_at or 0.0
    return Holder(
        digest=row["digest"],
        principal=principal,
        what=f"The key {key.id}",
        expires_at=math.inf if grant.expires_at is None else grant.expires_at,
        last_used_at=used_at,
        stored_use_at=used_at,
        problem=_problem(user, class_name, classes),
    )


def _session_holder(row: RowMapping, user: RowMapping, classes: Classes) -> Holder:
    class_name = user["class_name"] if user["class_name"] is not None else classes.default
    principal = Principal(
        user=user["name"],
        key_id=f"session:{row['id']}",
        class_name=class_name,
        priority=classes.priorities.get(class_name, 0),
        scopes=read_scopes(user["scopes"]),
        expires_at=row["expires_at"],
    )
    return Holder(
        digest=row["digest"],
        principal=principal,
        what="The session",
        is_session=True,
        expires_at=row["expires_at"],
        idle_s=SESSION_IDLE_S,
        last_used_at=row["last_used_at"],
        stored_use_at=row["last_used_at"],
        problem=_problem(user, class_name, classes),
    )


def _problem(user: RowMapping, class_name: str, classes: Classes) -> str | None:
    if user["disabled_at"] is not None:
        return "its user is disabled"
    if class_name not in classes.priorities:
        return f"its class {class_name!r} is not one of this gateway"
    return None


def _read_whitelist(connection: Connection) -> dict[str, tuple[Network, ...]]:
    by_class: defaultdict[str, list[str]] = defaultdict(list)
    for row in connection.execute(sa.select(WHITELIST.c.class_name, WHITELIST.c.network)):
        by_class[row.class_name].append(row.network)
    return {name: read_networks(texts) or () for name, texts in by_class.items()}
