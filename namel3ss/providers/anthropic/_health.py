"""Whether the API answers, and whether it has the model. Asking never fails; it says what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from namel3ss.providers.anthropic._errors import AnthropicBadResponseError, AnthropicModelNotFoundError
from namel3ss.providers.model_health import ModelHealthMonitor

if TYPE_CHECKING:
    from collections.abc import Callable

    from namel3ss.providers.anthropic._exchange import Exchange

__all__ = ["HealthMonitor", "list_models"]

_PROBE_TIMEOUT_S: Final = 10.0
_LIST_TIMEOUT_S: Final = 60.0
_PAGE: Final = 1000
_MOST_PAGES: Final = 50


async def list_models(
    exchange: Exchange, *, timeout_s: float = _LIST_TIMEOUT_S, max_retries: int = 0
) -> list[dict[str, Any]]:
    """Every model that the key may use, page after page. Raises AnthropicError."""
    models: list[dict[str, Any]] = []
    after = ""
    for _ in range(_MOST_PAGES):
        page = await exchange.fetch(
            "GET",
            f"/v1/models?limit={_PAGE}{after}",
            model=None,
            timeout_s=timeout_s,
            max_retries=max_retries,
        )
        listed = page.get("data")
        found = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
        models += [each for each in found if isinstance(each.get("id"), str)]
        last = page.get("last_id")
        if page.get("has_more") is not True or not isinstance(last, str) or not found:
            break
        after = f"&after_id={quote(last, safe='')}"
    return models


class HealthMonitor(ModelHealthMonitor):
    """The health of the API and one model; see `ModelHealthMonitor`."""

    model_missing = AnthropicModelNotFoundError
    not_of_the_protocol = AnthropicBadResponseError

    def __init__(
        self, exchange: Exchange, model: str, *, interval_s: float, clock: Callable[[], float]
    ) -> None:
        super().__init__(model, exchange.http.base_url, interval_s=interval_s, clock=clock)
        self._exchange = exchange

    async def _listed(self) -> list[str]:
        return [model["id"] for model in await list_models(self._exchange, timeout_s=_PROBE_TIMEOUT_S)]

    async def _ask_for_the_model(self) -> None:
        await self._exchange.fetch(
            "GET",
            f"/v1/models/{quote(self._model, safe='')}",
            model=self._model,
            timeout_s=_PROBE_TIMEOUT_S,
            max_retries=0,
        )
