"""The handler of every request that a model answers."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from typing import TYPE_CHECKING

from namel3ss.gateway.dialects import check_limits, read_request, rewrite
from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.forwarding.caching import AnswerCache
from namel3ss.gateway.forwarding.delivery import Delivery
from namel3ss.gateway.forwarding.job import Job
from namel3ss.gateway.forwarding.limits import ForwardingLimits
from namel3ss.gateway.forwarding.overhearing import Overhearing
from namel3ss.gateway.forwarding.simple_chat import called_by, simple_chat
from namel3ss.gateway.forwarding.watching import Watch
from namel3ss.gateway.principal import Scope
from namel3ss.gateway.routes import Action
from namel3ss.observability.gateway_spans import record_gateway_request, start_gateway_trace
from namel3ss.observability.telemetry import current_telemetry
from namel3ss.providers.transport.retries import RetryBudget

if TYPE_CHECKING:
    from namel3ss.gateway.authority import Authority
    from namel3ss.gateway.backends import Backends
    from namel3ss.gateway.dialects import InferenceRequest
    from namel3ss.gateway.exchange import Exchange
    from namel3ss.gateway.forwarding.fallback import Fallback
    from namel3ss.gateway.forwarding.overhearing import Transcripts
    from namel3ss.gateway.forwarding.parts import Figures, Ledger
    from namel3ss.gateway.live import LiveRequests
    from namel3ss.gateway.plan import GatewayPlan
    from namel3ss.gateway.principal import Principal
    from namel3ss.gateway.routes import Route
    from namel3ss.gateway.usage import UsageEvent
    from namel3ss.observability.gateway_spans import GatewayTrace
    from namel3ss.scheduling import Scheduler

__all__ = ["Forwarder"]


class Forwarder:
    """Lives as long as the gateway, on one event loop. Calling it handles one exchange.

    It opens nothing and closes nothing: the scheduler, the servers and the books are their owners'. With `transcripts` it
    keeps what was asked and answered there.
    """

    def __init__(
        self,
        plan: GatewayPlan,
        authority: Authority,
        scheduler: Scheduler,
        backends: Backends,
        books: Ledger,
        live: LiveRequests,
        metrics: Figures,
        *,
        limits: ForwardingLimits | None = None,
        fallback: Fallback | None = None,
        transcripts: Transcripts | None = None,
    ) -> None:
        self.plan = plan
        self.authority = authority
        self.scheduler = scheduler
        self.backends = backends
        self.books = books
        self.live = live
        self.limits = limits or ForwardingLimits()
        self.watch = Watch()
        self.looking = asyncio.Lock()
        """Held for each look at a position."""
        self.now = asyncio.get_running_loop().time
        self.budget = RetryBudget(clock=self.now)
        self.metrics = metrics
        telemetry = current_telemetry()
        is_heard = telemetry.tracer() is not None or telemetry.instruments() is not None
        self.telemetry = telemetry if is_heard else None
        """None where nobody could receive any: asked once, so that it costs no request anything."""
        self._fallback = fallback
        self._transcripts = transcripts
        kept = plan.settings.cache
        self.cache = None if kept is None else AnswerCache(kept, books, metrics, live)

    def __repr__(self) -> str:
        return f"<Forwarder {len(self.live.by_id)} under way>"

    async def __call__(self, exchange: Exchange) -> None:
        """Handle one request. Raises Refusal where its answer has not begun."""
        arrived_at = self.now()
        body = await exchange.read_body(self.plan.settings.limits.body)
        self.budget.request_made()
        job = self.job_of(exchange, body)
        if self._transcripts is not None:
            await self._answer_overheard(self._transcripts, exchange, job, body, arrived_at)
        elif self.cache is not None or self._fallback is not None:
            await self._answer(exchange, job, arrived_at)
        else:
            # The usual way, with no step and no byte more than it needs: thousands may wait on it.
            del body
            exchange.settle_down()
            job.settle_down()
            await Delivery(self, exchange, job, arrived_at).run()

    async def _answer_overheard(
        self, transcripts: Transcripts, exchange: Exchange, job: Job, body: bytes, arrived_at: float
    ) -> None:
        heard, status = Overhearing(exchange, job, body), None
        try:
            await self._answer(exchange, job, arrived_at)
        except Refusal as refusal:
            status = refusal.status
            raise
        finally:
            transcripts.keep(heard.end(status))

    async def _answer(self, exchange: Exchange, job: Job, arrived_at: float) -> None:
        """From memory, or by a server."""
        cache = self.cache
        key = cache.key_of(exchange, job, self.backends.digest(job.model)) if cache is not None else None
        if cache is not None and key is not None:
            await cache.answer(exchange, job, key, lambda to: self._deliver(to, job, arrived_at))
        else:
            await self._deliver(exchange, job, arrived_at)

    async def _deliver(self, exchange: Exchange, job: Job, arrived_at: float) -> bool:
        """Answer a request. True: the answer is a server's, and whole."""
        fallback = self._fallback
        if fallback is None:
            return await Delivery(self, exchange, job, arrived_at).run()
        fallback.allow(job)
        delivery = Delivery(self, exchange, job, arrived_at)
        with nullcontext() if delivery.trace is None else delivery.trace.held():
            try:
                return await delivery.run()
            except Refusal as refusal:
                reason = fallback.reason_in(refusal, job)
                answer = None if reason is None else fallback.answer_for(self, exchange, job)
                if reason is None or answer is None:
                    raise
                await answer.give(refusal, reason, delivery.trace)
                return False

    def job_of(self, exchange: Exchange, body: bytes) -> Job:
        """What the request asks for, if it may be asked. Raises Refusal."""
        route, principal = exchange.route, exchange.principal
        assert route is not None  # the front sets both
        assert principal is not None
        request = read_request(route, body)
        try:
            return self._allowed(route, principal, request)
        except Refusal as refusal:
            if refusal.reason is Reason.model_not_found and route.action is Action.EMBED:
                # Ollama has other words for it there, and clients look for them.
                raise Refusal(
                    Reason.model_not_found, f'model "{request.model}" not found, try pulling it first'
                ) from None
            raise

    def _allowed(self, route: Route, principal: Principal, request: InferenceRequest) -> Job:
        if request.is_simple_chat:
            called = called_by(principal, request, self.authority)
        else:
            called = self.authority.find(principal, request.model)
        check_limits(
            request,
            self.plan.settings.limits,
            is_operator=principal.may(Scope.OPERATOR),
            declared=called.served.settings,
        )
        if request.is_simple_chat:
            return simple_chat(route, request, called, principal)
        return Job(
            principal=principal,
            route=route,
            request=request,
            called=called,
            body=rewrite(route, request, called.served) if called.by_declared_name else request.body,
        )

    def has_choice(self, server: str) -> bool:
        """Whether there is another server that requests are sent to."""
        return any(name != server and self.backends.is_usable(name) for name in self.backends.names)

    def trace(self, exchange: Exchange, job: Job) -> GatewayTrace | None:
        """The spans of a request that has arrived; None where nobody could receive any."""
        if self.telemetry is None:
            return None
        return start_gateway_trace(
            self.telemetry,
            exchange.headers,
            route=job.route.path,
            class_name=job.principal.class_name,
            model=job.model,
        )

    def record(self, event: UsageEvent) -> None:
        """Put a request that has ended on the account."""
        self.books.record(event)
        self.metrics.record(event)
        if self.telemetry is not None:
            record_gateway_request(self.telemetry, event)
