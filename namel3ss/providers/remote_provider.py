"""How a provider with connections ends: closed by its owner, or dropped, which is said."""

from __future__ import annotations

import abc
import asyncio
import warnings
from typing import TYPE_CHECKING, Any, Protocol

from namel3ss.providers.base import N3Provider

if TYPE_CHECKING:
    import weakref

    from namel3ss.providers.running import RunningStream
    from namel3ss.providers.sync_provider import SyncProvider

__all__ = ["RemoteProvider"]


class _Exchange(Protocol):
    """What carries the calls of one provider."""

    is_closed: bool

    @property
    def running(self) -> weakref.WeakSet[RunningStream[Any]]: ...


class RemoteProvider(N3Provider):
    """A provider that holds connections. Each says in `_close_connections` and `_holds_connections` which they are."""

    _exchange: _Exchange
    _base_url: str
    _sync: SyncProvider | None

    @property
    def base_url(self) -> str:
        """The address of its server, without secrets. It stays: for another server, make another provider."""
        return self._base_url

    @abc.abstractmethod
    async def _close_connections(self) -> None:
        """Close those of the running event loop. Idempotent."""

    @abc.abstractmethod
    def _holds_connections(self) -> bool:
        """Whether an event loop that still lives has some."""

    async def aclose(self) -> None:
        """Close every connection. Running streams end with an error that says so. Idempotent."""
        self._exchange.is_closed = True
        if self._sync is not None:
            await asyncio.to_thread(self._sync.end_thread)
        await self.close_here()

    async def close_here(self) -> None:
        """Close what belongs to the running event loop; `sync` ends its own."""
        self._exchange.is_closed = True
        for stream in list(self._exchange.running):
            await stream.close_by_provider()
        await self._close_connections()

    def __del__(self) -> None:
        exchange = getattr(self, "_exchange", None)  # the constructor may have raised
        if exchange is None or exchange.is_closed:
            return
        if self._holds_connections():
            warnings.warn(f"{self!r} was not closed", ResourceWarning, source=self, stacklevel=2)
