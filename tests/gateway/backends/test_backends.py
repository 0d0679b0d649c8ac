"""Servers behind a gateway: what the queue is told of them, whatever they do."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from namel3ss.gateway.backends import Blame, Timing
from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.upstream import UpstreamError
from namel3ss.providers.transport.failure_kinds import Failure
from tests.gateway.backends.servers import (
    PATIENCE_S,
    Fleet,
    another,
    listed,
    listing,
    looked_after,
    plan,
    shown,
    well,
)
from tests.gateway.plans import plan_of
from tests.scheduling.clocks import ManualClock
from tests.support.scripted_server import Gate, ScriptedServer, Send, document, refusing_url, stall

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OUT_OF_MEMORY = b'{"error":"model requires more system memory (9 GiB) than is available (1 GiB)"}'
CRASHED = b'{"error":"llama runner process has terminated: exit status 2"}'


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def first() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield well(server, "tiny")


@pytest.fixture
def second() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield well(server, "tiny")


async def until(holds: Callable[[], bool]) -> None:
    """Wait for what the probes' tasks bring about; the pauses only spare the processor."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.001)


def broken() -> UpstreamError:
    return UpstreamError("gpu1", Failure.DISCONNECTED, "reset", is_answering=True)


def unreachable() -> UpstreamError:
    return UpstreamError("gpu1", Failure.REFUSED, "refused", is_answering=False)


async def crash(fleet: Fleet, server: str, model: str = "tiny", body: bytes = CRASHED) -> Blame:
    return await fleet.backends.note_sent(server, model).refused(500, body)


# -- starting -------------------------------------------------------------------------------------------------


async def test_servers_are_known_once_it_is_open(first: ScriptedServer, clock: ManualClock) -> None:
    with refusing_url() as nobody:
        async with looked_after(plan(first, nobody), clock) as fleet:
            status = [fleet.backends.status(name) for name in fleet.backends.names]

            assert fleet.queue.accepting == {"gpu1"}

    assert [(known.state, known.version) for known in status] == [("up", "0.24.0"), ("down", None)]
    assert status[1].reason == "the connection was refused"
    assert {(event["server"], event["health"]) for event in fleet.counted.of("server_health")} == {
        ("gpu1", "up"),
        ("gpu2", "down"),
    }


async def test_opening_that_is_given_up_leaves_nothing_behind(
    first: ScriptedServer, clock: ManualClock
) -> None:
    gate = stall()
    first.on("/api/version", [gate])
    before = asyncio.all_tasks()

    async def open_and_close() -> None:
        async with looked_after(plan(first), clock):
            pass

    opening = asyncio.create_task(open_and_close())
    await gate.arrived.reached()
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening

    assert asyncio.all_tasks() == before
    await first.connections_reached(0)


@pytest.mark.parametrize(
    "script",
    [
        document(b"Ollama is running"),
        document({"version": ""}),
        document({}),
        document({}, 404),
        [Send(b"SSH-2.0\r\n")],
    ],
    ids=["text", "empty", "object", "404", "another protocol"],
)
async def test_something_else_that_listens_there_is_no_server(
    first: ScriptedServer, clock: ManualClock, script: list[Send]
) -> None:
    first.on("/api/version", script)

    async with looked_after(plan(first), clock) as fleet:
        assert fleet.queue.accepting == set()


async def test_key_of_a_server_goes_with_every_question(first: ScriptedServer, clock: ManualClock) -> None:
    given = plan(first)
    keyed = replace(given, backends=tuple(replace(b, api_key=SecretStr("hush")) for b in given.backends))
    async with looked_after(keyed, clock) as fleet:
        assert "hush" not in repr(fleet.backends.status("gpu1"))

    assert {request.header("authorization") for request in first.requests} == {"Bearer hush"}


# -- what the queue is told -----------------------------------------------------------------------------------


async def test_models_that_a_server_lacks_are_told(
    first: ScriptedServer, second: ScriptedServer, clock: ManualClock
) -> None:
    well(second, "tiny", "big")

    async with looked_after(plan(first, second, models=("tiny", "big")), clock) as fleet:
        assert fleet.queue.servers["gpu1"].missing == {"big"}
        assert fleet.queue.servers["gpu2"].missing == set()


