"""`namel3ss top`: the queue of a running gateway, as a person or a program sees it."""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING

import pytest

from namel3ss.cli.gateway_view import Sight, Speed, render_sight
from namel3ss.gateway.principal import Scope
from namel3ss.sandbox import SandboxOptions, SandboxServer
from tests.support.command_line import call, on_terminal
from tests.support.eventually import eventually
from tests.support.gateway import running_gateway
from tests.support.scripted_server import refusing_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.gateway import RunningGateway

ENDLESS = {"model": "tiny-endless", "messages": [{"role": "user", "content": "Hi"}]}
MODELS = 'ai model endless { provider: ollama  model: "tiny-endless" }\n'


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[RunningGateway]:
    with (
        SandboxServer(SandboxOptions(tokens_per_second=50)) as server,
        running_gateway(tmp_path, {"gpu1": server.url}, models=MODELS) as running,
    ):
        yield running


class Callers:
    """Requests that run or wait until the end of the block, each by a user of its own."""

    def __init__(self, gateway: RunningGateway) -> None:
        self._gateway = gateway
        self._threads: list[threading.Thread] = []
        self._operator = gateway.key("operator", Scope.OPERATOR, Scope.USE)

    def add(self, user: str) -> str:
        """Have a user ask; returns once the gateway shows it. The user's key."""
        key = self._gateway.key(user)
        thread = threading.Thread(target=self._ask, args=(user, key), name=user)
        thread.start()
        self._threads.append(thread)
        eventually(lambda: self._shown(user))
        return key

    def end(self) -> None:
        for request in self._gateway.get("/requests", key=self._operator).json()["requests"]:
            self._gateway.request("DELETE", f"/requests/{request['id']}", key=self._operator)
        for thread in self._threads:
            thread.join()

    def _ask(self, user: str, key: str) -> None:
        headers = {"X-Request-Id": f"by-{user}"}
        with self._gateway.stream("/api/chat", ENDLESS, key=key, headers=headers) as answer:
            answer.read()

    def _shown(self, user: str) -> bool:
        answer = self._gateway.get(f"/requests/by-{user}", key=self._operator)
        return answer.status_code == 200 and answer.json()["state"] != "sent"


@pytest.fixture
def callers(gateway: RunningGateway) -> Iterator[Callers]:
    running = Callers(gateway)
    yield running
    running.end()


def test_an_operator_sees_everybody_and_others_see_themselves(
    gateway: RunningGateway, callers: Callers, tmp_path: Path
) -> None:
    callers.add("ada")
    key = callers.add("bob")
    operator = tmp_path / "operator.key"
    operator.write_text(gateway.key("operator", Scope.OPERATOR, Scope.USE) + "\n", encoding="utf-8")

    everybody = call("top", "--once", "--url", gateway.url, "--key-file", operator, environ={})
    own = call("top", "--json", environ={"NAMEL3SS_GATEWAY_KEY": key, "NAMEL3SS_GATEWAY_URL": gateway.url})

    assert everybody.code == 0, everybody.stderr
    lines = everybody.stdout.splitlines()
    assert lines[0] == f"{gateway.url}   1 waiting   1 running"
    assert next(line for line in lines if line.startswith("gpu1")).split()[1:] == ["up", "0.24.0"]
    assert next(line for line in lines if "by-ada" in line).split()[:3] == ["runs", "by-ada", "ada"]
    assert next(line for line in lines if "by-bob" in line).split()[:3] == ["1", "by-bob", "bob"]
    document = json.loads(own.stdout)
    assert [request["id"] for request in document["requests"]] == ["by-bob"]
    assert document["status"]["queue_stats"]["queue_size"] == 1


@pytest.mark.long
def test_on_a_terminal_it_follows_the_queue_until_ctrl_c(gateway: RunningGateway, callers: Callers) -> None:
    key = gateway.key("operator", Scope.OPERATOR, Scope.USE)
    environ = {**os.environ, "NAMEL3SS_GATEWAY_KEY": key, "TERM": "xterm"}

    with on_terminal(
        "top", "--url", gateway.url, "--interval", "0.2", columns=120, environ=environ
    ) as terminal:
        terminal.read_until("Nobody waits and nothing runs")
        callers.add("ada")
        terminal.read_until("runs +by-ada")
        terminal.read_until(r"[1-9]\d* pieces/s")
        callers.add("bob")
        terminal.read_until("1 +by-bob")
        terminal.interrupt()

        assert terminal.wait() == 0

    assert terminal.screen.endswith("\x1b[?1049l")


