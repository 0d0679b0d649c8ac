"""What editors are told: quickly, and never with an exception for a server that is not there."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from namel3ss.providers.local.ollama._address import OLLAMA_BASE_URL_ENV
from namel3ss.providers.local.ollama._editor import OllamaEditorTools
from tests.support.scripted_server import (
    Gate,
    ScriptedServer,
    Send,
    document,
    head,
    lines,
    refusing_url,
    stall,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from namel3ss.providers.local.ollama._pull_progress import PullProgress

TINY = {
    "name": "tiny:latest",
    "model": "tiny:latest",
    "modified_at": "2026-01-01T00:00:00Z",
    "size": 3638752,
    "details": {"family": "llama", "parameter_size": "907K", "quantization_level": "Q4_0"},
}
SHOWN = {
    "details": TINY["details"],
    "model_info": {"general.architecture": "llama", "llama.context_length": 2048},
    "capabilities": ["completion", "tools"],
    "parameters": 'stop   "###"',
}


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[ScriptedServer]:
    # What models can do is remembered by digest for the whole process, so each test has a digest of its own.
    digest = request.node.name
    other = {**TINY, "name": "Llama3:8b", "digest": f"{digest}-2", "capabilities": ["completion", "vision"]}
    with ScriptedServer() as upstream:
        upstream.on("/api/version", document({"version": "0.24.0"}))
        upstream.on("/api/tags", document({"models": [{**TINY, "digest": digest}, other]}))
        upstream.on("/api/ps", document({"models": [{"name": "tiny:latest", "size": 1}]}))
        upstream.on("/api/show", document(SHOWN))
        yield upstream


async def test_status_of_a_server_that_answers(server):
    status = await OllamaEditorTools.check_status(server.url)

    assert isinstance(status.pop("response_time_ms"), float)
    assert status == {
        "reachable": True,
        "models_count": 2,
        "models": ["tiny:latest", "Llama3:8b"],
        "version": "0.24.0",
    }


async def test_status_of_a_server_that_is_not_there_says_why():
    with refusing_url() as url:
        status = await OllamaEditorTools.check_status(url)

    assert status["reachable"] is False
    assert (status["models_count"], status["models"], status["version"]) == (0, [], None)
    assert "Could not reach Ollama server" in status["error"]
    assert "ollama serve" in status["suggestion"]
    assert isinstance(status["response_time_ms"], float)


async def test_nothing_raises_without_a_server():
    with refusing_url() as url:
        assert await OllamaEditorTools.list_available_models(url) == []
        assert await OllamaEditorTools.get_model_details("tiny", url) is None
        pulled = await OllamaEditorTools.pull_model("tiny", base_url=url)
        removed = await OllamaEditorTools.remove_model("tiny", base_url=url)
        suggested = await OllamaEditorTools.model_suggestions("llama3:", url)

    for answer in (pulled, removed):
        assert answer["success"] is False
        assert "Could not reach" in answer["message"]
        assert answer["suggestion"]
    assert [(known["name"], known["installed"]) for known in suggested] == [("llama3:8b", False)]


@pytest.mark.parametrize("url", ["nonsense", "ftp://host", "http://[::1"])
async def test_an_address_that_is_none_is_an_answer_too(url):
    status = await OllamaEditorTools.check_status(url)

    assert status["reachable"] is False
    assert status["error"]
    assert await OllamaEditorTools.list_available_models(url) == []


async def test_a_look_up_has_a_deadline(server):
    server.on("/api/tags", [stall()])
    started_at = time.monotonic()

    status = await OllamaEditorTools.check_status(server.url)
    models = await OllamaEditorTools.list_available_models(server.url)

    assert time.monotonic() - started_at < 10.0, "not the default of other requests"
    assert "300 ms" in status["error"]
    assert models == []


async def test_installed_models_tell_what_is_known_and_loaded(server, request):
    tiny, llama = await OllamaEditorTools.list_available_models(server.url)

    assert tiny == {
        "name": "tiny:latest",
        "size": 3638752,
        "modified_at": "2026-01-01T00:00:00Z",
        "digest": request.node.name,
        "details": TINY["details"],
        "capabilities": None,
        "loaded": True,
    }
    assert (llama["capabilities"], llama["loaded"]) == (["completion", "vision"], False)


async def test_capabilities_are_remembered_by_digest(server):
    await OllamaEditorTools.get_model_details("tiny", server.url)

    tiny, _ = await OllamaEditorTools.list_available_models(server.url)

    assert tiny["capabilities"] == ["completion", "tools"]
    assert server.paths().count("/api/show") == 1


async def test_details_of_a_model(server, request):
    details = await OllamaEditorTools.get_model_details("TINY", server.url)

    assert details == {
        "name": "tiny:latest",
        "context_length": 2048,
        "capabilities": ["completion", "tools"],
        "size": 3638752,
        "digest": request.node.name,
        "parameters": 'stop   "###"',
        "parameter_size": "907K",
        "quantization_level": "Q4_0",
        "family": "llama",
    }


async def test_details_of_a_model_that_is_missing_are_none(server):
    server.on("/api/show", document({"error": "model 'nope' not found"}, 404))

    assert await OllamaEditorTools.get_model_details("nope", server.url) is None
    assert await OllamaEditorTools.get_model_details("a b", server.url) is None


async def test_a_pull_reports_progress_and_its_end(server):
    server.on("/api/pull", lines({"status": "pulling manifest"}, {"status": "success"}))
    seen: list[PullProgress] = []

    answer = await OllamaEditorTools.pull_model("tiny", seen.append, server.url)

    assert answer == {"success": True, "message": "Model 'tiny' is installed.", "suggestion": None}
    assert [progress.phase for progress in seen] == ["manifest", "success"]


async def test_a_pull_that_is_cancelled_ends_on_the_server(server):
    gate = Gate()
    server.on("/api/pull", [Send(head(chunked=True)), gate])
    pulling = asyncio.ensure_future(OllamaEditorTools.pull_model("tiny", base_url=server.url))
    await gate.arrived.reached()

    pulling.cancel()
    await asyncio.wait({pulling})

    assert pulling.cancelled()
    await server.requests[0].aborted.reached()


async def test_removing_a_model(server):
    server.on("/api/delete", [Send(head(200, length=0))], document({"error": "model 'x' not found"}, 404))

    done = await OllamaEditorTools.remove_model("tiny", server.url)
    failed = await OllamaEditorTools.remove_model("tiny2", server.url)

    assert done == {"success": True, "message": "Model 'tiny' was removed.", "suggestion": None}
    assert failed["success"] is False
    assert "tiny:latest" in failed["suggestion"]


async def test_suggestions_put_installed_models_first_and_never_name_one_twice(server):
    suggestions = await OllamaEditorTools.model_suggestions("LLAMA3", server.url)

    assert [(known["name"], known["installed"]) for known in suggestions] == [
        ("Llama3:8b", True),
        ("llama3.2:3b", False),
    ]
    assert suggestions[0]["size"] == 3638752


async def test_the_address_is_the_users_own_unless_it_is_given(server, monkeypatch):
    monkeypatch.setenv(OLLAMA_BASE_URL_ENV, server.url)

    assert (await OllamaEditorTools.check_status())["reachable"] is True


@pytest.mark.parametrize(
    ("name", "valid", "normalized"),
    [
        ("llama3:8b", True, "llama3:8b"),
        ("Library/llama3", True, "llama3:latest"),
        ("hf.co/user/repo:Q4_K_M", True, "hf.co/user/repo:Q4_K_M"),
        ("", False, None),
        ("model:tag:extra", False, None),
        ("a b", False, None),
        (None, False, None),
    ],
)
def test_names_are_checked_by_ollamas_rules(name, valid, normalized):
    answer: dict[str, Any] = OllamaEditorTools.validate_model_name(name)

    assert (answer["is_valid"], answer["normalized"]) == (valid, normalized)
    assert repr(name) in answer["message"]


def test_what_needs_no_server():
    assert OllamaEditorTools.get_default_model() == "llama3:8b"
    assert set(OllamaEditorTools.get_supported_capabilities()) == {
        *("chat", "streaming", "embeddings", "function_calling"),
        *("vision", "thinking", "structured_output", "local_deployment"),
    }
