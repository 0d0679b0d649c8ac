"""People who signed in with a password: an opaque token for each time, found by the keyring as keys are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.store.holders import SESSION_IDLE_S
from namel3ss.gateway.store.schema import SESSIONS, USERS
from namel3ss.gateway.store.texts import is_name
from namel3ss.gateway.store.tokens import SESSION_PREFIX, digest_of, make_token

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, RowMapping

    from namel3ss.gateway.store.acts import Acts
    from namel3ss.gateway.store.passwords import Passwords
    from namel3ss.gateway.store.tokens import Token

__all__ = [
    "MOST_PER_USER",
    "SESSION_LONGEST_S",
    "NewSession",
    "Sessions",
    "insert_session",
    "stored_password",
]

SESSION_LONGEST_S: Final = 12 * 3600.0

MOST_PER_USER: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSession:
    """A session just begun. It ends at `expires_at` at the latest, and earlier if nobody uses it for an hour."""

    id: str
    user: str
    expires_at: float
    token: str = field(repr=False)


class Sessions:
    """The sessions of one store. Every sign-in has a new token; none is ever taken from outside."""

    def __init__(self, acts: Acts, passwords: Passwords) -> None:
        self._acts = acts
        self._passwords = passwords

    async def open(self, user: str, password: str) -> NewSession:
        """Sign in. Raises Refusal `login_failed`, which takes as long and says the same whatever was wrong."""
        stored = await self._acts.store.read(lambda connection: stored_password(connection, user))
        if not await self._passwords.verify(stored, password):
            raise _failed()
        token = make_token(SESSION_PREFIX)
        now = self._acts.clock()
        await self._acts.do(
            lambda connection: insert_session(connection, token, user, str(stored), now),
            actor=user,
            action="session.open",
            subject=token.id,
        )
        return NewSession(id=token.id, user=user, expires_at=now + SESSION_LONGEST_S, token=token.text)

    async def close(self, token: str) -> None:
        """Sign out. What is no session is left as it is."""
        await self._end(SESSIONS.c.digest == digest_of(token))

    async def end(self, session_id: str) -> None:
        """End the session with this public id. What is no session is left as it is."""
        if is_name(session_id):
            await self._end(SESSIONS.c.id == session_id)

    async def _end(self, which: sa.ColumnElement[bool]) -> None:
        def look(connection: Connection) -> RowMapping | None:
            return connection.execute(sa.select(SESSIONS).where(which)).mappings().first()

        found = await self._acts.store.read(look)
        if found is not None:
            await self._acts.do(
                lambda connection: connection.execute(SESSIONS.delete().where(which)),
                actor=found["user_name"],
                action="session.close",
                subject=found["id"],
            )


def stored_password(connection: Connection, user: str) -> str | None:
    """The hash of a user who may sign in."""
    if not is_name(user):
        return None
    query = sa.select(USERS.c.password_hash).where(USERS.c.name == user, USERS.c.disabled_at.is_(None))
    found: str | None = connection.execute(query).scalar_one_or_none()
    return found


def insert_session(connection: Connection, token: Token, user: str, password_hash: str, now: float) -> None:
    """Add a session within a transaction. Raises Refusal where that password counts no more."""
    # Since the look at the password the user may have been disabled, or given another one.
    current = sa.select(USERS.c.name).where(
        USERS.c.name == user, USERS.c.password_hash == password_hash, USERS.c.disabled_at.is_(None)
    )
    if connection.execute(current).first() is None:
        raise _failed()
    ended = (SESSIONS.c.expires_at <= now) | (SESSIONS.c.last_used_at < now - SESSION_IDLE_S)
    connection.execute(SESSIONS.delete().where(ended))
    theirs = (
        sa.select(SESSIONS.c.id).where(SESSIONS.c.user_name == user).order_by(SESSIONS.c.created_at.desc())
    )
    oldest = [row.id for row in connection.execute(theirs)][MOST_PER_USER - 1 :]
    if oldest:
        connection.execute(SESSIONS.delete().where(SESSIONS.c.id.in_(oldest)))
    connection.execute(
        SESSIONS.insert().values(
            id=token.id,
            digest=token.digest,
            user_name=user,
            created_at=now,
            last_used_at=now,
            expires_at=now + SESSION_LONGEST_S,
        )
    )


def _failed() -> Refusal:
    return Refusal(Reason.login_failed, "The user or the password is wrong.")
