"""What users see of the rules: who goes first, who is ended, and that an ending gateway says so before."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from namel3ss.gateway.principal import Scope
from namel3ss.sandbox import SandboxOptions, SandboxServer
from tests.support.command_line import call
from tests.support.eventually import eventually
from tests.support.gateway import running_gateway

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.support.gateway import RunningGateway

MODELS = """
ai model chat { provider: ollama  model: "tiny" }
ai model endless { provider: ollama  model: "tiny-endless" }
"""
SETTINGS = "priorities: { coding: 0, chat: 5, batch: 9 }"
ENDLESS = {"model": "endless", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    with SandboxServer(SandboxOptions(tokens_per_second=50)) as running:
        yield running


@pytest.fixture
def gateway(tmp_path: Path, server: SandboxServer) -> Iterator[RunningGateway]:
    with running_gateway(tmp_path, {"gpu1": server.url}, models=MODELS, settings=SETTINGS) as running:
        yield running


class Caller(threading.Thread):
    """One streamed request; `ended_at` is when its answer was complete."""

    def __init__(
        self,
        gateway: RunningGateway,
        key: str,
        document: Mapping[str, object],
        *,
        name: str,
        path: str = "/api/chat",
    ) -> None:
        super().__init__(name=name)
        self.text = ""
        self.status = 0
        self.headers = httpx.Headers()
        self.ended_at = 0.0
        self._gateway = gateway
        self._key = key
        self._document = document
        self._path = path
        self.start()

    def run(self) -> None:
        headers = {"X-Request-Id": self.name}
        with self._gateway.stream(self._path, self._document, key=self._key, headers=headers) as answer:
            self.status, self.headers = answer.status_code, answer.headers
            for piece in answer.iter_text():
                self.text += piece
        self.ended_at = time.monotonic()


def wait_for_state(gateway: RunningGateway, operator: str, name: str, *states: str) -> None:
    """Returns once the request of that name is in one of these states."""

    def holds() -> bool:
        answer = gateway.get(f"/requests/{name}", key=operator)
        return answer.status_code == 200 and answer.json()["state"] in states

    eventually(holds)


@pytest.mark.security(29)
def test_urgent_classes_go_first_and_nobody_chooses_a_class_by_a_header(gateway: RunningGateway) -> None:
    operator = gateway.key("operator", Scope.OPERATOR, Scope.USE)
    keys = {name: gateway.key(name, class_name=name) for name in ("batch", "chat", "coding")}
    first = Caller(gateway, keys["coding"], ENDLESS, name="first")
    wait_for_state(gateway, operator, "first", "streaming")
    short = {**ENDLESS, "options": {"num_predict": 10}}
    # The least urgent asks first.
    callers = []
    for name, key in keys.items():
        callers.append(Caller(gateway, key, short, name=name))
        wait_for_state(gateway, operator, name, "waiting")

    waiting = gateway.get("/requests", key=operator, headers={"X-Priority": "0"}).json()["requests"][1:]
    gateway.request("DELETE", "/requests/first", key=operator)
    for caller in (first, *callers):
        caller.join()

    assert [(each["id"], each["position"]) for each in waiting] == [("coding", 0), ("chat", 1), ("batch", 2)]
    assert [each.name for each in sorted(callers, key=lambda each: each.ended_at)] == [
        "coding",
        "chat",
        "batch",
    ]
    assert [each.headers["x-queue-position"] for each in callers] == ["0", "0", "0"]


@pytest.mark.security(6, 13)
def test_a_key_revoked_by_another_process_ends_its_running_stream(
    gateway: RunningGateway, server: SandboxServer, tmp_path: Path
) -> None:
    operator, key = gateway.key("operator", Scope.OPERATOR, Scope.USE), gateway.key("ada")
    running = Caller(gateway, key, ENDLESS, name="running")
    wait_for_state(gateway, operator, "running", "streaming")
    (shown,) = (each for each in _keys(tmp_path) if each["user"] == "ada")

    done = call("gateway", "key", "revoke", str(shown["id"]), "--file", tmp_path / "team.ai", environ={})
    running.join()

    assert done.code == 0, done.stderr
    assert "revoked" in json.loads(running.text.strip().splitlines()[-1])["error"]
    assert gateway.get("/api/tags", key=key).status_code == 401
    eventually(lambda: server.active_requests == 0)


def _keys(folder: Path) -> list[dict[str, object]]:
    listed = call("gateway", "key", "list", "--json", "--file", folder / "team.ai", environ={})
    keys: list[dict[str, object]] = json.loads(listed.stdout)
    return keys


@pytest.mark.fault(71)
def test_an_ending_gateway_is_not_ready_before_it_stops_accepting(gateway: RunningGateway) -> None:
    key = gateway.key("ada")
    assert gateway.get("/health/ready").status_code == 200
    stopping = threading.Thread(
        target=lambda: gateway.run(gateway.gateway.stop(notice_s=3600.0)), name="stopping"
    )
    stopping.start()

    eventually(lambda: gateway.get("/health/ready").status_code == 503)
    during = gateway.post("/api/chat", {**ENDLESS, "model": "chat"}, key=key)
    gateway.run(_hurry(gateway))
    stopping.join()

    assert (during.status_code, gateway.gateway.course.is_stopping) == (200, True)
    with pytest.raises(httpx.ConnectError):
        gateway.get("/health/live")


async def _hurry(gateway: RunningGateway) -> None:
    gateway.gateway.course.hurry.set()


@pytest.mark.fault(58, 66)
def test_a_server_that_ends_takes_its_stream_and_nobody_elses(tmp_path: Path) -> None:
    options = SandboxOptions(tokens_per_second=50)
    with SandboxServer(options) as survivor, SandboxServer(options) as victim:
        servers = {"gpu1": victim.url, "gpu2": survivor.url}
        with running_gateway(tmp_path, servers, models=MODELS) as gateway:
            operator, key = gateway.key("operator", Scope.OPERATOR, Scope.USE), gateway.key("ada")
            running = []
            for number in range(2):
                running.append(Caller(gateway, key, ENDLESS, name=f"r{number}"))
                wait_for_state(gateway, operator, f"r{number}", "streaming")
            waiting = Caller(
                gateway,
                key,
                {**ENDLESS, "max_tokens": 5},
                name="waiting",
                path="/v1/chat/completions",
            )
            wait_for_state(gateway, operator, "waiting", "waiting")
            listed = gateway.get("/requests", key=operator).json()["requests"]
            hit = next(each["id"] for each in listed if each.get("server") == "gpu1")

            victim.stop()
            next(each for each in running if each.name == hit).join()
            (left,) = (each for each in running if each.name != hit)
            gateway.request("DELETE", f"/requests/{left.name}", key=operator)
            left.join()
            waiting.join()

    broken = next(each for each in running if each.name == hit)
    assert "error" in json.loads(broken.text.strip().splitlines()[-1])
    assert (waiting.status, "error" in waiting.text) == (200, False)
