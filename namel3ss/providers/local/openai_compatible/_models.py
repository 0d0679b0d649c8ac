"""Which models the server has, and how it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import msgspec

from namel3ss.providers.local.openai_compatible._errors import (
    OpenAICompatibleBadResponseError,
    OpenAICompatibleModelNotFoundError,
)
from namel3ss.providers.model_health import ModelHealthMonitor

if TYPE_CHECKING:
    from collections.abc import Callable

    from namel3ss.providers.local.openai_compatible._exchange import Exchange

__all__ = ["HealthMonitor", "list_models", "show_model"]

_SHORT_TIMEOUT_S: Final = 60.0  # for what a server answers without a model
_PROBE_TIMEOUT_S: Final = 5.0


class _List(msgspec.Struct):
    data: list[dict[str, Any]] | None = None


async def list_models(
    exchange: Exchange, *, timeout_s: float = _SHORT_TIMEOUT_S, max_retries: int = 0
) -> list[dict[str, Any]]:
    """Every model, as the server describes it: ``id`` of each, at least."""
    body = await exchange.get("/models", model=None, timeout_s=timeout_s, max_retries=max_retries)
    try:
        listed = msgspec.json.decode(body, type=_List).data or []
    except (ValueError, RecursionError) as problem:
        raise exchange.http.bad_response("The answer is no list of models", body, model=None) from problem
    return [model for model in listed if isinstance(model.get("id"), str)]


async def show_model(
    exchange: Exchange, name: str, *, timeout_s: float = _SHORT_TIMEOUT_S, max_retries: int = 0
) -> dict[str, Any]:
    """What the server says of a model."""
    path = f"/models/{quote(name, safe='/:')}"
    body = await exchange.get(path, model=name, timeout_s=timeout_s, max_retries=max_retries)
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (ValueError, RecursionError) as problem:
        raise exchange.http.bad_response("The answer describes no model", body, model=name) from problem


class HealthMonitor(ModelHealthMonitor):
    """The health of a server and one model; see `ModelHealthMonitor`."""

    model_missing = OpenAICompatibleModelNotFoundError
    not_of_the_protocol = OpenAICompatibleBadResponseError

    def __init__(
        self, exchange: Exchange, model: str, *, interval_s: float, clock: Callable[[], float]
    ) -> None:
        super().__init__(model, exchange.http.base_url, interval_s=interval_s, clock=clock)
        self._exchange = exchange

    async def _listed(self) -> list[str]:
        return [model["id"] for model in await list_models(self._exchange, timeout_s=_PROBE_TIMEOUT_S)]

    async def _ask_for_the_model(self) -> None:
        await show_model(self._exchange, self._model, timeout_s=_PROBE_TIMEOUT_S)
