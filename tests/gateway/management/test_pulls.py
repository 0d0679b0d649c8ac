"""A pull is a job of the gateway: one for each server and model, whoever asks and whoever leaves."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from namel3ss.gateway.errors import Reason
from namel3ss.gateway.management.pulls import Pulls
from namel3ss.gateway.principal import Scope
from namel3ss.gateway.store.records import StoredPull
from namel3ss.sandbox import SandboxOptions, SandboxServer
from tests.gateway.management.calling import (
    OPERATOR,
    OpenPullLog,
    call,
    managing,
    principal,
    refused,
    start_call,
)
from tests.support.scripted_server import Gate, Reset, Send, chunk, document, head, line, lines, refusing_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.scripted_server import Script, ScriptedServer

PROGRAM = """
ai model chat_model {{ provider: ollama  model: "llama3:8b" }}
gateway team {{ pull: {{ allow: ["llama3:*", "qwen2.5:*"] {more} }} }}
"""
ALLOWING = PROGRAM.format(more="")
MANAGED = "/api/providers/ollama/pull"
PULLS = "/api/providers/ollama/pulls"
DIGEST = "sha256:" + "9da5a08d1105" + "0" * 52


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(SandboxOptions(pull_seconds=0.0)) as server:
        yield server


def listing(*names: str) -> Script:
    return document({"models": [{"name": name, "digest": "aa"} for name in names]})


def layer(completed: int, total: int = 1000) -> dict[str, object]:
    return {"status": "pulling 9da5a08d1105", "digest": DIGEST, "total": total, "completed": completed}


def held_pull(gate: Gate) -> Script:
    """A download that stands still until the gate opens."""
    return [
        Send(head(chunked=True)),
        Send(chunk(line({"status": "pulling manifest"}))),
        Send(chunk(line(layer(100)))),
        gate,
        Send(chunk(line(layer(1000)))),
        Send(chunk(line({"status": "success"}))),
        Send(b"0\r\n\r\n"),
    ]


# -- Ollama's own route ---------------------------------------------------------------------------------------


async def test_a_pull_speaks_ollamas_lines(sandbox: SandboxServer):
    async with managing(ALLOWING, {"gpu1": sandbox.url}) as here:
        answer = await call(here.handlers, "POST", "/api/pull", {"model": "llama3:8b"}, by=OPERATOR)
        listed = await here.servers.ask("gpu1", "GET", "/api/tags")

    assert answer.status == 200
    assert answer.headers["content-type"] == "application/x-ndjson"
    statuses = [each["status"] for each in answer.lines]
    assert statuses[0] == "pulling manifest"
    assert statuses[-3:] == ["verifying sha256 digest", "writing manifest", "success"]
    layers = [each for each in answer.lines if "digest" in each]
    assert layers
    assert all(each["status"] == f"pulling {each['digest'][7:19]}" for each in layers)
    assert all(each["completed"] == each["total"] for each in layers)
    assert b'"llama3:8b"' in listed.body


async def test_without_a_stream_only_the_end_is_told(sandbox: SandboxServer):
    async with managing(ALLOWING, {"gpu1": sandbox.url}) as here:
        answer = await call(
            here.handlers, "POST", "/api/ollama/pull", {"name": "llama3:8b", "stream": False}, by=OPERATOR
        )

    assert answer.json == {"status": "success"}


@pytest.mark.security(36)
async def test_nothing_but_the_name_arrives(upstream: ScriptedServer):
    upstream.on("/api/pull", lines({"status": "success"})).on("/api/tags", listing("llama3:8b"))
    body = {
        "model": "llama3:8b",
        "name": "evil.example/x/y",
        "insecure": True,
        "username": "u",
        "password": "p",
        "bypass_filter": True,
        "url_idx": 1,
        "Model": "evil.example/x/y",
        "INSECURE": True,
    }
    async with managing(ALLOWING, {"gpu1": upstream.url}) as here:
        await call(here.handlers, "POST", "/api/pull", body, by=OPERATOR)
        await call(here.handlers, "POST", MANAGED, body, by=OPERATOR)

    pulls = [request for request in upstream.requests if request.path == "/api/pull"]
    assert [request.json for request in pulls] == [{"model": "llama3:8b", "stream": True}] * 2


@pytest.mark.security(36)
@pytest.mark.parametrize("path", ["/api/pull", MANAGED])
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("evil.example/library/llama3", Reason.bad_request),
        ("http://169.254.169.254/latest/meta-data", Reason.bad_request),
        ("hf.co/owner/llama3", Reason.bad_request),
        ("mistral:7b", Reason.model_not_allowed),
        ("llama3:cloud", Reason.cloud_model),
    ],
)
async def test_a_name_that_is_not_allowed_reaches_no_server(
    upstream: ScriptedServer, path: str, name: str, reason: Reason
):
    async with managing(ALLOWING, {"gpu1": upstream.url}) as here:
        refusal = await refused(call(here.handlers, "POST", path, {"model": name}, by=OPERATOR))

    assert refusal.reason is reason
    assert upstream.requests == []
    assert here.ledger.acts == []


async def test_a_key_for_some_models_pulls_no_other(upstream: ScriptedServer):
    limited = principal(Scope.OPERATOR, models=("qwen2.5:*",))
    async with managing(ALLOWING, {"gpu1": upstream.url}) as here:
        refusal = await refused(call(here.handlers, "POST", "/api/pull", {"model": "llama3:8b"}, by=limited))

    assert refusal.reason is Reason.model_not_allowed
    assert upstream.requests == []


async def test_a_servers_key_goes_along(upstream: ScriptedServer):
    upstream.on("/api/pull", lines({"status": "success"})).on("/api/tags", listing("llama3:8b"))
    async with managing(ALLOWING, {"gpu1": upstream.url}, api_key="to-the-proxy") as here:
        await call(here.handlers, "POST", "/api/pull", {"model": "llama3:8b"}, by=OPERATOR)

    assert {request.header("authorization") for request in upstream.requests} == {"Bearer to-the-proxy"}


# -- one job for all ------------------------------------------------------------------------------------------


@pytest.mark.fault(68)
async def test_all_who_ask_for_a_model_share_one_download(upstream: ScriptedServer):
    gate = Gate()
    upstream.on("/api/pull", held_pull(gate)).on("/api/tags", listing("llama3:8b"))
    async with managing(ALLOWING, {"gpu1": upstream.url}) as here:
        first = start_call(here.handlers, "POST", "/api/pull", {"model": "llama3:8b"}, by=OPERATOR)
        await gate.arrived.reached()
        second = start_call(here.handlers, "POST", MANAGED, {"model": "LLAMA3:8B"}, by=OPERATOR)
        third = start_call(
            here.handlers, "POST", "/api/pull", {"model": "library/llama3:8b"}, by=principal(Scope.OPERATOR)
        )
        await third.until(lambda seen: len(seen.pieces) == 2)
        gate.open()
        await first.answered()
        await second.answered()
        await third.answered()

    assert upstream.paths().count("/api/pull") == 1
    assert [each.lines[-1] for each in (first, third)] == [{"status": "success"}] * 2
    # Who comes late gets what was said before, the last of each step.
    assert third.lines == [{"status": "pulling manifest"}, layer(100), layer(1000), {"status": "success"}]
    assert second.json["success"] is True


@pytest.mark.fault(68)
async def test_a_caller_that_leaves_does_not_end_the_pull(upstream: ScriptedServer):
    gate = Gate()
    upstream.on("/api/pull", held_pull(gate)).on("/api/tags", listing("llama3:8b"))
    async with managing(ALLOWING, {"gpu1": upstream.url}) as here:
        leaving = start_call(here.handlers, "POST", "/api/pull", {"model": "llama3:8b"}, by=OPERATOR)
        await leaving.until(lambda seen: len(seen.pieces) == 2)
        leaving.leave()
        await leaving.answered()
        [job] = (await call(here.handlers, "GET", PULLS, by=OPERATOR)).json["pulls"]
        gate.open()
        staying = await call(here.handlers, "POST", "/api/pull", {"model": "llama3:8b"}, by=OPERATOR)

    assert (job["state"], job["completed"], job["total"]) == ("pulling", 100, 1000)
    assert staying.lines[-1] == {"status": "success"}
    assert not upstream.requests[0].aborted.is_set()


@pytest.mark.fault(68)
async def test_progress_never_goes_back(upstream: ScriptedServer):
    counts = [100, 700, 300, 650, 1000]
    upstream.on("/api/pull", lines(*map(layer, counts), {"status": "success"})).on(
        "/api/tags", listing("llama3:8b")
    )
    async with managing(ALLOWING, {"gpu1": upstream.url}) as here:
        job = await call(here.handlers, "POST", "/api/pull", {"model": "llama3:8b"}, by=OPERATOR)

    told = [each["completed"] for each in job.lines if "completed" in each]
    assert told == sorted(told)
    assert told[-1] == 1000


@pytest.mark.fault(68)
async def test_a_pull_that_is_cut_goes_on(upstream: ScriptedServer):
    cut = [Send(head(chunked=True)), Send(chunk(line(layer(400))))]
    upstream.on("/api/pull", [*cut, Reset()], lines(layer(400), layer(1000), {"status": "success"}))
    upstream.on("/api/tags", listing("llama3:8b"))
    async with managing(ALLOWING, {"gpu1": upstream.url}) as here:
        answer = await call(here.handlers, "POST", "/api/pull", {"model": "llama3:8b"}, by=OPERATOR)

    assert answer.lines[-1] == {"status": "success"}
    assert upstream.paths().count("/api/pull") == 2


async def test_two_pulls_run_at_a_time_and_others_wait_their_turn(upstream: ScriptedServer):
    gates = [Gate(), Gate(), Gate()]
    upstream.on("/api/pull", *map(held_pull, gates))
    upstream.on("/api/tags", listing("llama3:1b", "llama3:2b", "llama3:3b"))
    async with managing(ALLOWING, {"gpu1": upstream.url}) as here:
        calls = [
            start_call(here.handlers, "POST", "/api/pull", {"model": f"llama3:{size}b"}, by=OPERATOR)
            for size in (1, 2, 3)
        ]
        await gates[0].arrived.reached()
        await gates[1].arrived.reached()
        jobs = (await call(here.handlers, "GET", PULLS, by=OPERATOR)).json["pulls"]
        at_first = {job["model"]: job["state"] for job in jobs}
        gates[0].open()
        await gates[2].arrived.reached()
        for gate in gates[1:]:
            gate.open()
        for each in calls:
            await each.answered()

    assert at_first == {"llama3:1b": "pulling", "llama3:2b": "pulling", "llama3:3b": "waiting"}
    statistics = await here.scheduler.statistics("pulls")
    assert (statistics.running, statistics.waiting, statistics.finished) == (0, 0, 3)


# -- the managed route ----------------------------------------------------------------------------------------


async def test_a_managed_pull_answers_with_the_documents_fields(sandbox: SandboxServer):
    async with managing(ALLOWING, {"gpu1": sandbox.url}) as here:
        answer = await call(here.handlers, "POST", MANAGED, {"model": "llama3:8b"}, by=OPERATOR)

    assert answer.status == 200
    assert answer.json["success"] is True
    assert answer.json["message"] == "Model 'llama3:8b' pulled successfully"
    assert answer.json["model"] == "llama3:8b"
    assert answer.json["status_log"][0] == {"status": "pulling manifest"}
    assert answer.json["status_log"][-1] == {"status": "success"}
    [job] = answer.json["pulls"]
    assert (job["server"], job["state"], job["updated"]) == ("gpu1", "done", True)


@pytest.mark.parametrize("body", [b"{}", b'{"model": ""}', b'{"model": null}'])
async def test_no_name_is_400(upstream: ScriptedServer, body: bytes):
    async with managing(ALLOWING, {"gpu1": upstream.url}) as here:
        refusal = await refused(call(here.handlers, "POST", MANAGED, body, by=OPERATOR))

    assert (refusal.status, refusal.message) == (400, "Model name is required")


async def test_no_server_is_503(upstream: ScriptedServer):
    async with managing(ALLOWING, {"gpu1": upstream.url}) as here:
        here.servers.down.add("gpu1")
        refusal = await refused(call(here.handlers, "POST", MANAGED, {"model": "llama3:8b"}, by=OPERATOR))

    assert refusal.status == 503
    assert upstream.requests == []


async def test_a_server_that_died_unnoticed_is_503():
    with refusing_url() as url:
        async with managing(ALLOWING, {"gpu1": url}) as here:
            answer = await call(here.handlers, "POST", MANAGED, {"model": "llama3:8b"}, by=OPERATOR)

    assert answer.status == 503
    assert answer.json["success"] is False
    assert answer.json["message"] == "The server gpu1 is not running."
    assert answer.headers["x-namel3ss-error"] == "server_down"


async def test_a_pull_that_takes_long_is_504_with_its_id_and_goes_on(upstream: ScriptedServer):
    gate = Gate()
    upstream.on("/api/pull", held_pull(gate)).on("/api/tags", listing("llama3:8b"))
    async with managing(PROGRAM.format(more="wait: 50ms"), {"gpu1": upstream.url}) as here:
        answer = await call(here.handlers, "POST", MANAGED, {"model": "llama3:8b"}, by=OPERATOR)
        [job] = answer.json["pulls"]
        meanwhile = await call(here.handlers, "GET", f"{PULLS}/{job['id']}", by=OPERATOR)
        gate.open()
        await call(here.handlers, "POST", "/api/pull", {"model": "llama3:8b"}, by=OPERATOR)
        afterwards = await call(here.handlers, "GET", f"{PULLS}/{job['id']}", by=OPERATOR)

    assert answer.status == 504
    assert job["id"] in answer.json["message"]
    assert answer.json["success"] is False
    assert meanwhile.json["state"] in ("waiting", "pulling")
    assert afterwards.json["state"] == "done"
    assert afterwards.json["status_log"][-1] == {"status": "success"}
    assert upstream.paths().count("/api/pull") == 1


FAILURES = [
    pytest.param(lines({"status": "pulling manifest"}, {"error": "pull model manifest: file does not exist"}), "pull model manifest: file does not exist", id="no manifest"),
    pytest.param(lines({"error": 'pull model manifest: Get "https://registry.example/v2/x": dial tcp 10.1.2.3:443: connect: connection refused'}), "could not be pulled", id="registry down"),
    pytest.param(lines(layer(1000), {"status": "verifying sha256 digest"}, {"error": "digest mismatch, file must be downloaded again: want sha256:1, got sha256:2"}), "digest mismatch", id="damaged"),
    pytest.param(lines(layer(10), {"error": "write /root/.ollama/models/blobs/sha256-1-partial: no space left on device"}), "disk of the Ollama server is full", id="disk full", marks=pytest.mark.fault(70)),
    pytest.param(document({"error": "something else at /usr/share/ollama"}, 500), "something else", id="status 500"),
    pytest.param(document(b"<html>sign in</html>"), "", id="not Ollama"),
    pytest.param(lines({"status": "pulling manifest"}), "", id="no success line"),
]  # fmt: skip


@pytest.mark.fault(69)
@pytest.mark.parametrize(("script", "words"), FAILURES)
async def test_a_pull_that_fails_is_500_with_the_reason(upstream: ScriptedServer, script: Script, words: str):
    upstream.on("/api/pull", script).on("/api/tags", listing())
    async with managing(ALLOWING, {"gpu1": upstream.url}) as here:
        managed = await call(here.handlers, "POST", MANAGED, {"model": "llama3:8b"}, by=OPERATOR)
        plain = await refused(
            call(here.handlers, "POST", "/api/pull", {"model": "llama3:8b", "stream": False}, by=OPERATOR)
        )
        streamed = await call(here.handlers, "POST", "/api/pull", {"model": "llama3:8b"}, by=OPERATOR)

    assert managed.status == plain.status == 500
    assert words in managed.json["message"]
    assert managed.json["message"] == plain.message == streamed.lines[-1]["error"]
    assert streamed.status == 200
    told = managed.body + streamed.body + str(plain).encode()
    for secret in (b"10.1.2.3", b"registry.example", b"/root", b"/usr/share", b"127.0.0.1"):
        assert secret not in told


@pytest.mark.fault(70)
async def test_a_full_disk_is_not_tried_again(upstream: ScriptedServer):
    upstream.on("/api/pull", lines(layer(10), {"error": "write /x: no space left on device"}))
    async with managing(ALLOWING, {"gpu1": upstream.url}) as here:
        await call(here.handlers, "POST", MANAGED, {"model": "llama3:8b"}, by=OPERATOR)

    assert upstream.paths().count("/api/pull") == 1


@pytest.mark.fault(69)
async def test_a_download_that_stands_still_fails_and_says_so(upstream: ScriptedServer):
    upstream.on("/api/pull", held_pull(Gate())).on("/api/tags", listing())
    async with managing(ALLOWING, {"gpu1": upstream.url}, stall_limit_s=0.05) as here:
        answer = await call(here.handlers, "POST", MANAGED, {"model": "llama3:8b"}, by=OPERATOR)
        [job] = (await call(here.handlers, "GET", PULLS, by=OPERATOR)).json["pulls"]

    assert answer.status == 500
    assert "has stalled: no byte arrived" in answer.json["message"]
    assert (job["state"], job["phase"], job["completed"]) == ("failed", "download", 100)


@pytest.mark.fault(69)
async def test_success_without_the_model_in_the_list_is_none(upstream: ScriptedServer):
    upstream.on("/api/pull", lines({"status": "success"})).on("/api/tags", listing("another:1b"))
    async with managing(ALLOWING, {"gpu1": upstream.url}) as here:
        answer = await call(here.handlers, "POST", MANAGED, {"model": "llama3:8b"}, by=OPERATOR)

    assert answer.status == 500
    assert "does not list it" in answer.json["message"]


async def test_progress_comes_as_lines_when_asked_for(sandbox: SandboxServer):
    async with managing(ALLOWING, {"gpu1": sandbox.url}) as here:
        answer = await call(
            here.handlers, "POST", MANAGED, {"model": "llama3:8b", "stream": True}, by=OPERATOR
        )

    first, *_, last = answer.lines
    assert (first["server"], first["status"]) == ("gpu1", "pulling manifest")
    assert last["success"] is True
    assert last["pulls"][0]["id"] == first["id"]


async def test_progress_comes_as_events_when_those_are_accepted(sandbox: SandboxServer):
    accepts = {"Accept": "text/event-stream"}
    async with managing(ALLOWING, {"gpu1": sandbox.url}) as here:
        started = await call(
            here.handlers, "POST", MANAGED, {"model": "llama3:8b"}, by=OPERATOR, headers=accepts
        )
        job = started.events[0][1]["id"]
        again = await call(here.handlers, "GET", f"{PULLS}/{job}", by=OPERATOR, headers=accepts)

    assert started.headers["content-type"] == "text/event-stream; charset=utf-8"
    names = [name for name, _ in started.events]
    assert (names[0], set(names[1:-1]), names[-1]) == ("pull", {"progress"}, "end")
    assert started.events[-1][1]["state"] == "done"
    assert again.events[-1] == ("end", started.events[-1][1])


# -- jobs -----------------------------------------------------------------------------------------------------


async def test_an_operator_stops_a_job_for_everybody(upstream: ScriptedServer):
    upstream.on("/api/pull", held_pull(Gate())).on("/api/tags", listing())
    async with managing(ALLOWING, {"gpu1": upstream.url}) as here:
        waiting = start_call(here.handlers, "POST", "/api/pull", {"model": "llama3:8b"}, by=OPERATOR)
        await waiting.until(lambda seen: len(seen.pieces) == 2)
        [job] = (await call(here.handlers, "GET", PULLS, by=OPERATOR)).json["pulls"]
        stopped = await call(here.handlers, "DELETE", f"{PULLS}/{job['id']}", by=OPERATOR)
        await waiting.answered()

    assert stopped.json["state"] == "stopped"
    assert waiting.lines[-1] == {"error": "The pull was stopped."}
    [request] = [request for request in upstream.requests if request.path == "/api/pull"]
    request.aborted.wait()
    assert here.ledger.acts[-1] == ("olga", "model.pull.stop", "llama3:8b", {"server": "gpu1"})


async def test_an_unknown_job_is_404(upstream: ScriptedServer):
    async with managing(ALLOWING, {"gpu1": upstream.url}) as here:
        for method in ("GET", "DELETE"):
            refusal = await refused(call(here.handlers, method, f"{PULLS}/none", by=OPERATOR))
            assert refusal.status == 404


async def test_jobs_that_have_ended_are_remembered_for_a_while_and_not_without_number(
    upstream: ScriptedServer,
):
    upstream.on("/api/pull", lines({"error": "pull model manifest: file does not exist"}))
    async with managing(ALLOWING, {"gpu1": upstream.url}) as here:
        now = [1000.0]
        pulls = Pulls(
            here.servers,
            here.scheduler,
            here.ledger,
            OpenPullLog(),
            remembered=2,
            remembered_s=60.0,
            clock=lambda: now[0],
        )
        for number in range(4):
            now[0] += 1
            [job] = pulls.start(["gpu1"], f"llama3:{number}", user="olga")
            await job.ended()
        few = [job.model for job in pulls.all()]
        now[0] += 60
        one = [job.model for job in pulls.all()]
        now[0] += 1
        none = pulls.all()
        await pulls.aclose()

    assert (few, one, none) == (["llama3:3", "llama3:2"], ["llama3:3"], [])


@pytest.mark.security(35)
async def test_a_pull_is_noted_before_it_begins_and_counted_at_its_end(sandbox: SandboxServer):
    async with managing(ALLOWING, {"gpu1": sandbox.url}) as here:
        await call(here.handlers, "POST", "/api/pull", {"model": "llama3:8b"}, by=OPERATOR)

    assert here.ledger.acts == [("olga", "model.pull", "llama3:8b", {"servers": ["gpu1"]})]
    assert here.ledger.counted == [("pull", {"server": "gpu1", "outcome": "done"})]


async def test_leaving_the_gateway_ends_its_pulls(upstream: ScriptedServer):
    gate = Gate()
    upstream.on("/api/pull", held_pull(gate)).on("/api/tags", listing())
    async with managing(ALLOWING, {"gpu1": upstream.url}) as here:
        leaving = start_call(here.handlers, "POST", "/api/pull", {"model": "llama3:8b"}, by=OPERATOR)
        await gate.arrived.reached()
        leaving.leave()
        await leaving.answered()

    [request] = [request for request in upstream.requests if request.path == "/api/pull"]
    await request.aborted.reached()


async def test_an_answer_that_the_gateway_ends_says_so(upstream: ScriptedServer):
    gate = Gate()
    upstream.on("/api/pull", held_pull(gate)).on("/api/tags", listing("llama3:8b"))
    async with managing(ALLOWING, {"gpu1": upstream.url}) as here:
        lines_of_it = start_call(here.handlers, "POST", "/api/pull", {"model": "llama3:8b"}, by=OPERATOR)
        events_of_it = start_call(
            here.handlers,
            "POST",
            MANAGED,
            {"model": "llama3:8b"},
            by=OPERATOR,
            headers={"Accept": "text/event-stream"},
        )
        await gate.arrived.reached()
        for each in (lines_of_it, events_of_it):
            await each.until(lambda seen: len(seen.pieces) >= 2)
            each.task.cancel()
            await asyncio.wait([each.task])

    said = {"error": "The gateway ended this answer."}
    assert lines_of_it.lines[-1] == said
    assert events_of_it.events[-1] == ("error", said)
    assert lines_of_it.ended
    assert events_of_it.ended


# -- several servers ------------------------------------------------------------------------------------------


async def test_a_pull_goes_to_every_server_and_success_comes_once():
    options = SandboxOptions(pull_seconds=0.0)
    with SandboxServer(options) as one, SandboxServer(options) as two:
        async with managing(ALLOWING, {"gpu1": one.url, "gpu2": two.url}) as here:
            raw = await call(here.handlers, "POST", "/api/pull", {"model": "llama3:8b"}, by=OPERATOR)
            managed = await call(here.handlers, "POST", MANAGED, {"model": "llama3:8b"}, by=OPERATOR)

    assert {each.get("server") for each in raw.lines[:-1]} == {"gpu1", "gpu2"}
    assert [each for each in raw.lines if each["status"] == "success"] == [{"status": "success"}]
    assert [job["server"] for job in managed.json["pulls"]] == ["gpu1", "gpu2"]
    assert [job["updated"] for job in managed.json["pulls"]] == [False, False]


async def test_a_pull_goes_to_the_server_that_is_named(upstream: ScriptedServer, second: ScriptedServer):
    second.on("/api/pull", lines({"status": "success"})).on("/api/tags", listing("llama3:8b"))
    addresses = {"gpu1": upstream.url, "gpu2": second.url}
    named = {"X-Namel3ss-Server": "gpu2"}
    async with managing(ALLOWING, addresses) as here:
        await call(here.handlers, "POST", "/api/pull", {"model": "llama3:8b"}, by=OPERATOR, headers=named)
        here.servers.down.add("gpu2")
        down = await refused(
            call(here.handlers, "POST", "/api/pull", {"model": "llama3:8b"}, by=OPERATOR, headers=named)
        )
        unknown = await refused(
            call(
                here.handlers,
                "POST",
                "/api/pull",
                {"model": "llama3:8b"},
                by=OPERATOR,
                headers={"X-Namel3ss-Server": "http://evil.example"},
            )
        )

    assert upstream.requests == []
    assert "/api/pull" in second.paths()
    assert (down.reason, unknown.reason) == (Reason.server_down, Reason.not_found)


async def test_one_server_that_fails_makes_the_pull_fail(upstream: ScriptedServer, sandbox: SandboxServer):
    upstream.on("/api/pull", lines({"error": "pull model manifest: file does not exist"}))
    async with managing(ALLOWING, {"gpu1": sandbox.url, "gpu2": upstream.url}) as here:
        answer = await call(here.handlers, "POST", MANAGED, {"model": "llama3:8b"}, by=OPERATOR)

    assert answer.status == 500
    assert [(job["server"], job["state"]) for job in answer.json["pulls"]] == [
        ("gpu1", "done"),
        ("gpu2", "failed"),
    ]


async def test_a_pull_goes_on_after_a_restart_under_its_own_id(upstream: ScriptedServer):
    gate, log = Gate(), OpenPullLog()
    upstream.on("/api/pull", held_pull(gate)).on("/api/tags", listing())
    async with managing(ALLOWING, {"gpu1": upstream.url}, pull_log=log) as here:
        leaving = start_call(here.handlers, "POST", "/api/pull", {"model": "llama3:8b"}, by=OPERATOR)
        await gate.arrived.reached()
        leaving.leave()
        await leaving.answered()
        [before] = (await call(here.handlers, "GET", PULLS, by=OPERATOR)).json["pulls"]

    upstream.on("/api/pull", lines({"status": "success"})).on("/api/tags", listing("llama3:8b"))
    async with managing(ALLOWING, {"gpu1": upstream.url}, pull_log=log) as here:
        [known] = (await call(here.handlers, "GET", PULLS, by=OPERATOR)).json["pulls"]
        here.management.pull_declared("gpu1", [])  # as is done when the server is up
        again = await call(here.handlers, "POST", MANAGED, {"model": "llama3:8b"}, by=OPERATOR)

    assert (known["id"], known["state"], known["user"]) == (before["id"], "interrupted", "olga")
    assert [job["id"] for job in again.json["pulls"]] == [before["id"]]
    assert again.json["success"] is True
    assert log.pulls == {}


async def test_what_was_interrupted_goes_on_when_it_is_asked_for_and_not_when_it_is_stopped(
    upstream: ScriptedServer,
):
    upstream.on("/api/pull", lines({"status": "success"})).on("/api/tags", listing())
    log = OpenPullLog()
    for number in (1, 2):
        await log.add(
            StoredPull(id=f"p{number}", server="gpu1", model=f"llama3:{number}", user="olga", started_at=1.0)
        )
    async with managing(ALLOWING, {"gpu1": upstream.url}, pull_log=log) as here:
        stopped = await call(here.handlers, "DELETE", f"{PULLS}/p1", by=OPERATOR)
        asked = await call(here.handlers, "POST", MANAGED, {"model": "llama3:2"}, by=OPERATOR)
        shown = await call(here.handlers, "GET", f"{PULLS}/p1", by=OPERATOR)

    assert stopped.status < 300
    assert asked.json["pulls"][0]["id"] == "p2"
    assert shown.json["state"] == "stopped"
    assert log.pulls == {}


async def test_of_two_pulls_of_a_model_that_a_log_has_kept_one_goes_on(upstream: ScriptedServer):
    upstream.on("/api/pull", lines({"status": "success"})).on("/api/tags", listing("llama3:8b"))
    log = OpenPullLog()
    for number in (1, 2):
        await log.add(
            StoredPull(id=f"p{number}", server="gpu1", model="llama3:8b", user="olga", started_at=number)
        )
    async with managing(ALLOWING, {"gpu1": upstream.url}, pull_log=log) as here:
        known = (await call(here.handlers, "GET", PULLS, by=OPERATOR)).json["pulls"]
        asked = await call(here.handlers, "POST", MANAGED, {"model": "llama3:8b"}, by=OPERATOR)

    assert [job["id"] for job in known] == ["p1"]
    assert [job["id"] for job in asked.json["pulls"]] == ["p1"]
    assert log.pulls == {}
