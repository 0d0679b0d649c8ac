"""Rights that hold on every route, in a whole gateway in front of a server that counts what reaches it."""

from __future__ import annotations

import json
import logging
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import pytest

from namel3ss.gateway.principal import Scope
from namel3ss.gateway.routes import ROUTES, Action, Dialect
from namel3ss.sandbox import SandboxOptions, SandboxServer
from tests.support.gateway import running_gateway
from tests.support.scripted_server import ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from namel3ss.gateway.routes import Route
    from tests.support.gateway import RunningGateway

MODELS = """
ai model open_model { provider: ollama  model: "tiny" }
ai model closed_model { provider: ollama  model: "tiny-tools" }
"""
SETTINGS = 'pull: { allow: ["tiny*"] } priorities: { coding: 0, default: 5, batch: 9 }'

CLOSED = [
    "closed_model",
    "tiny-tools",
    "tiny-tools:latest",
    "TINY-Tools",
    "library/tiny-tools",
    "registry.ollama.ai/library/tiny-tools:latest",
    "http://registry.ollama.ai/library/tiny-tools",
    " tiny-tools ",
    "tiny-tools:latest\t",
    "tiny-tools:local",
    "tiny-tools@sha256:abc",
    "sha256:abc",
]

# Everything that takes the name of a model to use or to look at.
TAKES_MODEL = {Action.CHAT, Action.GENERATE, Action.EMBED, Action.SHOW_MODEL, Action.MANAGED_MODEL}


def body_for(route: Route, model: str) -> dict[str, Any] | None:
    """A request that would be fine for a model that may be used."""
    if route.method == "GET":
        return None
    say = [{"role": "user", "content": "Hi"}]
    return {"model": model, "messages": say, "prompt": "Hi", "input": "Hi", "max_tokens": 5}


def paths_for(route: Route, model: str) -> str:
    return re.sub(
        r"\{\w+\.\.\.\}", quote(model, safe="" if route.dialect is Dialect.OPENAI else "/"), route.path
    )


MODEL_ROUTES = [route for route in ROUTES if route.action in TAKES_MODEL]


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(SandboxOptions()) as server:
        yield server


@pytest.fixture
def gateway(sandbox: SandboxServer, tmp_path: Path) -> Iterator[RunningGateway]:
    with running_gateway(tmp_path, {"gpu1": sandbox.url}, settings=SETTINGS, models=MODELS) as running:
        yield running


@pytest.fixture
def key(gateway: RunningGateway) -> str:
    """Of somebody who may use one model of two."""
    return gateway.key("ada", Scope.USE, models=("open_model",))


@pytest.mark.security(3)
def test_a_model_that_a_key_may_not_use_is_out_of_reach_on_every_route_and_on_no_list(
    gateway: RunningGateway, key: str
) -> None:
    for route in MODEL_ROUTES:
        answers = {
            model: gateway.request(route.method, paths_for(route, model), body_for(route, model), key=key)
            for model in CLOSED
        }
        # A name that is none is no way in either; nothing else is said of it than that it is none.
        refused = {model: answer.status_code for model, answer in answers.items()}
        assert set(refused.values()) <= {400, 403, 404}, (route.path, refused)
        assert refused["closed_model"] in {403, 404}
        assert refused["tiny-tools"] == refused["TINY-Tools"] == refused["library/tiny-tools"]
        assert all("x-namel3ss-error" in answer.headers for answer in answers.values())
    for path in {route.path for route in ROUTES if route.action is Action.LIST_MODELS}:
        listed = gateway.get(path, key=key).text
        assert "tiny" in listed
        assert "tiny-tools" not in listed
        assert "closed_model" not in listed


# Words that other gateways have let callers reach their insides with, and that a careless one would take.
SWITCHES: dict[str, Any] = {
    "bypass": True,
    "bypass_filter": True,
    "bypass_queue": True,
    "admin": True,
    "is_admin": True,
    "internal": True,
    "debug": True,
    "user": "root",
    "user_id": "root",
    "key_id": "root",
    "role": "admin",
    "scopes": ["admin"],
    "class": "coding",
    "class_name": "coding",
    "priority": 0,
    "source": "coding",
    "url_idx": 0,
    "api_base": "http://127.0.0.1:1",
    "base_url": "http://127.0.0.1:1",
    "server": "gpu1",
    "models": ["closed_model"],
    "insecure": True,
    "anonymous": True,
    "allow_cloud": True,
}


@pytest.mark.security(4)
def test_no_switch_of_a_callers_opens_anything(gateway: RunningGateway, key: str) -> None:
    for where in ("query", "headers", "body"):
        _try_switches(gateway, key, where)


