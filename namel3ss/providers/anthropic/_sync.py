"""The provider's calls for code without asyncio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from namel3ss.providers.sync_provider import SyncProvider

if TYPE_CHECKING:
    from collections.abc import Sequence

    from namel3ss.providers.anthropic._errors import AnthropicError
    from namel3ss.providers.anthropic._provider import AnthropicProvider
    from namel3ss.providers.base import Messages, ProviderResponse

__all__ = ["SyncAnthropicProvider"]


class SyncAnthropicProvider(SyncProvider):
    """Mirrors `AnthropicProvider`; each call blocks."""

    _provider: AnthropicProvider

    def generate_batch(
        self, batch: Sequence[Messages], max_concurrency: int | None = None, **overrides: Any
    ) -> list[ProviderResponse | AnthropicError]:
        return self._thread.run(self._provider.generate_batch(batch, max_concurrency, **overrides))

    def embed(
        self, texts: str | Sequence[str], *, dimensions: int | None = None, **overrides: Any
    ) -> NoReturn:
        self._thread.run(self._provider.embed(texts, dimensions=dimensions, **overrides))

    def count_tokens(self, messages: Messages, **overrides: Any) -> int:
        return self._thread.run(self._provider.count_tokens(messages, **overrides))

    def list_models(self) -> list[dict[str, Any]]:
        return self._thread.run(self._provider.list_models())

    def show_model(self, name: str | None = None) -> dict[str, Any]:
        return self._thread.run(self._provider.show_model(name))

    def health_check(self, force: bool = False) -> dict[str, Any]:
        return self._thread.run(self._provider.health_check(force))
