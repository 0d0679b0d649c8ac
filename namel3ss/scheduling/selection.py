"""Which request starts next, and where: one pure decision over who waits and what is free.

The classes are gone through from the best, and in each the first requests of every model, in order:

1. Its model is loaded somewhere with a free slot: it goes there.
2. A server has room to load the model: it goes there.
3. A server could load it in place of an idle model. If no request of its own class waits for that model, it goes
   there. Otherwise it lets its class go first (a *batch*), until it has been passed over for `batch_wait_s`.
4. Its model is loaded somewhere, all slots taken: it waits for one of them, in nobody's way.
5. Its model is loaded nowhere and nothing is idle: it waits for the least busy server. Of the others only its own
   class may still start something there, and only until it has been passed over for `batch_wait_s`.

In 3 and 5 the worse classes start nothing on that server. So a swap is put off for a while by its own class,
never by a worse one, and never for ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from namel3ss.scheduling.placement import (
    free_residency,
    idle_victim,
    server_to_wait_for,
    server_with_room,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence, Sized

    from namel3ss.scheduling.placement import Model, Pool, Residency, ServerState
    from namel3ss.scheduling.preview import RankPreview
    from namel3ss.scheduling.tiers import Entry, Line

__all__ = ["Choice", "RankView", "choose", "passed_over", "settle_in", "slot_at_hand"]


class RankView(Protocol):
    """What the decision needs of a rank: `tiers.Rank`, or a forecast's view of one."""

    @property
    def tiers(self) -> Sized: ...

    def tops(self) -> list[Entry]: ...

    def wants(self, model: str) -> bool: ...


class Choice(NamedTuple):
    """The next start. `residency` is None where the model must be loaded on `server`, in place of `victim`."""

    line: Line
    clock: float
    """The tag of the request that is first in its class, this one or one that cannot start yet."""
    server: ServerState
    residency: Residency | None
    victim: Residency | None
    passed: Model | None
    """The model whose request waits for this server and lets this one go first."""
    overtakes: bool
    """Whether a request before it in order cannot start yet."""


class _Claims:
    """Servers that requests which cannot start yet wait for, and who may still start something there."""

    __slots__ = ("barred", "claimants", "open")

    def __init__(self) -> None:
        self.barred: set[ServerState] = set()
        # Still open to the class that is being looked at, with the model that waits.
        self.open: dict[ServerState, Model] = {}
        self.claimants: set[str] = set()

    def wait_for(self, model: Model, *, overdue: bool) -> None:
        """Let a model that is loaded nowhere wait for the best server that nobody before it waits for."""
        server = server_to_wait_for(model, self.barred, self.open)
        if server is None:
            return
        self.claimants.add(model.name)
        if overdue:
            self.barred.add(server)
        else:
            self.open[server] = model

    def yield_on(self, server: ServerState, model: Model) -> None:
        """Let its class go first on a server that the model could be loaded on now."""
        self.claimants.add(model.name)
        self.open[server] = model

    def close(self) -> None:
        """Bar the worse classes from what this one waits for."""
        self.barred.update(self.open)
        self.open.clear()


def choose(ranks: Sequence[RankView], pool: Pool, now: float, batch_wait_s: float) -> Choice | None:
    """The next request to start now, or None when all must wait."""

    def wanted(model: str) -> bool:
        return any(rank.wants(model) for rank in ranks)

    claims = _Claims()
    overtakes = False
    for rank in ranks:
        if rank.tiers:
            choice = _choose_in_rank(rank, wanted, pool, now - batch_wait_s, claims, overtakes=overtakes)
            if choice is not None:
                return choice
            claims.close()
            overtakes = True
    return None


def slot_at_hand(first: Line) -> Residency | None:
    """The slot for the first line of all, where its model is loaded and free: the usual case of `choose`."""
    model = first.model
    if first.is_ordinary and model.is_reserved:
        return None
    residency = model.only_residency
    if residency is None:
        return free_residency(model, (), ())
    return residency if residency.busy < residency.slots else None


def passed_over(rank: RankPreview, pool: Pool, overdue_since: float) -> set[str] | None:
    """While every slot is free: the models that let their rank go on with what is loaded, now and until one of its models
    is wanted no more. None if one of them need not wait for that.
    """
    found = set()
    for name in rank.models():
        model = pool.models[name]
        if model.residencies:
            continue
        if model.servers:
            is_overdue = model.passed_at is not None and model.passed_at <= overdue_since
            if is_overdue or server_with_room(model, ()) is not None:
                return None
            held = {known for server in model.servers for known in server.residencies}
            if not all(rank.wants(known) for known in held):
                return None
        found.add(name)
    return found


def settle_in(choice: Choice, pool: Pool, now: float) -> Residency:
    """Carry out a choice on the servers' side, short of taking the slot; returns whose slot it is."""
    model = pool.models[choice.line.model.name]
    model.passed_at = None
    if choice.passed is not None and choice.passed.passed_at is None:
        choice.passed.passed_at = now
    return choice.residency or pool.load(choice.server, model.name, choice.victim)


def _choose_in_rank(
    rank: RankView,
    wanted: Callable[[str], bool],
    pool: Pool,
    overdue_since: float,
    claims: _Claims,
    *,
    overtakes: bool,
) -> Choice | None:
    yielding: Choice | None = None
    clock: float | None = None
    for tag, _, line in rank.tops():
        model = pool.models[line.model.name]
        if not model.servers:
            continue
        if clock is None:
            clock = tag
        else:
            overtakes = True
        if line.is_ordinary and model.is_reserved:
            continue
        residency = free_residency(model, claims.barred, claims.open)
        if residency is not None:
            server = residency.server
            return Choice(line, clock, server, residency, None, claims.open.get(server), overtakes)
        roomy = server_with_room(model, claims.barred)
        if roomy is not None:
            return Choice(line, clock, roomy, None, None, None, overtakes)
        if model.name in claims.claimants:
            continue
        overdue = model.passed_at is not None and model.passed_at <= overdue_since
        victim = idle_victim(model, rank.wants, wanted, claims.barred, claims.open)
        if victim is not None:
            choice = Choice(line, clock, victim.server, None, victim, None, overtakes)
            if overdue or not rank.wants(victim.model.name):
                return choice
            yielding = yielding or choice
            claims.yield_on(victim.server, model)
        elif not model.residencies:
            claims.wait_for(model, overdue=overdue)
    return yielding