@pytest.mark.parametrize(
    ("environ", "code", "said"),
    [
        ({}, 2, "holders of a key only"),
        ({"NAMEL3SS_GATEWAY_KEY": "n3_wrong"}, 3, "refuses with 401"),
        ({"NAMEL3SS_GATEWAY_KEY": "n3\nwrong"}, 2, "What was given as the key is none"),
    ],
)
def test_who_may_not_look_is_told_why(
    environ: dict[str, str], code: int, said: str, gateway: RunningGateway
) -> None:
    done = call("top", "--once", "--url", gateway.url, environ=environ)

    assert (done.code, done.stdout) == (code, "")
    assert said in done.stderr


def test_where_no_gateway_is_that_is_said() -> None:
    with refusing_url() as url:
        done = call("top", "--once", "--url", url, environ={"NAMEL3SS_GATEWAY_KEY": "n3_key"})

    assert done.code == 3
    assert f"No gateway answers at {url}: Connection refused." in done.stderr


# -- the picture ----------------------------------------------------------------------------------------------


def sight(at: float, *requests: dict[str, object], total: int | None = None) -> Sight:
    status = {"queue_stats": {"queue_size": 3, "active_requests": 1}, "servers": []}
    return Sight(at, status, {"requests": list(requests), "total": total or len(requests)})


def test_far_places_are_ranges_and_long_waits_have_minutes() -> None:
    waiting = {"id": "a", "state": "waiting", "position": 40, "position_at_most": 47, "wait_time": 130.2}

    picture = render_sight(sight(0.0, waiting), "http://gateway", None, width=200)

    assert "41-48  a" in picture
    assert "2m 10s" in picture


FULL = {
    "id": "65379f92f94cb5d1",
    "state": "waiting",
    "position": 11,
    "user": "christopher.columbus",
    "source": "chat_interface",
    "model": "qwen2.5-coder:7b-instruct-q4_K_M",
    "server": "workstation_in_the_lab",
    "wait_time": 104.0,
    "eta": 58.3,
    "pieces": 0,
}


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (200, "PLACE ID USER CLASS MODEL SERVER WAITED STILL RUNNING PIECES"),
        (100, "PLACE ID USER CLASS MODEL SERVER WAITED STILL RUNNING"),
        (80, "PLACE USER CLASS MODEL WAITED STILL RUNNING"),
        (60, "PLACE USER MODEL WAITED STILL RUNNING"),
    ],
)
def test_narrow_terminals_show_what_matters_most_and_no_place_or_time_is_cut(
    width: int, columns: str
) -> None:
    running = {**FULL, "state": "streaming", "position": None, "eta": None, "running_time": 8.9}

    picture = render_sight(sight(0.0, running, FULL), "http://gateway", None, width=width, height=24)

    heading, *rows = picture.splitlines()[-3:]
    assert heading.split()[: len(columns.split())] == columns.split()
    assert [row.split()[0] for row in rows] == ["runs", "12"]
    assert all("1m 44s" in row for row in rows)
    assert max(map(len, picture.splitlines())) <= width


def test_what_does_not_fit_is_counted() -> None:
    requests = [{"id": f"r{number}", "state": "waiting", "position": number} for number in range(50)]

    picture = render_sight(sight(0.0, *requests, total=80), "http://gateway", None, width=80, height=24)

    assert "r16" in picture
    assert "r17" not in picture
    assert "and 63 more" in picture


def test_names_from_the_gateway_cannot_steer_the_terminal() -> None:
    picture = render_sight(
        sight(0.0, {"id": "a\x1b[2J", "state": "waiting", "position": 0}), "http://gateway", None, width=80
    )

    assert "\x1b" not in picture


def test_speed_is_that_of_the_pieces_since_the_last_look() -> None:
    speed = Speed()

    assert speed.of(sight(10.0, {"id": "a", "pieces": 5})) is None
    assert speed.of(sight(12.0, {"id": "a", "pieces": 25}, {"id": "b", "pieces": 10})) == 15.0
    assert speed.of(sight(13.0)) == 0.0
