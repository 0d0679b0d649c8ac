"""The values that cross the scheduler's border: what it is told, and what it answers. All are immutable.

Times are seconds on one monotonic clock that the caller chooses; costs are tokens.
"""

from __future__ import annotations

import enum
import functools
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from namel3ss.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Lease",
    "Marks",
    "MoveReason",
    "Policy",
    "Position",
    "Request",
    "Server",
    "Statistics",
    "WaitEstimate",
    "lease_of",
    "reasons_for_move",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The rules' numbers. The rules themselves stand at the head of `namel3ss.scheduling.core`."""

    classes: tuple[int, ...] = tuple(range(10))
    """Priorities that exist; the lowest number is the top class. A step of ageing leads from one to the next."""
    ageing_s: float = 60.0
    """Waiting this long improves a request by one class; `math.inf` turns ageing off."""
    reserve: int = 0
    """Slots of each model kept for the top class; one slot of a model is never reserved."""
    batch_wait_s: float = 30.0
    """How long the request that is first may be passed over, so that a loaded model is not pushed out."""
    max_waiting: int = 500
    max_waiting_per_user: int = 50
    max_waiting_per_class: Mapping[int, int] = field(default_factory=dict)
    """Priority → cap, for classes that have one of their own."""
    max_wait_s: float | None = 120.0
    """What a request that names no `max_wait_s` may wait; None: for ever."""
    lease_ttl_s: float | None = None
    """A lease not renewed for this long is lost; None: leases end only by release."""
    lanes: Mapping[str, int] = field(default_factory=dict)
    """Lane → how many at a time. Each lane is a queue of its own by the same rules, beside the models' slots."""

    def __post_init__(self) -> None:
        if not self.classes or list(self.classes) != sorted(set(self.classes)):
            raise UsageError(
                f"classes must be distinct priorities in rising order and not empty, not {self.classes!r}."
            )
        for name in ("ageing_s", "max_wait_s", "lease_ttl_s"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UsageError(f"{name} must be more than 0 seconds, not {value!r}.")
        for name in ("reserve", "batch_wait_s", "max_waiting", "max_waiting_per_user"):
            if not getattr(self, name) >= 0:
                raise UsageError(f"{name} must not be negative, not {getattr(self, name)!r}.")
        for priority in self.max_waiting_per_class:
            if priority not in self.classes:
                raise self.no_such_class(priority)
        for lane, count in self.lanes.items():
            if count < 1:
                raise UsageError(f"Lane '{lane}' must let through at least 1 at a time, not {count!r}.")

    def no_such_class(self, priority: object) -> UsageError:
        known = ", ".join(str(known) for known in self.classes)
        return UsageError(f"There is no class with priority {priority!r}; there are {known}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One backend server and what it can take at a time.

    A slot is one request in flight for one loaded model. Models are opaque keys: two names of one blob share
    their slots when the caller passes the digest.
    """

    name: str
    slots: int = 1
    max_loaded_models: int = 1
    weight: float = 1.0
    """A server of weight 2 is given twice the load of one of weight 1 before it counts as equally busy."""
    models: frozenset[str] | None = None
    """Models it can serve; None: any."""
    missing: frozenset[str] = frozenset()
    """Models it is known not to have, whatever `models` says."""
    model_slots: Mapping[str, int] = field(default_factory=dict)
    """Model → slots, where they differ (1 for embedding models, for example)."""
    accepting: bool = True
    """False while it is down or being drained: what runs there runs on, nothing new is sent."""
    expected_back: bool = False
    """While it accepts nothing: it is taken to come back in a moment, so requests may wait for it."""

    def __post_init__(self) -> None:
        for name, count in (("slots", self.slots), ("max_loaded_models", self.max_loaded_models)):
            if count < 1:
                raise UsageError(f"Server '{self.name}': {name} must be at least 1, not {count!r}.")
        for model, count in self.model_slots.items():
            if count < 1:
                raise UsageError(
                    f"Server '{self.name}': slots of '{model}' must be at least 1, not {count!r}."
                )
        if not 0 < self.weight < math.inf:
            raise UsageError(f"Server '{self.name}': weight must be more than 0, not {self.weight!r}.")

    def slots_for(self, model: str) -> int:
        return self.model_slots.get(model, self.slots)

    def offers(self, model: str) -> bool:
        return (self.models is None or model in self.models) and model not in self.missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What asks for a slot. It never holds a prompt."""

    model: str
    user: str = ""
    priority: int | None = None
    """One of the policy's classes; None: its lowest."""
    cost: float | None = None
    """Estimated tokens, prompt and answer together; None: what requests to this model usually take."""
    max_wait_s: float | None = None
    """Overrides the policy's; `math.inf`: for ever."""
    id: str | None = None
    """Unique while the request lives; None: the scheduler makes one."""
    lane: str | None = None
    """A lane for management work instead of the models' slots; `model` then only says what it is about."""

    def __post_init__(self) -> None:
        if self.cost is not None and not 0 <= self.cost < math.inf:
            raise UsageError(f"cost must be a number of tokens, 0 or more, not {self.cost!r}.")
        if self.max_wait_s is not None and not self.max_wait_s >= 0:
            raise UsageError(f"max_wait_s must not be negative, not {self.max_wait_s!r}.")


class Lease(NamedTuple):
    """The right to one slot, until it is released, lost or expired."""

    request_id: str
    server: str
    model: str
    token: int
    """Grows with every lease: whoever guards a resource refuses a token smaller than one it has seen."""
    granted_at: float
    waited_s: float
    cold: bool
    """The model was not loaded there: the first token comes after its loading."""
    expires_at: float | None


# A lease of its fields in that order. The class's own constructor, being written in Python, takes twice as long.
lease_of = functools.partial(tuple.__new__, Lease)


@dataclass(frozen=True, slots=True)
class WaitEstimate:
    """Seconds until a slot, learnt from real durations: `expected_s`, and the range that holds 8 waits in 10."""

    low_s: float
    expected_s: float
    high_s: float


class MoveReason(enum.Enum):
    """Why a position may move back."""

    ARRIVAL = "arrival"
    """A request with a better place came in."""
    SETTLEMENT = "settlement"
    """A user's account was corrected: by real token counts, or because a waiting request of theirs left."""
    BATCH = "batch"
    """Which model is loaded, or whose turn it is to be loaded, has changed."""
    AGEING = "ageing"
    """A request has waited long enough for its class to improve, or one that had has started."""
    SERVER = "server"
    """A server came, left or changed."""


class Marks(NamedTuple):
    """How much of each kind had happened when a position was computed; see `reasons_for_move`."""

    arrivals: int
    settlements: int
    batches: tuple[int, frozenset[str]]
    promotions: tuple[int, float | None]
    servers: int


@dataclass(frozen=True, slots=True)
class Position:
    """How many waiting requests go first: 0 is next. Exact when both bounds are equal."""

    at_least: int
    at_most: int
    total: int
    """All waiting requests, this one included."""
    wait: WaitEstimate | None
    """None until a request to each model concerned has been measured."""
    marks: Marks

    @property
    def exact(self) -> bool:
        return self.at_least == self.at_most


def reasons_for_move(before: Position, now: Position) -> frozenset[MoveReason]:
    """Why a request stands further back now than before; empty when it does not."""
    if now.at_least <= before.at_least and now.at_most <= before.at_most:
        return frozenset()
    pairs = zip(MoveReason, before.marks, now.marks, strict=True)
    return frozenset(reason for reason, then, today in pairs if then != today)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """Counts at one moment, and sums since the start."""

    waiting: int
    running: int
    draining: int
    waiting_by_class: Mapping[int, int]
    busy_by_server: Mapping[str, int]
    """Slots taken on each server, draining ones included."""
    loaded: Mapping[str, tuple[str, ...]]
    """Server → models it is taken to have loaded."""
    admitted: int
    finished: int
    cancelled: int
    expired: int
    lost: int
    refused: int
    loads: int
    """Leases whose model had to be loaded first."""
    swaps: int
    """Loads that pushed another model out."""
