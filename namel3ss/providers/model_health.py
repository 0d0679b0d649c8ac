"""How a server and one model on it are: asked once in a while, remembered in between, never raised."""

from __future__ import annotations

import abc
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final

from namel3ss.errors import N3Error
from namel3ss.observability.propagation import suppress_instrumentation

if TYPE_CHECKING:
    from collections.abc import Callable

    from namel3ss.providers.remote_errors import RemoteError

__all__ = ["ModelHealthMonitor"]

# A failure is believed for a shorter time than a success: servers are started a moment later.
_FAILURE_TTL_S: Final = 2.0


class ModelHealthMonitor(abc.ABC):
    """The health of a server and one model, remembered for `interval_s` seconds; a failure no longer than a moment.

    A provider derives its own, and says how to list the models and which errors mean that the server is up all the same.
    """

    model_missing: ClassVar[type[RemoteError]]
    """The server has no such model."""
    not_of_the_protocol: ClassVar[type[RemoteError]]
    """The answer is not what such servers speak; with the status of an unknown path, only a part is not spoken."""

    def __init__(self, model: str, base_url: str, *, interval_s: float, clock: Callable[[], float]) -> None:
        self._model = model
        self._base_url = base_url
        self._interval_s = interval_s
        self._clock = clock
        self._remembered: dict[str, Any] | None = None
        self._until = 0.0

    @abc.abstractmethod
    async def _listed(self) -> list[str]:
        """The names of the server's models. Raises RemoteError."""

    @abc.abstractmethod
    async def _ask_for_the_model(self) -> None:
        """Raises RemoteError where the server does not have it, though it may not be in the list."""

    async def check(self, force: bool = False) -> dict[str, Any]:
        """How server and model are; never raises. The provider's `health_check` says what is in it."""
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
                names = await self._listed()
                if self._model not in names:  # an alias is not in the list, and is a model all the same
                    await self._ask_for_the_model()
        except N3Error as error:
            status = self._status_of(error)
            problem = {"error": error.message, "suggestion": error.suggestion}
        except RuntimeError as error:  # the provider is closed; its owner still gets an answer
            status, problem = "unhealthy", {"error": str(error), "suggestion": None}
        return {
            "status": status,
            "model": self._model,
            "base_url": self._base_url,
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

    def _status_of(self, error: N3Error) -> str:
        if isinstance(error, self.model_missing):
            return "degraded"
        # A server that speaks only a part of the protocol is up all the same.
        is_up = isinstance(error, self.not_of_the_protocol) and error.status in (404, 405)
        return "degraded" if is_up else "unhealthy"
