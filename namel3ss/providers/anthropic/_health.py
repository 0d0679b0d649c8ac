"""Whether the API answers, and whether it has the model. Asking never fails; it says what is wrong."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from namel3ss.errors import N3Error
from namel3ss.observability.propagation import suppress_instrumentation
from namel3ss.providers.anthropic._errors import AnthropicBadResponseError, AnthropicModelNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

    from namel3ss.providers.anthropic._exchange import Exchange

__all__ = ["HealthMonitor", "list_models"]

_PROBE_TIMEOUT_S: Final = 10.0
_LIST_TIMEOUT_S: Final = 60.0
_FAILURE_TTL_S: Final = 2.0
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


class HealthMonitor:
    """The health of the API and one model, remembered for `interval_s` seconds; a failure no longer than a moment."""

    def __init__(
        self, exchange: Exchange, model: str, *, interval_s: float, clock: Callable[[], float]
    ) -> None:
        self._exchange = exchange
        self._model = model
        self._interval_s = interval_s
        self._clock = clock
        self._remembered: dict[str, Any] | None = None
        self._until = 0.0

    async def check(self, force: bool = False) -> dict[str, Any]:
        """How API and model are; never raises (see `AnthropicProvider.health_check`)."""
        health = self._remembered
        if force or health is None or self._clock() >= self._until:
            health = await self._look()
            is_well = health["status"] != "unhealthy"
            self._until = self._clock() + (
                self._interval_s if is_well else min(self._interval_s, _FAILURE_TTL_S)
            )
            self._remembered = health
        # A copy for each caller: nobody changes what others will read.
        return health | {
            "available_models": list(health["available_models"]),
            "server_health": dict(health["server_health"]),
        }

    async def _look(self) -> dict[str, Any]:
        checked_at = datetime.now(UTC).isoformat()
        started_at = time.perf_counter()
        names: list[str] = []
        problem: dict[str, Any] = {}
        status = "healthy"
        try:
            with suppress_instrumentation():
                listed = await list_models(self._exchange, timeout_s=_PROBE_TIMEOUT_S)
                names = [model["id"] for model in listed]
                if self._model not in names:
                    await self._ask_for_the_model()
        except AnthropicModelNotFoundError as error:
            status, problem = "degraded", {"error": error.message, "suggestion": error.suggestion}
        except N3Error as error:
            # A server that speaks only part of the API is up all the same.
            knows_no_list = isinstance(error, AnthropicBadResponseError) and error.status in (404, 405)
            status = "degraded" if knows_no_list else "unhealthy"
            problem = {"error": error.message, "suggestion": error.suggestion}
        except RuntimeError as error:  # the provider is closed; its owner still gets an answer
            status, problem = "unhealthy", {"error": str(error), "suggestion": None}
        seconds = time.perf_counter() - started_at
        return {
            "status": status,
            "model": self._model,
            "base_url": self._exchange.http.base_url,
            "model_available": status == "healthy",
            "available_models": names,
            "server_health": {
                "status": "unhealthy" if status == "unhealthy" else "healthy",
                "response_time_ms": seconds * 1000,
                "checked_at": checked_at,
                "version": None,
                **(problem if status == "unhealthy" else {}),
            },
            **problem,
        }

    async def _ask_for_the_model(self) -> None:
        """An alias is not in the list, and is a model all the same."""
        await self._exchange.fetch(
            "GET",
            f"/v1/models/{quote(self._model, safe='')}",
            model=self._model,
            timeout_s=_PROBE_TIMEOUT_S,
            max_retries=0,
        )
