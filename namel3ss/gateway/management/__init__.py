"""Models of the servers behind the gateway: what there is, what may be changed, and downloads as jobs."""

from namel3ss.gateway.management.composition import LANES, Management
from namel3ss.gateway.management.fleet import Fleet

__all__ = ["LANES", "Fleet", "Management"]
