"""The servers behind a gateway: how they are, what they have, what is on its way through them."""

from namel3ss.gateway.backends.attempts import Attempt, Loader, OnWedged
from namel3ss.gateway.backends.backends import Backends, Events
from namel3ss.gateway.backends.evidence import Blame
from namel3ss.gateway.backends.probing import Timing
from namel3ss.gateway.backends.status import ServerStatus

__all__ = ["Attempt", "Backends", "Blame", "Events", "Loader", "OnWedged", "ServerStatus", "Timing"]
