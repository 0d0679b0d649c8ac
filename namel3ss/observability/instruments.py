"""What an instrument is, and the set of them on one OpenTelemetry meter.

An instrument is declared once, as data, and made when it is first used. A measurement that is not declared cannot be
recorded, so the tables of `gen_ai` and `ollama_metrics` are the whole list of what this package emits.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias, assert_never

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.metrics import Meter

__all__ = ["Attributes", "InstrumentSpec", "Instruments", "Measurement"]

AttributeValue: TypeAlias = "str | bool | int | float"
Attributes: TypeAlias = "Mapping[str, AttributeValue]"


class InstrumentSpec(msgspec.Struct, frozen=True):
    """One instrument: its name and unit (UCUM) as they are exported, and every attribute it may carry.

    `buckets` are advice for histograms; the owner of the SDK may override them with a View.
    """

    name: str
    kind: Literal["histogram", "counter", "gauge"]
    unit: str
    description: str
    attributes: tuple[str, ...]
    buckets: tuple[float, ...] | None = None


class Measurement(NamedTuple):
    """One number for one instrument."""

    instrument: InstrumentSpec
    value: int | float
    attributes: Attributes


_Writer: TypeAlias = "Callable[[int | float, Attributes], None]"


class Instruments:
    """The instruments of one meter, made on first use. Lives as long as the meter; safe from any thread."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._writers: dict[str, _Writer] = {}
        self._lock = threading.Lock()

    def record(self, measurement: Measurement) -> None:
        spec, value, attributes = measurement
        write = self._writers.get(spec.name)
        if write is None:
            write = self._writer(spec)
        write(value, attributes)

    def _writer(self, spec: InstrumentSpec) -> _Writer:
        with self._lock:
            if spec.name not in self._writers:
                self._writers[spec.name] = self._create(spec)
            return self._writers[spec.name]

    def _create(self, spec: InstrumentSpec) -> _Writer:
        if spec.kind == "histogram":
            return self._meter.create_histogram(
                spec.name, spec.unit, spec.description, explicit_bucket_boundaries_advisory=spec.buckets
            ).record
        if spec.kind == "counter":
            return self._meter.create_counter(spec.name, spec.unit, spec.description).add
        if spec.kind == "gauge":
            return self._meter.create_gauge(spec.name, spec.unit, spec.description).set
        assert_never(spec.kind)
