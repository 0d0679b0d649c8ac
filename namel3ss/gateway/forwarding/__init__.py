"""The data path: a request's way through the queue to a server, and its answer's way back, byte for byte."""

from namel3ss.gateway.forwarding.forwarder import Forwarder
from namel3ss.gateway.forwarding.limits import ForwardingLimits

__all__ = ["Forwarder", "ForwardingLimits"]
