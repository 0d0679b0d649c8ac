"""The provider's calls for code without asyncio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from namel3ss.providers.loop_thread import LoopThread, SyncStream

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from namel3ss.providers.base import EmbeddingResponse, Messages, ProviderResponse
    from namel3ss.providers.local.openai_compatible._errors import OpenAICompatibleError
    from namel3ss.providers.local.openai_compatible._provider import OpenAICompatibleProvider

__all__ = ["SyncOpenAICompatibleProvider"]


class SyncOpenAICompatibleProvider:
    """Mirrors `OpenAICompatibleProvider`; each call blocks. May be used from any thread, also beside an event loop.

    `close()`, or leaving its context, closes the provider.
    """

    def __init__(self, provider: OpenAICompatibleProvider) -> None:
        self._provider = provider
        self._thread = LoopThread(f"namel3ss {provider.name}")

    def generate(self, messages: Messages, **overrides: Any) -> ProviderResponse:
        return self._thread.run(self._provider.generate(messages, **overrides))

    def stream(self, messages: Messages, **overrides: Any) -> SyncStream:
        return SyncStream(self._thread, lambda: self._provider.stream(messages, **overrides))

    def generate_batch(
        self, batch: Sequence[Messages], max_concurrency: int | None = None, **overrides: Any
    ) -> list[ProviderResponse | OpenAICompatibleError]:
        return self._thread.run(self._provider.generate_batch(batch, max_concurrency, **overrides))

    def embed(
        self, texts: str | Sequence[str], *, dimensions: int | None = None, **overrides: Any
    ) -> EmbeddingResponse:
        return self._thread.run(self._provider.embed(texts, dimensions=dimensions, **overrides))

    def list_models(self) -> list[dict[str, Any]]:
        return self._thread.run(self._provider.list_models())

    def show_model(self, name: str | None = None) -> dict[str, Any]:
        return self._thread.run(self._provider.show_model(name))

    def health_check(self, force: bool = False) -> dict[str, Any]:
        return self._thread.run(self._provider.health_check(force))

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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
