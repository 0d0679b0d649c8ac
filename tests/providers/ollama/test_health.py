"""Health: one probe for everybody, remembered, and an answer whatever is there."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from namel3ss.observability.metrics import register_metric_listener, unregister_metric_listener
from namel3ss.providers.local.ollama._health import HealthMonitor
from namel3ss.providers.local.ollama._models import OllamaModelManager, model_names
from namel3ss.providers.local.ollama._server import OllamaServerManager
from tests.support.clock import ManualClock
from tests.support.scripted_server import Gate, ScriptedServer, document, refusing_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from namel3ss.providers.local.ollama._http import OllamaHttp
    from tests.support.scripted_server import Script

VERSION = document({"version": "0.24.0"})
TAGS = document({"models": [{"name": "Tiny:latest"}, {"name": "phi:latest"}]})
PAGE = document(b"<html>Sign in</html>", headers={"Content-Type": "text/html"})


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as upstream:
        yield upstream.on("/api/version", VERSION).on("/api/tags", TAGS)


@pytest.fixture
async def monitor(server: ScriptedServer) -> AsyncIterator[HealthMonitor]:
    models = OllamaModelManager(server.url)
    async with models:
        yield watch(models._http, models)


def watch(
    http: OllamaHttp, models: OllamaModelManager, model: str = "tiny", clock: ManualClock | None = None
) -> HealthMonitor:
    async def names() -> list[str]:
        return model_names(await models.list_models())

    return HealthMonitor(http, model, names, interval_s=30, clock=clock or ManualClock())


async def test_a_server_with_the_model_is_healthy(monitor, server):
    health = await monitor.check()

    assert health["status"] == "healthy"
    assert health["model_available"] is True
    assert health["available_models"] == ["Tiny:latest", "phi:latest"]
    probe = health["server_health"]
    assert (probe["status"], probe["version"]) == ("healthy", "0.24.0")
    assert isinstance(probe["response_time_ms"], float)
    assert datetime.fromisoformat(probe["checked_at"]).tzinfo is not None
    assert "error" not in health


async def test_a_server_without_the_model_is_degraded(monitor, server):
    server.on("/api/tags", document({"models": [{"name": "phi:latest"}]}))

    health = await monitor.check()

    assert (health["status"], health["model_available"]) == ("degraded", False)
    assert health["available_models"] == ["phi:latest"]
    assert health["suggestion"] == "Run: ollama pull tiny"


async def test_a_server_whose_list_cannot_be_had_is_degraded(monitor, server):
    server.on("/api/tags", PAGE)

    health = await monitor.check()

    assert (health["status"], health["available_models"]) == ("degraded", [])
    assert "Sign in" in health["error"]


NOT_OLLAMA: dict[str, Script] = {
    "a proxy's page": PAGE,
    "JSON of somebody else": document({"status": "ok"}),
    "an empty version": document({"version": ""}),
    "a version that is no text": document({"version": 3}),
    "broken JSON": document(b'{"version":'),
    "a list": document([]),
    "deep nesting": document(b"[" * 100_000),
    "an error": document({"error": "upstream"}, 502),
    "forbidden": document(b"", 403),
}


@pytest.mark.fault(12)
@pytest.mark.parametrize("answer", NOT_OLLAMA.values(), ids=NOT_OLLAMA.keys())
async def test_whatever_gives_no_version_is_unhealthy(monitor, server, answer):
    server.on("/api/version", answer)

    health = await monitor.check()

    assert (health["status"], health["model_available"], health["available_models"]) == (
        "unhealthy",
        False,
        [],
    )
    assert health["server_health"]["version"] is None
    assert isinstance(health["server_health"]["response_time_ms"], float)
    assert health["error"]


async def test_a_server_that_is_not_there_is_unhealthy():
    with refusing_url() as url:
        async with OllamaModelManager(url) as models:
            health = await watch(models._http, models).check()

    assert health["status"] == "unhealthy"
    assert "Could not reach" in health["error"]
    assert health["server_health"]["response_time_ms"] > 0


async def test_a_closed_connection_is_unhealthy_and_no_exception(server):
    models = OllamaModelManager(server.url)
    await models.aclose()

    health = await watch(models._http, models).check()

    assert health["status"] == "unhealthy"


async def test_health_is_remembered_until_the_interval_has_passed(server):
    clock = ManualClock()
    async with OllamaModelManager(server.url) as models:
        monitor = watch(models._http, models, clock=clock)
        first = await monitor.check()
        clock.advance(29)
        assert await monitor.check() == first
        clock.advance(1)
        await monitor.check()

    assert server.paths().count("/api/version") == 2


async def test_bad_health_is_believed_for_a_shorter_time(server):
    clock = ManualClock()
    server.on("/api/version", PAGE, VERSION)
    async with OllamaModelManager(server.url) as models:
        monitor = watch(models._http, models, clock=clock)
        assert (await monitor.check())["status"] == "unhealthy"
        clock.advance(1.9)
        assert (await monitor.check())["status"] == "unhealthy"
        clock.advance(0.1)
        assert (await monitor.check())["status"] == "healthy"


async def test_force_and_invalidation_ask_again(monitor, server):
    await monitor.check()
    await monitor.check(force=True)
    monitor.invalidate()
    await monitor.check()

    assert server.paths().count("/api/version") == 3


async def test_all_callers_share_one_probe_and_a_cancelled_one_disturbs_nobody(monitor, server):
    gate = Gate()
    server.on("/api/version", [gate, *VERSION])
    callers = [asyncio.ensure_future(monitor.check(force=True)) for _ in range(3)]
    await gate.arrived.reached()

    callers[0].cancel()
    gate.open()
    answers = await asyncio.gather(*callers[1:])

    assert [answer["status"] for answer in answers] == ["healthy", "healthy"]
    assert server.paths().count("/api/version") == 1


async def test_what_changes_during_a_probe_is_not_remembered_as_it_was(monitor, server):
    gate = Gate()
    server.on("/api/version", [gate, *VERSION], VERSION)
    caller = asyncio.ensure_future(monitor.check())
    await gate.arrived.reached()

    monitor.invalidate()
    gate.open()
    await caller
    await monitor.check()

    assert server.paths().count("/api/version") == 2


async def test_a_caller_may_change_its_answer_without_harm(monitor):
    first = await monitor.check()
    first["available_models"].clear()
    first["server_health"].clear()

    second = await monitor.check()

    assert second["available_models"]
    assert second["server_health"]["version"] == "0.24.0"


async def test_a_probe_is_measured(monitor):
    recorded: list[tuple[str, float, dict[str, str]]] = []

    def listener(name: str, values: dict[str, float], labels: dict[str, str]) -> None:
        recorded.append((name, values["value"], labels))

    register_metric_listener(listener)
    try:
        await monitor.check()
    finally:
        unregister_metric_listener(listener)

    (duration,) = [entry for entry in recorded if entry[0] == "ollama.health.check_duration"]
    assert 0 < duration[1] < 5
    assert duration[2]["status"] == "healthy"


async def test_the_server_manager_tells_of_the_server_alone(server):
    async with OllamaServerManager({"base_url": server.url}) as manager:
        health = await manager.health_check()
        assert await manager.health_check() == health
        await manager.health_check(force=True)

    assert (health["status"], health["version"], health["base_url"]) == ("healthy", "0.24.0", server.url)
    assert server.paths() == ["/api/version", "/api/version"]
