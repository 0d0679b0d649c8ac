"""Who holds a token: answered from memory, which follows the database by less than a second.

The memory holds every usable key and session by the hash of its whole text, so nothing is remembered of tokens that are
unknown, and no two tokens can be taken for each other. While the database cannot be asked, what was read last counts for
`MAX_AGE_S`; then every token is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import time
from typing import TYPE_CHECKING, Final, Self

from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.store.errors import store_down
from namel3ss.gateway.store.holders import (
    Holder,
    describe_unknown,
    nobody,
    read_revision,
    read_snapshot,
    write_last_used,
)
from namel3ss.gateway.store.tokens import digest_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from namel3ss.gateway.principal import Principal
    from namel3ss.gateway.store.classes import Classes
    from namel3ss.gateway.store.holders import Snapshot
    from namel3ss.gateway.store.store import Store

__all__ = ["MAX_AGE_S", "POLL_S", "Keyring"]

MAX_AGE_S: Final = 30.0

POLL_S: Final = 0.4
# What is no change to anybody: when sessions were used elsewhere.
_RELOAD_S: Final = 300.0
_NOTE_EVERY_S: Final = 10.0
# Thousands of keys on a busy machine; no request waits for it.
_READING_S: Final = 10.0

_logger = logging.getLogger(__name__)


class Keyring:
    """The keys and sessions of one store, an async context manager: inside it follows the changes of all processes."""

    def __init__(
        self,
        store: Store,
        classes: Classes,
        *,
        wall_clock: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._classes = classes
        self._wall_clock = wall_clock
        self._clock = clock
        self._holders: dict[bytes, Holder] = {}
        self._nobody = nobody()
        self._snapshot: Snapshot | None = None
        self._confirmed_at = -MAX_AGE_S
        self._loaded_at = self._noted_at = clock()
        self._usable: set[str] = set()
        self._mortal: dict[str, Holder] = {}
        self._revoked_callbacks: list[Callable[[str], None]] = []
        self._changed_callbacks: list[Callable[[], None]] = []
        self._task: asyncio.Task[None] | None = None
        self._refreshing = asyncio.Lock()
        self._is_failing = False

    async def __aenter__(self) -> Self:
        await self.refresh()
        self._task = asyncio.create_task(self._follow(), name="gateway keyring")
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        with contextlib.suppress(Refusal):
            await self._note_use()

    def find(self, token: str) -> Principal:
        """Who holds this token. Raises Refusal for one that is good for nothing, or while nobody can tell."""
        digest = digest_of(token)
        holder = self._holders.get(digest, self._nobody)
        is_known = hmac.compare_digest(holder.digest, digest)
        if self._clock() - self._confirmed_at >= MAX_AGE_S:
            raise store_down("who may use the gateway cannot be read")
        if not is_known:
            raise describe_unknown(token)
        now = self._wall_clock()
        if now >= holder.expires_at or now - holder.last_used_at > holder.idle_s:
            raise Refusal(
                Reason.bad_key,
                f"{holder.what} has expired.",
                suggestion="Sign in again." if holder.is_session else "Ask an administrator for another one.",
            )
        if holder.problem is not None:
            raise Refusal(Reason.bad_key, f"{holder.what} cannot be used: {holder.problem}.")
        holder.last_used_at = now
        return holder.principal

    @property
    def snapshot(self) -> Snapshot:
        """What was read last: the stored whitelist and servers. Raises RuntimeError before the keyring was entered."""
        if self._snapshot is None:
            raise RuntimeError("The keyring was not opened.")
        return self._snapshot

    def on_revoked(self, callback: Callable[[str], None]) -> None:
        """Have `callback` called with the id of each key or session that can be used no more, once for each."""
        self._revoked_callbacks.append(callback)

    def on_changed(self, callback: Callable[[], None]) -> None:
        """Have `callback` called after every change of what the store holds for the gateway."""
        self._changed_callbacks.append(callback)

    async def refresh(self) -> None:
        """Read everything anew. Raises Refusal where the database does not answer."""
        async with self._refreshing:
            asked_at = self._clock()
            snapshot = await self._store.read(
                lambda connection: read_snapshot(connection, self._classes), timeout_s=_READING_S
            )
            self._adopt(snapshot, asked_at)

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(POLL_S)
            try:
                await self._look()
            except Exception as error:
                # Also a row that nobody foresaw: whoever stops following leaves a gateway that refuses everybody for good.
                if not self._is_failing:
                    is_known = isinstance(error, Refusal)
                    _logger.warning("Keys are not read anew: %s", error, exc_info=not is_known)
                self._is_failing = True
            else:
                if self._is_failing:
                    _logger.warning("Keys are read again.")
                self._is_failing = False
            self._announce_ended()

    async def _look(self) -> None:
        asked_at = self._clock()
        if (
            asked_at - self._loaded_at >= _RELOAD_S
            or await self._store.read(read_revision) != self.snapshot.revision
        ):
            await self.refresh()
        else:
            self._confirmed_at = asked_at
        if asked_at - self._noted_at >= _NOTE_EVERY_S:
            self._noted_at = asked_at
            await self._note_use()

    def _adopt(self, snapshot: Snapshot, asked_at: float) -> None:
        is_changed = self._snapshot is None or self._snapshot.revision != snapshot.revision
        for digest, holder in snapshot.holders.items():
            if (known := self._holders.get(digest)) is not None:
                holder.last_used_at = max(holder.last_used_at, known.last_used_at)
        self._snapshot = snapshot
        self._holders = snapshot.holders
        self._confirmed_at = self._loaded_at = asked_at
        now = self._wall_clock()
        usable = {
            holder.principal.key_id: holder for holder in self._holders.values() if holder.is_usable(now)
        }
        ended = self._usable - usable.keys()
        self._usable = set(usable)
        self._mortal = {key_id: holder for key_id, holder in usable.items() if holder.is_mortal}
        for key_id in ended:
            self._tell(key_id)
        if is_changed:
            for callback in self._changed_callbacks:
                callback()

    def _announce_ended(self) -> None:
        """Tell of what can be used no more, because it was taken away or because its time is over."""
        now = self._wall_clock()
        for key_id, holder in list(self._mortal.items()):
            if not holder.is_usable(now):
                self._usable.discard(key_id)
                del self._mortal[key_id]
                self._tell(key_id)

    def _tell(self, key_id: str) -> None:
        for callback in self._revoked_callbacks:
            callback(key_id)

    async def _note_use(self) -> None:
        """Write down when keys and sessions were used; not a change that anybody must be told of."""
        used = [holder for holder in self._holders.values() if holder.last_used_at > holder.stored_use_at]
        if not used:
            return
        noted = [(holder, holder.last_used_at) for holder in used]
        await self._store.write(lambda connection: write_last_used(connection, noted))
        for holder, at in noted:
            holder.stored_use_at = at
