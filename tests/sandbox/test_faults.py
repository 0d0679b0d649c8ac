"""Faults on request: how they are written, which requests they hit, and the error that the provider makes of each."""

from __future__ import annotations

import contextlib
import http.client
import importlib
from typing import TYPE_CHECKING, Any, get_args
from urllib.parse import urlsplit

import pytest

from namel3ss.errors import UsageError
from namel3ss.providers.local.ollama import (
    OllamaBadResponseError,
    OllamaError,
    OllamaFirstTokenTimeoutError,
    OllamaInterTokenTimeoutError,
    OllamaOutOfMemoryError,
    OllamaProvider,
    OllamaRunnerError,
    OllamaServerBusyError,
    OllamaServerUnreachableError,
    OllamaStreamInterruptedError,
)
from namel3ss.providers.transport.client import import_libraries
from namel3ss.sandbox import Fault, FaultRule, SandboxOptions, SandboxServer, parse_fault
from namel3ss.sandbox.faults import FaultName
from tests.sandbox.client import ask, lines, wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

TEXT = "Hello from a tiny model."


@pytest.fixture(scope="module", autouse=True)
def _http_library_is_loaded() -> None:
    """The first request of a process loads it on a thread that lives as long as its event loop."""
    import_libraries()
    importlib.import_module("httpx_aiohttp")


@contextlib.contextmanager
def sandbox(*faults: str) -> Iterator[SandboxServer]:
    with SandboxServer(SandboxOptions(faults=faults)) as server:
        yield server


@contextlib.asynccontextmanager
async def opened(*faults: str, model: str = "tiny", **config: Any) -> AsyncIterator[OllamaProvider]:
    """A provider on a sandbox with these faults, which tries nothing twice unless told to."""
    with sandbox(*faults) as server:
        settings = {"base_url": server.url, "max_retries": 0, **config}
        async with OllamaProvider("x", model, settings) as provider:
            yield provider


CASES: list[tuple[str, type[OllamaError], str]] = [
    ("cut", OllamaStreamInterruptedError, "Hello from"),
    ("cut:after=0", OllamaServerUnreachableError, ""),
    ("stall", OllamaInterTokenTimeoutError, "Hello from"),
    ("stall:after=0", OllamaFirstTokenTimeoutError, ""),
    ("reset:after=1", OllamaStreamInterruptedError, "Hello"),
    ("busy", OllamaServerBusyError, ""),
    ("oom", OllamaOutOfMemoryError, ""),
    ("wedge", OllamaFirstTokenTimeoutError, ""),
    ("slow-load:seconds=60", OllamaFirstTokenTimeoutError, ""),
    ("no-done", OllamaStreamInterruptedError, TEXT),
    ("html", OllamaBadResponseError, ""),
    ("drip:after=1,seconds=60", OllamaInterTokenTimeoutError, "Hello"),
    ("error-line:after=3", OllamaRunnerError, "Hello from a"),
]


def test_every_fault_has_a_case() -> None:
    assert {parse_fault(text).name for text, _, _ in CASES} == set(get_args(FaultName))


@pytest.mark.parametrize(("fault", "error", "arrived"), CASES, ids=[text for text, _, _ in CASES])
async def test_the_provider_says_what_happened_and_keeps_what_had_arrived(
    fault: str, error: type[OllamaError], arrived: str
) -> None:
    async with opened(fault, first_token_timeout=0.5, idle_timeout=0.5) as provider:
        with pytest.raises(error) as caught:
            await provider.generate("Hi")

    assert caught.value.partial_text == arrived


@pytest.mark.parametrize("fault", ["busy", "oom", "html", "cut", "reset", "no-done"])
async def test_answers_in_one_piece_are_hit_too(fault: str) -> None:
    async with opened(fault, wire="plain") as provider:
        with pytest.raises(OllamaError):
            await provider.generate("Hi")


@pytest.mark.parametrize("fault", ["busy", "oom", "html", "cut", "reset", "stall"])
async def test_vectors_are_hit_too(fault: str) -> None:
    async with opened(fault, model="tiny-embed", first_token_timeout=0.5) as provider:
        with pytest.raises(OllamaError):
            await provider.embed("Hi")


async def test_dripping_changes_no_text() -> None:
    async with opened("drip:after=0,seconds=0") as provider:
        assert (await provider.generate("Hi")).output_text == TEXT


async def test_a_wedged_model_counts_as_loaded_and_answers_again_once_it_is_healed() -> None:
    async with opened("wedge", first_token_timeout=0.5) as provider:
        with pytest.raises(OllamaFirstTokenTimeoutError):
            await provider.generate("Hi")
        with pytest.raises(OllamaFirstTokenTimeoutError):
            await provider.generate("Hi again")
        running = await provider.running_models()
        await provider.heal_model()

        assert [model["name"] for model in running] == ["tiny:latest"]
        assert (await provider.health_check())["status"] == "healthy"
        assert (await provider.generate("Hi")).output_text == TEXT


async def test_a_busy_server_that_recovers_is_asked_again() -> None:
    async with opened("busy:times=1", max_retries=2) as provider:
        assert (await provider.generate("Hi")).output_text == TEXT


