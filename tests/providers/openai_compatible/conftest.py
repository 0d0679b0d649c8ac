"""Servers and providers for these tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from namel3ss.providers.local.openai_compatible import OpenAICompatibleProvider
from tests.support.scripted_server import ScriptedServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


@pytest.fixture
async def connect() -> AsyncIterator[Callable[..., OpenAICompatibleProvider]]:
    """Makes providers for a server; they are closed in the end."""
    made: list[OpenAICompatibleProvider] = []

    def make(server: ScriptedServer, *, kind: str = "vllm", **config: Any) -> OpenAICompatibleProvider:
        settings = {"base_url": f"{server.url}/v1", **config}
        made.append(OpenAICompatibleProvider("test", "asked-model", settings, kind=kind, environ={}))
        return made[-1]

    yield make
    for provider in made:
        await provider.aclose()
