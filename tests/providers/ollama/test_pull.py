"""Pulls on a real socket: shared, watched, resumed, and ended when nobody waits any more."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from namel3ss.observability.metrics import register_metric_listener, unregister_metric_listener
from namel3ss.providers.local.ollama._errors import (
    OllamaBadResponseError,
    OllamaDiskFullError,
    OllamaError,
    OllamaManifestUnknownError,
    OllamaModelPullError,
    OllamaPullStalledError,
    OllamaRequestError,
    OllamaServerUnreachableError,
)
from namel3ss.providers.local.ollama._models import OllamaModelManager
from namel3ss.providers.local.ollama._provider import OllamaProvider
from namel3ss.providers.local.ollama._pull import PullPolicy
from tests.support.clock import ManualClock
from tests.support.scripted_server import (
    LAST_CHUNK,
    Close,
    Gate,
    Reset,
    ScriptedServer,
    Send,
    Step,
    chunk,
    document,
    head,
    line,
    lines,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from namel3ss.providers.local.ollama._pull_progress import PullProgress

MODEL, CONFIG = "sha256:aaaaaaaaaaaa1111", "sha256:bbbbbbbbbbbb2222"
AT_ONCE = PullPolicy(first_pause_s=0.0)
TINY = document({"models": [{"name": "tiny:latest"}]})
NOTHING = document({"models": []})


def layer(completed: int | None, total: int = 1000, digest: str = MODEL) -> dict[str, object]:
    report: dict[str, object] = {"status": f"pulling {digest[7:19]}", "digest": digest, "total": total}
    return report if completed is None else report | {"completed": completed}


MANIFEST = {"status": "pulling manifest"}
ENDING = ({"status": "verifying sha256 digest"}, {"status": "writing manifest"}, {"status": "success"})
WHOLE = lines(MANIFEST, layer(None), layer(600), layer(600), layer(1000), *ENDING)


def beginning(*values: object, end: Step | None = None) -> list[Step]:
    """An answer that starts well and is not finished; `end` says how it goes on."""
    return [Send(head(chunked=True) + b"".join(chunk(line(value)) for value in values)), end or Close()]


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as upstream:
        upstream.on("/api/tags", TINY)
        yield upstream


class Progress:
    """Remembers what a caller was told."""

    def __init__(self) -> None:
        self.seen: list[PullProgress] = []
        self.first = asyncio.Event()

    def __call__(self, progress: PullProgress) -> None:
        self.seen.append(progress)
        self.first.set()

    @property
    def phases(self) -> list[str]:
        return list(dict.fromkeys(progress.phase for progress in self.seen))


def manager(server: ScriptedServer, policy: PullPolicy = AT_ONCE, **options: Any) -> OllamaModelManager:
    return OllamaModelManager(server.url, pull_policy=policy, **options)


async def test_a_pull_reports_progress_and_succeeds_once_the_model_is_listed(server):
    server.on("/api/pull", WHOLE)
    progress = Progress()

    async with manager(server) as models:
        await models.pull_model("tiny", on_progress=progress)

        assert await models.cache.get("tiny") is True
    assert server.paths() == ["/api/pull", "/api/tags"]
    assert server.requests[0].json == {"model": "tiny", "stream": True}
    assert progress.phases == ["manifest", "download", "verify", "write", "success"]
    assert [seen.completed_bytes for seen in progress.seen if seen.phase == "download"] == [0, 600, 1000]
    assert progress.seen[-1].fraction == 1.0


@pytest.mark.fault(69)
async def test_a_success_that_is_not_listed_is_an_error(server):
    server.on("/api/pull", WHOLE).on("/api/tags", NOTHING)

    async with manager(server) as models:
        with pytest.raises(OllamaModelPullError, match="does not list it") as caught:
            await models.pull_model("tiny")

        assert caught.value.phase == "check"
        assert await models.cache.get("tiny") is None


REFUSALS: list[tuple[list[object], type[OllamaError], str | None, str]] = [
    (
        [MANIFEST, {"error": "pull model manifest: file does not exist"}],
        OllamaManifestUnknownError,
        "manifest",
        "has no model 'tiny'",
    ),
    (
        [MANIFEST, {"error": 'pull model manifest: Get "https://r/v2": dial tcp: lookup r: no such host'}],
        OllamaModelPullError,
        "manifest",
        "check its network connection",
    ),
    (
        [MANIFEST, {"error": 'pull model manifest: Get "https://r/v2": dial tcp: connect: connection refused'}],
        OllamaModelPullError,
        "manifest",
        "connection refused",
    ),
    (
        [MANIFEST, layer(1000), ENDING[0], {"error": "digest mismatch, file must be downloaded again: want a, got b"}],
        OllamaModelPullError,
        "verify",
        "digest mismatch",
    ),
    (
        [MANIFEST, layer(10), {"error": "write /models/blobs/x-partial-0: no space left on device"}],
        OllamaDiskFullError,
        "download",
        "no space left",
    ),
    ([MANIFEST, layer(10), {"error": "something new"}], OllamaModelPullError, "download", "something new"),
    ([b"<html>504</html>\n"], OllamaBadResponseError, None, "<html>504</html>"),
    ([b"[1]\n"], OllamaBadResponseError, None, "not Ollama's"),
]  # fmt: skip


@pytest.mark.fault(69, 70)
@pytest.mark.parametrize(("answer", "cls", "phase", "words"), REFUSALS, ids=[row[3] for row in REFUSALS])
async def test_a_refusal_is_typed_names_its_phase_and_is_not_tried_again(server, answer, cls, phase, words):
    server.on("/api/pull", lines(*answer))

    async with manager(server) as models:
        with pytest.raises(cls, match=words) as caught:
            await models.pull_model("tiny")

    assert type(caught.value) is cls
    assert caught.value.model == "tiny"
    assert getattr(caught.value, "phase", None) == phase
    assert server.paths() == ["/api/pull"]


@pytest.mark.fault(69)
async def test_a_refusal_before_the_stream_is_typed_too(server):
    server.on("/api/pull", document({"error": "pull model manifest: file does not exist"}, 500))

    async with manager(server) as models:
        with pytest.raises(OllamaManifestUnknownError):
            await models.pull_model("tiny")


async def test_a_name_that_is_none_is_refused_without_asking(server):
    async with manager(server) as models:
        with pytest.raises(OllamaRequestError, match="more than one tag"):
            await models.pull_model("a:b:c")

    assert server.requests == []


async def test_a_server_that_is_not_there_is_reported_at_once():
    with ScriptedServer() as gone:
        url = gone.url

    async with OllamaModelManager(url) as models:
        async with asyncio.timeout(5.0):
            with pytest.raises(OllamaServerUnreachableError):
                await models.pull_model("tiny")


@pytest.mark.fault(68)
@pytest.mark.parametrize(
    "interrupted",
    [
        beginning(MANIFEST, layer(600)),
        beginning(MANIFEST, layer(600), end=Reset()),
        [*lines(MANIFEST, layer(600))],
        [Send(head(chunked=True) + chunk(line(layer(600))) + chunk(b'{"status":"pul')), Close()],
        lines(MANIFEST, layer(600), {"error": "max retries exceeded: unexpected EOF"}),
    ],
    ids=[
        "fin",
        "reset",
        "a clean end without success",
        "cut inside a line",
        "the registry's connection broke",
    ],
)
async def test_a_pull_that_is_cut_is_resumed(server, interrupted):
    server.on("/api/pull", interrupted, WHOLE)
    progress = Progress()

    async with manager(server) as models:
        await models.pull_model("tiny", on_progress=progress)

    assert server.paths() == ["/api/pull", "/api/pull", "/api/tags"]
    completed = [seen.completed_bytes for seen in progress.seen]
    assert completed == sorted(completed)


@pytest.mark.fault(68)
async def test_a_server_that_is_away_is_waited_for_once_a_pull_has_begun(server):
    server.on("/api/pull", beginning(MANIFEST, layer(600)), [Close()], WHOLE)

    async with manager(server) as models:
        await models.pull_model("tiny")

    assert server.paths() == ["/api/pull"] * 3 + ["/api/tags"]


@pytest.mark.fault(68)
async def test_a_server_that_is_away_is_not_waited_for_before_a_pull_has_begun(server):
    server.on("/api/pull", [Close()], WHOLE)

    async with manager(server) as models:
        with pytest.raises(OllamaServerUnreachableError):
            await models.pull_model("tiny")

    assert server.paths() == ["/api/pull"]


@pytest.mark.fault(68)
async def test_attempts_that_bring_nothing_new_are_bounded(server):
    server.on("/api/pull", beginning(MANIFEST, layer(600)))

    async with manager(server) as models:
        with pytest.raises(OllamaModelPullError, match="could not be pulled") as caught:
            await models.pull_model("tiny")

    assert server.paths() == ["/api/pull"] * 5  # one that brought 600 bytes, four that brought nothing
    assert caught.value.phase == "download"


async def test_attempts_that_bring_something_are_not_counted(server):
    attempts = [beginning(MANIFEST, layer(completed)) for completed in range(100, 1000, 100)]
    server.on("/api/pull", *attempts, WHOLE)

    async with manager(server) as models:
        await models.pull_model("tiny")

    assert server.paths().count("/api/pull") == 10


@pytest.mark.fault(69)
async def test_a_layer_that_does_not_move_for_two_minutes_has_stalled(server):
    gate = Gate()
    repeated = [Send(chunk(line(layer(600)))) for _ in range(3)]
    server.on("/api/pull", [*beginning(MANIFEST, layer(600), end=gate), *repeated, Gate()])
    clock, progress = ManualClock(), Progress()

    async with manager(server, PullPolicy(clock=clock)) as models:
        pulling = asyncio.ensure_future(models.pull_model("tiny", on_progress=progress))
        await gate.arrived.reached()
        while not progress.seen or progress.seen[-1].phase != "download":
            progress.first.clear()
            await progress.first.wait()
        clock.advance(119)
        gate.open()  # lines that only repeat what is known are no movement
        clock.advance(2)

        with pytest.raises(OllamaPullStalledError, match="no byte arrived for 120 s") as caught:
            await pulling

    assert isinstance(caught.value, TimeoutError)
    assert caught.value.phase == "download"
    await server.requests[0].aborted.reached()


@pytest.mark.fault(69)
async def test_a_manifest_that_does_not_come_has_stalled(server):
    server.on("/api/pull", beginning(MANIFEST, end=Gate()))
    clock, progress = ManualClock(), Progress()

    async with manager(server, PullPolicy(clock=clock)) as models:
        pulling = asyncio.ensure_future(models.pull_model("tiny", on_progress=progress))
        await progress.first.wait()
        clock.advance(120)

        with pytest.raises(OllamaPullStalledError, match="manifest did not come"):
            await pulling


async def test_verifying_may_take_as_long_as_it_needs(server):
    gate = Gate()
    server.on(
        "/api/pull",
        [
            *beginning(MANIFEST, layer(1000), ENDING[0], end=gate),
            Send(chunk(line(ENDING[2])) + LAST_CHUNK),
        ],
    )
    clock, progress = ManualClock(), Progress()

    async with manager(server, PullPolicy(clock=clock)) as models:
        pulling = asyncio.ensure_future(models.pull_model("tiny", on_progress=progress))
        while not progress.seen or progress.seen[-1].phase != "verify":
            progress.first.clear()
            await progress.first.wait()
        clock.advance(3600)
        await asyncio.sleep(0.3)  # longer than the watch sleeps between two looks at its clock
        gate.open()

        await pulling


@pytest.mark.fault(68)
async def test_all_who_wait_for_a_model_share_one_pull(server):
    gate = Gate()
    server.on(
        "/api/pull",
        [*beginning(MANIFEST, end=gate), Send(b"".join(map(chunk, map(line, ENDING))) + LAST_CHUNK)],
    )
    watchers = [Progress(), Progress(), Progress()]

    async with manager(server) as one, manager(server) as other:
        pulls = [
            asyncio.ensure_future(one.pull_model("tiny", on_progress=watchers[0])),
            asyncio.ensure_future(one.pull_model("TINY:latest", on_progress=watchers[1])),
            asyncio.ensure_future(other.pull_model("library/tiny", on_progress=watchers[2])),
        ]
        await gate.arrived.reached()
        gate.open()
        await asyncio.gather(*pulls)

        assert await other.cache.get("tiny") is True
    assert server.paths() == ["/api/pull", "/api/tags"]
    assert all(watcher.seen[-1].phase == "success" for watcher in watchers)


@pytest.mark.fault(68)
async def test_the_pull_goes_on_when_one_of_several_callers_leaves(server):
    gate = Gate()
    server.on("/api/pull", [*beginning(MANIFEST, end=gate), Send(chunk(line(ENDING[2])) + LAST_CHUNK)])

    async with manager(server) as models:
        first, second = [asyncio.ensure_future(models.pull_model("tiny")) for _ in range(2)]
        await gate.arrived.reached()
        first.cancel()
        await asyncio.wait({first})
        gate.open()

        await second
    assert first.cancelled()
    assert server.paths().count("/api/pull") == 1


@pytest.mark.fault(68)
async def test_the_pull_ends_on_the_server_when_the_last_caller_leaves(server):
    gate = Gate()
    server.on("/api/pull", beginning(MANIFEST, end=gate))

    async with manager(server) as models:
        pulls = [asyncio.ensure_future(models.pull_model("tiny")) for _ in range(2)]
        await gate.arrived.reached()
        for pull in pulls:
            pull.cancel()
        await asyncio.wait(pulls)

        await server.requests[0].aborted.reached()


async def test_a_caller_that_closes_its_connection_leaves_the_pull_to_the_others(server):
    gate = Gate()
    server.on("/api/pull", beginning(MANIFEST, end=gate), WHOLE)
    leaving, staying = manager(server), manager(server)
    async with staying:
        first = asyncio.ensure_future(leaving.pull_model("tiny"))
        await gate.arrived.reached()
        second = asyncio.ensure_future(staying.pull_model("tiny"))
        await asyncio.sleep(0)  # it joins

        await leaving.aclose()
        first.cancel()

        await second
        await asyncio.wait({first})
    assert server.paths() == ["/api/pull", "/api/pull", "/api/tags"]


async def test_closing_the_manager_gives_up_its_pull(server):
    gate = Gate()
    server.on("/api/pull", beginning(MANIFEST, end=gate))
    models = manager(server)
    pulling = asyncio.ensure_future(models.pull_model("tiny"))
    await gate.arrived.reached()

    await models.aclose()

    with pytest.raises(RuntimeError, match="is closed"):
        await pulling
    await server.requests[0].aborted.reached()


async def test_closing_a_provider_gives_up_its_pull(server):
    gate = Gate()
    server.on("/api/pull", beginning(MANIFEST, end=gate))
    provider = OllamaProvider("p", "tiny", {"base_url": server.url})
    pulling = asyncio.ensure_future(provider.pull_model())
    await gate.arrived.reached()

    await provider.aclose()

    with pytest.raises(RuntimeError, match="is closed"):
        await pulling
    await server.requests[0].aborted.reached()


async def test_a_listener_that_fails_is_logged_once_and_disturbs_nobody(server, caplog):
    server.on("/api/pull", WHOLE)
    watcher = Progress()

    def broken(progress: PullProgress) -> None:
        raise ValueError("display is gone")

    async with manager(server) as models:
        await asyncio.gather(
            models.pull_model("tiny", on_progress=broken), models.pull_model("tiny", on_progress=watcher)
        )

    assert watcher.seen[-1].phase == "success"
    assert [record.message.count("display is gone") for record in caplog.records if record.exc_info] == [0]


async def test_a_timeout_bounds_one_caller_and_not_the_others(server):
    gate = Gate()
    server.on("/api/pull", [*beginning(MANIFEST, end=gate), Send(chunk(line(ENDING[2])) + LAST_CHUNK)])

    async with manager(server) as models:
        patient = asyncio.ensure_future(models.pull_model("tiny"))
        with pytest.raises(OllamaPullStalledError, match=r"Timeout while pulling.*0\.05 s") as caught:
            await models.pull_model("tiny", pull_timeout=0.05)
        assert caught.value.phase == "manifest"
        gate.open()

        await patient


async def test_odd_fields_of_progress_are_tolerated(server):
    odd = [
        {"status": 7, "digest": None, "total": "many", "completed": -1},
        {"status": "pulling x", "digest": MODEL, "total": 1.5, "completed": True, "new": {"deep": []}},
        {"digest": MODEL, "total": 5, "completed": 9},
        {},
    ]
    server.on("/api/pull", lines(*odd, *ENDING))

    async with manager(server) as models:
        await models.pull_model("tiny")


async def test_a_registry_without_tls_needs_to_be_asked_for(server):
    server.on("/api/pull", WHOLE).on(
        "/api/tags", document({"models": [{"name": "127.0.0.1:5000/library/tiny:latest"}]})
    )

    async with manager(server) as models:
        await models.pull_model("http://127.0.0.1:5000/library/tiny", insecure=True)

    assert server.requests[0].json["insecure"] is True


async def test_a_pull_is_measured(server):
    recorded: list[tuple[str, dict[str, float], dict[str, str]]] = []

    def listener(name: str, values: dict[str, float], labels: dict[str, str]) -> None:
        recorded.append((name, values, labels))

    server.on("/api/pull", WHOLE)
    register_metric_listener(listener)
    try:
        async with manager(server) as models:
            await models.pull_model("tiny")
    finally:
        unregister_metric_listener(listener)

    (values, labels) = next(
        (values, labels) for name, values, labels in recorded if name == "ollama.model.pull_duration"
    )
    assert values["value"] > 0
    assert values["bytes"] == 1000
    assert labels == {"provider": "ollama", "model": "tiny", "status": "ok", "base_url": server.url}


async def test_whatever_its_end_a_pull_of_ours_is_news(server):
    server.on("/api/pull", lines({"error": "pull model manifest: file does not exist"}))
    changes: list[str] = []

    async with manager(server, on_change=lambda: changes.append("changed")) as models:
        with pytest.raises(OllamaManifestUnknownError):
            await models.pull_model("tiny")

    assert changes == ["changed"]
