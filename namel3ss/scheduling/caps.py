"""How many requests may wait: in total, in a class, of a user."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from namel3ss.scheduling.errors import CapScope
    from namel3ss.scheduling.tiers import Line
    from namel3ss.scheduling.values import Policy

__all__ = ["Caps", "ReachedCap"]


class ReachedCap(NamedTuple):
    """A cap that leaves no place for one more."""

    scope: CapScope
    limit: int


class Caps:
    """The policy's caps. What they are held against is counted where requests come and go."""

    __slots__ = ("_by_level", "_total", "_user", "lowest")

    def __init__(self, policy: Policy) -> None:
        self._total = policy.max_waiting
        self._user = policy.max_waiting_per_user
        self._by_level = [
            policy.max_waiting_per_class.get(priority, policy.max_waiting) for priority in policy.classes
        ]
        # While fewer wait in all than this, no cap can be reached.
        self.lowest = min(self._total, self._user, *self._by_level)

    def reached(self, line: Line, waiting: int) -> ReachedCap | None:
        """The cap that leaves no place for one more in that line, while `waiting` wait in all."""
        if waiting >= self._total:
            return ReachedCap("total", self._total)
        account = line.account
        tier = account.tier
        if tier.waiting >= self._by_level[tier.level]:
            return ReachedCap("class", self._by_level[tier.level])
        if account.user.waiting >= self._user:
            return ReachedCap("user", self._user)
        return None
