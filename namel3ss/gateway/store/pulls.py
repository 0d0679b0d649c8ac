"""Pulls that have not ended, so that a restart goes on with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from namel3ss.gateway.store.records import StoredPull
from namel3ss.gateway.store.schema import PULLS
from namel3ss.gateway.store.texts import fit

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from namel3ss.gateway.store.store import Store

__all__ = ["StoredPulls"]


class StoredPulls:
    """Those of one store. No request waits for it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def add(self, pull: StoredPull) -> None:
        """Raises Refusal."""
        values = {
            "id": pull.id,
            "server": fit(pull.server, 255),
            "model": fit(pull.model, 512),
            "user_name": fit(pull.user, 64),
            "started_at": pull.started_at,
        }

        def write(connection: Connection) -> None:
            connection.execute(PULLS.delete().where(PULLS.c.id == pull.id))
            connection.execute(PULLS.insert().values(values))

        await self._store.write_patiently(write)

    async def remove(self, pull_id: str) -> None:
        """It has ended. Raises Refusal."""
        await self._store.write_patiently(
            lambda connection: connection.execute(PULLS.delete().where(PULLS.c.id == pull_id))
        )

    async def all(self) -> tuple[StoredPull, ...]:
        """Those that an earlier process began and did not end, the first first. Raises Refusal."""

        def look(connection: Connection) -> tuple[StoredPull, ...]:
            rows = connection.execute(sa.select(PULLS).order_by(PULLS.c.started_at)).mappings()
            return tuple(
                StoredPull(
                    id=row["id"],
                    server=row["server"],
                    model=row["model"],
                    user=row["user_name"],
                    started_at=row["started_at"],
                )
                for row in rows
            )

        return await self._store.read(look)
