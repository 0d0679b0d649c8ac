"""Ollama's own JSON through `OllamaConnection`."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from namel3ss.errors import UsageError
from namel3ss.providers.local.ollama import (
    OllamaBadResponseError,
    OllamaConnection,
    OllamaError,
    OllamaModelNotFoundError,
    OllamaRequestTimeoutError,
    OllamaStreamInterruptedError,
    native_body,
)
from tests.support.scripted_server import ScriptedServer, document, lines, stall

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

BODY = {"model": "m", "messages": []}
PART = {"message": {"content": "a"}, "done": False}
DONE = {"message": {"content": ""}, "done": True}


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


@pytest.fixture
async def connection(server: ScriptedServer) -> AsyncIterator[OllamaConnection]:
    connection = OllamaConnection(server.url)
    yield connection
    await connection.aclose()


async def read(connection: OllamaConnection) -> list[dict[str, Any]]:
    pieces = connection.stream("/api/chat", BODY, first_timeout_s=5, idle_timeout_s=5, total_timeout_s=None)
    async with contextlib.aclosing(pieces):
        return [piece async for piece in pieces]


def test_settings_move_into_options_and_none_is_left_out() -> None:
    body = {"model": "m", "prompt": "x", "max_tokens": 3, "stop": ["a"], "seed": None, "format": "json"}

    assert native_body(body, stream=True) == {
        "model": "m",
        "prompt": "x",
        "format": "json",
        "options": {"num_predict": 3, "stop": ["a"]},
        "stream": True,
    }
    assert native_body({"model": "m"}, stream=False) == {"model": "m", "stream": False}
    with pytest.raises(UsageError, match="options"):
        native_body({"options": [1]}, stream=False)


async def test_whole_answer_and_streamed_pieces_come_as_they_are(
    server: ScriptedServer, connection: OllamaConnection
) -> None:
    server.on("/api/chat", document(DONE), lines(PART, DONE))

    assert await connection.request("/api/chat", BODY, timeout_s=5) == DONE
    assert await read(connection) == [PART, DONE]
    assert connection.base_url == server.url


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (document({"error": "model 'm' not found"}, 404), OllamaModelNotFoundError),
        (document({"error": "something"}), OllamaError),
        (document({"done": False}), OllamaStreamInterruptedError),
        (document([1]), OllamaBadResponseError),
        ([stall()], OllamaRequestTimeoutError),
    ],
    ids=["status", "error in a 200", "not done", "no object", "silence"],
)
async def test_whole_answer_that_is_none_is_an_error(
    server: ScriptedServer, connection: OllamaConnection, script: list[Any], error: type[OllamaError]
) -> None:
    server.on("/api/chat", script)

    with pytest.raises(error):
        await connection.request("/api/chat", BODY, timeout_s=0.2)


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (lines(PART), OllamaStreamInterruptedError),
        (lines(PART, {"error": "something"}), OllamaError),
        (lines(b"nonsense\n"), OllamaBadResponseError),
    ],
    ids=["no last line", "error line", "no JSON"],
)
async def test_stream_that_does_not_end_well_is_an_error(
    server: ScriptedServer, connection: OllamaConnection, script: list[Any], error: type[OllamaError]
) -> None:
    server.on("/api/chat", script)

    with pytest.raises(error):
        await read(connection)


async def test_leaving_a_stream_early_closes_its_connection(
    server: ScriptedServer, connection: OllamaConnection
) -> None:
    server.on("/api/chat", [*lines(PART)[:-1], stall()])
    pieces = connection.stream(
        "/api/chat", BODY, first_timeout_s=None, idle_timeout_s=None, total_timeout_s=None
    )
    async with contextlib.aclosing(pieces):
        assert await anext(pieces) == PART

    await server.requests[0].aborted.reached()


async def test_headers_go_with_every_request_and_beat_a_password_in_the_address(
    server: ScriptedServer,
) -> None:
    server.on("/api/tags", document({"models": []}))
    address = server.url.replace("http://", "http://ada:secret@")
    plain = OllamaConnection(address)
    named = OllamaConnection(address, headers={"authorization": "Bearer key", "X-Team": "a"})

    assert await plain.look("/api/tags", timeout_s=5) == {"models": []}
    assert await named.look("/api/tags", timeout_s=5) == {"models": []}
    await plain.aclose()
    await named.aclose()

    first, second = ({name.lower(): value for name, value in got.headers} for got in server.requests)
    assert first["authorization"].startswith("Basic ")
    assert (second["authorization"], second["x-team"]) == ("Bearer key", "a")
    assert "secret" not in repr(plain) + repr(named)
