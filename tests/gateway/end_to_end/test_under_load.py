"""The process under load: killed and started again, and a crowd of which half vanishes."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import resource
import sqlite3
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import httpx
import pytest

from namel3ss.sandbox import SandboxOptions, SandboxServer
from tests.gateway.end_to_end.served import PATIENCE_S, served
from tests.support.command_line import call
from tests.support.eventually import eventually
from tests.support.gateway import write_gateway

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.gateway.end_to_end.served import Served

pytestmark = pytest.mark.long

CHAT: Final = {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}]}


def make_key(program: Path, user: str, *options: str) -> str:
    """A key of a new user, made by the command line while the gateway runs."""
    made = call("gateway", "user", "create", user, "--file", program, environ={})
    assert made.code == 0, made.stderr
    done = call("gateway", "key", "create", user, *options, "--file", program, environ={})
    assert done.code == 0, done.stderr
    return done.stdout.strip()


def wait_until_known(gateway: Served, *keys: str) -> None:
    """Returns once the running gateway takes these keys, which another process has made."""
    for key in keys:
        with gateway.client(key) as client:
            eventually(functools.partial(_is_let_in, client))


def _is_let_in(client: httpx.Client) -> bool:
    return client.get("/api/tags").status_code == 200


def used(program: Path) -> int:
    """How many requests the books hold."""
    done = call("gateway", "usage", "--by", "user", "--json", "--file", program, environ={})
    assert done.code == 0, done.stderr
    return sum(int(row["requests"]) for row in json.loads(done.stdout)["usage"])


# -- kill -9 --------------------------------------------------------------------------------------------------


class Load:
    """Threads that ask without a pause, until the gateway is gone."""

    def __init__(self, url: str, key: str) -> None:
        self.answered = 0
        self._url = url
        self._key = key
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._ask, name=f"load {n}") for n in range(8)]
        for thread in self._threads:
            thread.start()

    def _ask(self) -> None:
        headers = {"Authorization": f"Bearer {self._key}"}
        with (
            contextlib.suppress(httpx.HTTPError),
            httpx.Client(base_url=self._url, headers=headers, timeout=PATIENCE_S, trust_env=False) as client,
        ):
            while True:
                answer = client.post("/api/chat", json=CHAT)
                assert answer.status_code == 200, answer.text
                with self._lock:
                    self.answered += 1

    def join(self) -> None:
        for thread in self._threads:
            thread.join(PATIENCE_S)


@pytest.mark.fault(66, 71, 73)
def test_killed_under_load_it_has_lost_nothing_that_was_stored_and_starts_cleanly(tmp_path: Path) -> None:
    with SandboxServer(SandboxOptions()) as server:
        program = write_gateway(tmp_path, {"gpu1": server.url}, settings="limits: { streams_per_user: 16 }")
        with served(program) as first:
            key = make_key(program, "ada")
            wait_until_known(first, key)
            load = Load(first.url, key)
            eventually(lambda: load.answered >= 50)
            # By now what was answered before is in the books: they are at most a second behind.
            eventually(lambda: used(program) >= 50)
            counted = used(program)
            late = make_key(program, "bob")
            first.process.kill()
            load.join()
        with served(program) as second:
            with second.client(key) as client:
                answers = [
                    client.post("/api/chat", json=CHAT),
                    client.get("/api/tags", headers=_bearer(late)),
                ]
            code = second.stop()

        database = sqlite3.connect(tmp_path / ".namel3ss" / "gateway.db")
        with contextlib.closing(database):
            (intact,) = database.execute("PRAGMA integrity_check").fetchone()
            acts = [row[0] for row in database.execute("SELECT action FROM audit ORDER BY id")]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert (code, intact) == (0, "ok")
    assert acts == ["key.first", "user.create", "key.create", "user.create", "key.create"]
    assert counted < used(program) <= load.answered + 8 + 1
    assert not any("Traceback" in line or "warning" in line for line in second.words)
    eventually(lambda: server.active_requests == 0)


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


# -- a crowd --------------------------------------------------------------------------------------------------

CLIENTS: Final = 1_000
USERS: Final = 10


@dataclass
class Crowd:
    """What came of a thousand requests."""

    statuses: Counter[int] = field(default_factory=Counter)
    without_advice: int = 0
    served: Counter[str] = field(default_factory=Counter)


@pytest.fixture
def _many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard not in (resource.RLIM_INFINITY,) and hard < 4096:
        pytest.skip(f"needs more than {hard} open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("_many_files")
@pytest.mark.fault(55)
@pytest.mark.security(30)
def test_of_a_thousand_clients_half_vanish_and_the_others_are_served_or_told_when_to_come(
    tmp_path: Path,
) -> None:
    settings = "queue: { max_waiting: 300, max_waiting_per_user: 40 }  limits: { streams_per_user: 100 }"
    with SandboxServer(SandboxOptions()) as server:
        program = write_gateway(tmp_path, {"gpu1": server.url}, settings=settings)
        with served(program) as gateway:
            keys = {f"user{number}": make_key(program, f"user{number}") for number in range(USERS)}
            wait_until_known(gateway, *keys.values())
            crowd = Crowd()
            asyncio.run(_come(crowd, httpx.URL(gateway.url), keys))
            _wait_until_idle(gateway)
            code = gateway.stop()
        eventually(lambda: server.active_requests == 0)

    assert code == 0
    assert crowd.statuses.keys() <= {200, 429, 503}, crowd.statuses
    assert sum(crowd.statuses.values()) == CLIENTS // 2
    assert crowd.without_advice == 0
    # Fair between users: each of them got something.
    assert len(crowd.served) == USERS, crowd.served
    assert not any("Traceback" in line for line in gateway.words)


async def _come(crowd: Crowd, address: httpx.URL, keys: dict[str, str]) -> None:
    async with asyncio.TaskGroup() as group:
        for number in range(CLIENTS):
            user = f"user{number % USERS}"
            vanishes = number // USERS % 2 == 1
            group.create_task(_one(crowd, address, user, keys[user], vanishes=vanishes))


async def _one(crowd: Crowd, address: httpx.URL, user: str, key: str, *, vanishes: bool) -> None:
    body = json.dumps({**CHAT, "stream": False}).encode()
    head = (
        f"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        writer.write(head.encode() + body)
        await writer.drain()
        if vanishes:
            writer.transport.abort()
            return
        answer = await reader.read()
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    status = int(answer.split(b" ", 2)[1])
    crowd.statuses[status] += 1
    crowd.served[user] += status == 200
    crowd.without_advice += status != 200 and b"retry-after: " not in answer.lower()


def _wait_until_idle(gateway: Served) -> None:
    """Returns once nothing waits and nothing runs."""
    with gateway.client() as client:
        eventually(
            lambda: (
                client.get("/api/status").json()["queue_stats"]["queue_size"] == 0
                and client.get("/requests").json()["total"] == 0
            )
        )
