"""All servers of a gateway: watched, described to the queue, and asked."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING, Final, Protocol, Self

from namel3ss.gateway.backends.asking import Answer, ask
from namel3ss.gateway.backends.attempts import Attempt
from namel3ss.gateway.backends.backend import Backend
from namel3ss.gateway.backends.evidence import Blame
from namel3ss.gateway.backends.first_tokens import Silence
from namel3ss.gateway.backends.health import ServerState
from namel3ss.gateway.backends.probing import Prober, Timing
from namel3ss.gateway.backends.status import ServerStatus, status_of
from namel3ss.gateway.backends.telling import Teller
from namel3ss.gateway.backends.wedges import WedgeWatch
from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.upstream import Upstream
from namel3ss.scheduling.engine import LoopClock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from namel3ss.gateway.backends.attempts import Loader, OnWedged
    from namel3ss.gateway.backends.catalogue import Installed
    from namel3ss.gateway.metrics.families import EventName
    from namel3ss.gateway.plan import BackendPlan, GatewayPlan
    from namel3ss.scheduling import Scheduler
    from namel3ss.scheduling.engine import Clock

__all__ = ["Backends", "Events"]

_log: Final = logging.getLogger("namel3ss.gateway.backends")
_NO_LOADER: Final[Mapping[str, object]] = {}


class Events(Protocol):
    """Where what happens is counted."""

    def event(self, name: EventName, **labels: str) -> None: ...


class Backends:
    """Lives inside `async with`, within the scheduler's. Entering waits for the first probe of every server, which is short.

    `draw` gives numbers from 0 to 1 for what must not happen everywhere at once.
    """

    def __init__(
        self,
        plan: GatewayPlan,
        scheduler: Scheduler,
        events: Events,
        *,
        clock: Clock | None = None,
        timing: Timing | None = None,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._plan = plan
        self._events = events
        self._clock = clock
        self._timing = timing or Timing()
        self._draw = draw
        self._models = tuple(dict.fromkeys(served.model for served in plan.models))
        self._probers: dict[str, Prober] = {}
        self._teller = Teller(scheduler, self._models, self._all)
        self._wedges: WedgeWatch | None = None
        self._up_listeners: list[Callable[[str], None]] = []
        self._removing: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._clock = self._clock or LoopClock()
        self._teller.clock = self._clock
        wedge_after_s = self._plan.settings.wedge_after
        if wedge_after_s is not None:
            self._wedges = WedgeWatch(
                self._all,
                self._hear_of_wedge,
                clock=self._clock,
                wedge_after_s=wedge_after_s,
                timing=self._timing,
            )
        try:
            for plan in self._plan.backends:
                await self._begin(plan)
            for prober in self._probers.values():
                await prober.probed()
        except BaseException:
            await self.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Watch no more, and close every connection. Idempotent."""
        for task in self._removing:
            task.cancel()
        await asyncio.gather(*self._removing, return_exceptions=True)
        if self._wedges is not None:
            await self._wedges.aclose()
        for prober in list(self._probers.values()):
            await prober.aclose()
            await prober.backend.upstream.aclose()
        self._probers.clear()
        await self._teller.aclose()

    # -- the servers ------------------------------------------------------------------------------------------

    @property
    def names(self) -> tuple[str, ...]:
        """In the order of the file; those added later follow."""
        return tuple(self._probers)

    def is_usable(self, server: str) -> bool:
        """Whether requests are sent there: it answers, and is not being drained."""
        return self._get(server).is_up

    def version(self, server: str) -> str | None:
        """What it last said its version is."""
        return self._get(server).version

    def status(self, server: str) -> ServerStatus:
        return status_of(self._get(server))

    async def add(self, plan: BackendPlan) -> None:
        """Use one more server. Raises Refusal for a name that is taken."""
        if plan.name in self._probers:
            raise Refusal(
                Reason.conflict,
                f"There is a server '{plan.name}' already.",
                suggestion="Choose another name, or remove that one first.",
            )
        await self._begin(plan)

    async def remove(self, server: str) -> None:
        """Send nothing more there, and forget it. What is running there goes on to its end, but is watched no more."""
        prober = self._prober(server)
        del self._probers[server]
        prober.backend.enabled = False
        await self._teller.drop(server)
        await prober.aclose()
        task = asyncio.create_task(self._close_when_idle(prober.backend))
        self._removing.add(task)
        task.add_done_callback(self._removing.discard)

    async def drain(self, server: str) -> None:
        """Send nothing new there, from now on; what is running there goes on."""
        self._get(server).enabled = False
        await self._teller.tell()

    async def resume(self, server: str) -> None:
        """Use a drained server again, once it has been seen to answer."""
        prober = self._prober(server)
        prober.backend.enabled = True
        prober.probe_soon()
        await self._teller.tell()

    async def refresh(self, server: str) -> None:
        """Look again which models it has: they were changed."""
        prober = self._prober(server)
        prober.list_soon()
        await prober.look()

    def on_up(self, listener: Callable[[str], None]) -> Callable[[], None]:
        """Call `listener` with each server that answers now, and whenever one begins to answer (again).

        What it returns ends that.
        """
        self._up_listeners.append(listener)
        for prober in self._probers.values():
            if prober.backend.health.state is ServerState.UP:
                listener(prober.backend.name)
        return lambda: self._up_listeners.remove(listener)

    async def ask(
        self,
        server: str,
        method: str,
        path: str,
        body: Mapping[str, object] | bytes | None = None,
        *,
        timeout_s: float | None = None,
    ) -> Answer:
        """One question of the gateway's own, with its whole answer. Raises UpstreamError."""
        limit_s = self._timing.question_s if timeout_s is None else timeout_s
        return await ask(self._get(server).upstream, method, path, body, timeout_s=limit_s)

    def upstream(self, server: str) -> Upstream:
        return self._get(server).upstream

    # -- the models -------------------------------------------------------------------------------------------

    def model_key(self, model: str) -> str:
        """What the queue counts slots by: equal for two names that one runner answers for."""
        return self._teller.model_key(model)

    def installed(self, server: str) -> tuple[Installed, ...] | None:
        """The models of a server; None until it has said."""
        listed = self._get(server).catalogue.installed
        return None if listed is None else tuple(listed.values())

    def to_pull(self, server: str) -> tuple[str, ...]:
        """Declared models with `auto_pull_model` that a server is for, and is known not to have."""
        backend = self._get(server)
        wanted = dict.fromkeys(served.model for served in self._plan.models if served.auto_pull)
        return tuple(model for model in wanted if backend.is_for(model) and backend.catalogue.lacks(model))

    def digest(self, model: str) -> str | None:
        """The digest of a model where every server that has it has the same; else None."""
        found = {
            known.digest
            for prober in self._probers.values()
            if (known := prober.backend.catalogue.find(model)) is not None
        }
        return found.pop() if len(found) == 1 else None

    def capabilities(self, model: str) -> frozenset[str] | None:
        """What a model can do on at least one server; None where nobody has said."""
        known = [can for p in self._probers.values() if (can := p.backend.catalogue.can(model)) is not None]
        return frozenset().union(*known) if known else None

    def why_nowhere(self, model: str) -> Refusal:
        """The refusal for a model that no server can be asked for now.

        Where none has it, they are asked what they have: one that was pulled at a server itself is there soon after.
        """
        backends = self._all()
        up = [backend for backend in backends if backend.is_up]
        if up and all(backend.catalogue.lacks(model) for backend in up):
            for prober in self._probers.values():
                prober.look_for_more()
            return Refusal(
                Reason.model_not_found,
                f"model '{model}' not found",
                suggestion="No server that is running has it: ask an administrator to pull it.",
            )
        return Refusal(
            Reason.server_down,
            "No Ollama server is running." if not up else f"No server can run '{model}' at the moment.",
            suggestion="Try again in a moment.",
            retry_after_s=5.0,
        )

    # -- the requests -----------------------------------------------------------------------------------------

    def note_sent(
        self,
        server: str,
        model: str,
        *,
        spelling: str | None = None,
        cold: bool = False,
        whole: bool = False,
        prompt_tokens: int = 0,
        loader: Loader = _NO_LOADER,
        on_wedged: OnWedged | None = None,
    ) -> Attempt:
        """A request is about to be sent. Tell what becomes of it, in any case, by the attempt's methods.

        `spelling`: the model as the request names it, where that may differ. `cold`: it has to be loaded first. `whole`:
        the answer is generated, and comes in one piece.
        """
        prober = self._prober(server)
        backend = prober.backend
        if not backend.is_busy:
            prober.wake()
        if self._wedges is not None and on_wedged is not None:
            self._wedges.sent()
        return Attempt(
            backend,
            self._hear_of_failure,
            Silence(self.model_key(model), cold, whole),
            model,
            spelling=spelling or model,
            prompt_tokens=prompt_tokens,
            loader=loader,
            on_wedged=on_wedged,
            now=backend.now(),
        )

    async def _hear_of_failure(self, backend: Backend, attempt: Attempt, blame: Blame, reason: str) -> None:
        before = backend.health.state
        if not backend.request_failed(attempt, blame, reason):
            return
        if backend.health.state is ServerState.SUSPECTED is not before:
            _log.warning("The server %s is suspected (%s)", backend.name, reason)
        else:
            self._events.event("ejected", server=backend.name, reason=blame.value)
            _log.warning("The server %s is given less (%s): %s", backend.name, blame.value, reason)
        prober = self._probers.get(backend.name)
        if prober is not None and prober.backend is backend:
            if blame is Blame.MISSING:
                prober.list_soon()
            prober.probe_soon()
        await self._teller.tell()

    async def _hear_of_wedge(self, backend: Backend, attempt: Attempt, is_cured: bool) -> None:
        self._events.event("wedged", server=backend.name, model=attempt.model)
        _log.warning(
            "The model %s hung on the server %s%s",
            attempt.model,
            backend.name,
            " and was unloaded" if is_cured else ", and could not be cured",
        )
        if not is_cured:
            backend.rest_model(attempt.key, at_once=True)
        await self._changed(backend)

    async def _changed(self, backend: Backend) -> None:
        """Something about a server is known anew."""
        if backend.health.state is ServerState.DOWN:
            backend.restarted()
        await self._teller.tell()
        prober = self._probers.get(backend.name)
        if prober is not None and prober.backend is backend:
            await self._teller.tell_loaded(backend)

    def _became(self, backend: Backend) -> None:
        self._events.event("server_health", server=backend.name, health=str(backend.health.state))
        if backend.health.state is ServerState.UP:
            for listener in self._up_listeners:
                listener(backend.name)

    # -- the probers ------------------------------------------------------------------------------------------

    async def _begin(self, plan: BackendPlan) -> None:
        assert self._clock is not None  # set on entering
        upstream = await Upstream(plan).__aenter__()
        backend = Backend(
            plan, upstream, now=self._clock.now, draw=self._draw, changed=self._teller.tell_soon
        )
        prober = Prober(backend, lambda: self._models, self._changed, self._became, self._clock, self._timing)
        self._probers[plan.name] = prober
        await self._teller.tell()
        prober.probe_soon()

    async def _close_when_idle(self, backend: Backend) -> None:
        try:
            await backend.idle()
        finally:
            await backend.upstream.aclose()

    def _all(self) -> list[Backend]:
        return [prober.backend for prober in self._probers.values()]

    def _prober(self, server: str) -> Prober:
        try:
            return self._probers[server]
        except KeyError:
            raise Refusal(
                Reason.not_found,
                f"There is no server '{server}'.",
                suggestion=f"There are: {', '.join(self._probers) or 'none'}.",
            ) from None

    def _get(self, server: str) -> Backend:
        return self._prober(server).backend
