"""A model that hangs on a healthy server: noticed, unloaded once, and those who wait are told when to send again."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from namel3ss.gateway.backends import Timing
from tests.gateway.backends.servers import PATIENCE_S, Fleet, listing, looked_after, plan, well
from tests.scheduling.clocks import ManualClock
from tests.support.scripted_server import ScriptedServer, document, stall

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from namel3ss.gateway.backends import Attempt
    from tests.support.scripted_server import Script

pytestmark = pytest.mark.fault(75)

# How long a second request must get nothing is real time; everything else is the clock's.
IMPATIENT = Timing(probe_s=5.0, question_s=5.0, second_try_s=0.1, unload_s=5.0)
PATIENT = replace(IMPATIENT, second_try_s=5.0)
ANSWER = document({"response": "x", "done": True})
UNLOADED = document({"done": True, "done_reason": "unload"})


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


class HangingServer(ScriptedServer):
    """It has `tiny` loaded, and `tiny` hangs until it is unloaded."""

    def __init__(self) -> None:
        super().__init__()
        self.is_well = True
        self.is_loaded = True
        self.hangs = True
        self.is_unloading = False
        self.looks_before_unloaded: int | None = 0
        """How often it still lists the model after it was told to unload it; None: for ever."""
        self.capability = "completion"
        self.answer_with(self._answer)

    def asked(self, path: str) -> list[dict[str, object]]:
        return [request.json for request in self.requests if request.path == path]

    def _answer(self, path: str) -> Script:
        match path:
            case "/api/version":
                return document({"version": "0.24.0"}, 200 if self.is_well else 500)
            case "/api/tags":
                return listing("tiny")
            case "/api/show":
                return document({"capabilities": [self.capability]})
            case "/api/ps":
                return listing(*(["tiny"] if self._lists_it() else []))
            case _ if self.requests[-1].json.get("keep_alive") == 0:
                self.hangs, self.is_unloading = False, True
                return UNLOADED
        return [stall()] if self.hangs else ANSWER

    def _lists_it(self) -> bool:
        if self.is_loaded and self.is_unloading and self.looks_before_unloaded is not None:
            self.is_loaded = self.looks_before_unloaded > 0
            self.looks_before_unloaded -= 1
        return self.is_loaded


@pytest.fixture
def server() -> Iterator[HangingServer]:
    with HangingServer() as server:
        yield server


class Waiting:
    """A request as its sender sees it."""

    def __init__(self, fleet: Fleet, *, whole: bool = False, prompt_tokens: int = 10) -> None:
        self.told: list[asyncio.Future[bool]] = []
        self.attempt: Attempt = fleet.backends.note_sent(
            "gpu1",
            "tiny",
            prompt_tokens=prompt_tokens,
            loader={"num_ctx": 4096},
            on_wedged=self._hear,
            whole=whole,
        )

    def _hear(self, cured: asyncio.Future[bool]) -> None:
        self.told.append(cured)
        self.attempt.left()

    async def cured(self) -> bool:
        await until(lambda: bool(self.told))
        async with asyncio.timeout(PATIENCE_S):
            return await self.told[0]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.001)


async def test_model_that_hangs_is_unloaded_and_those_who_wait_send_again(
    server: HangingServer, clock: ManualClock
) -> None:
    async with looked_after(plan(server), clock, timing=IMPATIENT) as fleet:
        waiting = [Waiting(fleet), Waiting(fleet)]
        clock.advance(61.0)
        assert not server.asked("/api/generate")  # 60 s beyond the 2 s that a warm model is given

        clock.advance(2.0)
        outcomes = [await each.cured() for each in waiting]
        await until(lambda: fleet.queue.servers["gpu1"].accepting)
        loaded = fleet.backends.status("gpu1").loaded

    assert outcomes == [True, True]
    assert server.asked("/api/generate") == [
        {"model": "tiny", "stream": False, "prompt": ".", "options": {"num_ctx": 4096, "num_predict": 1}},
        {"model": "tiny", "keep_alive": 0, "stream": False},
    ]
    assert server.requests[-1].path == "/api/ps"
    assert loaded == ()
    assert fleet.counted.of("wedged") == [{"server": "gpu1", "model": "tiny"}]


async def test_unloading_waits_until_the_server_has_let_go(server: HangingServer, clock: ManualClock) -> None:
    async with looked_after(plan(server), clock, timing=IMPATIENT) as fleet:
        server.looks_before_unloaded = 1
        waiting = Waiting(fleet)
        clock.advance(63.0)
        await until(lambda: bool(waiting.told))
        at_first = waiting.told[0].done()

        assert await waiting.cured()
        assert not at_first
        assert server.paths()[-4:].count("/api/ps") >= 2


async def test_second_request_that_is_answered_says_that_nothing_hangs(
    server: HangingServer, clock: ManualClock
) -> None:
    async with looked_after(plan(server), clock, timing=PATIENT) as fleet:
        server.hangs = False
        waiting = Waiting(fleet)
        clock.advance(63.0)
        await until(lambda: len(server.asked("/api/generate")) == 1)
        await until(lambda: clock.pending > 0)
        waiting.attempt.first_token()
        waiting.attempt.ok()

        assert waiting.told == []
        assert not fleet.counted.of("wedged")


@pytest.mark.parametrize("why", ["another is answered", "another drains", "not loaded", "server not well"])
async def test_model_is_left_alone_where_something_else_explains_the_silence(
    server: HangingServer, clock: ManualClock, why: str
) -> None:
    async with looked_after(plan(server), clock, timing=IMPATIENT) as fleet:
        waiting = Waiting(fleet)
        other = Waiting(fleet)
        clock.advance(58.0)
        if why == "another is answered":
            other.attempt.first_token()
        elif why == "another drains":
            learnt = Waiting(fleet)
            clock.advance(4.0)
            learnt.attempt.first_token()
            learnt.attempt.ok()
            assert Waiting(fleet).attempt.left() > 0
        elif why == "not loaded":
            server.is_loaded = False
        else:
            server.is_well = False
        asked = len(server.requests)
        clock.advance(5.0)
        if why in ("not loaded", "server not well"):
            await server.requests_reached(asked + 1)
        await asyncio.sleep(0)
        waiting.attempt.left()
        other.attempt.left()

    assert waiting.told == []
    assert not server.asked("/api/generate")


async def test_server_that_others_use_directly_is_never_touched(
    server: HangingServer, clock: ManualClock
) -> None:
    shared = plan(server)
    shared = replace(shared, backends=tuple(replace(each, shared=True) for each in shared.backends))
    async with looked_after(shared, clock, timing=IMPATIENT) as fleet:
        waiting = Waiting(fleet)
        for _ in range(5):
            clock.advance(100.0)
        waiting.attempt.left()

    assert waiting.told == []
    assert not server.asked("/api/generate")


async def test_wedge_after_none_turns_it_off(server: HangingServer, clock: ManualClock) -> None:
    async with looked_after(plan(server, settings="wedge_after: none"), clock, timing=IMPATIENT) as fleet:
        waiting = Waiting(fleet)
        clock.advance(10_000.0)
        waiting.attempt.left()

    assert not server.asked("/api/generate")


async def test_model_is_unloaded_once_in_ten_minutes_and_then_left_for_another_server(
    server: HangingServer, clock: ManualClock
) -> None:
    with ScriptedServer() as other:
        well(other, "tiny")
        async with looked_after(plan(server, other), clock, timing=IMPATIENT) as fleet:
            first = Waiting(fleet)
            clock.advance(63.0)
            assert await first.cured()

            server.is_loaded, server.hangs, server.is_unloading = True, True, False
            second = Waiting(fleet)
            await asyncio.sleep(0)  # the first look into it is over
            clock.advance(300.0)
            cured = await second.cured()
            missing = fleet.queue.servers["gpu1"].missing

    assert not cured
    assert missing == {"tiny"}
    assert len([body for body in server.asked("/api/generate") if body.get("keep_alive") == 0]) == 1
    assert len(fleet.counted.of("wedged")) == 2


async def test_server_that_does_not_unload_is_not_waited_for(
    server: HangingServer, clock: ManualClock
) -> None:
    async with looked_after(plan(server), clock, timing=replace(IMPATIENT, unload_s=0.1)) as fleet:
        server.looks_before_unloaded = None
        waiting = Waiting(fleet)
        clock.advance(63.0)

        assert not await waiting.cured()


async def test_long_prompts_and_models_known_to_be_slow_are_given_longer(
    server: HangingServer, clock: ManualClock
) -> None:
    async with looked_after(plan(server), clock, timing=PATIENT) as fleet:
        server.hangs = False
        learnt = Waiting(fleet, prompt_tokens=100)
        clock.advance(10.0)
        learnt.attempt.first_token()
        learnt.attempt.ok()

        long = Waiting(fleet, prompt_tokens=2_000)
        clock.advance(255.0)
        early = len(server.asked("/api/generate"))
        clock.advance(10.0)
        await until(lambda: len(server.asked("/api/generate")) == 1)
        long.attempt.left()

    assert early == 0


async def test_answer_that_comes_whole_may_take_ten_minutes(
    server: HangingServer, clock: ManualClock
) -> None:
    async with looked_after(plan(server), clock, timing=IMPATIENT) as fleet:
        waiting = Waiting(fleet, whole=True)
        clock.advance(655.0)
        early = len(server.asked("/api/generate"))
        clock.advance(10.0)

        assert await waiting.cured()
        assert early == 0


async def test_embedding_model_is_asked_to_embed(server: HangingServer, clock: ManualClock) -> None:
    server.capability = "embedding"
    async with looked_after(plan(server), clock, timing=IMPATIENT) as fleet:
        waiting = Waiting(fleet)
        clock.advance(63.0)

        assert await waiting.cured()

    assert server.asked("/api/embed") == [
        {"model": "tiny", "stream": False, "input": ".", "options": {"num_ctx": 4096}}
    ]


async def test_at_rest_nothing_is_watched(server: HangingServer, clock: ManualClock) -> None:
    async with looked_after(plan(server), clock, timing=IMPATIENT) as fleet:
        for _ in range(100):
            done = Waiting(fleet)
            done.attempt.ok()
        busy = clock.pending
        clock.advance(61.0)
        await until(lambda: clock.pending > 0)

        assert busy <= 2  # one for the next probe, one for all that is silent
        assert json.dumps(server.asked("/api/generate")) == "[]"


async def test_closing_tells_those_who_wait_that_nothing_was_cured(
    server: HangingServer, clock: ManualClock
) -> None:
    async with looked_after(plan(server), clock, timing=IMPATIENT) as fleet:
        server.looks_before_unloaded = None
        waiting = Waiting(fleet)
        clock.advance(63.0)
        await until(lambda: bool(waiting.told))

    assert waiting.told[0].result() is False


async def test_slow_line_is_enough_to_show_life(server: HangingServer, clock: ManualClock) -> None:
    """A stream that has begun is no business of this watch, however slow it is."""
    async with looked_after(plan(server), clock, timing=IMPATIENT) as fleet:
        streaming = Waiting(fleet)
        streaming.attempt.first_token()
        clock.advance(5_000.0)
        await asyncio.sleep(0)
        streaming.attempt.ok()

    assert not server.asked("/api/generate")
