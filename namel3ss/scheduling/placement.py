"""Where a request can run: servers, the models loaded on them, and their slots.

* A *residency* is one model loaded (or being loaded) on one server. It has as many slots as the server gives
  that model; a slot is busy from the lease to its release, and longer when it drains.
* A server holds at most `max_loaded_models` residencies. One more pushes out an idle one.
* What is loaded is known from the leases given and corrected by what a server reports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from namel3ss.scheduling.estimates import Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from namel3ss.scheduling.values import Server

__all__ = [
    "Model",
    "Pool",
    "Residency",
    "ServerState",
    "free_residency",
    "idle_victim",
    "server_to_wait_for",
    "server_with_room",
]


class Residency:
    """One model on one server. `used` orders residencies by their last lease: it is its token."""

    __slots__ = ("busy", "history", "is_cold", "model", "server", "slots", "used")

    def __init__(self, server: ServerState, model: Model) -> None:
        self.server = server
        self.model = model
        self.history = model.usage.on(server.spec.name)
        self.slots = server.spec.slots_for(model.name)
        self.busy = 0
        self.used = 0
        # Whether the next request has to load it.
        self.is_cold = False


class ServerState:
    """A server as the scheduler sees it. Lives until it is dropped and nothing runs on it."""

    __slots__ = ("dropped", "is_open", "name", "order", "residencies", "spec")

    def __init__(self, spec: Server, order: int) -> None:
        self.name = spec.name
        self.order = order
        self.residencies: dict[str, Residency] = {}
        self.change(spec)

    def change(self, spec: Server) -> None:
        self.spec = spec
        self.dropped = False
        # Whether it is sent anything new.
        self.is_open = spec.accepting
        for residency in self.residencies.values():
            residency.slots = spec.slots_for(residency.model.name)

    def drop(self) -> None:
        self.dropped = True
        self.is_open = False

    def serves(self, model: str) -> bool:
        return self.is_open and self.spec.offers(model)

    def is_awaited_for(self, model: str) -> bool:
        return self.spec.expected_back and not self.dropped and self.spec.offers(model)

    @property
    def busy(self) -> int:
        """How many of its slots are taken."""
        return sum(residency.busy for residency in self.residencies.values())

    @property
    def has_room(self) -> bool:
        return len(self.residencies) < self.spec.max_loaded_models

    @property
    def load(self) -> tuple[float, int]:
        """How busy it would be with one more request; servers are preferred in this order."""
        return ((self.busy + 1) / self.spec.weight, self.order)


class Model:
    """A model as the scheduler sees it, over all servers."""

    __slots__ = (
        "is_offered",
        "lines",
        "name",
        "only_residency",
        "ordinary_busy",
        "ordinary_limit",
        "passed_at",
        "residencies",
        "servers",
        "usage",
    )

    def __init__(self, name: str, usage: Usage) -> None:
        self.name = name
        self.usage = usage
        # On servers that accept work; and those servers that offer the model at all.
        self.residencies: list[Residency] = []
        self.only_residency: Residency | None = None
        self.servers: list[ServerState] = []
        # Whether requests for it may wait: a server offers it now, or will in a moment.
        self.is_offered = False
        # Of requests, that are known. While there are any, its record is kept.
        self.lines = 0
        # Slots held by requests that may not have reserved ones, counted where there are such; and how many they may hold.
        self.ordinary_busy = 0
        self.ordinary_limit = 1
        # Since when a request for it, being first, has been passed over in favour of loaded models.
        self.passed_at: float | None = None

    def stand_on(self, residencies: list[Residency]) -> None:
        """Take over where it is loaded."""
        self.residencies = residencies
        self.only_residency = residencies[0] if len(residencies) == 1 else None

    @property
    def is_reserved(self) -> bool:
        """Whether all slots that are left are kept for the top class."""
        return self.ordinary_busy >= self.ordinary_limit


class Pool:
    """All servers and models."""

    __slots__ = (
        "_is_copy",
        "_order",
        "_reserve",
        "_tidy_at",
        "_uses",
        "models",
        "openings",
        "servers",
    )

    def __init__(self, reserve: int) -> None:
        self.servers: dict[str, ServerState] = {}
        self.models: dict[str, Model] = {}
        self._reserve = reserve
        # A copy shares what is learnt with its original, and leaves it alone.
        self._is_copy = False
        self._order = 0
        # By a copy, which gives no leases.
        self._uses = 0
        self._tidy_at = 1024
        # Slots that are free and places for one more model, on servers that accept work. Where there are none,
        # nothing can start.
        self.openings = 0

    def model(self, name: str) -> Model:
        """The record of a model; made when it is first asked for, dropped some time after its last use."""
        model = self.models.get(name)
        if model is None:
            if len(self.models) >= self._tidy_at:
                self._forget_unused_models()
            model = self.models[name] = Model(name, Usage())
            self._relate(model)
        return model

    def put(self, spec: Server) -> None:
        """Add a server or change one; what runs on it keeps its slots."""
        state = self.servers.get(spec.name)
        if state is None:
            self.servers[spec.name] = ServerState(spec, self._order)
            self._order += 1
        else:
            state.change(spec)
        self._relate_all()

    def drop(self, name: str) -> None:
        """Remove a server; what runs on it counts against its slots until it ends, should it come back."""
        state = self.servers[name]
        state.drop()
        if not state.busy:
            self._forget_server(name)
        self._relate_all()

    def report(self, name: str, loaded: Collection[str]) -> bool:
        """Take over what a server says is loaded; models with a request in flight stay. Whether that is news."""
        state = self.servers[name]
        before = set(state.residencies)
        for model in [known for known, residency in state.residencies.items() if not residency.busy]:
            if model not in loaded:
                del state.residencies[model]
        for model in loaded:
            if model not in state.residencies:
                state.residencies[model] = Residency(state, self.model(model))
        self._relate_all()
        return before != set(state.residencies)

    def touch(self, residency: Residency) -> None:
        """Let a copy's residency be the last that was used."""
        self._uses += 1
        residency.used = self._uses

    def occupy(self, residency: Residency, is_ordinary: bool) -> None:
        """Take a slot. `is_ordinary`: for a request that may not have a reserved one."""
        residency.busy += 1
        self.openings -= 1
        if is_ordinary:
            residency.model.ordinary_busy += 1

    def vacate(self, residency: Residency, is_ordinary: bool) -> None:
        """Give back a slot that was taken so."""
        server = residency.server
        residency.busy = busy = residency.busy - 1
        if is_ordinary:
            residency.model.ordinary_busy -= 1
        if server.is_open:
            if busy < residency.slots:
                self.openings += 1
        elif server.dropped and not server.busy:
            self._forget_server(server.spec.name)

    def load(self, server: ServerState, name: str, victim: Residency | None) -> Residency:
        """Make a model resident, in place of an idle one where there is no room."""
        if victim is not None:
            del server.residencies[victim.model.name]
            # Not among them if the server has stopped offering that model.
            victim.model.stand_on([held for held in victim.model.residencies if held is not victim])
            self.openings -= victim.slots
        else:
            self.openings -= 1
        model = self.model(name)
        residency = server.residencies[name] = Residency(server, model)
        residency.is_cold = True
        model.stand_on([*model.residencies, residency])
        self.openings += residency.slots
        return residency

    def idle_copy(self) -> Pool:
        """The same servers and models with every slot free, to play on."""
        copy = Pool(self._reserve)
        copy._is_copy = True
        copy._order = self._order
        for name, model in self.models.items():
            twin = copy.models[name] = Model(name, model.usage)
            twin.passed_at = model.passed_at
        for name, state in self.servers.items():
            server = copy.servers[name] = ServerState(state.spec, state.order)
            for held, residency in state.residencies.items():
                same = server.residencies[held] = Residency(server, copy.models[held])
                same.used = residency.used
                copy._uses = max(copy._uses, residency.used)
            server.dropped, server.is_open = state.dropped, state.is_open
        copy._relate_all()
        return copy

    def _forget_unused_models(self) -> None:
        # Models are opaque keys that callers choose: without this they would pile up.
        held = {name for state in self.servers.values() for name in state.residencies}
        self.models = {name: model for name, model in self.models.items() if model.lines or name in held}
        self._tidy_at = max(1024, 2 * len(self.models))

    def _forget_server(self, name: str) -> None:
        del self.servers[name]
        if not self._is_copy:
            for model in self.models.values():
                model.usage.forget(name)

    def _relate_all(self) -> None:
        for model in self.models.values():
            self._relate(model)
        self.openings = sum(
            max(0, state.spec.max_loaded_models - len(state.residencies))
            + sum(max(0, residency.slots - residency.busy) for residency in state.residencies.values())
            for state in self.servers.values()
            if state.is_open
        )

    def _relate(self, model: Model) -> None:
        name = model.name
        model.servers = [state for state in self.servers.values() if state.serves(name)]
        model.is_offered = bool(model.servers) or any(
            state.is_awaited_for(name) for state in self.servers.values()
        )
        model.stand_on([state.residencies[name] for state in model.servers if name in state.residencies])
        total = sum(state.spec.slots_for(name) for state in model.servers)
        model.ordinary_limit = max(1, total - self._reserve)


