"""Downloads as jobs of the gateway: one for each server and model, however many ask, however many of them leave.

A job waits its turn in a lane of the queue, so that pulls neither crowd out each other nor any request for an answer. It is
a task of the gateway's own, which ends when the model is there, when the pull fails for good, or when an operator
stops it. What has ended is remembered for a while; what had not when the gateway ended goes on with the next, under the
same id, when its server is up.
"""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
import time
from contextlib import contextmanager, suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol

from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.management.pull_jobs import PullJob, PullState, refusal_of_pull
from namel3ss.gateway.store.records import StoredPull
from namel3ss.providers.local.ollama import OllamaError, OllamaModelManager, PullPolicy, model_key
from namel3ss.scheduling.errors import SchedulingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from namel3ss.gateway.management.fleet import Fleet
    from namel3ss.gateway.metrics.families import EventName
    from namel3ss.scheduling import Scheduler

__all__ = ["LANES", "Events", "PullLog", "Pulls"]

_LANE: Final = "pulls"
LANES: Final[Mapping[str, int]] = MappingProxyType({_LANE: 2})
"""The lanes that the queue's policy must have for pulls, with how many run at a time."""

_log: Final = logging.getLogger("namel3ss.gateway.pulls")


class Events(Protocol):
    """Where what happens is counted."""

    def event(self, name: EventName, **labels: str) -> None: ...


class PullLog(Protocol):
    """Where jobs are kept that have not ended."""

    async def add(self, pull: StoredPull) -> None: ...

    async def remove(self, pull_id: str) -> None: ...

    async def all(self) -> Sequence[StoredPull]: ...


