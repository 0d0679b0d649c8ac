"""Everybody known: the line for each user, class and model, found with one look; idle ones are forgotten in time."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from namel3ss.scheduling.tiers import Account, Bucket, Line, User

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from collections.abc import Set as AbstractSet

    from namel3ss.scheduling.placement import Model
    from namel3ss.scheduling.tickets import Ticket
    from namel3ss.scheduling.tiers import Tier

__all__ = ["LineKey", "Roster"]

LineKey: TypeAlias = "tuple[str, int | None, str]"
"""User, priority and model, as a request names them. A request that names no priority has a key of its own."""

# So many idle lines may be kept beside as many as wait, and of each class so many idle accounts.
_IDLE_KEPT = 256
_AHEAD_KEPT = 4096


class Roster:
    """The lines of a queue, with the users and accounts they belong to."""

    def __init__(self, tiers: Sequence[Tier]) -> None:
        self.lines: dict[LineKey, Line] = {}
        self._tiers = tiers
        self._users: dict[str, User] = {}
        self._buckets: dict[tuple[int, str], Bucket] = {}
        self._count = 0
        self._tidy_at = _IDLE_KEPT

    def enter(self, key: LineKey, level: int, model: Model, running: Iterable[Ticket]) -> Line:
        """The line that is found under `key` from now on. What runs is not forgotten."""
        if self._count >= self._tidy_at:
            self._forget_idle({ticket.account for ticket in running})
        account = self._account(key[0], self._tiers[level])
        line = account.lines.get(model.name)
        if line is None:
            bucket = self._buckets.get((level, model.name))
            if bucket is None:
                bucket = self._buckets[level, model.name] = Bucket(account.tier, model)
            line = account.lines[model.name] = Line(account, bucket)
            model.lines += 1
            self._count += 1
        self.lines[key] = line
        return line

    def _account(self, name: str, tier: Tier) -> Account:
        account = tier.accounts.get(name)
        if account is None:
            user = self._users.get(name)
            if user is None:
                user = self._users[name] = User(name)
            account = tier.accounts[name] = Account(tier, user)
        return account

    def _forget_idle(self, running: AbstractSet[Account]) -> None:
        for line in {line for line in self.lines.values() if not line.live}:
            del line.account.lines[line.model.name]
            line.model.lines -= 1
            self._count -= 1
        self.lines = {key: line for key, line in self.lines.items() if line.live}
        self._buckets = {
            (tier.level, name): bucket for tier in self._tiers for name, bucket in tier.buckets.items()
        }
        for tier in self._tiers:
            tier.accounts = _worth_keeping(tier, running)
        accounts = [account for tier in self._tiers for account in tier.accounts.values()]
        self._users = {account.user.name: account.user for account in accounts}
        for user in self._users.values():
            user.accounts.clear()
        for account in accounts:
            account.user.accounts.append(account)
        self._tidy_at = _IDLE_KEPT + self._count + len(accounts)


def _worth_keeping(tier: Tier, running: AbstractSet[Account]) -> dict[str, Account]:
    # An idle account at or below the clock says the same as no account. Of the others those that are furthest ahead are
    # kept: forgetting one forgives what it was charged.
    clock, epoch = tier.clock, tier.epoch
    busy = {name: known for name, known in tier.accounts.items() if known.waiting or known in running}
    ahead = [
        known
        for known in tier.accounts.values()
        if known.user.name not in busy and known.epoch == epoch and known.tag > clock
    ]
    ahead.sort(key=lambda known: known.tag)
    return busy | {known.user.name: known for known in ahead[-_AHEAD_KEPT:]}