async def test_slots_are_one_for_embedding_models_and_some_families(
    first: ScriptedServer, clock: ManualClock
) -> None:
    well(first, "embed", listed("seer", family="mllama"), "tiny").on(
        "/api/show", shown("embedding"), shown(), shown()
    )

    async with looked_after(plan(first, models=("embed", "seer", "tiny")), clock) as fleet:
        told = fleet.queue.servers["gpu1"]

    assert {model: told.slots_for(model) for model in ("embed", "seer", "tiny")} == {
        "embed": 1,
        "seer": 1,
        "tiny": 4,
    }


async def test_names_of_one_model_file_share_its_slots(first: ScriptedServer, clock: ManualClock) -> None:
    well(first, "tiny", "coder", "other").on("/api/show", shown(blob="a"), shown(blob="a"), shown(blob="b"))

    async with looked_after(plan(first, models=("tiny", "coder", "other")), clock) as fleet:
        keys = [fleet.backends.model_key(name) for name in ("tiny", "CODER:latest", "other", "unknown")]

    assert keys == ["tiny", "tiny", "other", "unknown"]


async def test_request_that_waits_under_an_earlier_key_is_still_served(
    first: ScriptedServer, clock: ManualClock
) -> None:
    well(first, "tiny", "coder").on("/api/show", shown(blob="a"), shown(blob="b"))
    async with looked_after(plan(first, models=("tiny", "coder")), clock) as fleet:
        earlier = fleet.backends.model_key("coder")
        first.on("/api/tags", listing(listed("tiny", digest="x"), listed("coder", digest="x")))
        await fleet.backends.refresh("gpu1")

        async with fleet.queue.admit(model=earlier, max_wait_s=5.0) as lease:
            assert lease.server == "gpu1"
        assert (earlier, fleet.backends.model_key("coder")) == ("coder", "tiny")


async def test_loaded_models_are_told_by_the_key_that_counts(
    first: ScriptedServer, clock: ManualClock
) -> None:
    well(first, "tiny", "coder").on("/api/show", shown(blob="a")).on("/api/ps", listing("coder", "stranger"))

    async with looked_after(plan(first, models=("tiny", "coder")), clock) as fleet:
        assert fleet.queue.loaded["gpu1"] == {"tiny", "stranger:latest"}


async def test_server_that_keeps_more_loaded_than_usual_is_believed(
    first: ScriptedServer, clock: ManualClock
) -> None:
    first.on("/api/ps", listing(*(f"m{number}" for number in range(5))))

    async with looked_after(plan(first), clock) as fleet:
        assert fleet.queue.servers["gpu1"].max_loaded_models == 5


# -- evidence -------------------------------------------------------------------------------------------------


async def test_nothing_is_sent_to_a_suspected_server_until_a_probe_clears_it(
    first: ScriptedServer, clock: ManualClock
) -> None:
    async with looked_after(plan(first), clock) as fleet:
        gate = Gate()
        first.on("/api/version", [gate, *document({"version": "0.24.0"})])

        await fleet.backends.note_sent("gpu1", "tiny").failed(broken())
        while_asked = set(fleet.queue.accepting)
        await gate.arrived.reached()
        gate.open()
        await until(lambda: fleet.queue.accepting == {"gpu1"})

    assert while_asked == set()


async def test_requests_may_wait_while_the_only_server_is_suspected(
    first: ScriptedServer, clock: ManualClock
) -> None:
    async with looked_after(plan(first), clock) as fleet:
        gate = Gate()
        first.on("/api/version", [gate, *document({"version": "0.24.0"})])
        await fleet.backends.note_sent("gpu1", "tiny").failed(broken())
        assert fleet.queue.accepting == set()

        async def wait() -> str:
            async with fleet.queue.admit(model="tiny") as lease:
                return lease.server

        waiting = asyncio.create_task(wait())
        await gate.arrived.reached()
        gate.open()

        assert await waiting == "gpu1"


