"""Servers that answer for one another: who of them is asked, and who is left alone for a while.

The scheduler of a pool binds a request to a server only when it starts: to one that has the model loaded, else by load
and weight. This file tells it what it cannot know:

* A server that cannot be reached, or failed three times in a row, is left alone until it answers when it is looked at.
  One that turned a request away as too busy is left alone for as long as it asked for, else for a second.
* One without a model gets no request for it, until it is seen to have it.
* What is left alone is asked all the same where no other is left.
* What is loaded is asked of each server while requests come in, at most once in `look_every_s`.

A request goes to another server, once for each, where its own has certainly not begun: it could not be reached, was too
busy, or lacks the model. It has had its turn, and so it waits in the top class. A connection that broke before the first
byte, and a proxy's 502, do not tell: the server may have begun, and so that is the request's end, as any other failure is.
"""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from namel3ss.errors import N3Error
from namel3ss.providers.local.ollama import (
    Circuit,
    OllamaError,
    OllamaModelNotFoundError,
    OllamaServerBusyError,
    OllamaServerUnreachableError,
)
from namel3ss.scheduling.queue_requests import model_key
from namel3ss.scheduling.sync import SyncScheduler

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    from namel3ss.scheduling.queue_entries import Entry
    from namel3ss.scheduling.queue_requests import Outgoing
    from namel3ss.scheduling.values import Policy, Server

__all__ = ["Member", "Pool"]

_BUSY_REST_S: Final = 1.0
_LONGEST_BUSY_REST_S: Final = 30.0


@dataclass(slots=True, eq=False)
class Member:
    """One server of a pool. `spec` is what its owner said; its name is the address in its usual form."""

    spec: Server
    base_url: str | None = field(repr=False)
    circuit: Circuit
    told: Server
    """What the scheduler was told last."""
    is_alone: bool = False
    missing: set[str] = field(default_factory=set)
    is_draining: bool = False
    is_busy: bool = False
    is_watched: bool = False

    @property
    def is_down(self) -> bool:
        # Several are looked at until they answer; one alone is tried again after a while.
        return self.circuit.is_open if self.is_alone else self.circuit.open_until is not None

    @property
    def state(self) -> Literal["up", "down", "busy", "draining"]:
        if self.is_draining:
            return "draining"
        return "down" if self.is_down else "busy" if self.is_busy else "up"


