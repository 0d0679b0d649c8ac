"""The metrics of answers that are shared or given by others: the cache's, and the bridge's way elsewhere.

They go to listeners and to OpenTelemetry, under the same names and with the same labels.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from namel3ss.observability.instruments import InstrumentSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SHARING_INSTRUMENTS"]

SHARING_INSTRUMENTS: Mapping[str, InstrumentSpec] = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            InstrumentSpec(
                "namel3ss.cache.requests",
                "counter",
                "{request}",
                "Requests that a cache was asked for.",
                ("outcome",),
            ),
            InstrumentSpec("namel3ss.cache.size", "gauge", "By", "What a cache holds.", ()),
            InstrumentSpec(
                "namel3ss.bridge.fallbacks",
                "counter",
                "{request}",
                "Requests that went to another model than the bridge's own.",
                ("model", "reason", "to_model", "to_provider"),
            ),
        )
    }
)
