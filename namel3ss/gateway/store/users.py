"""Users: made, changed, disabled, removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.principal import Scope
from namel3ss.gateway.store.records import User, read_user
from namel3ss.gateway.store.schema import SESSIONS, USERS
from namel3ss.gateway.store.texts import check_name, is_name
from namel3ss.gateway.store.transcripts import delete_transcripts

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy.engine import Connection

    from namel3ss.gateway.store.acts import Acts
    from namel3ss.gateway.store.classes import Classes
    from namel3ss.gateway.store.passwords import Passwords

__all__ = ["Users", "insert_user", "require_user"]

_USE: Final = frozenset({Scope.USE})


class Users:
    """The users of one store. Every change names its `actor` in the audit log, and ends what it takes away at once."""

    def __init__(self, acts: Acts, passwords: Passwords, classes: Classes | None) -> None:
        self._acts = acts
        self._passwords = passwords
        self._classes = classes

    async def list(self) -> tuple[User, ...]:
        """All, by name."""
        query = sa.select(USERS).order_by(USERS.c.name)

        def look(connection: Connection) -> tuple[User, ...]:
            return tuple(read_user(row) for row in connection.execute(query).mappings())

        return await self._acts.store.read(look)

    async def create(
        self,
        name: str,
        *,
        actor: str,
        scopes: Collection[Scope] = _USE,
        class_name: str | None = None,
        password: str | None = None,
    ) -> User:
        """Make a user. Raises Refusal: `conflict` for a name that is taken, `invalid` for what cannot be."""
        check_name(name, "a user")
        if self._classes is not None:
            self._classes.check(class_name)
        hashed = None if password is None else await self._passwords.hash(password)
        user = User(
            name=name,
            scopes=frozenset(scopes),
            class_name=class_name,
            has_password=hashed is not None,
            created_at=self._acts.clock(),
            disabled_at=None,
        )
        await self._acts.do(
            lambda connection: insert_user(connection, user, hashed),
            actor=actor,
            action="user.create",
            subject=name,
            detail={"scopes": sorted(user.scopes), "class": class_name},
        )
        return user

    async def disable(self, name: str, *, actor: str) -> None:
        """Let nothing of the user's work any more, keys and sessions, until it is enabled again."""
        await self._change(name, actor, "user.disable", {"disabled_at": self._acts.clock()})

    async def enable(self, name: str, *, actor: str) -> None:
        """Let the user's keys work again."""
        await self._change(name, actor, "user.enable", {"disabled_at": None})

    async def set_password(self, name: str, password: str, *, actor: str) -> None:
        """Give the user this password. Sessions that were begun with another one end."""
        hashed = await self._passwords.hash(password)

        def change(connection: Connection) -> None:
            _update(connection, name, {"password_hash": hashed})
            connection.execute(SESSIONS.delete().where(SESSIONS.c.user_name == name))

        await self._acts.do(change, actor=actor, action="user.password", subject=name)

    async def set_scopes(self, name: str, scopes: Collection[Scope], *, actor: str) -> None:
        """Say what the user may do when signed in. Keys keep their own scopes."""
        await self._change(
            name, actor, "user.scopes", {"scopes": sorted(scopes)}, detail={"scopes": sorted(scopes)}
        )

    async def remove(self, name: str, *, actor: str) -> None:
        """Forget the user with its keys, sessions, stored prompts and answers.

        What it used and did stays in the books and the audit log.
        """

        def remove(connection: Connection) -> None:
            require_user(connection, name)
            connection.execute(USERS.delete().where(USERS.c.name == name))
            delete_transcripts(connection, name)

        await self._acts.do(remove, actor=actor, action="user.remove", subject=name)

    async def _change(
        self, name: str, actor: str, action: str, values: dict[str, Any], detail: dict[str, Any] | None = None
    ) -> None:
        await self._acts.do(
            lambda connection: _update(connection, name, values),
            actor=actor,
            action=action,
            subject=name,
            detail=detail,
        )


def insert_user(connection: Connection, user: User, password_hash: str | None) -> None:
    """Add a user within a transaction. Raises Refusal for a name that is taken."""
    if connection.execute(sa.select(USERS.c.name).where(USERS.c.name == user.name)).first():
        raise Refusal(
            Reason.conflict,
            f"There is a user {user.name!r} already.",
            suggestion="Take another name, or give this user another key.",
        )
    connection.execute(
        USERS.insert().values(
            name=user.name,
            scopes=sorted(user.scopes),
            class_name=user.class_name,
            password_hash=password_hash,
            created_at=user.created_at,
            disabled_at=user.disabled_at,
        )
    )


def require_user(connection: Connection, name: str) -> None:
    """Raises Refusal where there is no such user."""
    if (
        not is_name(name)
        or not connection.execute(sa.select(USERS.c.name).where(USERS.c.name == name)).first()
    ):
        raise _no_user(connection, name)


def _no_user(connection: Connection, name: str) -> Refusal:
    from namel3ss.language.suggest import did_you_mean

    names = [row.name for row in connection.execute(sa.select(USERS.c.name).limit(1000))]
    return Refusal(
        Reason.not_found,
        f"There is no user {name[:80]!r}.",
        suggestion=did_you_mean(name, names)
        or "Make the user first: `namel3ss gateway user create`, or in the panel.",
    )


def _update(connection: Connection, name: str, values: dict[str, Any]) -> None:
    require_user(connection, name)
    connection.execute(USERS.update().where(USERS.c.name == name).values(**values))
