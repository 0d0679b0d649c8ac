"""The scripted provider's calls for code without asyncio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from namel3ss.providers.sync_provider import SyncProvider

if TYPE_CHECKING:
    from collections.abc import Sequence

    from namel3ss.providers.base import EmbeddingResponse, Messages, ProviderError, ProviderResponse
    from namel3ss.providers.scripted._provider import ScriptedProvider

__all__ = ["SyncScriptedProvider"]


class SyncScriptedProvider(SyncProvider):
    """Mirrors `ScriptedProvider`; each call blocks."""

    _provider: ScriptedProvider

    def generate_batch(
        self, batch: Sequence[Messages], max_concurrency: int | None = None, **overrides: Any
    ) -> list[ProviderResponse | ProviderError]:
        return self._thread.run(self._provider.generate_batch(batch, max_concurrency, **overrides))

    def embed(
        self, texts: str | Sequence[str], *, dimensions: int | None = None, **overrides: Any
    ) -> EmbeddingResponse:
        return self._thread.run(self._provider.embed(texts, dimensions=dimensions, **overrides))
