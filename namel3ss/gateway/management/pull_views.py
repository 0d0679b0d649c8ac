"""Pulling: Ollama's own route, the managed one, and the jobs behind both."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from namel3ss.gateway.answering import (
    EVENTS_TYPE,
    LINES_TYPE,
    event,
    line,
    send_document,
    stream,
    while_connected,
)
from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.management.bodies import is_streamed, read_fields, text_field
from namel3ss.gateway.management.fleet import chosen_server, usable
from namel3ss.gateway.management.known_models import may_manage
from namel3ss.gateway.management.names import check_pullable
from namel3ss.gateway.management.pull_jobs import PullState
from namel3ss.gateway.routes import Action
from namel3ss.providers.local.ollama import model_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from namel3ss.gateway.exchange import Exchange
    from namel3ss.gateway.management.audit import AuditLog
    from namel3ss.gateway.management.fleet import Fleet
    from namel3ss.gateway.management.pull_jobs import PullJob
    from namel3ss.gateway.management.pulls import Pulls
    from namel3ss.gateway.plan import GatewayPlan

__all__ = ["PullViews", "answer_with_jobs"]


class PullViews:
    """The handlers. Whoever starts a pull may leave: it goes on."""

    def __init__(self, plan: GatewayPlan, fleet: Fleet, pulls: Pulls, audit: AuditLog) -> None:
        self._settings = plan.settings
        self._fleet = fleet
        self._pulls = pulls
        self._audit = audit

    def handlers(self) -> dict[Action, Callable[[Exchange], Awaitable[None]]]:
        return {
            Action.PULL: self.pull,
            Action.START_PULL: self.start_pull,
            Action.LIST_PULLS: self.list_pulls,
            Action.SHOW_PULL: self.show_pull,
            Action.STOP_PULL: self.stop_pull,
        }

    async def pull(self, exchange: Exchange) -> None:
        """`/api/pull` in Ollama's own lines. With several servers each line names one, and `success` comes once."""
        fields = await read_fields(exchange)
        streamed = is_streamed(fields, by_default=True)
        jobs = await self._start(exchange, text_field(fields, "model") or text_field(fields, "name"))
        if streamed:
            await stream(exchange, LINES_TYPE, self._relay(exchange, jobs))
            return
        await while_connected(exchange, _all_ended(jobs))
        if (refusal := first_failure(jobs)) is not None:
            raise refusal
        await exchange.reply(200, b'{"status":"success"}', b"application/json")

    async def start_pull(self, exchange: Exchange) -> None:
        """The managed pull: its end as one document, or its progress as lines or events."""
        fields = await read_fields(exchange)
        model = text_field(fields, "model") or text_field(fields, "name")
        if not model:
            raise Refusal(Reason.model_required, "Model name is required")
        wants_events = b"text/event-stream" in exchange.headers.get(b"accept", b"")
        streamed = is_streamed(fields, by_default=wants_events)
        jobs = await self._start(exchange, model)
        if not streamed:
            await answer_with_jobs(exchange, jobs, self._settings.pull.wait, outcome_of_pull)
        elif wants_events:
            await self._send_events(exchange, jobs)
        else:
            await stream(exchange, LINES_TYPE, self._report(exchange, jobs))

    async def list_pulls(self, exchange: Exchange) -> None:
        """The jobs that are under way, and those that have ended lately."""
        await send_document(exchange, {"pulls": [job.described() for job in self._pulls.all()]})

    async def show_pull(self, exchange: Exchange) -> None:
        """One job; as events, where the caller accepts those."""
        job = self._pulls.find(exchange.parameters["id"])
        if b"text/event-stream" in exchange.headers.get(b"accept", b""):
            await self._send_events(exchange, [job])
        else:
            await send_document(exchange, {**job.described(), "status_log": job.status_log})

    async def stop_pull(self, exchange: Exchange) -> None:
        """End a job for everybody who waits for it. What came is kept, so that another pull goes on from there."""
        job = self._pulls.find(exchange.parameters["id"])
        await self._audit.record(exchange.caller.user, "model.pull.stop", job.model, {"server": job.server})
        await self._pulls.stop(job)
        await send_document(exchange, job.described())

    async def _start(self, exchange: Exchange, model: str) -> list[PullJob]:
        asked = check_pullable(model, self._settings.pull.allow, cloud_models=self._settings.cloud_models)
        if not may_manage(exchange.caller, asked):
            raise Refusal(Reason.model_not_allowed, f"This key may not pull the model '{model}'.")
        servers = self._targets(exchange, asked)
        user = exchange.caller.user
        await self._audit.record(user, "model.pull", asked, {"servers": list(servers)})
        return self._pulls.start(servers, asked, user=user)

    def _targets(self, exchange: Exchange, model: str) -> tuple[str, ...]:
        """The servers that a model is pulled to: the one that is named, or all that run and are for this model.

        By its name one that is drained can be reached as well, to be made ready for use.
        """
        chosen = chosen_server(self._fleet, exchange)
        if chosen is None:
            running = usable(self._fleet)
            return tuple(server for server in running if self._is_for(server, model)) or running
        if not self._fleet.is_usable(chosen) and (state := self._fleet.status(chosen).state) != "drained":
            raise Refusal(
                Reason.server_down, f"The server {chosen} cannot be used: it is {state}.", retry_after_s=5.0
            )
        return (chosen,)

    def _is_for(self, server: str, model: str) -> bool:
        models = self._fleet.upstream(server).plan.models
        return models is None or any(model_key(name) == model_key(model) for name in models)

    async def _relay(self, exchange: Exchange, jobs: Sequence[PullJob]) -> None:
        async for job, report in followed(jobs):
            if report["status"] != "success":
                named = report if len(jobs) == 1 else {**report, "server": job.server}
                await exchange.send_piece(line(named))
        refusal = first_failure(jobs)
        last = {"status": "success"} if refusal is None else {"error": refusal.message}
        await exchange.send_piece(line(last))

    async def _report(self, exchange: Exchange, jobs: Sequence[PullJob]) -> None:
        async for job, report in followed(jobs):
            await exchange.send_piece(line({"id": job.id, "server": job.server, **report}))
        await exchange.send_piece(line(outcome_of_pull(jobs)))

    async def _send_events(self, exchange: Exchange, jobs: Sequence[PullJob]) -> None:
        async def tell() -> None:
            for job in jobs:
                await exchange.send_piece(event("pull", job.described()))
            async for job, _ in followed(jobs):
                await exchange.send_piece(event("progress", job.described()))
            for job in jobs:
                await exchange.send_piece(event("end", job.described()))

        await stream(exchange, EVENTS_TYPE, tell())


