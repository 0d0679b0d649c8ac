"""The figures as Prometheus reads them, made when they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prometheus_client.metrics_core import Metric

    from namel3ss.gateway.metrics.families import Family
    from namel3ss.gateway.metrics.tallies import Counter, Histogram, Labels

__all__ = ["Reading", "render"]


class Reading(NamedTuple):
    """One gauge's value at the moment of the scrape."""

    family: Family
    value: float
    labels: Labels = ()


class _Snapshot(Collector):
    """What one scrape shows."""

    def __init__(
        self, counters: Iterable[Counter], histograms: Iterable[Histogram], readings: Iterable[Reading]
    ) -> None:
        self._counters = counters
        self._histograms = histograms
        self._readings = readings

    def collect(self) -> Iterator[Metric]:
        for counter in self._counters:
            yield _of_counter(counter)
        for histogram in self._histograms:
            yield _of_histogram(histogram)
        yield from _of_readings(self._readings)


def _of_counter(counter: Counter) -> Metric:
    family = counter.family
    shown = CounterMetricFamily(family.name, family.documentation, labels=family.labels)
    for labels, total in counter.sums.items():
        shown.add_metric(labels, total)
    return shown


def _of_histogram(histogram: Histogram) -> Metric:
    family = histogram.family
    shown = HistogramMetricFamily(family.name, family.documentation, labels=family.labels)
    for labels, buckets, total in histogram.series():
        shown.add_metric(labels, buckets, total)
    return shown


def _of_readings(readings: Iterable[Reading]) -> Iterator[Metric]:
    shown: dict[str, GaugeMetricFamily] = {}
    for family, value, labels in readings:
        if family.name not in shown:
            shown[family.name] = GaugeMetricFamily(family.name, family.documentation, labels=family.labels)
        shown[family.name].add_metric(labels, value)
    yield from shown.values()


def render(
    counters: Iterable[Counter], histograms: Iterable[Histogram], readings: Iterable[Reading], *, accept: str
) -> tuple[bytes, str]:
    """The text, with figures of this process (memory, descriptors, CPU), and its content type: the one that is wanted."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Snapshot(counters, histograms, readings))
    ProcessCollector(registry=registry)
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type
