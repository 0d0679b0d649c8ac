"""Everybody sees their own requests, operators all, and each where it stands."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.live import LiveRequest, LiveRequests, Stage
from namel3ss.gateway.principal import Scope
from namel3ss.gateway.queue_views import Head, QueueViews
from namel3ss.scheduling import Policy, Position, Scheduler, Server
from tests.gateway.management.calling import OPERATOR, USER, call, principal, refused, start_call

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from namel3ss.gateway.exchange import Exchange
    from namel3ss.gateway.principal import Principal
    from namel3ss.gateway.routes import Action

    Handlers = Mapping[Action, Callable[[Exchange], Awaitable[None]]]

BOB = principal(user="bob")
ADMIN = principal(Scope.ADMIN, user="root")
STATUS = {"status": "ok", "provider": "ollama", "queue_stats": {"recent_completions": 0}, "servers": []}


class CountingScheduler(Scheduler):
    looked_up = 0

    async def position(self, request_id: str) -> Position | None:
        self.looked_up += 1
        return await super().position(request_id)


class Desk:
    """A scheduler with one slot, and requests that wait at it as the forwarder has them."""

    def __init__(self, scheduler: CountingScheduler) -> None:
        self.scheduler = scheduler
        self.live = LiveRequests()
        self.handlers: Handlers = QueueViews(
            self.live,
            scheduler,
            Head(self.live, scheduler),
            status=lambda: dict(STATUS),
            watchers_per_user=2,
            tick_s=0.05,
        ).handlers()
        self.interrupted: dict[str, Refusal] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def arrive(self, name: str, by: Principal = USER) -> LiveRequest:
        """A request that runs if the slot is free, and else waits."""
        request = LiveRequest(
            id=name,
            principal=by,
            client="127.0.0.1",
            model="tiny",
            route="/api/chat",
            arrived_at=asyncio.get_running_loop().time(),
            interrupt=lambda refusal: self.interrupted.update({name: refusal}),
        )
        self.live.add(request)
        placed = asyncio.Event()

        async def note() -> None:
            placed.set()

        async def run() -> None:
            admission = self.scheduler.admit(
                model="tiny", user=by.user, priority=by.priority, request_id=name, on_wait=note
            )
            async with admission as lease:
                request.server = lease.server
                request.started_at = asyncio.get_running_loop().time()
                request.reach(Stage.SENT)
                placed.set()
                await asyncio.Event().wait()

        self._tasks[name] = asyncio.create_task(run())
        await placed.wait()
        return request

    async def end(self, name: str, outcome: str = "ok") -> None:
        task = self._tasks.pop(name)
        task.cancel()
        await asyncio.wait([task])
        request = self.live.by_id[name]
        request.outcome = outcome
        self.live.remove(request)

    async def aclose(self) -> None:
        for name in list(self._tasks):
            await self.end(name)


@asynccontextmanager
async def desk() -> AsyncIterator[Desk]:
    async with AsyncExitStack() as stack:
        policy = Policy(max_waiting=10_000, max_waiting_per_user=10_000)
        scheduler = await stack.enter_async_context(CountingScheduler([Server(name="gpu1")], policy=policy))
        made = Desk(scheduler)
        stack.push_async_callback(made.aclose)
        yield made


def without_times(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if not key.endswith("_time") and "eta" not in key}


async def test_the_queue_has_the_documents_fields():
    async with desk() as here:
        await here.arrive("running")
        await here.arrive("first")
        await here.arrive("second", by=BOB)
        answer = (await call(here.handlers, "GET", "/api/admin/queue", by=ADMIN)).json

    assert answer.keys() == {"queue_length", "processing", "running", "entries"}
    assert (answer["queue_length"], answer["processing"], answer["running"]) == (2, True, 1)
    assert {tuple(entry) for entry in answer["entries"]} == {
        ("id", "source", "priority", "wait_time", "position", "user", "model")
    }
    # Bob has used nothing yet, so he goes before Ada.
    assert [(entry["id"], entry["position"], entry["user"]) for entry in answer["entries"]] == [
        ("second", 0, "bob"),
        ("first", 1, "ada"),
    ]
    assert all(0 <= entry["wait_time"] < 60 for entry in answer["entries"])


async def test_an_empty_queue_is_one():
    async with desk() as here:
        answer = await call(here.handlers, "GET", "/api/admin/queue", by=ADMIN)

    assert answer.json == {"queue_length": 0, "processing": False, "running": 0, "entries": []}


async def test_a_long_queue_is_shown_in_part_and_counted_whole():
    async with desk() as here:
        for number in range(301):
            await here.arrive(f"r{number}")
        answer = (await call(here.handlers, "GET", "/api/admin/queue", by=ADMIN)).json

    assert answer["queue_length"] == 300
    assert [entry["position"] for entry in answer["entries"]] == list(range(200))


async def test_a_long_queue_is_looked_through_once_for_all_who_look():
    async with desk() as here:
        for number in range(251):
            await here.arrive(f"r{number}")
        first = (await call(here.handlers, "GET", "/api/admin/queue", by=ADMIN)).json["entries"]
        looked_up = here.scheduler.looked_up
        await here.end("r1")
        second = (await call(here.handlers, "GET", "/api/admin/queue", by=ADMIN)).json["entries"]
        third = (await call(here.handlers, "GET", "/requests", by=OPERATOR)).json["requests"]

    assert looked_up == 250
    assert here.scheduler.looked_up == looked_up
    assert [entry["id"] for entry in second] == [entry["id"] for entry in first][1:]
    assert third[0]["id"] == "r0"
    assert [entry["id"] for entry in third[1:]] == [entry["id"] for entry in second]


async def test_a_user_lists_bobs_and_an_operator_everybodys():
    async with desk() as here:
        await here.arrive("running")
        await here.arrive("mine")
        await here.arrive("bobs", by=BOB)
        mine = (await call(here.handlers, "GET", "/requests", by=USER)).json
        everybodys = (await call(here.handlers, "GET", "/requests", by=OPERATOR)).json

    assert [request["id"] for request in mine["requests"]] == ["running", "mine"]
    assert mine["total"] == 2
    assert [request["id"] for request in everybodys["requests"]] == ["running", "bobs", "mine"]


async def test_a_request_tells_where_it_stands():
    async with desk() as here:
        await here.arrive("running")
        await here.arrive("waiting")
        waiting = (await call(here.handlers, "GET", "/requests/waiting")).json
        running = (await call(here.handlers, "GET", "/requests/running")).json

    common = {"user": "ada", "source": "chat", "priority": 5, "model": "tiny", "route": "/api/chat"}
    assert without_times(waiting) == common | {
        "id": "waiting",
        "state": "waiting",
        "position": 0,
        "waiting": 1,
    }
    assert without_times(running) == common | {
        "id": "running",
        "state": "sent",
        "server": "gpu1",
        "pieces": 0,
    }


@pytest.mark.parametrize(("method", "end"), [("GET", ""), ("DELETE", ""), ("GET", "/events")])
async def test_the_request_of_another_user_is_as_unknown_as_none(method: str, end: str):
    async with desk() as here:
        await here.arrive("bobs", by=BOB)
        bobs = await refused(call(here.handlers, method, f"/requests/bobs{end}", by=USER))
        none = await refused(call(here.handlers, method, f"/requests/none{end}", by=USER))

    assert (bobs.reason, none.reason) == (Reason.not_found, Reason.not_found)
    assert bobs.message.replace("bobs", "none") == none.message
    assert here.interrupted == {}


async def test_a_user_cancels_bobs_and_an_operator_any():
    async with desk() as here:
        await here.arrive("mine")
        await here.arrive("bobs", by=BOB)
        first = await call(here.handlers, "DELETE", "/requests/mine", by=USER)
        second = await call(here.handlers, "DELETE", "/requests/bobs", by=OPERATOR)

    assert (first.json, second.json) == ({"id": "mine", "cancelled": True}, {"id": "bobs", "cancelled": True})
    assert {name: (refusal.reason, refusal.message) for name, refusal in here.interrupted.items()} == {
        "mine": (Reason.cancelled, "The request was cancelled by its user."),
        "bobs": (Reason.cancelled, "The request was cancelled by an operator."),
    }


async def test_events_follow_a_request_to_its_end():
    async with desk() as here:
        await here.arrive("running")
        request = await here.arrive("mine")
        watching = start_call(here.handlers, "GET", "/requests/mine/events")
        await watching.until(lambda seen: bool(seen.events))
        await here.end("running")
        await watching.until(lambda seen: len(seen.events) == 2)
        request.reach(Stage.STREAMING)
        await watching.until(lambda seen: len(seen.events) == 3)
        await here.end("mine")
        await watching.answered()

    assert watching.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert watching.headers["cache-control"] == "no-store"
    assert [(name, data.get("state")) for name, data in watching.events] == [
        ("state", "waiting"),
        ("state", "sent"),
        ("state", "streaming"),
        ("end", None),
    ]
    assert watching.events[-1][1] == {"id": "mine", "outcome": "ok"}
    assert watching.ended


async def test_events_tell_of_a_new_position():
    async with desk() as here:
        await here.arrive("running")
        await here.arrive("before")
        await here.arrive("mine")
        watching = start_call(here.handlers, "GET", "/requests/mine/events")
        await watching.until(lambda seen: bool(seen.events))
        await here.end("before", outcome="cancelled")
        await watching.until(lambda seen: len(seen.events) == 2)
        await here.end("mine")
        await watching.answered()

    assert [(name, data["position"]) for name, data in watching.events[:2]] == [("state", 1), ("position", 0)]


async def test_a_watcher_that_leaves_is_forgotten():
    async with desk() as here:
        await here.arrive("mine")
        for _ in range(3):
            watching = start_call(here.handlers, "GET", "/requests/mine/events")
            await watching.until(lambda seen: bool(seen.events))
            watching.leave()
            await watching.answered()


async def test_one_user_watches_a_few_requests_at_a_time():
    async with desk() as here:
        await here.arrive("mine")
        watching = [start_call(here.handlers, "GET", "/requests/mine/events") for _ in range(2)]
        for each in watching:
            await each.until(lambda seen: bool(seen.events))
        refusal = await refused(call(here.handlers, "GET", "/requests/mine/events"))
        others = start_call(here.handlers, "GET", "/requests/mine/events", by=OPERATOR)
        await others.until(lambda seen: bool(seen.events))
        for each in (*watching, others):
            each.leave()
            await each.answered()

    assert (refusal.reason, refusal.status) == (Reason.too_many_streams, 429)


async def test_the_status_has_the_queues_figures_and_names_nobody():
    async with desk() as here:
        await here.arrive("running")
        await here.arrive("waiting")
        answer = await call(here.handlers, "GET", "/api/status")

    assert answer.json == STATUS | {
        "queue_stats": {"queue_size": 1, "active_requests": 1, "recent_completions": 0}
    }
    assert b"ada" not in answer.body
