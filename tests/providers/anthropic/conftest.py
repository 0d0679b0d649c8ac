"""What every test of the Anthropic provider needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.providers.anthropic.making import Make, provider_of
from tests.support.scripted_server import ScriptedServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as scripted:
        yield scripted


@pytest.fixture
async def make(server: ScriptedServer) -> AsyncIterator[Make]:
    """Providers at the scripted server, closed at the end."""
    made = []

    def provider(**settings: object):
        made.append(provider_of(server.url, **settings))
        return made[-1]

    yield provider
    for each in made:
        await each.aclose()
