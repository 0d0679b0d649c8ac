"""Callers that leave the views of the queue, management and administration at any turn of the event loop."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
import uvloop

from namel3ss.declarations import read_program
from namel3ss.gateway.plan import plan_gateway
from namel3ss.gateway.serving.gateway import open_gateway
from namel3ss.gateway.store import KeyGrant
from tests.gateway.forwarding.play import eventually, with_models
from tests.gateway.forwarding.sayings import PROMPT, stream, token
from tests.support.gateway import ALL_SCOPES, write_gateway
from tests.support.scripted_server import ScriptedServer, document, stall

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from namel3ss.gateway.serving.gateway import Gateway

pytestmark = pytest.mark.long

# Each turn at first, where most happens; later ones far apart, for what waits for the database.
TURNS = (*range(24), 30, 40, 60, 100, 200, 400)
DIGEST = "sha256:" + "a" * 64
MAIN: tuple[tuple[str, str, object], ...] = (
    ("GET", "/api/status", None),
    ("GET", "/api/admin/queue", None),
    ("GET", "/requests", None),
    ("GET", "/requests/running/events", None),
    ("GET", "/requests/waiting/events", None),
    ("GET", "/api/ps", None),
    ("POST", "/api/pull", {"model": "tiny"}),
    ("POST", "/api/providers/ollama/pull", {"model": "tiny", "stream": True}),
    ("POST", "/api/create", {"model": "other", "from": "tiny"}),
    ("POST", "/api/blobs/" + DIGEST, {}),
    ("DELETE", "/api/delete", {"model": "tiny"}),
)
ADMINISTRATION: tuple[tuple[str, str, object], ...] = (
    ("GET", "/api/overview", None),
    ("POST", "/api/keys", {"user": "ann"}),
    ("GET", "/api/usage", None),
    ("GET", "/api/audit", None),
    ("GET", "/metrics", None),
)


def request(method: str, path: str, body: object, key: str, name: str = "") -> bytes:
    data = b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {key}"]
    lines += [f"Content-Length: {len(data)}", "Content-Type: application/json"]
    lines += [f"X-Request-Id: {name}"] if name else []
    return "\r\n".join([*lines, "", ""]).encode() + data


async def leave_at_every_turn(gateway: Gateway, url: str, data: bytes) -> None:
    port = int(url.rpartition(":")[2])
    for turns in TURNS:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(data)
        for _ in range(turns):
            await asyncio.sleep(0)
        writer.transport.abort()
        await eventually(lambda: is_at_rest(gateway))


def is_at_rest(gateway: Gateway) -> bool:
    """Whether nothing is under way but the request that runs and the one that waits."""
    ends = (gateway._endpoint, gateway._admin_endpoint)
    return (
        [end.connections for end in ends] == [2, 0]
        and [len(end._state.tasks) for end in ends] == [2, 0]
        and gateway._front.running == 2
        and gateway._live.by_id.keys() == {"running", "waiting"}
    )


@pytest.mark.parametrize(
    "new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)
def test_whoever_leaves_at_any_turn_leaves_nothing_behind(
    new_loop: Callable[[], asyncio.AbstractEventLoop], tmp_path: Path
) -> None:
    with with_models(ScriptedServer(), "tiny") as server:
        server.on("/api/generate", [*stream(token("a"))[:1], stall()])
        server.on("/api/pull", stream(b'{"status":"success"}\n'))
        server.on("/api/create", stream(b'{"status":"success"}\n'))
        server.on(f"/api/blobs/{DIGEST}", document({}, 201))
        server.on("/api/delete", document({}))
        file = write_gateway(tmp_path, {"gpu1": server.url}, settings='pull: { allow: ["*"] }')
        plan = plan_gateway(read_program(file, environ={}), None, {})

        async def serve() -> None:
            first: list[str] = []
            async with open_gateway(
                plan, deliver_first_key=lambda made, _: first.append(made.token), store_timeout_s=10.0
            ) as gateway:
                await gateway.administration.users.create("ann", actor="test")
                grant = KeyGrant(scopes=ALL_SCOPES)
                key = (await gateway.administration.keys.create("ann", grant, actor="test")).token
                main, administration = gateway.url, gateway.admin_url
                port = int(main.rpartition(":")[2])
                running, waiting = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
                running[1].write(request("POST", "/api/generate", PROMPT, key, "running"))
                await eventually(lambda: "running" in gateway._live.by_id)
                waiting[1].write(request("POST", "/api/generate", PROMPT, key, "waiting"))
                await eventually(lambda: is_at_rest(gateway))
                for method, path, body in MAIN:
                    await leave_at_every_turn(gateway, main, request(method, path, body, key))
                for method, path, body in ADMINISTRATION:
                    await leave_at_every_turn(gateway, administration, request(method, path, body, first[0]))
                for _, writer in (running, waiting):
                    writer.close()

        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(serve())
