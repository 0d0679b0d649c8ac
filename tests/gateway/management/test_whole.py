"""Management through the whole gateway, as clients use it."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import httpx
import ollama
import pytest

from namel3ss.gateway.principal import Scope
from namel3ss.sandbox import SandboxOptions, SandboxServer
from tests.support.gateway import running_gateway

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.gateway import RunningGateway

MODELS = """
ai model chat_model { provider: ollama  model: "tiny" }
ai model endless { provider: ollama  model: "tiny-endless" }
"""
ALLOW = 'pull: { allow: ["llama3:*"] }'


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[RunningGateway]:
    options = SandboxOptions(pull_seconds=0.0, tokens_per_second=200)
    with (
        SandboxServer(options) as sandbox,
        running_gateway(tmp_path, {"gpu1": sandbox.url}, models=MODELS, settings=ALLOW) as running,
    ):
        yield running


@contextmanager
def client(gateway: RunningGateway, key: str) -> Iterator[ollama.Client]:
    with ollama.Client(gateway.url, headers={"Authorization": f"Bearer {key}"}) as made:
        yield made


def test_ollamas_own_client_manages_models(gateway: RunningGateway, tmp_path: Path):
    key = gateway.key("wim", Scope.USE, Scope.OPERATOR, Scope.MODELS_WRITE)
    data = b"GGUF" + bytes(300_000)
    file = tmp_path / "m.gguf"
    file.write_bytes(data)

    with client(gateway, key) as writer:
        statuses = [progress.status for progress in writer.pull("llama3:8b", stream=True)]
        writer.copy("chat_model", "mine")
        shown = writer.show("mine")
        made = writer.create("made", from_="mine", system="Be brief.")
        digest = writer.create_blob(file)
        again = writer.create_blob(file)
        deleted = writer.delete("mine")
        with pytest.raises(ollama.ResponseError) as gone:
            writer.delete("mine")
        listed, loaded = writer.list().models, writer.ps().models

    assert (statuses[0], statuses[-1]) == ("pulling manifest", "success")
    assert shown.capabilities == ["completion"]
    assert (made.status, deleted.status) == ("success", "success")
    assert digest == again == f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert (gone.value.status_code, gone.value.error) == (404, "model 'mine' not found")
    # Only what is declared can be called, and so is listed.
    assert sorted(model.model or "" for model in listed) == [
        "tiny-endless:latest",
        "tiny:latest",
    ]
    assert loaded == []


def test_ollamas_own_client_of_a_user_sees_its_part(gateway: RunningGateway):
    with client(gateway, gateway.key("ada")) as user:
        listed = sorted(model.model or "" for model in user.list().models)
        shown = user.show("chat_model")
        for act in (
            lambda: user.pull("llama3:8b"),
            lambda: user.delete("tiny"),
            lambda: user.copy("tiny", "mine"),
            lambda: user.push("tiny"),
            user.ps,
        ):
            with pytest.raises(ollama.ResponseError) as refused:
                act()
            assert refused.value.status_code == 403

    assert listed == ["tiny-endless:latest", "tiny:latest"]
    assert shown.template is None


def test_a_request_is_followed_and_cancelled_by_its_name(gateway: RunningGateway):
    key, other = gateway.key("ada"), gateway.key("bob")
    body = {"model": "endless", "messages": [{"role": "user", "content": "hi"}]}
    with gateway.stream("/api/chat", body, key=key, headers={"X-Request-Id": "mine"}) as answer:
        lines = answer.iter_lines()
        first = json.loads(next(lines))
        shown = gateway.get("/requests/mine", key=key).json()
        another = gateway.get("/requests/mine", key=other)
        listed = gateway.get("/requests", key=key).json()
        cancelled = gateway.request("DELETE", "/requests/mine", key=key)
        *_, last = lines

    assert first["message"]["content"]
    assert (shown["state"], shown["server"], shown["model"]) == ("streaming", "gpu1", "tiny-endless")
    assert another.status_code == 404
    assert [request["id"] for request in listed["requests"]] == ["mine"]
    assert cancelled.json() == {"id": "mine", "cancelled": True}
    assert json.loads(last)["error"].startswith("The request was cancelled by its user.")
    assert gateway.get("/requests/mine", key=key).status_code == 404


def test_events_follow_a_request_while_it_runs(gateway: RunningGateway):
    key = gateway.key("ada")
    headers = {"Authorization": f"Bearer {key}"}
    body = {"model": "endless", "messages": [{"role": "user", "content": "hi"}]}
    with (
        gateway.stream("/api/chat", body, key=key, headers={"X-Request-Id": "mine"}) as answer,
        httpx.stream(
            "GET", f"{gateway.url}/requests/mine/events", headers=headers, trust_env=False
        ) as events,
    ):
        next(answer.iter_lines())
        lines = events.iter_lines()
        first = [next(lines), next(lines), next(lines)]
        gateway.request("DELETE", "/requests/mine", key=key)
        rest = list(lines)

    assert events.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert first[0] == "event: state"
    assert json.loads(first[1].removeprefix("data: "))["state"] in ("sent", "streaming")
    assert rest[-3] == "event: end"
    assert json.loads(rest[-2].removeprefix("data: ")) == {"id": "mine", "outcome": "cancelled"}


def test_a_revoked_key_watches_no_more(gateway: RunningGateway):
    key, watching = gateway.key("ada"), gateway.key("ada")
    headers = {"Authorization": f"Bearer {watching}"}
    body = {"model": "endless", "messages": [{"role": "user", "content": "hi"}]}
    with (
        gateway.stream("/api/chat", body, key=key, headers={"X-Request-Id": "mine"}) as answer,
        httpx.stream(
            "GET", f"{gateway.url}/requests/mine/events", headers=headers, trust_env=False
        ) as events,
    ):
        lines = events.iter_lines()
        next(lines)
        [revoked] = [
            known for known in gateway.run(gateway.gateway.administration.keys.list()) if known.id in watching
        ]
        gateway.run(gateway.gateway.administration.keys.revoke(revoked.id, actor="test"))
        rest = list(lines)
        still_runs = next(answer.iter_lines())

    assert rest[-3:-1] == ["event: error", 'data: {"error":"The gateway ended this answer."}']
    assert still_runs


def test_the_status_counts_what_has_ended(gateway: RunningGateway):
    key = gateway.key("ada")
    for _ in range(2):
        gateway.post("/api/generate", {"model": "tiny", "prompt": "hi", "stream": False}, key=key)
    status = gateway.get("/api/status", key=key).json()

    assert status["status"] == "ok"
    assert status["queue_stats"]["recent_completions"] == 2
    assert status["queue_stats"]["avg_processing_time"] > 0
    assert (status["queue_stats"]["queue_size"], status["queue_stats"]["active_requests"]) == (0, 0)
    assert status["servers"] == [{"name": "gpu1", "status": "up", "version": "0.24.0"}]
    assert status["cloud"] == {"disabled": True, "source": "config"}


def test_health_is_told_to_anybody_and_nothing_else(gateway: RunningGateway):
    assert gateway.get("/").text == "Ollama is running"
    assert gateway.get("/health/live").json() == {"status": "live"}
    assert gateway.get("/health/ready").json() == {"status": "ready"}
    assert gateway.get("/api/ollama/health").json() == {"status": "healthy"}
    for path in ("/api/tags", "/api/status", "/api/version", "/requests", "/api/admin/queue"):
        assert gateway.get(path).status_code == 401


def test_without_its_server_the_gateway_is_live_but_not_ready(tmp_path: Path):
    with SandboxServer() as sandbox:
        gone = sandbox.url
    with running_gateway(tmp_path, {"gpu1": gone}) as gateway:
        ready = gateway.get("/health/ready")
        health = gateway.get("/api/ollama/health").json()
        tags = gateway.get("/api/tags", key=gateway.key("ada"))
        pulled = gateway.post(
            "/api/providers/ollama/pull", {"model": "llama3:8b"}, key=gateway.key("olga", Scope.OPERATOR)
        )
        live = gateway.get("/health/live")

    assert (ready.status_code, ready.json()["status"]) == (503, "not ready")
    assert health["status"] == "unhealthy"
    assert "127.0.0.1" not in health["reason"]
    assert (tags.status_code, tags.json()["error"].startswith("No Ollama server is running")) == (503, True)
    assert pulled.status_code == 403  # nothing may be pulled where the file allows nothing
    assert live.status_code == 200


@pytest.mark.security(5)
def test_no_user_chooses_a_server(gateway: RunningGateway):
    key = gateway.key("ada")
    headers = {"X-Namel3ss-Server": "http://evil.example", "X-Server": "gpu1"}
    plain = gateway.get("/api/tags?server=gpu2&url_idx=1", key=key)
    named = gateway.get("/api/tags", key=key, headers=headers)
    answered = gateway.post(
        "/api/generate",
        {"model": "tiny", "prompt": "hi", "stream": False, "server": "gpu2", "url_idx": 3},
        key=key,
        headers=headers,
    )

    assert plain.status_code == named.status_code == answered.status_code == 200
    assert plain.json() == named.json()


@pytest.mark.security(35)
def test_changes_are_in_the_audit_log(gateway: RunningGateway, tmp_path: Path):
    key = gateway.key("wim", Scope.USE, Scope.OPERATOR, Scope.MODELS_WRITE)
    gateway.post("/api/copy", {"source": "tiny", "destination": "mine"}, key=key)
    gateway.request("DELETE", "/api/delete", {"model": "mine"}, key=key)
    gateway.post("/api/pull", {"model": "llama3:8b", "stream": False}, key=key)
    with closing(sqlite3.connect(tmp_path / ".namel3ss/gateway.db")) as database:
        entries = database.execute(
            "SELECT actor, action, subject FROM audit ORDER BY id DESC LIMIT 3"
        ).fetchall()

    assert entries == [
        ("wim", "model.pull", "llama3:8b"),
        ("wim", "model.delete", "mine:latest"),
        ("wim", "model.copy", "mine:latest"),
    ]
