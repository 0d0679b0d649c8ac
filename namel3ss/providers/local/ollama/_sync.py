"""The provider's calls for code without asyncio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from namel3ss.providers.sync_provider import SyncProvider

if TYPE_CHECKING:
    from collections.abc import Sequence

    from namel3ss.providers.base import EmbeddingResponse, Messages, ProviderResponse
    from namel3ss.providers.local.ollama._errors import OllamaError
    from namel3ss.providers.local.ollama._provider import OllamaProvider
    from namel3ss.providers.local.ollama._pull import ProgressListener

__all__ = ["SyncOllamaProvider"]


class SyncOllamaProvider(SyncProvider):
    """Mirrors `OllamaProvider`; each call blocks."""

    _provider: OllamaProvider

    def generate_batch(
        self, batch: Sequence[Messages], max_concurrency: int | None = None, **overrides: Any
    ) -> list[ProviderResponse | OllamaError]:
        return self._thread.run(self._provider.generate_batch(batch, max_concurrency, **overrides))

    def embed(
        self, texts: str | Sequence[str], *, dimensions: int | None = None, **overrides: Any
    ) -> EmbeddingResponse:
        return self._thread.run(self._provider.embed(texts, dimensions=dimensions, **overrides))

    def count_tokens_estimate(self, messages: Messages, **overrides: Any) -> int:
        return self._provider.count_tokens_estimate(messages, **overrides)

    def list_models(self) -> list[dict[str, Any]]:
        return self._thread.run(self._provider.list_models())

    def show_model(self, name: str | None = None) -> dict[str, Any]:
        return self._thread.run(self._provider.show_model(name))

    def running_models(self) -> list[dict[str, Any]]:
        return self._thread.run(self._provider.running_models())

    def pull_model(
        self,
        name: str | None = None,
        pull_timeout: float | None = None,
        on_progress: ProgressListener | None = None,
    ) -> None:
        self._thread.run(self._provider.pull_model(name, pull_timeout, on_progress))

    def delete_model(self, name: str) -> None:
        self._thread.run(self._provider.delete_model(name))

    def copy_model(self, source: str, destination: str) -> None:
        self._thread.run(self._provider.copy_model(source, destination))

    def warm_up(self) -> None:
        self._thread.run(self._provider.warm_up())

    def unload(self) -> None:
        self._thread.run(self._provider.unload())

    def heal_model(self, base_url: str | None = None) -> None:
        self._thread.run(self._provider.heal_model(base_url))

    def ensure_ready(self) -> None:
        self._thread.run(self._provider.ensure_ready())

    def health_check(self, force: bool = False) -> dict[str, Any]:
        return self._thread.run(self._provider.health_check(force))
