"""Servers as processes that are killed, frozen and started again, behind a whole gateway under load."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from namel3ss.gateway.principal import Scope
from namel3ss.sandbox import SandboxOptions, SandboxServer
from tests.support.command_line import COMMAND, environment
from tests.support.eventually import eventually
from tests.support.gateway import running_gateway

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.gateway import RunningGateway

MODELS: Final = (
    'ai model chat_model { provider: ollama  model: "tiny" }\n'
    'ai model endless { provider: ollama  model: "tiny-endless" }\n'
)
PATIENT: Final = "queue: { max_wait: 60s }  limits: { streams_per_user: 100 }"
PATIENCE_S: Final = 60.0
CHAT: Final[dict[str, Any]] = {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}]}
ENDLESS: Final = {**CHAT, "model": "tiny-endless", "options": {"num_predict": 400}}


class SandboxProcess:
    """`namel3ss sandbox`, started again on its own port after it was killed."""

    def __init__(self, *, pace: int) -> None:
        self._pace = pace
        self._port = 0
        self._process: subprocess.Popen[str] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        arguments = ["sandbox", "--port", str(self._port), "--tokens-per-second", str(self._pace)]
        self._process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        assert self._process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:(\d+)", self._process.stdout.readline())
        assert found is not None
        self._port = int(found[1])

    def send(self, sent: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(sent)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(PATIENCE_S)
        assert self._process.stdout is not None
        self._process.stdout.close()


@contextlib.contextmanager
def sandbox(*, pace: int = 200) -> Iterator[SandboxProcess]:
    process = SandboxProcess(pace=pace)
    try:
        yield process
    finally:
        process.kill()


class Answer:
    """What one caller got."""

    def __init__(self, status: int, text: str) -> None:
        self.status = status
        self.last = json.loads(text.strip().splitlines()[-1])

    @property
    def is_whole(self) -> bool:
        return self.status == 200 and self.last.get("done") is True

    @property
    def ended_with_an_error(self) -> bool:
        return "error" in self.last


def ask(gateway: RunningGateway, key: str, body: dict[str, Any]) -> Answer:
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=gateway.url, timeout=PATIENCE_S, trust_env=False, headers=headers) as client:
        answer = client.post("/api/chat", json=body)
        return Answer(answer.status_code, answer.text)


def states(gateway: RunningGateway, key: str) -> list[str]:
    return [request["state"] for request in gateway.get("/requests", key=key).json()["requests"]]


def wait_for_state(gateway: RunningGateway, key: str, state: str) -> None:
    """Until the first server is in that state: probes take their time."""
    for _ in range(5):
        with contextlib.suppress(AssertionError):
            eventually(lambda: gateway.get("/api/status", key=key).json()["servers"][0]["status"] == state)
            return
    raise AssertionError(f"gpu1 never was {state}")


@pytest.mark.long
@pytest.mark.fault(58)
def test_killed_server_ends_its_streams_and_nobody_elses_and_comes_back(tmp_path: Path) -> None:
    with (
        sandbox(pace=100) as victim,
        sandbox(pace=100) as survivor,
        running_gateway(
            tmp_path, {"gpu1": victim.url, "gpu2": survivor.url}, models=MODELS, settings=PATIENT
        ) as gateway,
        ThreadPoolExecutor(30) as callers,
    ):
        key, operator = gateway.key("ada"), gateway.key("olga", Scope.USE, Scope.OPERATOR)
        long: list[Future[Answer]] = [callers.submit(ask, gateway, key, ENDLESS) for _ in range(2)]
        eventually(lambda: states(gateway, operator).count("streaming") == 2)
        waiting = [callers.submit(ask, gateway, key, CHAT) for _ in range(20)]

        victim.kill()

        short = [future.result(PATIENCE_S) for future in waiting]
        wait_for_state(gateway, operator, "down")
        victim.start()
        wait_for_state(gateway, operator, "up")
        again = [ask(gateway, key, CHAT) for _ in range(4)]
        streams = [future.result(PATIENCE_S) for future in long]

    # Of them some may have been with the server when it died. They may have run, so nobody sends them again unasked.
    lost = [answer.last for answer in short if not answer.is_whole]
    assert len(lost) <= 2, lost
    assert all("error" in str(last) for last in lost), lost
    assert all(answer.is_whole for answer in again)
    assert sorted(answer.ended_with_an_error for answer in streams) == [False, True]


@pytest.mark.long
@pytest.mark.fault(59)
def test_frozen_server_is_left_and_those_who_wait_survive_until_it_wakes(tmp_path: Path) -> None:
    with (
        sandbox() as server,
        running_gateway(tmp_path, {"gpu1": server.url}, models=MODELS, settings=PATIENT) as gateway,
        ThreadPoolExecutor(10) as callers,
    ):
        key, operator = gateway.key("ada"), gateway.key("olga", Scope.USE, Scope.OPERATOR)
        assert ask(gateway, key, CHAT).is_whole
        server.send(signal.SIGSTOP)
        try:
            waiting = [callers.submit(ask, gateway, key, CHAT) for _ in range(5)]
            wait_for_state(gateway, operator, "down")
            health_of_gateway = gateway.get("/health/ready").status_code
        finally:
            server.send(signal.SIGCONT)
        answers = [future.result(PATIENCE_S) for future in waiting]

    assert health_of_gateway == 503
    assert all(answer.is_whole for answer in answers), [answer.last for answer in answers]


def test_declared_models_are_pulled_at_the_start_where_the_file_wants_it(tmp_path: Path) -> None:
    models = (
        'ai model chat_model { provider: ollama  model: "tiny" }\n'
        'ai model wanted { provider: ollama  model: "llama3:8b"  auto_pull_model: true }\n'
        'ai model unwanted { provider: ollama  model: "qwen2.5:7b" }\n'
    )
    with (
        SandboxServer(SandboxOptions(pull_seconds=0.0)) as server,
        running_gateway(tmp_path, {"gpu1": server.url}, models=models) as gateway,
    ):
        key = gateway.key("ada")
        absent = ask(gateway, key, {**CHAT, "model": "qwen2.5:7b"})
        eventually(lambda: ask(gateway, key, {**CHAT, "model": "llama3:8b"}).is_whole)
        listed = {model["name"] for model in gateway.get("/api/tags", key=key).json()["models"]}

    assert absent.status == 404
    assert listed == {"tiny:latest", "llama3:8b"}