def free_residency(
    model: Model, barred: Collection[ServerState], claimed: Collection[ServerState]
) -> Residency | None:
    """The best slot that is free where the model is loaded; on a claimed server only if there is no other."""
    best = None
    for residency in model.residencies:
        server = residency.server
        if residency.busy >= residency.slots or server in barred:
            continue
        if best is None or (server in claimed, server.load) < (best.server in claimed, best.server.load):
            best = residency
    return best


def server_with_room(model: Model, barred: Collection[ServerState]) -> ServerState | None:
    """The best server that can load the model beside what it has."""
    best = None
    for server in model.servers:
        if not server.has_room or model.name in server.residencies or server in barred:
            continue
        if best is None or server.load < best.load:
            best = server
    return best


def idle_victim(
    model: Model,
    wanted_in_class: Callable[[str], bool],
    wanted: Callable[[str], bool],
    barred: Collection[ServerState],
    claimed: Collection[ServerState],
) -> Residency | None:
    """The residency whose loss for the model hurts least: nobody waits for it, else only other classes do.

    Equal ones go by how busy their server is, then by how long ago they were used.
    """
    best, least = None, None
    for server in model.servers:
        if server in barred or server in claimed or model.name in server.residencies:
            continue
        for residency in server.residencies.values():
            if residency.busy:
                continue
            held = residency.model.name
            losers = 2 if wanted_in_class(held) else 1 if wanted(held) else 0
            hurt = (losers, server.load, residency.used)
            if least is None or hurt < least:
                best, least = residency, hurt
    return best


def server_to_wait_for(
    model: Model, barred: Collection[ServerState], claimed: Collection[ServerState]
) -> ServerState | None:
    """The server that a model loaded nowhere waits for: the least busy one that nobody before it waits for."""
    best = None
    for server in model.servers:
        if server not in barred and server not in claimed and (best is None or server.load < best.load):
            best = server
    return best
