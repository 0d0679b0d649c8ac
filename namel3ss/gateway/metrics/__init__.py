"""The gateway's figures: counted in plain numbers, shown to Prometheus when it asks."""

from namel3ss.gateway.metrics.exposition import Reading
from namel3ss.gateway.metrics.recording import GatewayMetrics

__all__ = ["GatewayMetrics", "Reading"]
