"""Metrics, delivered to listeners.

A listener is called positionally as `listener(name, values, labels)`:

* `name`: dotted, for example ``ollama.request.duration``;
* `values`: a dict of floats with at least ``value``; durations are seconds, sizes bytes, counts tokens;
* `labels`: a dict of strings.

Listeners run on the thread that records, one after the other. One that raises is logged with its name and
disturbs neither the request nor the other listeners. Without a listener a record costs one comparison.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import TypeAlias

__all__ = [
    "MetricListener",
    "emit_metric",
    "has_metric_listeners",
    "record_metric",
    "register_metric_listener",
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

    Registering the same object twice has no further effect.
    """
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
    """Whether anybody listens: lets a caller skip preparing labels."""
    return bool(_listeners)


def record_metric(name: str, value: float, tags: Mapping[str, object] | None = None) -> None:
    """Record one number. `tags` become labels; their values are turned into strings."""
    if _listeners:
        emit_metric(name, {"value": value}, tags)


def emit_metric(name: str, values: Mapping[str, float], labels: Mapping[str, object] | None = None) -> None:
    """Record several numbers that belong together. Each listener gets dicts of its own."""
    for listener in _listeners:
        try:
            listener(
                name,
                {key: float(number) for key, number in values.items()},
                {key: str(label) for key, label in labels.items()} if labels else {},
            )
        except Exception:
            logger.exception("metric listener %r failed on %s", listener, name)