async def test_a_slow_load_only_takes_its_time() -> None:
    async with opened("slow-load:seconds=0.05") as provider:
        answer = await provider.generate("Hi")

    assert answer.output_text == TEXT
    assert answer.timings.load_s is not None
    assert answer.timings.load_s >= 0.05


async def test_every_second_request_is_hit_and_no_other() -> None:
    async with opened("oom:every=2") as provider:
        results = await provider.generate_batch(["one", "two", "three", "four"], max_concurrency=1)

    assert [type(result).__name__ for result in results] == [
        "ProviderResponse",
        "OllamaOutOfMemoryError",
        "ProviderResponse",
        "OllamaOutOfMemoryError",
    ]


async def test_a_fault_of_one_model_leaves_the_others_alone() -> None:
    with sandbox("oom:model=TINY:latest") as server:
        config = {"base_url": server.url}
        async with (
            OllamaProvider("x", "tiny", config) as hit,
            OllamaProvider("y", "tiny-tools", config) as other,
        ):
            with pytest.raises(OllamaOutOfMemoryError):
                await hit.generate("Hi")
            assert (await other.generate("Hi")).output_text


async def test_several_faults_take_turns() -> None:
    async with opened("busy:times=1", "oom:times=2") as provider:
        results = await provider.generate_batch(["one", "two", "three"], max_concurrency=1)

    names = [type(result).__name__ for result in results]
    assert names == ["OllamaServerBusyError", "OllamaOutOfMemoryError", "ProviderResponse"]


def test_other_protocols_say_it_their_own_way() -> None:
    body = {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9}
    with sandbox("busy") as server:
        chat = ask(server, "POST", "/v1/chat/completions", body)
        messages = ask(server, "POST", "/v1/messages", body)

    assert (chat[0], messages[0]) == (503, 503)
    assert "server busy" in chat[1]["error"]["message"]
    assert messages[1]["type"] == "error"


def test_questions_about_the_server_are_never_hit() -> None:
    with sandbox("html", "cut:after=0") as server:
        statuses = [ask(server, "GET", path)[0] for path in ("/", "/api/version", "/api/tags", "/api/ps")]
        unloaded = ask(server, "POST", "/api/generate", {"model": "tiny", "keep_alive": 0})

    assert statuses == [200, 200, 200, 200]
    assert (unloaded[0], unloaded[1]["done_reason"]) == (200, "unload")


async def test_a_stalled_answer_ends_when_its_client_leaves() -> None:
    with sandbox("stall") as server:
        async with OllamaProvider("x", "tiny", {"base_url": server.url}) as provider:
            stream = provider.stream("Hi")
            await anext(stream)
            await stream.cancel()
        wait_until(lambda: server.active_requests == 0, "the stalled answer has ended")


def test_a_sandbox_stops_at_once_although_a_fault_holds_its_answers() -> None:
    with sandbox("wedge") as server, pytest.raises(ConnectionError):
        ask_and_stop(server)


def ask_and_stop(server: SandboxServer) -> None:
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
    try:
        connection.request("POST", "/api/generate", b'{"model":"tiny","prompt":"Hi"}')
        server.stop()
        connection.getresponse()
    finally:
        connection.close()


def test_without_faults_nothing_is_chosen() -> None:
    with sandbox() as server:
        assert lines(server, "/api/generate", {"model": "tiny", "prompt": "Hi"})[-1]["done"] is True


# -- how they are written -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("cut", FaultRule("cut")),
        ("cut:after=3", FaultRule("cut", after=3)),
        (" Stall : after = 0 , model = llama3:8b ", FaultRule("stall", after=0, model="llama3:8b")),
        ("busy:every=2,times=3", FaultRule("busy", every=2, times=3)),
        ("slow_load:seconds=1.5", FaultRule("slow-load", seconds=1.5)),
        ("registry-down", Fault.REGISTRY_DOWN),
        ("queue_full", Fault.QUEUE_FULL),
    ],
)
def test_a_fault_is_read_from_text(text: str, meant: Fault | FaultRule) -> None:
    assert parse_fault(text) == meant
    assert SandboxOptions(faults=(text,)).faults == (meant,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cutt", "There is no fault `cutt`: did you mean `cut`?"),
        ("zzz", "there are busy, cut, drip"),
        ("", "There is no fault ``"),
        ("cut:afterwards=1", "The fault `cut` has no key `afterwards`"),
        ("cut:after", "`after` after the fault `cut` is no key=value"),
        ("cut:after=1,after=2", "is given `after` twice"),
        ("cut:after=-1", "`after=-1`, which is not a whole number"),
        ("cut:seconds=1", "The fault `cut` has no `seconds`"),
        ("busy:after=1", "The fault `busy` has no `after`"),
        ("busy:every=0", "The fault `busy` has `every` 0"),
        ("busy:times=0", "The fault `busy` has `times` 0"),
        ("drip:seconds=x", "`seconds=x`, which is not a number"),
        ("drip:seconds=nan", "has `seconds` nan"),
        ("oom:model=a b", "has `model` 'a b'"),
        ("no-runner:every=2", "The fault `no-runner` takes no keys"),
    ],
)
def test_a_wrong_fault_is_refused_before_the_server_starts(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        SandboxOptions(faults=(text,))

    assert message in str(caught.value)