class Pool:
    """The servers and their scheduler. Failures and looks are told in the queue's loop, the rest from any thread."""

    def __init__(
        self,
        servers: Sequence[tuple[Server, str | None]],
        *,
        policy: Policy,
        clock: Callable[[], float],
        look_every_s: float,
        look: Callable[[Outgoing, str], Awaitable[dict[str, Any]]],
        start: Callable[[Coroutine[object, object, None]], object],
    ) -> None:
        self.members = {
            spec.name: Member(spec, base_url, Circuit(clock=clock), spec, is_alone=len(servers) == 1)
            for spec, base_url in servers
        }
        self.scheduler = SyncScheduler([spec for spec, _ in servers], policy=policy, clock=clock)
        self._clock = clock
        self._look_every_s = look_every_s
        self._look = look
        self._start = start
        self._lock = threading.RLock()
        self._looked_at: float | None = None

    @property
    def has_choice(self) -> bool:
        return len(self.members) > 1

    @property
    def is_down(self) -> bool:
        """Whether no server is left, as far as is known."""
        return all(member.is_down for member in self.members.values() if not member.is_draining)

    def readdressed(self, request: Outgoing, server: str) -> Outgoing:
        """The request to the server that it was bound to."""
        member = self.members[server]
        # The only server of its kind is reached as the request says.
        return request.at(server, member.base_url if self.has_choice else request.base_url)

    def requested(self, request: Outgoing) -> None:
        """A request has come: look at the servers if that was long ago."""
        if not self.has_choice:
            return
        now = self._clock()
        with self._lock:
            if self._looked_at is not None and now - self._looked_at < self._look_every_s:
                return
            self._looked_at = now
        for member in self.members.values():
            if not member.is_down:  # those are watched already
                self._start(self._look_at(member, request.without_body()))

    def drain(self, server: str, *, is_draining: bool) -> None:
        """Send nothing more there, or do so again. What runs there runs on."""
        with self._lock:
            self.members[server].is_draining = is_draining
            self._settle()

    def snapshot(self) -> list[dict[str, Any]]:
        """How each server is."""
        statistics = self.scheduler.statistics()
        return [
            {
                "address": name,
                "state": member.state,
                "weight": member.spec.weight,
                "slots": member.spec.slots,
                "active_requests": statistics.busy_by_server.get(name, 0),
                "loaded_models": list(statistics.loaded.get(name, ())),
            }
            for name, member in self.members.items()
        ]

    # -- what comes of requests; in the loop --------------------------------------------------------------------

    def answered(self, server: str) -> None:
        """A server has begun to answer."""
        with self._lock:
            self._is_up(self.members[server], Circuit.answered)

    def completed(self, server: str) -> None:
        """A server has given a whole answer."""
        with self._lock:
            self._is_up(self.members[server], Circuit.succeeded)

    def failed(self, server: str, error: BaseException, request: Outgoing) -> None:
        """A request failed there. Watch the server if that says something about it."""
        if not isinstance(error, OllamaError):
            return
        member = self.members[server]
        with self._lock:
            member.circuit.failed(error)
            if member.is_alone:
                return
            if isinstance(error, OllamaModelNotFoundError):
                member.missing.add(request.model_key)
            if isinstance(error, OllamaServerBusyError) and not member.is_busy:
                member.is_busy = True
                pause_s = min(error.retry_after_s or _BUSY_REST_S, _LONGEST_BUSY_REST_S)
                self._start(self._rest(member, pause_s))
            if member.is_down and not member.is_watched:
                member.is_watched = True
                self._start(self._watch(member, request.without_body()))
            self._settle()

    def over(self, server: str) -> None:
        """What failed there has left its slot. Whoever starts a server again starts it with nothing loaded."""
        if self.members[server].is_down:
            self.scheduler.report_loaded(
                server, ()
            )  # what others still wait for there counts until they fail too

    def may_ask_another(self, entry: Entry, error: BaseException) -> bool:
        """Whether a request that failed may be sent once more."""
        others = [member for member in self.members.values() if not member.is_draining]
        if entry.has_pieces or entry.attempts >= len(others):
            return False
        if isinstance(error, OllamaServerUnreachableError):
            return error.error_type != "stream_reset"  # it was reached, and may have begun
        return isinstance(error, OllamaModelNotFoundError | OllamaServerBusyError)

    # -- looking; in the loop -----------------------------------------------------------------------------------

    async def _watch(self, member: Member, request: Outgoing) -> None:
        """Look at a server that is down until it answers."""
        while member.is_down:
            await asyncio.sleep(self._look_every_s)
            await self._look_at(member, request)
        member.is_watched = False

    async def _rest(self, member: Member, seconds: float) -> None:
        await asyncio.sleep(seconds)
        with self._lock:
            member.is_busy = False
            self._settle()

    async def _look_at(self, member: Member, request: Outgoing) -> None:
        """Take over what a server says of itself."""
        here = request.at(member.spec.name, member.base_url)
        try:
            loaded = _names(await self._look(here, "/api/ps"))
            installed = _names(await self._look(here, "/api/tags")) if member.missing else set()
        except N3Error as error:
            self.failed(member.spec.name, error, request)
            self.over(member.spec.name)
            return
        with self._lock:
            member.circuit.answered()
            member.missing -= installed
            self._settle()
        self.scheduler.report_loaded(member.spec.name, loaded)

    def _is_up(self, member: Member, note: Callable[[Circuit], None]) -> None:
        """Note a success. The lock is held."""
        was_down = member.is_down
        note(member.circuit)
        if was_down:
            self._settle()

    def _settle(self) -> None:
        """Tell the scheduler what has changed. The lock is held."""
        serving = [member for member in self.members.values() if not member.is_draining]
        healthy = [member for member in serving if not member.is_down]
        ready = [member for member in healthy if not member.is_busy] or healthy or serving
        missing_everywhere = set.intersection(*(member.missing for member in ready)) if ready else set()
        news = []
        for member in self.members.values():
            member.missing -= missing_everywhere
            spec = replace(
                member.spec,
                accepting=member.spec.accepting and member in ready,
                missing=member.spec.missing | member.missing,
            )
            if spec != member.told:
                member.told = spec
                news.append(spec)
        # Good news first, so that there is no moment in which nobody serves a model.
        for spec in sorted(news, key=lambda spec: (not spec.accepting, len(spec.missing))):
            self.scheduler.put_server(spec)


def _names(listing: dict[str, Any]) -> set[str]:
    """The models of ``/api/ps`` and ``/api/tags``."""
    models = listing.get("models")
    found: set[str] = set()
    for model in models if isinstance(models, list) else ():
        name = model.get("name") if isinstance(model, dict) else None
        if isinstance(name, str):
            found.add(model_key(name))
    return found