@pytest.mark.fault(58)
async def test_killed_server_is_left_at_the_first_request_and_comes_back_slowly(clock: ManualClock) -> None:
    with ScriptedServer() as server:
        well(server, "tiny").on("/api/ps", listing("tiny"))
        async with looked_after(plan(server), clock) as fleet:
            assert fleet.queue.loaded["gpu1"] == {"tiny"}
            server.on("/api/version", document({}, 500))
            await fleet.backends.note_sent("gpu1", "tiny").failed(unreachable())
            await until(lambda: fleet.backends.status("gpu1").state == "down")
            told_down = fleet.queue.servers["gpu1"]
            loaded_down = fleet.queue.loaded["gpu1"]
            server.on("/api/version", document({"version": "0.24.1"}))
            server.on("/api/ps", listing())
            await again(fleet, server)
            await again(fleet, server)
            await until(lambda: fleet.queue.accepting == {"gpu1"})
            slots = [fleet.queue.servers["gpu1"].slots]
            for _ in range(2):
                fleet.backends.note_sent("gpu1", "tiny").ok()
                seen = slots[-1]
                await until(lambda seen=seen: fleet.queue.servers["gpu1"].slots > seen)  # type: ignore[misc]
                slots.append(fleet.queue.servers["gpu1"].slots)
            version = fleet.backends.version("gpu1")

    assert not told_down.accepting
    assert loaded_down == set()
    assert slots == [1, 2, 4]
    assert version == "0.24.1"


async def again(fleet: Fleet, server: ScriptedServer, seconds: float = 6.0) -> None:
    """Let time pass, and the next probe happen."""
    await until(lambda: fleet.clock.pending > 0)
    before = server.paths().count("/api/version")
    fleet.clock.advance(seconds)
    await until(lambda: server.paths().count("/api/version") > before)


@pytest.mark.fault(59)
async def test_frozen_server_is_down_though_it_accepts_connections(
    first: ScriptedServer, clock: ManualClock
) -> None:
    quick = Timing(probe_s=0.05, question_s=5.0)
    async with looked_after(plan(first), clock, timing=quick) as fleet:
        first.on("/api/version", [stall()])
        timeout = UpstreamError("gpu1", Failure.TIMEOUT, "silence", is_answering=False)

        await fleet.backends.note_sent("gpu1", "tiny").failed(timeout)
        await until(lambda: fleet.clock.pending > 0)
        await again(fleet, first)
        await until(lambda: fleet.backends.status("gpu1").state == "down")

        assert fleet.backends.status("gpu1").reason == Failure.TIMEOUT.value


@pytest.mark.parametrize("status", [400, 404, 422])
async def test_mistakes_of_users_change_nothing(
    first: ScriptedServer, clock: ManualClock, status: int
) -> None:
    async with looked_after(plan(first), clock) as fleet:
        before, asked = fleet.queue.servers["gpu1"], len(first.requests)
        for _ in range(10):
            await fleet.backends.note_sent("gpu1", "tiny").refused(status, b'{"error":"no such option"}')
            fleet.backends.note_sent("gpu1", "tiny").left()

        assert fleet.queue.servers["gpu1"] == before
        assert len(first.requests) == asked


@pytest.mark.fault(61)
async def test_crashing_runner_is_left_alone_on_that_server_only(
    first: ScriptedServer, second: ScriptedServer, clock: ManualClock
) -> None:
    for server in (first, second):
        well(server, "tiny", "other")
    async with looked_after(plan(first, second, models=("tiny", "other")), clock) as fleet:
        for _ in range(3):
            assert fleet.queue.servers["gpu1"].missing == set()
            await crash(fleet, "gpu1")
        resting = fleet.queue.servers["gpu1"]
        fleet.clock.advance(5.5)
        await until(lambda: fleet.queue.servers["gpu1"].missing == set())
        trying = fleet.queue.servers["gpu1"]
        fleet.backends.note_sent("gpu1", "tiny").ok()
        await until(lambda: fleet.queue.servers["gpu1"].slots_for("tiny") == 4)

    assert resting.accepting
    assert resting.missing == {"tiny"}
    assert (trying.slots_for("tiny"), trying.slots_for("other")) == (1, 4)
    assert {"server": "gpu1", "reason": "model_failing"} in fleet.counted.of("ejected")


@pytest.mark.fault(65)
async def test_model_that_does_not_fit_is_sent_elsewhere_at_once(
    first: ScriptedServer, second: ScriptedServer, clock: ManualClock
) -> None:
    async with looked_after(plan(first, second), clock) as fleet:
        blame = await crash(fleet, "gpu1", body=OUT_OF_MEMORY)

        assert blame is Blame.MEMORY
        assert fleet.queue.servers["gpu1"].missing == {"tiny"}
        assert fleet.queue.servers["gpu2"].missing == set()


