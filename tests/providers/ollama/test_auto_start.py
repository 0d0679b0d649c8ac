"""A provider that may start its server: the first request brings it up, and the answer comes from it."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import TYPE_CHECKING

import pytest

from namel3ss.providers.local.ollama import OllamaProvider, OllamaServerNotInstalledError
from namel3ss.providers.local.ollama._server import OllamaServerManager
from tests.support.stand_in_ollama import install_stand_in

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.stand_in_ollama import StandIn

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no server is started on Windows")


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_servers: None) -> StandIn:
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin")
    return install_stand_in(tmp_path / "bin", "sandbox")


@pytest.mark.fault(2)
async def test_requests_start_one_server_pull_the_model_and_are_answered(stand_in, free_port, capfd):
    url = f"http://127.0.0.1:{free_port}"
    settings = {"base_url": url, "auto_start_server": True}
    async with (
        OllamaProvider("one", "llama3:8b", settings) as one,
        OllamaProvider("two", "LLAMA3:8B", settings) as two,
    ):
        answers = await asyncio.gather(one.generate("Hi"), one.generate("Hi"), two.generate("Hi"))
        health = await one.health_check()

    assert len(stand_in.starts) == 1
    assert all(answer.output_text for answer in answers)
    assert (health["status"], health["model_available"]) == ("healthy", True)
    assert capfd.readouterr().err.count("keeps running") == 1
    async with OllamaServerManager({"base_url": url}) as manager:
        assert await manager.stop() is True


async def test_a_server_that_is_to_stop_ends_with_its_provider(stand_in, free_port):
    url = f"http://127.0.0.1:{free_port}"
    settings = {"base_url": url, "auto_start_server": True, "stop_server_on_exit": True}

    async with OllamaProvider("one", "llama3:8b", settings) as provider:
        await provider.ensure_ready()
        assert (await provider.health_check())["status"] == "healthy"

    async with OllamaServerManager({"base_url": url}) as manager:
        assert (await manager.status()).version is None


async def test_without_permission_nothing_is_started(stand_in, free_port):
    started_at = time.monotonic()

    async with OllamaProvider("one", "llama3:8b", {"base_url": f"http://127.0.0.1:{free_port}"}) as provider:
        with pytest.raises(ConnectionError, match="Could not reach Ollama server"):
            await provider.generate("Hi")

    assert time.monotonic() - started_at < 10.0, "nothing is waited for where nothing was started"
    assert stand_in.starts == []


async def test_without_the_program_the_error_says_how_to_install_it(tmp_path, monkeypatch, free_port):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = {"base_url": f"http://127.0.0.1:{free_port}", "auto_start_server": True}

    async with OllamaProvider("one", "llama3:8b", settings) as provider:
        with pytest.raises(OllamaServerNotInstalledError, match="Ollama executable not found"):
            await provider.generate("Hi")
