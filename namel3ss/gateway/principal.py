"""Who asks, and what they may: read from a key or a session once, and then only passed on."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

__all__ = ["KeyLimits", "Principal", "Scope"]


class Scope(enum.StrEnum):
    """What a key may be good for. `admin` implies the others but `models:write`, which is always given by name."""

    USE = "use"
    OPERATOR = "operator"
    MODELS_WRITE = "models:write"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyLimits:
    """What one key may use up. None: no limit of its own."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    tokens_per_day: int | None = None
    streams: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """The holder of a key, of a session, or nobody where `anonymous` allows it. Equal keys are equal principals."""

    user: str
    """The user's name: what fairness, usage and the queue go by."""
    key_id: str
    """The public part of the key; `session:…` and `anonymous` for the others. Never a secret."""
    class_name: str
    priority: int
    scopes: frozenset[Scope]
    models: tuple[str, ...] | None = None
    """Declared names, Ollama names or patterns such as `llama3:*` that it may use; None: all that the gateway serves."""
    networks: tuple[IPv4Network | IPv6Network, ...] | None = None
    """Where it may be used from; None: anywhere the gateway may."""
    limits: KeyLimits = KeyLimits()
    allows_fallback: bool = False
    allows_cloud: bool = False
    in_address: bool = False
    """It came as /k/KEY/…, and its key is flagged for that."""
    expires_at: float | None = None
    """Seconds since the epoch."""

    def may(self, scope: Scope) -> bool:
        if scope in self.scopes:
            return True
        return Scope.ADMIN in self.scopes and scope is not Scope.MODELS_WRITE
