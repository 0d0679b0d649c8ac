"""What the providers' calls for code without asyncio share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, Self

from namel3ss.providers.loop_thread import LoopThread, SyncStream

if TYPE_CHECKING:
    from types import TracebackType

    from namel3ss.providers.base import Messages, ProviderResponse, ProviderStream

__all__ = ["SyncProvider"]


class _Mirrored(Protocol):
    """A provider whose calls are mirrored. `close_here` closes what belongs to the running event loop."""

    name: str

    async def generate(self, messages: Messages, **overrides: Any) -> ProviderResponse: ...
    def stream(self, messages: Messages, **overrides: Any) -> ProviderStream: ...
    async def close_here(self) -> None: ...


class SyncProvider:
    """Mirrors a provider; each call blocks. May be used from any thread, also beside a running event loop.

    `close()`, or leaving its context, closes the provider. Classes below this say in `_provider` whose calls they mirror.
    """

    _provider: _Mirrored

    def __init__(self, provider: _Mirrored) -> None:
        self._provider = provider
        self._thread = LoopThread(f"namel3ss {provider.name}")

    def generate(self, messages: Messages, **overrides: Any) -> ProviderResponse:
        return self._thread.run(self._provider.generate(messages, **overrides))

    def stream(self, messages: Messages, **overrides: Any) -> SyncStream:
        return SyncStream(self._thread, lambda: self._provider.stream(messages, **overrides))

    def close(self) -> None:
        """Close the provider and end the thread. Idempotent."""
        if not self._thread.is_closed:
            try:
                self._thread.run(self._provider.close_here())
            finally:
                self._thread.close()

    def end_thread(self) -> None:
        """End the thread, and with it its connections."""
        self._thread.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._provider!r}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
