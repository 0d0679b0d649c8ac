"""Metrics, delivered to listeners and to OpenTelemetry.

A listener is called positionally as `listener(name, values, labels)`:

* `name`: dotted, for example ``ollama.request.duration``;
* `values`: a dict of floats with at least ``value``; durations are seconds, sizes bytes, counts tokens;
* `labels`: a dict of strings.

Listeners run on the thread that records, one after the other. One that raises is logged with its name and
disturbs neither the request nor the other listeners. Without a listener a record costs one comparison and one look
into `sys.modules`, where OpenTelemetry would be if anybody used it.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from namel3ss.observability.telemetry import Telemetry

__all__ = [
    "MetricListener",
    "deliver_metric",
    "emit_metric",
    "has_metric_listeners",
    "has_registered_listeners",
    "record_metric",
    "register_metric_listener",
    "tell_listeners",
    "unregister_metric_listener",
]

MetricListener: TypeAlias = Callable[[str, dict[str, float], dict[str, str]], object]

logger = logging.getLogger(__name__)

# Replaced whole, never changed in place: a record that is under way keeps walking the tuple it started with,
# so registering and removing during emission needs no lock on the reading side.
_listeners: tuple[MetricListener, ...] = ()
_lock = threading.Lock()


def register_metric_listener(listener: MetricListener) -> MetricListener:
    """Call `listener` for every metric from now on; returns it, so that it works as a decorator.

    Registering the same object twice has no further effect. Raises TypeError for what cannot be called.
    """
    if not callable(listener):
        raise TypeError(
            f"A metric listener must be a function, not a value of type {type(listener).__name__}."
        )
    global _listeners
    with _lock:
        if listener not in _listeners:
            _listeners = (*_listeners, listener)
    return listener


def unregister_metric_listener(listener: MetricListener) -> None:
    """Stop calling `listener`; unknown listeners are ignored. A call that is under way still finishes."""
    global _listeners
    with _lock:
        _listeners = tuple(known for known in _listeners if known is not listener and known != listener)


def has_metric_listeners() -> bool:
    """Whether anybody listens, an OpenTelemetry SDK included: lets a caller skip preparing labels."""
    return has_registered_listeners() or _exporting() is not None


def has_registered_listeners() -> bool:
    """Whether a listener is registered, whatever OpenTelemetry does."""
    return bool(_listeners)


def record_metric(name: str, value: float, tags: Mapping[str, object] | None = None) -> None:
    """Record one number. `tags` become labels; their values are turned into strings."""
    if _listeners or "opentelemetry.metrics" in sys.modules:
        emit_metric(name, {"value": value}, tags)


def emit_metric(name: str, values: Mapping[str, float], labels: Mapping[str, object] | None = None) -> None:
    """Record several numbers that belong together. Each listener gets dicts of its own.

    OpenTelemetry gets ``value`` of the metrics that observability.md lists; others are for listeners alone.
    """
    deliver_metric(name, values, labels, _exporting())


def deliver_metric(
    name: str, values: Mapping[str, float], labels: Mapping[str, object] | None, telemetry: Telemetry | None
) -> None:
    """`emit_metric` to listeners and to this telemetry, which need not be the process's own."""
    if _listeners:
        told = {key: str(label) for key, label in labels.items()} if labels else {}
        tell_listeners(name, values, told)
    if telemetry is not None:
        telemetry.forward(name, values, labels)


def tell_listeners(name: str, values: Mapping[str, float], labels: dict[str, str]) -> None:
    """Tell the listeners alone; labels are texts already."""
    for listener in _listeners:
        try:
            listener(name, {key: float(number) for key, number in values.items()}, labels.copy())
        except Exception:
            logger.exception("metric listener %r failed on %s", listener, name)


def _exporting() -> Telemetry | None:
    """The process's telemetry, if an OpenTelemetry SDK receives its metrics."""
    if "opentelemetry.metrics" not in sys.modules:
        return None
    # Here, so that a program without OpenTelemetry never loads it.
    from namel3ss.observability.telemetry import current_telemetry

    telemetry = current_telemetry()
    return telemetry if telemetry.instruments() is not None else None
