"""Newer versions of what is installed: pulled when an operator asks, or from time to time.

Only a pull can tell whether there is a newer version: the server compares, and downloads what differs. Only names that the
file allows to be pulled are looked at, so that a model made here is not replaced by one that has its name elsewhere.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

from namel3ss.gateway.answering import send_document
from namel3ss.gateway.errors import Refusal
from namel3ss.gateway.management.bodies import read_fields
from namel3ss.gateway.management.known_models import may_manage
from namel3ss.gateway.management.names import check_pullable
from namel3ss.gateway.management.pull_jobs import PullState
from namel3ss.gateway.management.pull_views import answer_with_jobs
from namel3ss.gateway.routes import Action

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from namel3ss.gateway.exchange import Exchange
    from namel3ss.gateway.management.audit import AuditLog
    from namel3ss.gateway.management.known_models import KnownModels
    from namel3ss.gateway.management.pull_jobs import PullJob
    from namel3ss.gateway.management.pulls import Pulls
    from namel3ss.gateway.plan import GatewayPlan
    from namel3ss.gateway.principal import Principal

__all__ = ["Updates"]

_ITSELF: Final = "(gateway)"
"""In the audit log; no user can have this name."""

_log: Final = logging.getLogger("namel3ss.gateway.pulls")


class Updates:
    """Lives inside `async with`: with `auto_update` in the file it looks by itself."""

    def __init__(self, plan: GatewayPlan, known: KnownModels, pulls: Pulls, audit: AuditLog) -> None:
        self._settings = plan.settings.pull
        self._known = known
        self._pulls = pulls
        self._audit = audit
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Updates:
        if self._settings.auto_update is not None:
            self._task = asyncio.create_task(self._look_every(self._settings.auto_update))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def handlers(self) -> dict[Action, Callable[[Exchange], Awaitable[None]]]:
        return {Action.UPDATE_MODELS: self.update_models}

    async def update_models(self, exchange: Exchange) -> None:
        """Pull what is installed, and tell what was newer."""
        await read_fields(exchange, required=False)
        jobs = await self._start(exchange.caller)
        if jobs:
            await answer_with_jobs(exchange, jobs, self._settings.wait, outcome_of_update)
        else:
            await send_document(exchange, outcome_of_update(()))

    async def _start(self, principal: Principal | None) -> list[PullJob]:
        """A job for each model on each server that has it."""
        user = "" if principal is None else principal.user
        jobs: list[PullJob] = []
        for model in (await self._known.installed()).values():
            try:
                asked = check_pullable(model.name, self._settings.allow)
            except Refusal:
                continue
            if principal is None or may_manage(principal, asked):
                await self._audit.record(
                    user or _ITSELF,
                    "model.update",
                    asked,
                    {"servers": list(model.digests)},
                    patiently=principal is None,
                )
                jobs += self._pulls.start(model.digests, asked, user=user)
        return jobs

    async def _look_every(self, pause_s: float) -> None:
        while True:
            await asyncio.sleep(pause_s)
            try:
                jobs = await self._start(None)
            except Refusal as refusal:
                _log.warning("no newer versions were looked for: %s", refusal.message)
                continue
            for job in jobs:
                await job.ended()
                _log.info("%s on %s: %s, newer: %s", job.model, job.server, job.state.value, job.updated)


def outcome_of_update(jobs: Sequence[PullJob]) -> dict[str, Any]:
    """What the update of all answers: by model and server."""

    def those(state: PullState, *, updated: bool | None = None) -> list[dict[str, str]]:
        return [
            {"model": job.model, "server": job.server}
            for job in jobs
            if job.state is state and (updated is None or job.updated is updated)
        ]

    updated = those(PullState.DONE, updated=True)
    return {
        "success": all(job.state is PullState.DONE for job in jobs),
        "message": f"{len(updated)} of {len(jobs)} models had a newer version",
        "updated": updated,
        "unchanged": those(PullState.DONE, updated=False),
        "failed": [
            {"model": job.model, "server": job.server, "error": job.refusal.message}
            for job in jobs
            if job.refusal is not None
        ],
        "pulls": [{"id": job.id, "server": job.server, "state": job.state.value} for job in jobs],
    }
