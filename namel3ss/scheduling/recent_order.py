"""The order of a long queue as it was a moment ago, corrected by who has left, with those who came since in their places.

Playing a thousand requests forward takes milliseconds. When hundreds arrive in a second and each asks where it stands, that
is not done for every one of them: the order of a long queue is kept for a millisecond for each request in it, and what is
told meanwhile are bounds.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from namel3ss.scheduling.tickets import TicketState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from namel3ss.scheduling.tickets import Ticket

__all__ = ["Happenings", "Key", "RecentOrder"]


class Happenings(NamedTuple):
    """How many requests had come and gone by a moment, and how many stood in accounts that were corrected by then."""

    arrivals: int
    departures: int
    moved: int


Key: TypeAlias = "tuple[int, float, int]"
"""Where a request stands: its rank, its tag by the rank's count, its arrival."""

_WAITING = TicketState.WAITING
# Of a user with more requests than this before it, the tag is not added up further: it stands behind them all.
_ADDED_UP = 1000


def _key_of(ticket: Ticket) -> Key:
    """Where a request that waits stands now, without playing anything: its user's tag, and what goes before it."""
    account = ticket.account
    tier = account.tier
    tag = account.tag + tier.offset
    left = _ADDED_UP
    for line in account.lines.values():
        for before in line.waiting:
            if before.seq >= ticket.seq or not left:
                break
            if before.state is _WAITING:
                tag += before.cost
                left -= 1
    return (tier.rank.index, tag, ticket.seq)


class RecentOrder:
    """Made from an order that was played. `arrivals` counts all requests that had come by then."""

    __slots__ = (
        "_ahead",
        "_before",
        "_counted_at",
        "_cut",
        "_keys",
        "_late",
        "_late_keys",
        "_places",
        "_played",
    )

    def __init__(
        self,
        played: Sequence[Ticket],
        keys: Sequence[Key],
        places: dict[str, int],
        *,
        before: Happenings,
        is_cut: bool,
    ) -> None:
        self._played = played
        self._places = places
        # A class that has entered another rank in between may begin lower there; each stands at least where those before it do.
        self._keys = list(accumulate(keys, max))
        self._before = before
        self._cut = is_cut
        self._late: list[tuple[Key, Ticket]] = []
        self._late_keys: dict[str, Key] = {}
        # How many of those before each place still wait, counted when so many had gone.
        self._ahead: list[int] = []
        self._counted_at = -1

    def place(self, ticket: Ticket, waiting: int, now: Happenings) -> tuple[int, int]:
        """At least and at most so many of those who wait go first."""
        if now.departures != self._counted_at:
            self._counted_at = now.departures
            here = (known.state is _WAITING for known in self._played)
            self._ahead = list(accumulate(here, initial=0))
            self._late = [known for known in self._late if known[1].state is _WAITING]
        place = self._places.get(ticket.id)
        came, moved = now.arrivals - self._before.arrivals, now.moved - self._before.moved
        if place is not None:
            standing = self._ahead[place]
        else:
            key = self._late_keys.get(ticket.id)
            if key is None:
                key = self._late_keys[ticket.id] = _key_of(ticket)
                insort(self._late, (key, ticket))
            before = bisect_left(self._keys, key)
            if self._cut and before == len(self._keys):
                return max(0, self._ahead[-1] - moved), waiting - 1
            standing = self._ahead[before] + bisect_left(self._late, (key, ticket))
            came -= len(self._late_keys)
        return max(0, min(waiting - 1, standing) - moved), min(waiting - 1, standing + came + moved)
