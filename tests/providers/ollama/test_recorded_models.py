"""What real servers answered about models and pulls, played again byte by byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from namel3ss.providers.local.ollama._errors import (
    OllamaError,
    OllamaManifestUnknownError,
    OllamaModelPullError,
)
from namel3ss.providers.local.ollama._models import OllamaModelManager
from namel3ss.providers.local.ollama._pull import PullPolicy
from tests.support.scripted_server import LAST_CHUNK, ScriptedServer, Send, Step, chunk, document, head

WIRE = Path(__file__).parents[2] / "contract/wire"


def recording(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((WIRE / f"{name}.json").read_text())
    return loaded


def played(answer: dict[str, Any]) -> list[Step]:
    """The recorded answer as a script; one that the client cut short ends properly here."""
    framing = ("Connection", "Content-Length", "Transfer-Encoding")
    headers = [(name, value) for name, value in answer["headers"] if name not in framing]
    if "lines" not in answer:
        return document(answer["body"].encode(), answer["status"], headers)
    data = "\n".join(answer["lines"]).encode()
    return [Send(head(answer["status"], headers, chunked=True)), Send(chunk(data)), Send(LAST_CHUNK)]


OUTCOMES: dict[str, tuple[type[OllamaError], str] | None] = {
    "success": None,
    "success-plain": None,
    "again": None,
    "resumed": None,
    "shared-layer": None,
    "corrupt-layer": (OllamaModelPullError, "digest mismatch"),
    "not-found": (OllamaManifestUnknownError, "has no model"),
    "not-found-plain": (OllamaManifestUnknownError, "has no model"),
    "registry-down": (OllamaModelPullError, "connection refused"),
    "registry-down-plain": (OllamaModelPullError, "connection refused"),
    "registry-unresolved": (OllamaModelPullError, "no such host"),
    "http-without-insecure": (OllamaModelPullError, "EOF"),
    "cancelled-by-client": (OllamaModelPullError, "without saying that it succeeded"),
}


@pytest.mark.parametrize(("name", "outcome"), OUTCOMES.items(), ids=OUTCOMES.keys())
async def test_every_recorded_pull_ends_as_it_did(name, outcome):
    answer = recording(f"ollama-0.24.0/pull/{name}")
    model = answer["request"]["json"]["model"]
    fractions: list[float] = []
    with ScriptedServer() as server:
        server.on("/api/pull", played(answer["response"]))
        server.on("/api/tags", document({"models": [{"name": model.removeprefix("http://")}]}))
        policy = PullPolicy(first_pause_s=0.0, max_fruitless_attempts=1)
        async with OllamaModelManager(server.url, pull_policy=policy) as models:

            async def pull() -> None:
                await models.pull_model(
                    model,
                    on_progress=lambda progress: fractions.append(progress.fraction or 0.0),
                    insecure=True,
                )

            if outcome is None:
                await pull()
            else:
                with pytest.raises(outcome[0], match=outcome[1]):
                    await pull()

    assert fractions == sorted(fractions)


@pytest.mark.parametrize(
    "name",
    [
        "ollama-0.24.0/models/tags",
        "ollama-0.24.0/models/tags-private-registry",
        "ollama-0.24.0/server/tags-empty",
        "ollama-0.33.0-rc2/models/tags",
    ],
)
async def test_every_recorded_list_is_read_whole(name):
    answer = recording(name)["response"]
    with ScriptedServer() as server:
        server.on("/api/tags", played(answer))
        async with OllamaModelManager(server.url) as models:
            listed = await models.list_models()

    sent = json.loads(answer["body"])["models"]
    assert [{key: model[key] for key in entry} for model, entry in zip(listed, sent, strict=True)] == sent


@pytest.mark.parametrize("name", ["ps", "ps-empty", "ps-forever", "ps-num-ctx-above-trained"])
async def test_every_recorded_list_of_loaded_models_is_read_whole(name):
    answer = recording(f"ollama-0.24.0/models/{name}")["response"]
    with ScriptedServer() as server:
        server.on("/api/ps", played(answer))
        async with OllamaModelManager(server.url) as models:
            assert await models.running_models() == json.loads(answer["body"])["models"]


@pytest.mark.parametrize(
    ("name", "capabilities", "context_length"),
    [
        ("ollama-0.24.0/models/show", ["completion"], 2048),
        ("ollama-0.24.0/models/show-embedding", ["embedding"], 64),
        ("ollama-0.24.0/models/show-thinking", ["completion", "thinking"], 2048),
        ("ollama-0.24.0/models/show-tools", ["completion", "tools"], 2048),
        ("ollama-0.33.0-rc2/models/show-tiny", ["completion"], 2048),
        ("ollama-0.33.0-rc2/models/show-tiny-embed", ["embedding"], 64),
    ],
)
async def test_every_recorded_model_is_described(name, capabilities, context_length):
    with ScriptedServer() as server:
        server.on("/api/show", played(recording(name)["response"]))
        async with OllamaModelManager(server.url) as models:
            shown = await models.show_model("tiny")

    assert (shown["capabilities"], shown["context_length"]) == (capabilities, context_length)