class Pulls:
    """All jobs. `aclose` stops those under way; what a server has downloaded by then it keeps.

    Those that people asked for are in `log` until they end; what the gateway pulls by itself it would begin again anyway.

    Of those that have ended the last ones are `remembered`, for `remembered_s`.
    """

    def __init__(
        self,
        fleet: Fleet,
        scheduler: Scheduler,
        events: Events,
        log: PullLog,
        *,
        policy: PullPolicy | None = None,
        remembered: int = 100,
        remembered_s: float = 3600.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._fleet = fleet
        self._scheduler = scheduler
        self._events = events
        self._log = log
        self._policy = policy
        self._remembered = remembered
        self._remembered_s = remembered_s
        self._clock = clock
        self._jobs: dict[str, PullJob] = {}
        self._under_way: dict[tuple[str, str], PullJob] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, servers: Iterable[str], model: str, *, user: str) -> list[PullJob]:
        """A job for each server: the one that is under way there for this model, or a new one."""
        return [self._start(server, model, user) for server in servers]

    async def recall(self) -> None:
        """Know again what an earlier process did not end. `resume` goes on with it."""
        with _logged("Pulls from before the restart are not known"):
            for stored in await self._log.all():
                job = PullJob(
                    id=stored.id,
                    server=stored.server,
                    model=stored.model,
                    user=stored.user,
                    started_at=stored.started_at,
                    state=PullState.INTERRUPTED,
                )
                if _place(job) in self._under_way:
                    # Of a pull that had ended when it could not be taken out, and was begun anew.
                    await self._log.remove(job.id)
                else:
                    self._jobs[job.id] = self._under_way[_place(job)] = job

    def resume(self, server: str) -> None:
        """Go on with what was interrupted: the server is up."""
        for job in list(self._under_way.values()):
            if job.server == server and job.state is PullState.INTERRUPTED:
                self._begin(job)

    def all(self) -> list[PullJob]:
        """The jobs that are under way or remembered, the latest first."""
        self._forget()
        return sorted(self._jobs.values(), key=lambda job: job.started_at, reverse=True)

    def find(self, job_id: str) -> PullJob:
        """Raises Refusal for an id that is unknown or forgotten."""
        self._forget()
        job = self._jobs.get(job_id)
        if job is None:
            raise Refusal(
                Reason.not_found,
                f"There is no pull {job_id[:64]!r}.",
                suggestion="GET /api/providers/ollama/pulls lists those that are known.",
            )
        return job

    async def stop(self, job: PullJob) -> None:
        """End a job that is under way, for everybody who waits for it."""
        task = self._tasks.get(job.id)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        elif job.state is PullState.INTERRUPTED:
            self._under_way.pop(_place(job), None)
            job.end(PullState.STOPPED, self._clock())
        await self._end_in_log(job)

    async def aclose(self) -> None:
        """Stop everything. Idempotent."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _start(self, server: str, model: str, user: str) -> PullJob:
        under_way = self._under_way.get((server, model_key(model)))
        if under_way is not None:
            if under_way.state is PullState.INTERRUPTED:
                self._begin(under_way)
            return under_way
        self._forget()
        job = PullJob(
            id=secrets.token_hex(8), server=server, model=model, user=user, started_at=self._clock()
        )
        self._jobs[job.id] = self._under_way[_place(job)] = job
        self._begin(job)
        return job

    def _begin(self, job: PullJob) -> None:
        job.state = PullState.WAITING
        task = self._tasks[job.id] = asyncio.create_task(self._run(job))
        task.add_done_callback(lambda _: self._ended(job))

    def _ended(self, job: PullJob) -> None:
        del self._under_way[_place(job)]
        task = self._tasks.pop(job.id)
        if not job.state.is_end:
            # It was cancelled before it could begin, or failed in a way that only the log can tell.
            state = PullState.STOPPED if task.cancelled() else PullState.FAILED
            job.end(state, self._clock(), None if task.cancelled() else _internal())
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("the pull of %s on %s failed", job.model, job.server, exc_info=error)
        self._events.event("pull", server=job.server, outcome=job.state.value)

    async def _run(self, job: PullJob) -> None:
        """The job to its end. One that is cancelled stays in the log: whoever stopped it takes it out."""
        if job.user:
            with _logged(f"The pull of {job.model} will not survive a restart"):
                await self._log.add(
                    StoredPull(
                        id=job.id,
                        server=job.server,
                        model=job.model,
                        user=job.user,
                        started_at=job.started_at,
                    )
                )
        await self._do(job)
        await self._end_in_log(job)

    async def _end_in_log(self, job: PullJob) -> None:
        if job.user:
            with _logged(f"The pull of {job.model} will be begun again by a restart"):
                await self._log.remove(job.id)

    async def _do(self, job: PullJob) -> None:
        try:
            async with self._scheduler.admit(
                model=job.model, user=job.user, request_id=f"pull-{job.id}", lane=_LANE, max_wait_s=math.inf
            ):
                job.begin()
                before = self._digest(job)
                await self._pull(job)
                with suppress(Refusal):  # it has been removed meanwhile, or is down again
                    await self._fleet.refresh(job.server)
                job.updated = self._digest(job) != before
            job.end(PullState.DONE, self._clock())
        except OllamaError as error:
            job.end(PullState.FAILED, self._clock(), refusal_of_pull(error, job))
        except Refusal as refusal:
            job.end(PullState.FAILED, self._clock(), refusal)
        except SchedulingError as error:
            why = Refusal(Reason.queue_full, error.message, retry_after_s=30.0)
            job.end(PullState.FAILED, self._clock(), why)

    async def _pull(self, job: PullJob) -> None:
        plan = self._fleet.upstream(job.server).plan
        key = plan.api_key
        manager = OllamaModelManager(
            plan.base_url,
            headers={} if key is None else {"Authorization": f"Bearer {key.get_secret_value()}"},
            pull_policy=self._policy,
        )
        async with manager:
            await manager.pull_model(job.model, on_progress=job.note)

    def _digest(self, job: PullJob) -> str | None:
        listed = self._fleet.installed(job.server) or ()
        wanted = model_key(job.model)
        return next((known.digest for known in listed if model_key(known.name) == wanted), None)

    def _forget(self) -> None:
        """Drop what ended long ago, and the oldest of what is too much."""
        ended = [job for job in self._jobs.values() if job.ended_at is not None]
        ended.sort(key=lambda job: job.ended_at or 0.0)
        too_many = len(ended) - self._remembered
        latest = self._clock() - self._remembered_s
        for place, job in enumerate(ended):
            if place < too_many or (job.ended_at or 0.0) < latest:
                del self._jobs[job.id]


def _place(job: PullJob) -> tuple[str, str]:
    """There is one job at a time for each of these."""
    return job.server, model_key(job.model)


@contextmanager
def _logged(consequence: str) -> Iterator[None]:
    """A database that does not answer stops no pull."""
    try:
        yield
    except Refusal as refusal:
        _log.warning("%s: %s", consequence, refusal.message)


def _internal() -> Refusal:
    return Refusal(Reason.internal, "The pull failed inside the gateway. Its log tells more.")
