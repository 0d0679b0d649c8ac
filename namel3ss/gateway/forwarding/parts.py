"""What the data path needs of those who keep the account and count, and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from namel3ss.gateway.metrics.families import EventName
    from namel3ss.gateway.principal import Principal
    from namel3ss.gateway.usage import Usage, UsageEvent

__all__ = ["Figures", "Ledger", "Reserved"]


class Reserved(Protocol):
    """Tokens that a request may use up, and its place among those that its user receives."""

    def begin(self) -> None:
        """The request has a slot. Raises Refusal: its user receives too many answers at a time."""

    def cover(self, tokens: int) -> int:
        """Put so many tokens aside in all. Returns how many are. Raises Refusal: there are not so many left."""

    def settle(self, usage: Usage) -> None:
        """Replace the estimate by what was used. Called once."""


class Ledger(Protocol):
    """Who may use how much, and has."""

    def reserve(self, principal: Principal, tokens: int) -> Reserved:
        """Raises Refusal: a limit is reached."""

    def record(self, event: UsageEvent) -> None:
        """Keep what a request used. Never waits."""


class Figures(Protocol):
    """What is counted."""

    def record(self, event: UsageEvent) -> None: ...

    def event(self, name: EventName, **labels: str) -> None: ...
