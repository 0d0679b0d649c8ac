"""The models of a server: answers of both recorded versions, odd ones, and what each call sends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from namel3ss.observability.metrics import register_metric_listener, unregister_metric_listener
from namel3ss.providers.local.ollama._availability import ModelAvailabilityCache
from namel3ss.providers.local.ollama._errors import (
    OllamaBadResponseError,
    OllamaModelNotFoundError,
    OllamaRequestError,
)
from namel3ss.providers.local.ollama._models import OllamaModelManager
from tests.support.scripted_server import Gate, ScriptedServer, Send, document, head, lines

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

DETAILS = {
    "parent_model": "",
    "format": "gguf",
    "family": "llama",
    "families": ["llama"],
    "parameter_size": "907K",
    "quantization_level": "unknown",
}
# As recorded from 0.24.0 and from 0.33.0, which tells more.
OLD = {
    "name": "tiny:latest",
    "model": "tiny:latest",
    "modified_at": "2026-11-21T08:11:47.353228556Z",
    "size": 3639105,
    "digest": "19c63af6a4eb8e01a58bc156fb50fa389a43d13b0f7b03b7a2ff7cac0c7a0f0d",
    "details": DETAILS,
}
NEW = {
    **OLD,
    "name": "tiny-embed:latest",
    "details": {**DETAILS, "context_length": 64, "embedding_length": 32},
    "capabilities": ["embedding"],
}
DONE = [Send(head(200, [("Content-Type", "")], length=0))]


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as upstream:
        yield upstream.on("/api/tags", document({"models": [OLD, NEW]}))


@pytest.fixture
async def models(server: ScriptedServer) -> AsyncIterator[OllamaModelManager]:
    async with OllamaModelManager(server.url) as manager:
        yield manager


async def test_listed_models_have_the_promised_fields_and_what_the_server_adds(models):
    old, new = await models.list_models()

    assert old == OLD
    assert new == {**NEW, "context_length": 64}


async def test_what_a_server_leaves_out_is_none(models, server):
    server.on("/api/tags", document({"models": [{"model": "tiny", "extra": {"a": [1]}}]}))

    assert await models.list_models() == [
        {
            "name": "tiny",
            "size": None,
            "modified_at": None,
            "digest": None,
            "details": {},
            "model": "tiny",
            "extra": {"a": [1]},
        }
    ]


@pytest.mark.parametrize("empty", [{"models": []}, {"models": None}])
async def test_a_server_without_models_has_an_empty_list(models, server, empty):
    server.on("/api/tags", document(empty))

    assert await models.list_models() == []


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({}, "models"),
        ([], "object"),
        ({"models": "none"}, r"\$\.models"),
        ({"models": 5}, r"\$\.models"),
        ({"models": True}, r"\$\.models"),
        ({"models": [OLD, {"size": 1}]}, r"name.*\$\.models\[1\]"),
        ({"models": [7]}, r"\$\.models\[0\]"),
        ({"models": [{"name": "a", "size": "large"}]}, r"\$\.models\[0\]\.size"),
        (b'{"models": [{"name": "a", "size": NaN}]}', "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"", "not JSON"),
    ],
)
async def test_a_list_that_is_none_is_refused_with_the_place(models, server, answer, words):
    server.on("/api/tags", document(answer))

    with pytest.raises(OllamaBadResponseError, match=words):
        await models.list_models()


async def test_showing_a_model_adds_what_everybody_asks_for(models, server):
    info = {"general.architecture": "llama", "llama.context_length": 2048}
    server.on("/api/show", document({"model_info": info, "capabilities": ["completion"], "template": "x"}))

    shown = await models.show_model("tiny")

    assert (shown["capabilities"], shown["context_length"], shown["template"]) == (["completion"], 2048, "x")
    assert server.requests[0].json == {"model": "tiny"}


@pytest.mark.parametrize(
    "answer", [{}, {"model_info": [], "details": 3, "capabilities": "all"}, {"model_info": {"x": 1}}]
)
async def test_showing_a_model_of_which_little_is_known(models, server, answer):
    server.on("/api/show", document(answer))

    shown = await models.show_model("tiny")

    assert (shown["capabilities"], shown["context_length"]) == ([], None)


async def test_loaded_models(models, server):
    loaded = {**OLD, "expires_at": "2319-03-03T07:59:28Z", "size_vram": 0, "context_length": 2048}
    server.on("/api/ps", document({"models": [loaded]}))

    assert await models.running_models() == [loaded]


async def test_deleting_sends_the_name_and_forgets_it(models, server):
    server.on("/api/delete", DONE)
    await models.cache.set("tiny", True)
    deleted: list[dict[str, str]] = []

    def listener(name: str, values: dict[str, float], labels: dict[str, str]) -> None:
        if name == "ollama.model.deleted":
            deleted.append(labels)

    register_metric_listener(listener)
    try:
        await models.delete_model("TINY")
    finally:
        unregister_metric_listener(listener)

    assert (server.requests[0].method, server.requests[0].json) == ("DELETE", {"model": "TINY"})
    assert await models.cache.get("tiny") is None
    assert deleted == [{"model": "TINY"}]


async def test_copying_sends_both_names(models, server):
    server.on("/api/copy", DONE)

    await models.copy_model("tiny", "team/tiny:v1")

    assert server.requests[0].json == {"source": "tiny", "destination": "team/tiny:v1"}


async def test_changes_of_ours_are_told(server):
    server.on("/api/copy", DONE).on("/api/delete", DONE)
    changes: list[int] = []

    async with OllamaModelManager(server.url, on_change=lambda: changes.append(1)) as models:
        await models.copy_model("tiny", "b")
        await models.delete_model("b")

    assert len(changes) == 2


@pytest.mark.parametrize("call", ["delete_model", "show_model", "unload", "warm_up"])
async def test_a_model_that_is_missing_names_its_neighbours(models, server, call):
    for path in ("/api/delete", "/api/show", "/api/generate"):
        server.on(path, document({"error": "model 'tiny:8b' not found"}, 404))

    with pytest.raises(OllamaModelNotFoundError, match="'tiny:8b' is not available locally") as caught:
        await getattr(models, call)("tiny:8b")

    assert caught.value.nearest == ("tiny:latest", "tiny-embed:latest")
    assert "tiny:latest" in (caught.value.suggestion or "")
    assert "auto_pull_model" not in (caught.value.suggestion or "")  # none of these calls ever pulls


@pytest.mark.parametrize("name", ["", "a b", "a:b:c"])
async def test_a_name_that_is_none_is_not_sent(models, server, name):
    for call in (models.show_model, models.delete_model, models.unload, models.warm_up):
        with pytest.raises(OllamaRequestError, match="is not a model name"):
            await call(name)

    assert server.requests == []


async def test_warming_up_loads_without_generating(models, server):
    server.on("/api/generate", document({"done": True, "done_reason": "load"}))

    await models.warm_up("tiny", keep_alive="10m", options={"num_ctx": 512})

    assert server.requests[0].json == {
        "model": "tiny",
        "stream": False,
        "keep_alive": "10m",
        "options": {"num_ctx": 512},
    }


async def test_warming_up_a_model_that_only_embeds_embeds_nothing(models, server):
    server.on("/api/generate", document({"error": '"tiny-embed" does not support generate'}, 400))
    server.on("/api/embed", document({"model": "tiny-embed", "embeddings": []}))

    await models.warm_up("tiny-embed")

    assert server.requests[1].json == {"model": "tiny-embed", "stream": False, "input": []}


async def test_unloading_asks_for_no_time_to_live(models, server):
    server.on("/api/generate", document({"done": True, "done_reason": "unload"}))

    await models.unload("tiny")

    assert server.requests[0].json == {"model": "tiny", "keep_alive": 0, "stream": False}


async def test_an_unload_that_is_not_confirmed_is_an_error(models, server):
    server.on("/api/generate", document({"done": False}))

    with pytest.raises(OllamaBadResponseError, match="did not confirm"):
        await models.unload("tiny")


# -- availability ---------------------------------------------------------------------------------------------


async def test_a_model_that_is_there_is_asked_for_once(server):
    cache = ModelAvailabilityCache()
    async with OllamaModelManager(server.url, cache) as models:
        await models.ensure_model_available("TINY")
        await models.ensure_model_available("tiny:latest")

    assert server.paths() == ["/api/tags"]
    assert await cache.get("tiny") is True


async def test_concurrent_callers_share_one_question(models, server):
    gate = Gate()
    server.on("/api/tags", [gate, *document({"models": [OLD]})])
    callers = [asyncio.ensure_future(models.ensure_model_available("tiny")) for _ in range(5)]
    await gate.arrived.reached()
    gate.open()

    await asyncio.gather(*callers)

    assert server.paths() == ["/api/tags"]


async def test_a_missing_model_is_pulled(models, server):
    missing, there = document({"models": []}), document({"models": [OLD]})
    server.on("/api/tags", missing, there).on("/api/pull", lines({"status": "success"}))

    await models.ensure_model_available("tiny")

    assert server.paths() == ["/api/tags", "/api/pull", "/api/tags"]


async def test_without_permission_to_pull_a_missing_model_is_an_error_that_says_what_to_do(models, server):
    with pytest.raises(OllamaModelNotFoundError) as caught:
        await models.ensure_model_available("tiny:8b", auto_pull=False)

    assert str(caught.value) == (
        "Ollama model 'tiny:8b' is not available locally.\n"
        "Model: tiny:8b\n"
        f"Server: {server.url}\n"
        "\n"
        "Suggestion: Run: ollama pull tiny:8b\n"
        "Or enable auto_pull_model in your configuration.\n"
        "Installed with a similar name: tiny:latest, tiny-embed:latest"
    )
    assert "/api/pull" not in server.paths()


async def test_a_model_known_to_be_missing_is_asked_for_again(models, server):
    await models.cache.set("tiny", False)

    await models.ensure_model_available("tiny", auto_pull=False)

    assert server.paths() == ["/api/tags"]


async def test_the_check_is_measured(models):
    recorded: list[tuple[str, dict[str, str]]] = []

    def listener(name: str, values: dict[str, float], labels: dict[str, Any]) -> None:
        recorded.append((name, labels))

    register_metric_listener(listener)
    try:
        await models.ensure_model_available("tiny")
    finally:
        unregister_metric_listener(listener)

    assert ("ollama.model.check_duration", {"model": "tiny"}) in recorded
    assert any(name == "ollama.models.count" for name, _ in recorded)
