"""Prompts and answers, for a gateway that is told to store them: as text, cut to a length, each until its own end.

What is kept is written together, by the writer's thread, where the texts are also read from what came over the wire. No
request waits for it. What cannot be written is lost and said to be: prompts are not gathered in memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Final, Self

import sqlalchemy as sa

from namel3ss.gateway.dialects.transcripts import answer_text, prompt_text
from namel3ss.gateway.errors import Refusal
from namel3ss.gateway.store.records import Transcript
from namel3ss.gateway.store.schema import TRANSCRIPTS
from namel3ss.gateway.store.texts import fit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy.engine import Connection

    from namel3ss.gateway.overheard import Overheard
    from namel3ss.gateway.store.acts import Acts
    from namel3ss.gateway.store.store import Store

__all__ = ["LONGEST_TEXT", "MOST_ROWS", "TranscriptWriter", "Transcripts", "delete_transcripts"]

LONGEST_TEXT: Final = 65_536
"""Characters of one prompt and of one answer."""
MOST_ROWS: Final = 100_000
"""Of more the oldest go."""

_MOST_WAITING_BYTES: Final = 64 * 1024 * 1024
_WRITE_EVERY_S: Final = 0.5
_SWEEP_EVERY_S: Final = 600.0
_LAST_WRITE_S: Final = 5.0

_logger = logging.getLogger(__name__)


class TranscriptWriter:
    """An async context manager: inside it, what is kept is written, and what has reached its end is deleted.

    `keep_s` is for what is kept from now on. What an earlier process stored goes at the end that was said then.
    """

    def __init__(
        self,
        store: Store,
        *,
        keep_s: float,
        clock: Callable[[], float] = time.time,
        most_rows: int = MOST_ROWS,
    ) -> None:
        self._store = store
        self._keep_s = keep_s
        self._clock = clock
        self._most_rows = most_rows
        self._waiting: list[Overheard] = []
        self._waiting_bytes = 0
        self._has_news = asyncio.Event()
        self._is_closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.lost = 0
        """Requests that are not stored, because the database was too slow or away."""

    async def __aenter__(self) -> Self:
        self._has_news.set()  # what has reached its end meanwhile
        self._task = asyncio.create_task(self._write_on(), name="gateway transcripts")
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None  # it was entered
        self._is_closing.set()
        self._has_news.set()
        await asyncio.wait([self._task], timeout=_LAST_WRITE_S)
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.result()

    def keep(self, overheard: Overheard) -> None:
        """Have it written soon. Never waits."""
        if self._waiting_bytes + overheard.size > _MOST_WAITING_BYTES:
            self.lost += 1
            return
        self._waiting.append(overheard)
        self._waiting_bytes += overheard.size
        self._has_news.set()

    async def _write_on(self) -> None:
        is_last, lost = False, 0
        while not is_last:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_SWEEP_EVERY_S):
                    await self._has_news.wait()
                    async with asyncio.timeout(_WRITE_EVERY_S):
                        await self._is_closing.wait()
            is_last = self._is_closing.is_set()
            self._has_news.clear()
            await self._write()
            if self.lost > lost:
                lost = self.lost
                _logger.warning("The prompts and answers of %d requests so far could not be stored.", lost)

    async def _write(self) -> None:
        kept, self._waiting, self._waiting_bytes = self._waiting, [], 0
        now = self._clock()

        def write(connection: Connection) -> None:
            if kept:
                connection.execute(TRANSCRIPTS.insert(), [_row(each, self._keep_s) for each in kept])
            _sweep(connection, now, self._most_rows)

        try:
            await self._store.write_patiently(write)
        except Refusal:
            self.lost += len(kept)


def _row(overheard: Overheard, keep_s: float) -> dict[str, object]:
    prompt, answer = prompt_text(overheard.request), answer_text(overheard.answer)
    return {
        "at": overheard.at,
        "expires_at": overheard.at + keep_s,
        "request_id": fit(overheard.request_id, 128),
        "user_name": fit(overheard.user, 64),
        "key_id": fit(overheard.key_id, 64),
        "class_name": fit(overheard.class_name, 64),
        "model": fit(overheard.model, 512),
        "route": fit(overheard.route, 64),
        "status": overheard.status,
        "prompt": fit(prompt, LONGEST_TEXT),
        "answer": fit(answer, LONGEST_TEXT),
        "is_cut": overheard.is_cut or max(len(prompt), len(answer)) > LONGEST_TEXT,
    }


def _sweep(connection: Connection, now: float, most_rows: int) -> None:
    """Delete what has reached its end, and the oldest of what is too much."""
    connection.execute(TRANSCRIPTS.delete().where(TRANSCRIPTS.c.expires_at <= now))
    newest = connection.scalar(sa.select(sa.func.max(TRANSCRIPTS.c.id)))
    if newest is not None:
        connection.execute(TRANSCRIPTS.delete().where(TRANSCRIPTS.c.id <= newest - most_rows))


def delete_transcripts(connection: Connection, user: str | None) -> int:
    """Those of one user, or all; how many there were."""
    statement = TRANSCRIPTS.delete()
    if user is not None:
        statement = statement.where(TRANSCRIPTS.c.user_name == user)
    return connection.execute(statement).rowcount


class Transcripts:
    """What administrators do with them. Each time is in the audit log, reading as well."""

    def __init__(self, acts: Acts) -> None:
        self._acts = acts

    async def read(
        self, *, actor: str, user: str | None = None, limit: int = 20, before_id: int | None = None
    ) -> Sequence[Transcript]:
        """The latest first; `before_id` goes on where an earlier page ended. Raises Refusal."""
        now = self._acts.clock()
        query = sa.select(TRANSCRIPTS).where(TRANSCRIPTS.c.expires_at > now)
        query = query.order_by(TRANSCRIPTS.c.id.desc()).limit(limit)
        if user is not None:
            query = query.where(TRANSCRIPTS.c.user_name == user)
        if before_id is not None:
            query = query.where(TRANSCRIPTS.c.id < before_id)

        def look(connection: Connection) -> tuple[Transcript, ...]:
            return tuple(Transcript(**row) for row in connection.execute(query).mappings())

        return await self._acts.do(
            look, actor=actor, action="transcript.read", subject=user or "everybody", detail={"most": limit}
        )

    async def delete(self, *, actor: str, user: str | None = None) -> int:
        """Delete those of one user, or all; how many there were. Raises Refusal."""
        return await self._acts.do(
            lambda connection: delete_transcripts(connection, user),
            actor=actor,
            action="transcript.delete",
            subject=user or "everybody",
        )