async def test_last_server_of_a_model_is_never_given_up_but_tried_one_at_a_time(
    first: ScriptedServer, second: ScriptedServer, clock: ManualClock
) -> None:
    async with looked_after(plan(first, second), clock) as fleet:
        await crash(fleet, "gpu1", body=OUT_OF_MEMORY)
        fleet.clock.advance(1.0)
        await crash(fleet, "gpu2", body=OUT_OF_MEMORY)

        # The one whose rest ends first.
        assert fleet.queue.servers["gpu1"].missing == set()
        assert fleet.queue.servers["gpu1"].slots_for("tiny") == 1
        assert fleet.queue.servers["gpu2"].missing == {"tiny"}


async def test_last_usable_server_is_never_ejected(first: ScriptedServer, clock: ManualClock) -> None:
    async with looked_after(plan(first), clock) as fleet:
        for _ in range(4):
            await fleet.backends.note_sent("gpu1", "tiny").failed(broken())
            await until(lambda: fleet.queue.accepting == {"gpu1"})

        told, state = fleet.queue.servers["gpu1"], fleet.backends.status("gpu1").state

    assert (told.accepting, told.slots) == (True, 1)
    assert state == "resting"


async def test_server_that_keeps_breaking_off_rests_while_another_works(
    first: ScriptedServer, second: ScriptedServer, clock: ManualClock
) -> None:
    async with looked_after(plan(first, second), clock) as fleet:
        for _ in range(2):
            await fleet.backends.note_sent("gpu1", "tiny").failed(broken())
            await until(lambda: fleet.queue.accepting == {"gpu1", "gpu2"})
        await fleet.backends.note_sent("gpu1", "tiny").failed(broken())
        await until(lambda: fleet.backends.status("gpu1").state == "resting")

        assert fleet.queue.accepting == {"gpu2"}
        fleet.clock.advance(5.5)
        await until(lambda: fleet.queue.accepting == {"gpu1", "gpu2"})


@pytest.mark.fault(62)
async def test_model_deleted_meanwhile_is_noticed_by_the_request_and_looked_for_again(
    first: ScriptedServer, second: ScriptedServer, clock: ManualClock
) -> None:
    async with looked_after(plan(first, second), clock) as fleet:
        first.on("/api/tags", listing())
        blame = await fleet.backends.note_sent("gpu1", "tiny").refused(
            404, b'{"error":"model \'tiny\' not found"}'
        )
        missing = fleet.queue.servers["gpu1"].missing
        await until(lambda: first.paths().count("/api/tags") == 2)

        assert blame is Blame.MISSING
        assert missing == {"tiny"}
        assert fleet.queue.servers["gpu2"].missing == set()


@pytest.mark.fault(63)
async def test_new_digest_is_seen_after_a_change_and_by_itself(
    first: ScriptedServer, clock: ManualClock
) -> None:
    async with looked_after(plan(first), clock) as fleet:
        digests = [fleet.backends.digest("tiny")]
        first.on("/api/tags", listing(listed("tiny", digest="new")))
        await fleet.backends.refresh("gpu1")
        digests.append(fleet.backends.digest("tiny"))
        first.on("/api/tags", listing(listed("tiny", digest="newer")))
        for _ in range(2):
            await again(fleet, first, 31.0)
            fleet.backends.note_sent("gpu1", "tiny").ok()
        await until(lambda: fleet.backends.digest("tiny") == "newer")

    assert digests == ["digest-of-tiny:latest", "new"]


async def test_digest_is_unknown_where_servers_differ(
    first: ScriptedServer, second: ScriptedServer, clock: ManualClock
) -> None:
    well(second, listed("tiny", digest="another"))

    async with looked_after(plan(first, second), clock) as fleet:
        assert fleet.backends.digest("tiny") is None


@pytest.mark.fault(64)
async def test_loading_model_can_be_seen(first: ScriptedServer, clock: ManualClock) -> None:
    async with looked_after(plan(first), clock) as fleet:
        loading = fleet.backends.note_sent("gpu1", "tiny", cold=True)
        during = fleet.backends.status("gpu1").loading
        loading.first_token()
        after = fleet.backends.status("gpu1").loading
        loading.ok()

    assert (during, after) == (("tiny",), ())


