"""How many requests wait, and whether one more may: in total, in its class, of its user."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from namel3ss.scheduling.errors import CapScope
    from namel3ss.scheduling.values import Policy

__all__ = ["Caps", "ReachedCap"]


class ReachedCap(NamedTuple):
    """A cap that leaves no place for one more."""

    scope: CapScope
    limit: int


class Caps:
    """Counts of waiting requests beside their caps."""

    def __init__(self, policy: Policy) -> None:
        self.total = 0
        self.by_level = [0] * len(policy.classes)
        self._by_user: dict[str, int] = {}
        self._total_cap = policy.max_waiting
        self._user_cap = policy.max_waiting_per_user
        self._level_caps = [
            policy.max_waiting_per_class.get(priority, policy.max_waiting) for priority in policy.classes
        ]

    def enter(self, user: str, level: int) -> ReachedCap | None:
        """Count one more waiting request; the first cap that it exceeds, for the caller to let it leave again."""
        by_user = self._by_user.get(user, 0) + 1
        self._by_user[user] = by_user
        by_level = self.by_level[level] + 1
        self.by_level[level] = by_level
        self.total += 1
        if self.total > self._total_cap:
            return ReachedCap("total", self._total_cap)
        if by_level > self._level_caps[level]:
            return ReachedCap("class", self._level_caps[level])
        if by_user > self._user_cap:
            return ReachedCap("user", self._user_cap)
        return None

    def leave(self, user: str, level: int) -> None:
        self.total -= 1
        self.by_level[level] -= 1
        left = self._by_user[user] - 1
        if left:
            self._by_user[user] = left
        else:
            del self._by_user[user]
