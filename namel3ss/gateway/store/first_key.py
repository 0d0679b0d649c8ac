"""The first administrator's key: made once for a store, whoever starts first, and shown once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TextIO

import sqlalchemy as sa

from namel3ss.gateway.principal import Scope
from namel3ss.gateway.store.audit import write_audit
from namel3ss.gateway.store.errors import StoreError
from namel3ss.gateway.store.keys import insert_key, new_key
from namel3ss.gateway.store.location import make_private_file
from namel3ss.gateway.store.records import KeyGrant, NewKey, User
from namel3ss.gateway.store.schema import KEYS, STATE, USERS
from namel3ss.gateway.store.users import insert_user

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from sqlalchemy.engine import Connection

    from namel3ss.gateway.store.acts import Acts
    from namel3ss.gateway.store.classes import Classes

__all__ = ["FIRST_USER", "first_class", "hand_over", "make_first_key"]

FIRST_USER: Final = "admin"
_SCOPES: Final = frozenset({Scope.ADMIN, Scope.OPERATOR, Scope.USE})
_ACTOR: Final = "gateway"


def first_class(classes: Classes, whitelisted: Collection[str]) -> str | None:
    """The class of the first administrator: None, the default, unless that works from listed addresses alone.

    Then it is the one that is served last of those that work from anywhere, where there is one.
    """
    if classes.default not in whitelisted:
        return None
    anywhere = classes.priorities.keys() - set(whitelisted)
    return max(anywhere, key=lambda name: (classes.priorities[name], name), default=None)


async def make_first_key(acts: Acts, class_name: str | None, deliver: Callable[[NewKey], None]) -> bool:
    """Make the key of the first administrator, of that class, unless this store had one before; whether it did.

    `deliver` is called with it on another thread, before it is stored: what raises there leaves no key behind that
    nobody has. Of processes that start at once, one makes it.
    """

    def make(connection: Connection) -> NewKey | None:
        # The writer's lock, or for a server the lock of this row, is held until the transaction ends.
        state = connection.execute(sa.select(STATE).with_for_update()).mappings().one()
        if state["first_key_id"] is not None or _has_administrator(connection):
            return None
        now = acts.clock()
        made = new_key(FIRST_USER, KeyGrant(scopes=_SCOPES, class_name=class_name, note="the first key"), now)
        if not connection.execute(sa.select(USERS.c.name).where(USERS.c.name == FIRST_USER)).first():
            user = User(
                name=FIRST_USER,
                scopes=_SCOPES,
                class_name=class_name,
                has_password=False,
                created_at=now,
                disabled_at=None,
            )
            insert_user(connection, user, None)
        insert_key(connection, made)
        connection.execute(STATE.update().values(first_key_id=made.key.id, revision=STATE.c.revision + 1))
        write_audit(connection, now, _ACTOR, "key.first", made.key.id, {"user": FIRST_USER})
        deliver(made)
        return made

    return await acts.store.write_patiently(make) is not None


def hand_over(made: NewKey, terminal: TextIO, folder: Path) -> None:
    """Show the key on a terminal; where there is none, write it to a file that only its owner can read, and name that.

    What is no terminal may be a log that others read. Raises StoreError where neither can be done.
    """
    if terminal.isatty():
        terminal.write(f"The administrator's key, shown this once and kept nowhere:\n\n    {made.token}\n\n")
        terminal.flush()
        return
    path = folder / f"administrator-{made.key.id}.key"
    try:
        make_private_file(path, made.token + "\n")
    except OSError as error:
        raise StoreError(
            f"The administrator's key could not be written to {path}: {error.strerror or error}.",
            suggestion="Start the gateway once in a terminal, or give it the right to write there.",
        ) from error
    terminal.write(f"The administrator's key is in {path}. Take it from there, and remove the file.\n")
    terminal.flush()


def _has_administrator(connection: Connection) -> bool:
    query = sa.select(KEYS.c.scopes).where(KEYS.c.revoked_at.is_(None))
    return any(Scope.ADMIN in row.scopes for row in connection.execute(query))
