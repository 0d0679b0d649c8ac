"""Whether a server answers, and whether it has the model. Asking never fails; it says what is wrong."""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from namel3ss.errors import N3Error
from namel3ss.observability.propagation import suppress_instrumentation
from namel3ss.providers.addresses import server_of
from namel3ss.providers.local.ollama._errors import OllamaBadResponseError
from namel3ss.providers.local.ollama._names import find_model
from namel3ss.providers.local.ollama._single_flight import SingleFlight
from namel3ss.providers.transport.wording import quote

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from namel3ss.observability.activities import HealthStatus
    from namel3ss.providers.local.ollama._http import OllamaHttp

__all__ = ["HealthMonitor", "SharedAnswer", "fetch_version", "probe_server"]

Answer = TypeVar("Answer")

# A healthy server answers in milliseconds; one that is frozen must not hold up whoever asks.
PROBE_TIMEOUT_S = 5.0
# A failure is believed for a shorter time than a success: servers are started a moment later.
_FAILURE_TTL_S = 2.0


class _Version(msgspec.Struct):
    version: str


async def fetch_version(http: OllamaHttp, *, timeout_s: float = PROBE_TIMEOUT_S) -> str:
    """The version of the Ollama server. Raises OllamaError when nobody, or somebody else, answers."""
    with suppress_instrumentation():
        body = await http.request("GET", "/api/version", timeout_s=timeout_s)
    try:
        version = msgspec.json.decode(body, type=_Version).version
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _not_ollama(body, http) from error
    if not version:
        raise _not_ollama(body, http)
    return version


def _not_ollama(body: bytes, http: OllamaHttp) -> OllamaBadResponseError:
    return http.without_secrets(
        OllamaBadResponseError(
            f"What answers there is not Ollama: it gives no version, but {quote(http.secrets.hide(body))}",
            base_url=http.base_url,
            suggestion="Check the address; another program, or a proxy, may be using this port.",
        )
    )


async def probe_server(http: OllamaHttp) -> dict[str, Any]:
    """One look at the server, measured: ``status`` ("healthy" or "unhealthy"), ``response_time_ms`` (a float, until the
    failure too), ``checked_at`` (ISO 8601), ``version`` (None when unhealthy) and, on failure, ``error`` and
    ``suggestion``.
    """
    health = await _probe(http)
    _measure(health["status"], health["response_time_ms"] / 1000, http.base_url, model=None)
    return health


async def _probe(http: OllamaHttp) -> dict[str, Any]:
    checked_at = datetime.now(UTC).isoformat()
    started_at = time.perf_counter()
    version: str | None = None
    problem: dict[str, Any] = {}
    try:
        version = await fetch_version(http)
    except N3Error as error:
        problem = {"error": error.message, "suggestion": error.suggestion}
    except RuntimeError as error:  # the connection is closed; its owner still gets an answer
        problem = {"error": str(error), "suggestion": None}
    return {
        "status": "healthy" if version else "unhealthy",
        "response_time_ms": (time.perf_counter() - started_at) * 1000,
        "checked_at": checked_at,
        "version": version,
        **problem,
    }


def _measure(status: HealthStatus, seconds: float, base_url: str, *, model: str | None) -> None:
    # Here, because not every program looks, and all import this.
    from namel3ss.observability.activities import record_health_check

    address, port = server_of(base_url)
    record_health_check(
        status,
        seconds,
        model=model,
        server_address=address,
        server_port=port,
        labels={"base_url": base_url},
    )


@dataclass(frozen=True, slots=True)
class _Remembered(Generic[Answer]):
    answer: Answer
    until: float


class SharedAnswer(Generic[Answer]):
    """An answer that is asked for at most once at a time and remembered for a while.

    `ask` gets it and `ttl_of` says for how many seconds it is good. `invalidate()` also disregards what is being
    asked at that moment.
    """

    def __init__(
        self,
        ask: Callable[[], Coroutine[object, object, Answer]],
        ttl_of: Callable[[Answer], float],
        clock: Callable[[], float],
    ) -> None:
        self._ask = ask
        self._ttl_of = ttl_of
        self._clock = clock
        self._remembered: _Remembered[Answer] | None = None
        self._generation = 0
        self._flights: SingleFlight[Answer] = SingleFlight()

    async def get(self, *, force: bool = False) -> Answer:
        """The remembered answer, or a new one; `force` wants a new one, also one that is under way."""
        remembered = self._remembered
        if not force and remembered is not None and self._clock() < remembered.until:
            return remembered.answer
        return await self._flights.run(self._generation, self._refresh)

    def invalidate(self) -> None:
        """Forget the answer."""
        self._generation += 1
        self._remembered = None

    async def _refresh(self) -> Answer:
        generation = self._generation
        answer = await self._ask()
        if generation == self._generation:
            self._remembered = _Remembered(answer, self._clock() + self._ttl_of(answer))
        return answer


class HealthMonitor:
    """The health of a server and one model, remembered for `interval_s` seconds.

    `list_names` gets the names of the installed models.
    """

    def __init__(
        self,
        http: OllamaHttp,
        model: str,
        list_names: Callable[[], Awaitable[list[str]]],
        *,
        interval_s: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        # Functions of their own and not methods: a circle would keep the connections of a forgotten owner open.
        self._answer: SharedAnswer[dict[str, Any]] = SharedAnswer(
            functools.partial(_look, http, model, list_names), functools.partial(_ttl_s, interval_s), clock
        )

    async def check(self, force: bool = False) -> dict[str, Any]:
        """How server and model are; never raises.

        ``status``: "unhealthy" (no valid version answer), "degraded" (the server is up, the model is missing or the
        list of models cannot be had), "healthy". ``model_available``, ``available_models`` (names, always a list),
        ``server_health`` (see `probe_server`), ``model``, ``base_url``; on trouble ``error`` and ``suggestion``.
        """
        health = await self._answer.get(force=force)
        # A copy for each caller: nobody changes what others will read.
        return health | {
            "available_models": list(health["available_models"]),
            "server_health": dict(health["server_health"]),
        }

    def invalidate(self) -> None:
        """Something happened that the last answer did not know of."""
        self._answer.invalidate()


def _ttl_s(interval_s: float, health: dict[str, Any]) -> float:
    return min(interval_s, _FAILURE_TTL_S) if health["status"] == "unhealthy" else interval_s


async def _look(
    http: OllamaHttp, model: str, list_names: Callable[[], Awaitable[list[str]]]
) -> dict[str, Any]:
    started_at = time.perf_counter()
    server = await _probe(http)
    names: list[str] = []
    problem: dict[str, Any] = {key: server[key] for key in ("error", "suggestion") if key in server}
    if server["status"] == "healthy":
        try:
            with suppress_instrumentation():
                names = await list_names()
        except N3Error as error:
            problem = {"error": error.message, "suggestion": error.suggestion}
    available = find_model(model, names) is not None
    if server["status"] == "healthy" and not available and not problem:
        problem = {
            "error": f"Ollama model '{model}' is not available locally.",
            "suggestion": f"Run: ollama pull {model}",
        }
    status: HealthStatus = "healthy" if available else "degraded"
    if server["status"] != "healthy":
        status = "unhealthy"
    _measure(status, time.perf_counter() - started_at, http.base_url, model=model)
    return {
        "status": status,
        "model": model,
        "base_url": http.base_url,
        "model_available": available,
        "available_models": names,
        "server_health": server,
        **problem,
    }
