"""The front door: who may speak to the gateway, who asks, for what, and how a refusal is put."""

from namel3ss.gateway.front.credentials import KeySource
from namel3ss.gateway.front.front import Front, Handler, RefusalCounter
from namel3ss.gateway.front.whitelist import StoredNetworks

__all__ = ["Front", "Handler", "KeySource", "RefusalCounter", "StoredNetworks"]
