"""The administration address: a JSON interface with its OpenAPI document, the panel, /metrics; and logging in anywhere."""

from namel3ss.gateway.administration.composition import Administration

__all__ = ["Administration"]
