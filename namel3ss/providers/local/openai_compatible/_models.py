"""Which models the server has, and how it is."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import msgspec

from namel3ss.errors import N3Error
from namel3ss.observability.propagation import suppress_instrumentation
from namel3ss.providers.local.openai_compatible._errors import (
    OpenAICompatibleBadResponseError,
    OpenAICompatibleModelNotFoundError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from namel3ss.providers.local.openai_compatible._exchange import Exchange

__all__ = ["HealthMonitor", "list_models", "show_model"]

_SHORT_TIMEOUT_S: Final = 60.0  # for what a server answers without a model
_PROBE_TIMEOUT_S: Final = 5.0
# A failure is believed for a shorter time than a success: servers are started a moment later.
_FAILURE_TTL_S: Final = 2.0


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


class HealthMonitor:
    """The health of a server and one model, remembered for `interval_s` seconds; a failure no longer than a moment."""

    def __init__(
        self, exchange: Exchange, model: str, *, interval_s: float, clock: Callable[[], float]
    ) -> None:
        self._exchange = exchange
        self._model = model
        self._interval_s = interval_s
        self._clock = clock
        self._remembered: dict[str, Any] | None = None
        self._until = 0.0

    async def check(self, force: bool) -> dict[str, Any]:
        """How server and model are; never raises (see `OpenAICompatibleProvider.health_check`)."""
        health = self._remembered
        if force or health is None or self._clock() >= self._until:
            health = self._remembered = await self._look()
            is_well = health["status"] != "unhealthy"
            self._until = self._clock() + (
                self._interval_s if is_well else min(self._interval_s, _FAILURE_TTL_S)
            )
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
                names = [
                    model["id"] for model in await list_models(self._exchange, timeout_s=_PROBE_TIMEOUT_S)
                ]
                if self._model not in names:  # an alias is not in the list, and is a model all the same
                    await show_model(self._exchange, self._model, timeout_s=_PROBE_TIMEOUT_S)
        except OpenAICompatibleModelNotFoundError as error:
            status, problem = "degraded", {"error": error.message, "suggestion": error.suggestion}
        except N3Error as error:
            # A server that knows only part of the protocol is up all the same.
            is_up = isinstance(error, OpenAICompatibleBadResponseError) and error.status in (404, 405)
            status = "degraded" if is_up else "unhealthy"
            problem = {"error": error.message, "suggestion": error.suggestion}
        except RuntimeError as error:  # the provider is closed; its owner still gets an answer
            status, problem = "unhealthy", {"error": str(error), "suggestion": None}
        return {
            "status": status,
            "model": self._model,
            "base_url": self._exchange.http.base_url,
            "model_available": status == "healthy",
            "available_models": names,
            "server_health": {
                "status": "unhealthy" if status == "unhealthy" else "healthy",
                "response_time_ms": (time.perf_counter() - started_at) * 1000,
                "checked_at": checked_at,
                "version": None,
                **(problem if status == "unhealthy" else {}),
            },
            **problem,
        }
