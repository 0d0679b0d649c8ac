"""The provider's calls for code without asyncio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from namel3ss.providers.sync_provider import SyncProvider

if TYPE_CHECKING:
    from collections.abc import Sequence

    from namel3ss.providers.base import EmbeddingResponse, Messages, ProviderResponse
    from namel3ss.providers.local.openai_compatible._errors import OpenAICompatibleError
    from namel3ss.providers.local.openai_compatible._provider import OpenAICompatibleProvider

__all__ = ["SyncOpenAICompatibleProvider"]


class SyncOpenAICompatibleProvider(SyncProvider):
    """Mirrors `OpenAICompatibleProvider`; each call blocks."""

    _provider: OpenAICompatibleProvider

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
