"""Requests and answers in Anthropic's own form."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest

from namel3ss.providers.anthropic import (
    AnthropicBadResponseError,
    AnthropicBusyError,
    AnthropicConnection,
    AnthropicKeyMissingError,
    AnthropicRateLimitError,
    AnthropicStreamInterruptedError,
)
from tests.providers.anthropic.making import KEY, MODEL, PATH
from tests.support.anthropic_events import HELLO, PING, data_of, event_head, events, refusal
from tests.support.scripted_server import ScriptedServer, Send, chunk, document, stall

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BODY: dict[str, Any] = {
    "model": MODEL,
    "max_tokens": 20,
    "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
    "messages": [{"role": "user", "content": "Hi"}],
}
LIMITS: dict[str, Any] = {"first_timeout_s": None, "idle_timeout_s": None, "total_timeout_s": None}


@pytest.fixture
async def connection(server: ScriptedServer) -> AsyncIterator[AnthropicConnection]:
    opened = AnthropicConnection(server.url, api_key=KEY, environ={})
    yield opened
    await opened.aclose()


async def test_message_comes_as_it_is(server: ScriptedServer, connection: AnthropicConnection) -> None:
    message = {"type": "message", "content": [{"type": "text", "text": "Hello"}], "new_field": [1]}
    server.on(PATH, document(message))

    assert await connection.request(BODY, timeout_s=None) == message

    (request,) = server.requests
    assert request.json == {**BODY, "stream": False}
    assert request.header("x-api-key") == KEY


async def test_events_come_as_they_are_up_to_the_last(
    server: ScriptedServer, connection: AnthropicConnection
) -> None:
    later = {"type": "invented_later", "x": 1}
    server.on(PATH, events(HELLO[0], PING, later, *HELLO[1:]))

    received = [event async for event in connection.stream(BODY, **LIMITS)]

    assert received == [event for event in HELLO if event != PING]
    assert server.requests[0].json["stream"] is True


async def test_request_that_was_turned_away_is_sent_again(
    server: ScriptedServer, connection: AnthropicConnection
) -> None:
    busy = refusal(529, "overloaded_error", "Overloaded", [("retry-after", "0")])
    server.on(PATH, busy, document({"type": "message"}), busy, events(*HELLO))

    assert await connection.request(BODY, timeout_s=None) == {"type": "message"}
    assert len([event async for event in connection.stream(BODY, **LIMITS)]) == len(HELLO) - 1


async def test_failures_are_errors_of_the_same_tree(
    server: ScriptedServer, connection: AnthropicConnection
) -> None:
    half = Send(event_head() + b"".join(chunk(data_of(event)) for event in HELLO[:4]))
    told = {"type": "error", "error": {"type": "overloaded_error", "message": f"{KEY}?"}}
    server.on(
        PATH,
        refusal(429, "rate_limit_error", "tomorrow", [("retry-after", "9999")]),
        document([1, 2]),
        events(*HELLO[:4]),
        events(*HELLO[:4], told),
        [half, Send(chunk(b"data: [1]\n\n"))],
    )

    with pytest.raises(AnthropicRateLimitError, match="tomorrow"):
        await connection.request(BODY, timeout_s=None)
    with pytest.raises(AnthropicBadResponseError, match=r"not an object of the API's: '\[1, 2\]'"):
        await connection.request(BODY, timeout_s=None)
    for kind in (AnthropicStreamInterruptedError, AnthropicBusyError, AnthropicBadResponseError):
        with pytest.raises(kind) as raised:
            await _read(connection)
        assert KEY not in str(raised.value)


async def _read(connection: AnthropicConnection) -> None:
    async for _ in connection.stream(BODY, **LIMITS):
        pass


async def test_leaving_early_drops_the_connection(
    server: ScriptedServer, connection: AnthropicConnection
) -> None:
    server.on(PATH, [Send(event_head() + chunk(data_of(HELLO[0]))), stall()])

    async with aclosing(connection.stream(BODY, **LIMITS)) as stream:
        assert (await anext(stream))["type"] == "message_start"

    await server.requests[0].aborted.reached()


async def test_address_and_key_come_from_the_environment() -> None:
    environ = {"ANTHROPIC_BASE_URL": "https://me:secret@proxy.example"}
    connection = AnthropicConnection(environ=environ)
    bare = AnthropicConnection(environ={})

    assert connection.base_url == "https://proxy.example"
    assert "secret" not in repr(connection)
    with pytest.raises(AnthropicKeyMissingError):
        await bare.request(BODY, timeout_s=None)
    with pytest.raises(AnthropicKeyMissingError):
        await _read(bare)
    await asyncio.gather(connection.aclose(), bare.aclose())
