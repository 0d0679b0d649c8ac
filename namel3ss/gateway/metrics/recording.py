"""What the gateway counts of itself. One object for one gateway, on its event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from namel3ss._version import __version__
from namel3ss.gateway.errors import Reason
from namel3ss.gateway.metrics import families
from namel3ss.gateway.metrics.exposition import Reading, render
from namel3ss.gateway.metrics.families import EVENTS
from namel3ss.gateway.metrics.recent import RecentCompletions
from namel3ss.gateway.metrics.tallies import Counter, Histogram
from namel3ss.gateway.routes import ROUTES
from namel3ss.observability.cardinality import OTHER_MODEL, clamp_model

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable

    from namel3ss.gateway.metrics.families import EventName
    from namel3ss.gateway.usage import UsageEvent

    GaugeSource: TypeAlias = Callable[[], Awaitable[Iterable[Reading]]]

__all__ = ["GatewayMetrics"]

_ROUTES: Final = frozenset(route.path for route in ROUTES)
_OUTCOMES: Final = frozenset({"ok", "interrupted", *Reason.__members__})
_NO_SERVER: Final = "none"


class GatewayMetrics:
    """Plain numbers until they are scraped. `models` are the Ollama names that are served: any other is `_other`.

    `record`, `refused` and `event` never wait and never raise for a value that comes from outside.
    """

    def __init__(self, models: Collection[str] = ()) -> None:
        self._models = frozenset(models)
        self._requests = Counter(families.REQUESTS)
        self._tokens = Counter(families.TOKENS)
        self._refusals = Counter(families.REFUSALS)
        self._waits = Histogram(families.WAITS)
        self._first_tokens = Histogram(families.FIRST_TOKENS)
        self._durations = Histogram(families.DURATIONS)
        self._events = {name: Counter(family) for name, family in EVENTS.items()}
        self._sources: list[GaugeSource] = []
        self.recent = RecentCompletions()

    def record(self, event: UsageEvent) -> None:
        """Count one request that has ended."""
        self.recent.record(event)
        model = event.model if event.model in self._models else OTHER_MODEL
        class_name = event.class_name
        outcome = event.outcome if event.outcome in _OUTCOMES else "_other"
        route = event.route if event.route in _ROUTES else "_other"
        self._requests.add((route, class_name, model, outcome))
        self._durations.observe((class_name, model), event.duration_s)
        if event.server is not None:
            self._waits.observe((class_name, model), event.wait_s)
        if event.first_token_s is not None:
            self._first_tokens.observe((model, event.server or _NO_SERVER), event.first_token_s)
        usage = event.usage
        if usage.total_tokens:
            estimated = "true" if usage.estimated else "false"
            self._tokens.add((class_name, model, "prompt", estimated), usage.prompt_tokens)
            self._tokens.add((class_name, model, "completion", estimated), usage.completion_tokens)

    def refused(self, reason: Reason) -> None:
        """Count one refusal, whoever refused and however far the request had come."""
        self._refusals.add((reason.name,))

    def event(self, name: EventName, **labels: str) -> None:
        """Count something that happened. `families.EVENTS` says which labels each takes: exactly those.

        A label `model` is clamped to the models that are served.
        """
        counter = self._events[name]
        wanted = counter.family.labels
        if labels.keys() != set(wanted):
            raise TypeError(f"The event {name!r} takes the labels {wanted}, not {tuple(labels)}.")
        if "model" in labels:
            labels["model"] = clamp_model(labels["model"], self._models)
        counter.add(tuple(labels[label] for label in wanted))

    def add_gauges(self, source: GaugeSource) -> None:
        """Ask `source` for values of the moment at each scrape."""
        self._sources.append(source)

    async def scrape(self, accept: str = "") -> tuple[bytes, str]:
        """What Prometheus reads now, and its content type. `accept` is the request's header."""
        readings = [Reading(families.INFO, 1, (__version__,))]
        for source in self._sources:
            readings.extend(await source())
        return render(
            (self._requests, self._tokens, self._refusals, *self._events.values()),
            (self._waits, self._first_tokens, self._durations),
            readings,
            accept=accept,
        )
