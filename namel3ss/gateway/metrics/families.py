"""Every family of figures that /metrics shows: its name, its labels, what it counts.

Nothing else can be recorded, and every label has few values: classes and servers come from the configuration, models
are clamped to those that are served, routes, outcomes and reasons are closed lists. No user, key or address is a label.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, TypeAlias

__all__ = ["EVENTS", "FAMILIES", "EventName", "Family"]

# From a cached answer to the longest wait that a gateway is usually given.
_SECONDS: Final = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0,
)  # fmt: skip

_PREFIX: Final = "namel3ss_gateway"


class Family(NamedTuple):
    """Figures under one name. `buckets` makes it a histogram; they are upper bounds, in rising order."""

    name: str
    kind: Literal["counter", "histogram", "gauge"]
    documentation: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


def _counter(name: str, documentation: str, *labels: str) -> Family:
    return Family(f"{_PREFIX}_{name}", "counter", documentation, labels)


def _seconds(name: str, documentation: str, *labels: str) -> Family:
    return Family(f"{_PREFIX}_{name}_seconds", "histogram", documentation, labels, _SECONDS)


def _gauge(name: str, documentation: str, *labels: str) -> Family:
    return Family(f"{_PREFIX}_{name}", "gauge", documentation, labels)


# Of requests that have ended
REQUESTS: Final = _counter(
    "requests", "Requests for a slot that have ended, by how.", "route", "class", "model", "outcome"
)
TOKENS: Final = _counter(
    "tokens",
    "Tokens charged, by kind; estimated where the server did not say how many.",
    "class",
    "model",
    "kind",
    "estimated",
)
WAITS: Final = _seconds("queue_wait", "From arrival to the slot, of requests that got one.", "class", "model")
FIRST_TOKENS: Final = _seconds(
    "time_to_first_token", "From being sent to the first content, by model and server.", "model", "server"
)
DURATIONS: Final = _seconds("request_duration", "From arrival to the end of the answer.", "class", "model")
REFUSALS: Final = _counter("refusals", "Requests that were refused, at any stage.", "reason")

# Of the moment
WAITING: Final = _gauge("queue_waiting", "Requests that wait for a slot.", "class")
RUNNING: Final = _gauge("requests_running", "Requests that have a slot.")
DRAINING: Final = _gauge(
    "slots_draining", "Slots held back after their client left, until the server is free."
)
SLOTS_BUSY: Final = _gauge("slots_busy", "Slots taken, draining ones included.", "server")
SERVER_UP: Final = _gauge("server_up", "1 while the server is given requests, else 0.", "server")
MODELS_LOADED: Final = _gauge("models_loaded", "Models that the server is taken to have loaded.", "server")
IN_FLIGHT: Final = _gauge("requests_in_flight", "Requests on their way through the server.", "server")
LANE_RUNNING: Final = _gauge(
    "lane_running", "Work beside the queue that is under way: downloads and other changes of models.", "lane"
)
LANE_WAITING: Final = _gauge("lane_waiting", "Such work that waits for other work to end.", "lane")
KEYS: Final = _gauge("keys", "Keys that are not revoked.")
SESSIONS: Final = _gauge("sessions", "Logins that have not ended.")
USAGE_LOST: Final = _gauge("usage_events_lost", "Requests whose usage the database could not take in time.")
INFO: Final = _gauge("info", "1, with the version of the program.", "version")

EventName: TypeAlias = Literal[
    "retry",
    "fallback",
    "cache",
    "pull",
    "wedged",
    "ejected",
    "server_health",
    "login",
    "key",
]

EVENTS: Final[dict[EventName, Family]] = {
    "retry": _counter("retries", "Requests sent once more, before anything was answered.", "reason"),
    "fallback": _counter("fallbacks", "Requests that the fallback model answered.", "reason"),
    "cache": _counter("cache_requests", "Requests that the cache was asked for.", "outcome"),
    "pull": _counter("pulls", "Downloads of models that have ended.", "server", "outcome"),
    "wedged": _counter(
        "wedged_models", "Models that hung on a healthy server and were unloaded.", "server", "model"
    ),
    "ejected": _counter("servers_ejected", "Times that a server was given nothing more.", "server", "reason"),
    "server_health": _counter("server_health_changes", "Changes of a server's health.", "server", "health"),
    "login": _counter("logins", "Attempts to log in.", "outcome"),
    "key": _counter("key_changes", "Keys created, revoked and rotated.", "change"),
}

FAMILIES: Final[tuple[Family, ...]] = (
    REQUESTS, TOKENS, WAITS, FIRST_TOKENS, DURATIONS, REFUSALS, *EVENTS.values(),
    WAITING, RUNNING, DRAINING, SLOTS_BUSY, IN_FLIGHT, SERVER_UP, MODELS_LOADED, LANE_RUNNING, LANE_WAITING,
    KEYS, SESSIONS, USAGE_LOST, INFO,
)  # fmt: skip