async def followed(jobs: Sequence[PullJob]) -> AsyncIterator[tuple[PullJob, dict[str, Any]]]:
    """Every line of the jobs, those of the past first, until all have ended. Who reads slowly misses some."""
    seen = dict.fromkeys(jobs, 0)
    while True:
        under_way = [job for job in jobs if not job.state.is_end]
        news = [job.news for job in under_way]
        for job in jobs:
            for number, report in job.lines_after(seen[job]):
                seen[job] = number
                yield job, report
        if not under_way:
            return
        await _any_set(news)


async def answer_with_jobs(
    exchange: Exchange,
    jobs: Sequence[PullJob],
    wait_s: float,
    outcome: Callable[[Sequence[PullJob]], dict[str, Any]],
) -> None:
    """One document once all have ended, or 504 with their ids when that takes too long: they go on."""
    refusal: Refusal | None
    try:
        async with asyncio.timeout(wait_s):
            await while_connected(exchange, _all_ended(jobs))
    except TimeoutError:
        ids = ", ".join(job.id for job in jobs if not job.state.is_end)
        refusal = Refusal(
            Reason.pull_timeout,
            f"Timeout while pulling: it takes longer than {wait_s:g} s and goes on as {ids}.",
        )
    else:
        refusal = first_failure(jobs)
    document = outcome(jobs)
    if refusal is None:
        await send_document(exchange, document)
        return
    document |= {"success": False, "message": refusal.message, "error": refusal.message}
    headers = [(b"x-namel3ss-error", refusal.reason.name.encode())]
    await send_document(exchange, document, refusal.status, headers=headers)


def outcome_of_pull(jobs: Sequence[PullJob]) -> dict[str, Any]:
    """What the managed pull answers at its end."""
    model = jobs[0].model
    refusal = first_failure(jobs)
    log = [
        report if len(jobs) == 1 else {**report, "server": job.server}
        for job in jobs
        for report in job.status_log
    ]
    return {
        "success": refusal is None,
        "message": f"Model '{model}' pulled successfully" if refusal is None else refusal.message,
        "model": model,
        "status_log": log,
        "pulls": [
            {"id": job.id, "server": job.server, "state": job.state.value, "updated": job.updated}
            for job in jobs
        ],
    }


def first_failure(jobs: Sequence[PullJob]) -> Refusal | None:
    """Why not all jobs that have ended did well."""
    for job in jobs:
        if job.state is PullState.STOPPED:
            return Refusal(Reason.cancelled, "The pull was stopped.", suggestion="Pull again to resume.")
        if job.refusal is not None:
            return job.refusal
    return None


async def _all_ended(jobs: Sequence[PullJob]) -> None:
    for job in jobs:
        await job.ended()


async def _any_set(news: Sequence[asyncio.Event]) -> None:
    waiting = [asyncio.create_task(each.wait()) for each in news]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