def _try_switches(gateway: RunningGateway, key: str, where: str) -> None:
    def ask(path: str, body: dict[str, Any], method: str = "POST") -> int:
        query = "&".join(f"{name}={json.dumps(value)}" for name, value in SWITCHES.items())
        headers = {
            f"X-{name.replace('_', '-')}": "http://127.0.0.1:1" if "url" in name else str(value)
            for name, value in SWITCHES.items()
        }
        return gateway.request(
            method,
            f"{path}?{quote(query, safe='=&')}" if where == "query" else path,
            {**SWITCHES, **body} if where == "body" else body,
            key=key,
            headers=headers if where == "headers" else None,
        ).status_code

    say = [{"role": "user", "content": "Hi"}]
    closed = {"model": "tiny-tools", "messages": say}

    assert ask("/api/chat", {"model": "tiny", "messages": say, "stream": False}) == 200
    assert ask("/api/chat", closed) == 403
    assert ask("/v1/chat/completions", closed) == 403
    assert ask("/v1/messages", {**closed, "max_tokens": 5}) == 403
    assert ask("/api/show", {"model": "tiny-tools"}) in {403, 404}
    assert ask("/api/ps", {}, "GET") == 403
    assert ask("/api/admin/queue", {}, "GET") == 403
    assert ask("/api/delete", {"model": "tiny"}, "DELETE") == 403
    assert ask("/api/pull", {"model": "tiny"}) == 403


@pytest.mark.security(4, 29)
def test_a_priority_is_the_keys_whatever_the_caller_says(gateway: RunningGateway) -> None:
    batch = gateway.key("bob", Scope.USE, class_name="batch")
    said = dict.fromkeys(("X-Class", "X-Source", "X-Request-Source"), "coding")
    headers = {**said, "X-Priority": "0", "X-Queue-Priority": "0", "Priority": "u=0"}
    body = {
        "model": "tiny",
        "messages": [{"role": "user", "content": "Hi"}],
        "priority": 0,
        "class": "coding",
    }

    me = gateway.get("/auth/me?priority=0&class=coding", key=batch, headers=headers).json()
    assert gateway.post("/api/chat", body, key=batch, headers=headers).status_code == 200
    counted = gateway.run(_scrape(gateway.admin_url, gateway.first_key or ""))

    assert (me["class"], me["priority"]) == ("batch", 9)
    classes = re.findall(r'namel3ss_gateway_requests_total{class="(\w+)"', counted)
    assert classes == ["batch"]


@pytest.mark.security(5, 37)
def test_no_word_of_a_callers_makes_the_gateway_ask_another_address(gateway: RunningGateway) -> None:
    """Names with hosts, links to images, addresses in fields: a stranger's server hears nothing."""
    full = gateway.full_key("stranger")
    with ScriptedServer() as stranger:
        host = stranger.url.removeprefix("http://")
        image = {"type": "image_url", "image_url": {"url": f"{stranger.url}/a.png"}}
        asked = [
            ("POST", "/api/pull", {"model": f"{host}/library/tiny", "insecure": True}),
            ("POST", "/api/pull", {"model": f"http://{host}/library/tiny", "insecure": True}),
            ("POST", "/api/providers/ollama/pull", {"model": f"{host}/library/tiny"}),
            ("POST", "/api/push", {"model": f"{host}/library/tiny", "insecure": True}),
            ("POST", "/api/show", {"model": f"{stranger.url}/library/tiny"}),
            ("POST", "/api/chat", {"model": f"{host}/library/tiny", "messages": []}),
            (
                "POST",
                "/v1/chat/completions",
                {"model": "tiny", "messages": [{"role": "user", "content": [image]}]},
            ),
            ("POST", "/api/chat", {"model": "tiny", "api_base": stranger.url, "messages": []}),
        ]
        for method, path, body in asked:
            gateway.request(
                method,
                path,
                body,
                key=full,
                headers={"X-Namel3ss-Server": stranger.url, "X-Forwarded-Host": host},
            )
            gateway.request(method, path, body, key=full)

        assert stranger.requests == []


@pytest.mark.security(24)
def test_prompts_and_answers_are_kept_nowhere(
    sandbox: SandboxServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    canary = "canary-of-a-prompt"
    say = [{"role": "user", "content": canary}]
    with running_gateway(tmp_path, {"gpu1": sandbox.url}) as gateway:
        key = gateway.key("ada")
        answers = [
            gateway.post("/api/chat", {"model": "tiny", "messages": say}, key=key),
            gateway.post("/v1/chat/completions", {"model": "tiny", "messages": say}, key=key),
            gateway.post("/api/generate", {"model": "tiny", "prompt": canary}, key=key),
            gateway.post("/api/generate", {"model": canary, "prompt": canary}, key=key),
            gateway.post("/api/chat", {"model": "tiny", "messages": canary}, key=key),
            gateway.post("/api/chat", {"message": canary, "messages": say}, key=key),
        ]
        metrics = gateway.run(_scrape(gateway.admin_url, gateway.first_key or ""))

    assert [answer.status_code for answer in answers[:3]] == [200, 200, 200]
    assert canary not in metrics
    assert canary not in caplog.text
    for file in tmp_path.rglob("*"):
        if file.is_file():
            assert canary.encode() not in file.read_bytes(), file


async def _scrape(url: str, key: str) -> str:
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        answer = await client.get("/metrics", headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 200, answer.text
    return answer.text
