"""What administrators did, in the order they did it. Rows are only ever added, and hold no secret."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from namel3ss.gateway.store.records import AuditEntry
from namel3ss.gateway.store.schema import AUDIT
from namel3ss.gateway.store.texts import fit
from namel3ss.observability.logs import redact_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy.engine import Connection

    from namel3ss.gateway.store.store import Store

__all__ = ["Audit", "write_audit"]

_LONGEST: Final = 512


class Audit:
    """The audit log of one store."""

    def __init__(self, store: Store, *, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock

    async def record(
        self,
        actor: str,
        action: str,
        subject: str,
        detail: Mapping[str, Any] | None = None,
        *,
        patiently: bool = False,
    ) -> None:
        """Note that `actor` did `action` to `subject`; it is on the disk when this returns. Raises Refusal.

        With `patiently` it has half a minute: for acts of the gateway's own, which nobody waits for. `action` is in the
        manner of `model.delete`. What looks like a secret in the texts is masked.
        """
        at = self._clock()
        write = self._store.write_patiently if patiently else self._store.write
        await write(lambda connection: write_audit(connection, at, actor, action, subject, detail or {}))

    async def entries(self, *, limit: int = 100, before_id: int | None = None) -> tuple[AuditEntry, ...]:
        """The latest first; `before_id` goes on where an earlier page ended."""
        query = sa.select(AUDIT).order_by(AUDIT.c.id.desc()).limit(limit)
        if before_id is not None:
            query = query.where(AUDIT.c.id < before_id)

        def look(connection: Connection) -> tuple[AuditEntry, ...]:
            return tuple(AuditEntry(**row) for row in connection.execute(query).mappings())

        return await self._store.read(look)


def write_audit(
    connection: Connection, at: float, actor: str, action: str, subject: str, detail: Mapping[str, Any]
) -> None:
    """Add a row within a transaction, so that the act and its row are stored together or not at all."""
    connection.execute(
        AUDIT.insert().values(
            at=at,
            actor=_text(actor, 128),
            action=_text(action, 64),
            subject=_text(subject, _LONGEST),
            detail={_text(name, 64): _clean(value) for name, value in detail.items()},
        )
    )


def _clean(value: object) -> object:
    if isinstance(value, str):
        return _text(value, _LONGEST)
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(item) for item in value]
    return value if isinstance(value, int | float | None) else _text(str(value), _LONGEST)


def _text(text: str, length: int) -> str:
    return fit(redact_text(text), length)
