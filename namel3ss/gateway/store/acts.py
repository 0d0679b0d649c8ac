"""One change by an administrator: the change, its line in the audit log, and the sign to all processes, or none of them."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.store.audit import write_audit
from namel3ss.gateway.store.schema import STATE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from sqlalchemy.engine import Connection

    from namel3ss.gateway.store.store import Store

__all__ = ["Acts", "check_name", "check_note"]

ResultT = TypeVar("ResultT")

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}", re.ASCII)
_LONGEST_NOTE: Final = 200


class Acts:
    """Does changes to one store. `applied` is awaited after each, so that this process knows of it at once."""

    def __init__(
        self,
        store: Store,
        *,
        applied: Callable[[], Awaitable[None]] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.store = store
        self.clock = clock
        self._applied = applied

    async def do(
        self,
        work: Callable[[Connection], ResultT],
        *,
        actor: str,
        action: str,
        subject: str,
        detail: Mapping[str, Any] | None = None,
    ) -> ResultT:
        """Do `work` and note it. A Refusal that `work` raises undoes everything. Raises Refusal."""

        def whole(connection: Connection) -> ResultT:
            result = work(connection)
            write_audit(connection, self.clock(), actor, action, subject, detail or {})
            connection.execute(STATE.update().values(revision=STATE.c.revision + 1))
            return result

        result = await self.store.write(whole)
        if self._applied is not None:
            await self._applied()
        return result


def check_name(name: str, what: str) -> str:
    """The name as given. Raises Refusal for one that could be mistaken for something else in a list or a command."""
    if not _NAME.fullmatch(name):
        raise Refusal(
            Reason.invalid,
            f"{name[:80]!r} cannot be the name of {what}.",
            suggestion="Take up to 64 letters, digits and the signs . _ @ + - and begin with a letter or digit.",
        )
    return name


def check_note(note: str) -> str:
    """The note as given. Raises Refusal for a text that is too long or holds what no note needs."""
    if len(note) > _LONGEST_NOTE or not note.isprintable():
        raise Refusal(Reason.invalid, f"A note is one line of at most {_LONGEST_NOTE} characters.")
    return note
