"""Every public call with what nobody should pass: a typed error before a byte is sent, and nothing left behind."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from namel3ss.errors import UsageError
from namel3ss.providers.local.ollama import (
    OllamaModelManager,
    OllamaProvider,
    OllamaRequestError,
    OllamaServerManager,
)
from tests.support.ollama_lines import chat_answer
from tests.support.scripted_server import ScriptedServer, lines

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

NAN = float("nan")
INFINITE = float("inf")
HALF = "\ud83e"

PROMPTS: list[tuple[str, Any]] = [
    ("None", None),
    ("a number", 5),
    ("bytes", b"Hi"),
    ("an object", object()),
    ("no messages", []),
    ("no messages, a tuple", ()),
    ("a list of numbers", [1, 2]),
    ("a list of lists", [["Hi"]]),
    ("an unknown role", [{"role": "robot", "content": "Hi"}]),
    ("a message without a role", [{"content": "Hi"}]),
    ("content is a number", [{"role": "user", "content": 5}]),
    ("content is NaN", [{"role": "user", "content": NAN}]),
    ("half a surrogate pair", HALF),
    ("half a surrogate pair inside", [{"role": "user", "content": f"a{HALF}b"}]),
    ("an image that is none", [{"role": "user", "content": "Hi", "images": [5]}]),
]

OVERRIDES: list[tuple[str, dict[str, Any]]] = [
    ("an unknown name", {"temprature": 0.5}),
    ("a text for a number", {"temperature": "warm"}),
    ("NaN", {"temperature": NAN}),
    ("infinity", {"top_p": INFINITE}),
    ("a negative limit", {"idle_timeout": -1}),
    ("a limit of nothing", {"first_token_timeout": 0}),
    ("a limit that is NaN", {"total_timeout": NAN}),
    ("NaN among the options", {"options": {"mirostat_tau": NAN}}),
    ("options that are no map", {"options": [1]}),
    ("an option that is an object", {"options": {"x": object()}}),
    ("a window of nothing", {"num_ctx": 0}),
    ("a window too large to count", {"num_ctx": 10**20}),
    ("negative retries", {"max_retries": -1}),
    ("a format that is none", {"format": 5}),
    ("a schema with NaN", {"format": {"type": "object", "minimum": NAN}}),
    ("tools that are no list", {"tools": "clock"}),
    ("a tool without a name", {"tools": [{"type": "function", "function": {}}]}),
    ("a system that is no text", {"system": 5}),
    ("images that are none", {"images": [object()]}),
    ("a stop that is no text", {"stop": [5]}),
    ("a level of thinking that there is not", {"think": "enormous"}),
    ("a keep-alive that is none", {"keep_alive": "soon"}),
]


@pytest.fixture
def listening() -> Any:
    with ScriptedServer(lines(*chat_answer("Hello"))) as server:
        yield server
        assert server.connections_made == 0, "something was sent"


@pytest.mark.parametrize("prompt", [prompt for _, prompt in PROMPTS], ids=[name for name, _ in PROMPTS])
@pytest.mark.parametrize("call", ["generate", "stream", "generate_batch", "plain"])
async def test_wrong_prompt_is_a_usage_error_before_anything_is_sent(listening, connect, call, prompt):
    provider = connect(listening)

    with pytest.raises(UsageError) as raised:
        await CALLS[call](provider, prompt, {})

    assert len(raised.value.message) < 500


@pytest.mark.parametrize("overrides", [given for _, given in OVERRIDES], ids=[name for name, _ in OVERRIDES])
@pytest.mark.parametrize("call", ["generate", "stream", "generate_batch"])
async def test_wrong_override_is_a_usage_error_that_names_it(listening, connect, call, overrides):
    provider = connect(listening)

    with pytest.raises(UsageError) as raised:
        await CALLS[call](provider, "Hi", overrides)

    assert next(iter(overrides)) in raised.value.message


async def _stream(provider: OllamaProvider, prompt: Any, overrides: dict[str, Any]) -> None:
    async with provider.stream(prompt, **overrides) as stream:
        await stream.result()


CALLS: dict[str, Callable[[OllamaProvider, Any, dict[str, Any]], Awaitable[object]]] = {
    "generate": lambda provider, prompt, overrides: provider.generate(prompt, **overrides),
    "stream": _stream,
    "generate_batch": lambda provider, prompt, overrides: provider.generate_batch(
        ["Hi", prompt], **overrides
    ),
    "plain": lambda provider, prompt, overrides: provider.generate(prompt, wire="plain", **overrides),
}


@pytest.mark.parametrize("texts", [None, 5, b"Hi", [5], [None], {"a": 1}, HALF, [HALF]], ids=repr)
async def test_wrong_texts_to_embed_are_a_usage_error(listening, connect, texts):
    with pytest.raises(UsageError):
        await connect(listening).embed(texts)


@pytest.mark.parametrize("dimensions", [0, -1, "many", NAN, True], ids=repr)
async def test_wrong_number_of_dimensions_is_a_usage_error(listening, connect, dimensions):
    with pytest.raises(UsageError, match="dimensions"):
        await connect(listening).embed("Hi", dimensions=dimensions)


@pytest.mark.parametrize("limit", [0, -3, "two", NAN, 1.5, True], ids=repr)
async def test_wrong_concurrency_is_a_usage_error(listening, connect, limit):
    with pytest.raises(UsageError, match="max_concurrency"):
        await connect(listening).generate_batch(["Hi"], max_concurrency=limit)


@pytest.mark.parametrize(
    "name",
    ["", "  ", "a b", "../x", "a:b:c", HALF, "x" * 500, "modèle", 5, b"tiny", [], {}, False, NAN],
    ids=lambda name: f"{name!r:.20}",
)
@pytest.mark.parametrize("call", ["pull_model", "delete_model", "show_model", "copy_model"])
async def test_name_that_is_none_is_a_typed_error_before_anything_is_sent(listening, connect, call, name):
    provider = connect(listening)
    arguments = ("tiny", name) if call == "copy_model" else (name,)

    with pytest.raises((OllamaRequestError, UsageError), match="is not a model name"):
        await getattr(provider, call)(*arguments)


async def test_missing_name_is_a_typed_error_where_none_may_be_missing(listening, connect):
    for call, names in (
        ("delete_model", (None,)),
        ("copy_model", (None, "small")),
        ("copy_model", ("tiny", None)),
    ):
        with pytest.raises(OllamaRequestError, match="is not a model name"):
            await getattr(connect(listening), call)(*names)


@pytest.mark.parametrize("seconds", [-1, 0, NAN, INFINITE, True, "10", [], b"1"], ids=repr)
async def test_wrong_time_for_a_pull_is_a_usage_error(listening, connect, seconds):
    with pytest.raises(UsageError, match="pull_timeout must be a number of seconds above 0"):
        await connect(listening).pull_model("tiny", seconds)


async def test_listener_of_a_pull_that_cannot_be_called_is_a_usage_error(listening, connect):
    with pytest.raises(UsageError, match="on_progress must be a function"):
        await connect(listening).pull_model("tiny", on_progress="print")


@pytest.mark.parametrize(
    "batch", [None, 5, True, NAN, object(), "Hi", {"role": "user"}], ids=lambda b: type(b).__name__
)
async def test_batch_that_is_no_list_is_a_usage_error(listening, connect, batch):
    with pytest.raises(UsageError, match="A batch is a list"):
        await connect(listening).generate_batch(batch)


@pytest.mark.parametrize("address", [5, b"http://a", [], "http://elsewhere:1", ""], ids=repr)
async def test_healing_a_server_that_is_none_of_ours_is_a_usage_error(listening, connect, address):
    with pytest.raises(UsageError):
        await connect(listening).heal_model(address)


PROVIDERS: list[tuple[str, tuple[Any, ...], str]] = [
    ("a name that is a number", (5, "tiny", {}), "name of a provider must be a text"),
    ("no model", ("main", None, {}), "None is not a model name"),
    ("a model of bytes", ("main", b"tiny", {}), "is not a model name"),
    ("settings that are a list", ("main", "tiny", []), "settings must be a map"),
    ("settings that are a number", ("main", "tiny", 0), "settings must be a map"),
    ("settings that are a text", ("main", "tiny", "num_ctx: 5"), "settings must be a map"),
    ("an address with half a surrogate pair", ("main", "tiny", {"base_url": HALF}), "half a surrogate pair"),
]


@pytest.mark.parametrize(
    ("arguments", "what"), [case[1:] for case in PROVIDERS], ids=[case[0] for case in PROVIDERS]
)
def test_provider_is_not_made_of_wrong_arguments(arguments, what):
    with pytest.raises(UsageError, match=what):
        OllamaProvider(*arguments)


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ((None,), "base_url must be a URL such as"),
        ((5,), "base_url must be a URL such as"),
        (("//a",), "Write http://a$"),
        (("http://a", {}), "cache must be a ModelAvailabilityCache"),
    ],
)
def test_manager_of_models_is_not_made_of_wrong_arguments(arguments, what):
    with pytest.raises(UsageError, match=what):
        OllamaModelManager(*arguments)


def test_manager_and_blocking_provider_show_their_server():
    provider = OllamaProvider("main", "tiny", {"base_url": "http://a"})

    assert repr(provider.sync) == "<SyncOllamaProvider of <OllamaProvider 'main': 'tiny' at http://a>>"
    assert repr(OllamaModelManager("http://a")) == "<OllamaModelManager of http://a>"
    assert repr(OllamaServerManager({"base_url": "http://a"})) == "<OllamaServerManager of http://a>"


async def test_wrong_item_of_a_batch_is_named_and_nothing_is_sent(listening, connect):
    with pytest.raises(
        UsageError, match=r"^batch\[1\]: messages must be a text or a list of messages, not None"
    ):
        await connect(listening).generate_batch(["Hi", None])


CLOSED: dict[str, Callable[[OllamaProvider], Awaitable[object]]] = {
    "generate": lambda provider: provider.generate("Hi"),
    "stream": lambda provider: _stream(provider, "Hi", {}),
    "generate_batch": lambda provider: provider.generate_batch(["Hi"]),
    "embed": lambda provider: provider.embed("Hi"),
    "list_models": lambda provider: provider.list_models(),
    "show_model": lambda provider: provider.show_model(),
    "running_models": lambda provider: provider.running_models(),
    "pull_model": lambda provider: provider.pull_model(),
    "delete_model": lambda provider: provider.delete_model("tiny"),
    "copy_model": lambda provider: provider.copy_model("tiny", "small"),
    "warm_up": lambda provider: provider.warm_up(),
    "unload": lambda provider: provider.unload(),
    "heal_model": lambda provider: provider.heal_model(),
    "ensure_ready": lambda provider: provider.ensure_ready(),
}


@pytest.mark.parametrize("name", CLOSED)
async def test_closed_provider_refuses_every_call_by_saying_so(listening, connect, name):
    provider = connect(listening)
    await provider.aclose()

    with pytest.raises(RuntimeError, match="closed"):
        await CLOSED[name](provider)


@pytest.mark.parametrize("name", ["generate", "stream", "generate_batch", "embed", "pull_model"])
async def test_call_in_a_scope_that_is_cancelled_already_sends_nothing(connect, name):
    with ScriptedServer(lines(*chat_answer("Hello"))) as server:
        provider = connect(server)

        async def call() -> None:
            current = asyncio.current_task()
            assert current is not None
            current.cancel()
            await CLOSED[name](provider)

        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(call())

    assert server.requests == []


async def test_twenty_megabytes_of_prompt_travel_whole(connect):
    with ScriptedServer(lines(*chat_answer("Hello"))) as server:
        prompt = "x" * 20_000_000

        assert (await connect(server).generate(prompt)).output_text == "Hello"
        assert len(server.requests[0].body) > 20_000_000
