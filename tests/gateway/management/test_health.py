"""The gateway's own health is told at once, and to anybody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.gateway.management.calling import call, managing
from tests.gateway.management.test_lists import PROGRAM, managed

if TYPE_CHECKING:
    from tests.support.scripted_server import ScriptedServer


async def test_the_banner_is_ollamas(upstream: ScriptedServer):
    async with managed(upstream) as (handlers, _):
        got = await call(handlers, "GET", "/", by=None)
        asked = await call(handlers, "HEAD", "/", by=None)

    assert (got.status, got.body) == (200, b"Ollama is running")
    assert got.headers["content-type"] == "text/plain; charset=utf-8"
    assert (asked.status, asked.body) == (200, b"")


async def test_health_asks_no_server(upstream: ScriptedServer):
    async with managed(upstream) as (handlers, servers):
        for path in ("/health/live", "/health/ready", "/api/ollama/health"):
            assert (await call(handlers, "GET", path, by=None)).status == 200
            asked = await call(handlers, "HEAD", path, by=None)
            assert (asked.status, asked.body) == (200, b"")
        servers.down.add("gpu1")
        for path in ("/health/live", "/health/ready", "/api/ollama/health"):
            await call(handlers, "GET", path, by=None)

    assert upstream.requests == []


async def test_the_gateway_is_ready_while_a_server_is_usable(
    upstream: ScriptedServer, second: ScriptedServer
):
    async with managed(upstream, second) as (handlers, servers):
        servers.down.add("gpu1")
        one = await call(handlers, "GET", "/health/ready", by=None)
        servers.down.add("gpu2")
        none = await call(handlers, "GET", "/health/ready", by=None)
        live = await call(handlers, "GET", "/health/live", by=None)

    assert (one.status, one.json) == (200, {"status": "ready"})
    assert (none.status, none.json) == (
        503,
        {"status": "not ready", "reason": "no Ollama server is running: the connection was refused"},
    )
    assert (live.status, live.json) == (200, {"status": "live"})


async def test_a_gateway_that_is_stopping_is_live_but_not_ready(upstream: ScriptedServer):
    async with managed(upstream, stopping=True) as (handlers, _):
        ready = await call(handlers, "GET", "/health/ready", by=None)
        live = await call(handlers, "GET", "/health/live", by=None)

    assert (ready.status, ready.json["reason"]) == (503, "the gateway is stopping")
    assert live.status == 200


async def test_server_health_says_healthy_or_why_not(upstream: ScriptedServer):
    async with managed(upstream) as (handlers, servers):
        well = await call(handlers, "GET", "/api/ollama/health", by=None)
        servers.down.add("gpu1")
        ill = await call(handlers, "GET", "/api/ollama/health", by=None)

    assert (well.status, well.json) == (200, {"status": "healthy"})
    assert (ill.status, ill.json) == (
        200,
        {"status": "unhealthy", "reason": "no Ollama server is running: the connection was refused"},
    )


async def test_the_status_names_the_servers_and_not_their_addresses(
    upstream: ScriptedServer, second: ScriptedServer
):
    addresses = {"gpu1": upstream.url, "gpu2": second.url}
    async with managing(PROGRAM % "", addresses) as here:
        here.servers.down.add("gpu2")
        one = here.management.status()
        here.servers.down.add("gpu1")
        none = here.management.status()

    assert one == {
        "status": "ok",
        "provider": "ollama",
        "queue_stats": {"avg_processing_time": None, "recent_completions": 0},
        "servers": [
            {"name": "gpu1", "status": "up", "version": "0.24.0"},
            {"name": "gpu2", "status": "down", "version": "0.24.0"},
        ],
        "cloud": {"disabled": True, "source": "config"},
    }
    assert none["status"] == "error"
