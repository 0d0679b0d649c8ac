"""One change by an administrator: the change, its line in the audit log, and the sign to all processes, or none of them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

from namel3ss.gateway.errors import Refusal
from namel3ss.gateway.store.audit import write_audit
from namel3ss.gateway.store.schema import STATE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from sqlalchemy.engine import Connection

    from namel3ss.gateway.store.store import Store

__all__ = ["Acts"]

ResultT = TypeVar("ResultT")

_APPLYING_S: Final = 1.0


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
            # The change is stored. Where it cannot be read just now, it is when the database answers again.
            with contextlib.suppress(Refusal, TimeoutError):
                async with asyncio.timeout(_APPLYING_S):
                    await self._applied()
        return result