@pytest.mark.fault(67)
async def test_each_model_goes_where_it_is_and_versions_are_told(
    first: ScriptedServer, second: ScriptedServer, clock: ManualClock
) -> None:
    well(first, "tiny", version="0.24.0")
    well(second, "big", version="0.30.1").on("/api/show", shown("completion", "tools"))

    async with looked_after(plan(first, second, models=("tiny", "big")), clock) as fleet:
        places = {}
        for model in ("tiny", "big"):
            async with fleet.queue.admit(model=fleet.backends.model_key(model)) as lease:
                places[model] = lease.server
        versions = [fleet.backends.version(name) for name in fleet.backends.names]
        abilities = fleet.backends.capabilities("big")

    assert places == {"tiny": "gpu1", "big": "gpu2"}
    assert versions == ["0.24.0", "0.30.1"]
    assert abilities == frozenset({"completion", "tools"})


@pytest.mark.security(47)
async def test_old_version_is_warned_of_once(
    first: ScriptedServer, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    well(first, "tiny", version="0.9.6")

    async with looked_after(plan(first), clock) as fleet:
        await again(fleet, first, 34.0)
        warning = fleet.backends.status("gpu1").warning

    assert warning is not None
    assert [record.message for record in caplog.records if "known holes" in record.message] == [
        f"The server gpu1: {warning}"
    ]


# -- attempts -------------------------------------------------------------------------------------------------


async def test_attempt_ends_once(first: ScriptedServer, clock: ManualClock) -> None:
    async with looked_after(plan(first), clock) as fleet:
        attempt = fleet.backends.note_sent("gpu1", "tiny")
        attempt.ok()
        for _ in range(5):
            await attempt.failed(broken())
        attempt.first_token()

        assert attempt.left() == 0.0
        assert fleet.backends.status("gpu1").in_flight == 0
        assert fleet.queue.accepting == {"gpu1"}


@pytest.mark.fault(49)
async def test_slot_drains_for_the_rest_of_the_learnt_time_only_before_the_first_token(
    first: ScriptedServer, clock: ManualClock
) -> None:
    async with looked_after(plan(first), clock) as fleet:
        learnt = fleet.backends.note_sent("gpu1", "tiny")
        clock.advance(4.0)
        learnt.first_token()
        learnt.ok()

        silent, answering = (fleet.backends.note_sent("gpu1", "tiny") for _ in range(2))
        clock.advance(1.0)

        assert silent.left() == 3.0
        answering.first_token()
        assert answering.left() == 0.0


# -- administration -------------------------------------------------------------------------------------------


@pytest.mark.security(6)
async def test_drained_server_gets_nothing_from_that_moment_and_ends_what_it_has(
    first: ScriptedServer, second: ScriptedServer, clock: ManualClock
) -> None:
    async with looked_after(plan(first, second), clock) as fleet:
        running = fleet.backends.note_sent("gpu1", "tiny")
        await fleet.backends.drain("gpu1")
        places = set()
        for _ in range(5):
            async with fleet.queue.admit(model="tiny") as lease:
                places.add(lease.server)
        running.ok()
        drained = fleet.backends.status("gpu1").state
        await fleet.backends.resume("gpu1")

        assert places == {"gpu2"}
        assert drained == "drained"
        assert fleet.queue.accepting == {"gpu1", "gpu2"}


async def test_server_can_be_added_and_removed_while_others_run(
    first: ScriptedServer, second: ScriptedServer, clock: ManualClock
) -> None:
    async with looked_after(plan(first), clock) as fleet:
        await fleet.backends.add(another("extra", second))
        await until(lambda: fleet.queue.accepting == {"gpu1", "extra"})
        with pytest.raises(Refusal) as taken:
            await fleet.backends.add(another("extra", second))
        running = fleet.backends.note_sent("extra", "tiny")
        await fleet.backends.remove("extra")
        with pytest.raises(Refusal) as unknown:
            fleet.backends.upstream("extra")
        still_open = running.server
        running.ok()
        await second.connections_reached(0)

    assert taken.value.reason is Reason.conflict
    assert unknown.value.reason is Reason.not_found
    assert still_open == "extra"
    assert set(fleet.queue.servers) == {"gpu1"}


async def test_reason_for_having_no_server_is_the_true_one(first: ScriptedServer, clock: ManualClock) -> None:
    async with looked_after(plan(first, models=("tiny", "big")), clock) as fleet:
        absent = fleet.backends.why_nowhere("big").reason
        await fleet.backends.drain("gpu1")
        down = fleet.backends.why_nowhere("tiny").reason

    assert (absent, down) == (Reason.model_not_found, Reason.server_down)


async def test_model_that_came_to_a_server_unseen_is_there_the_second_time_somebody_asks_for_it(
    first: ScriptedServer, clock: ManualClock
) -> None:
    async with looked_after(plan(first, models=("tiny", "big")), clock) as fleet:
        first.on("/api/tags", listing("tiny", "big"))
        for _ in range(3):
            refusal = fleet.backends.why_nowhere("big")
        await until(lambda: not fleet.queue.servers["gpu1"].missing)

        assert refusal.reason is Reason.model_not_found
        assert first.paths().count("/api/tags") == 2


async def test_servers_are_not_asked_again_and_again_for_a_model_that_is_nowhere(
    first: ScriptedServer, clock: ManualClock
) -> None:
    async with looked_after(plan(first, models=("tiny", "big")), clock) as fleet:
        fleet.backends.why_nowhere("big")
        await until(lambda: first.paths().count("/api/ps") == 2)
        clock.advance(1.9)
        fleet.backends.why_nowhere("big")
        await fleet.backends.refresh("gpu1")  # takes longer than the beginning of a probe
        probes = first.paths().count("/api/version")
        clock.advance(0.2)
        fleet.backends.why_nowhere("big")
        await until(lambda: first.paths().count("/api/version") == 3)

        assert probes == 2


async def test_whoever_wants_to_know_hears_of_each_server_that_comes_up(
    first: ScriptedServer, second: ScriptedServer, clock: ManualClock
) -> None:
    heard: list[str] = []
    async with looked_after(plan(first), clock) as fleet:
        fleet.backends.on_up(heard.append)
        await fleet.backends.add(another("extra", second))
        await until(lambda: heard == ["gpu1", "extra"])


async def test_declared_models_to_be_pulled_are_those_that_a_server_lacks(
    first: ScriptedServer, clock: ManualClock
) -> None:
    given = plan_of(
        f'ai model a {{ provider: ollama  model: "tiny"  auto_pull_model: true }}\n'
        f'ai model b {{ provider: ollama  model: "big"  auto_pull_model: true }}\n'
        f'ai model c {{ provider: ollama  model: "other" }}\n'
        f'server gpu1 {{ base_url: "{first.url}" }}\ngateway team {{ }}\n'
    )
    async with looked_after(given, clock) as fleet:
        assert fleet.backends.to_pull("gpu1") == ("big",)


# -- at rest --------------------------------------------------------------------------------------------------


async def test_gateway_at_rest_asks_two_questions_a_minute(first: ScriptedServer, clock: ManualClock) -> None:
    async with looked_after(plan(first), clock) as fleet:
        started = len(first.requests)
        for _ in range(8):
            await again(fleet, first, 34.0)
        asked = first.requests[started:]

    assert len([request for request in asked if request.path == "/api/version"]) <= 9
    assert {request.path for request in asked} == {"/api/version"}


async def test_server_that_comes_into_use_is_probed_as_often_as_one_in_use(
    first: ScriptedServer, clock: ManualClock
) -> None:
    async with looked_after(plan(first), clock) as fleet:
        started = len(first.requests)
        clock.advance(10.0)
        at_rest = len(first.requests) - started

        running = fleet.backends.note_sent("gpu1", "tiny")
        await again(fleet, first, 5.5)
        running.ok()

    assert at_rest == 0


@pytest.mark.fault(60)
async def test_many_failures_at_once_lead_to_one_probe_at_a_time(
    first: ScriptedServer, clock: ManualClock
) -> None:
    async with looked_after(plan(first), clock) as fleet:
        gate = Gate()
        first.on("/api/version", [gate, *document({"version": "0.24.0"})])
        before = first.paths().count("/api/version")
        attempts = [fleet.backends.note_sent("gpu1", "tiny") for _ in range(30)]
        for attempt in attempts:
            await attempt.failed(broken())
        await gate.arrived.reached()
        asked = first.paths().count("/api/version") - before
        gate.open()
        await until(lambda: fleet.queue.accepting == {"gpu1"})

    assert asked == 1


async def test_closing_ends_a_probe_that_hangs(first: ScriptedServer, clock: ManualClock) -> None:
    async with looked_after(plan(first), clock) as fleet:
        gate = Gate()
        first.on("/api/version", [gate])
        await fleet.backends.note_sent("gpu1", "tiny").failed(broken())
        await gate.arrived.reached()
    # looked_after has closed it; the suite's fixtures look for tasks and sockets.
    assert first.requests[-1].path == "/api/version"
