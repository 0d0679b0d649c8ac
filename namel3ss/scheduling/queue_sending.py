"""How a `RequestQueue` reaches a server: the interface, and Ollama behind it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from namel3ss.providers.local.ollama import OllamaConnection
from namel3ss.providers.transport.client import import_libraries

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from namel3ss.scheduling.queue_requests import Outgoing

__all__ = ["Gathered", "OllamaSender", "Sender"]


class Sender(Protocol):
    """Sends requests, in one event loop. Every failure of the world is an N3Error; cancelling stops the server."""

    async def fetch(self, request: Outgoing) -> dict[str, Any]:
        """The whole answer."""

    def stream(self, request: Outgoing) -> AsyncGenerator[dict[str, Any], None]:
        """The pieces of the answer; the last one has ``done: true``."""

    async def look(self, request: Outgoing, path: str) -> dict[str, Any]:
        """What the server that a request goes to says under a path that only tells: ``/api/tags``, ``/api/ps``."""

    async def aclose(self) -> None:
        """Close every connection."""


_LOOK_TIMEOUT_S: Final = 5.0


class OllamaSender:
    """Sends to Ollama servers, with one pool of connections for each. Limits are in seconds; None means none."""

    def __init__(
        self,
        *,
        total_timeout_s: float | None,
        first_timeout_s: float | None = 300.0,
        idle_timeout_s: float | None = 60.0,
    ) -> None:
        self._total_timeout_s = total_timeout_s
        self._first_timeout_s = first_timeout_s
        self._idle_timeout_s = idle_timeout_s
        import_libraries()  # where the queue is made: the process may be forked as soon as the first request is on its way
        self._connections: dict[tuple[str | None, tuple[tuple[str, str], ...]], OllamaConnection] = {}

    async def fetch(self, request: Outgoing) -> dict[str, Any]:
        body = msgspec.json.decode(request.content)
        return await self._to(request).request(request.path, body, timeout_s=self._total_timeout_s)

    async def stream(self, request: Outgoing) -> AsyncGenerator[dict[str, Any], None]:
        pieces = self._to(request).stream(
            request.path,
            msgspec.json.decode(request.content),
            first_timeout_s=self._first_timeout_s,
            idle_timeout_s=self._idle_timeout_s,
            total_timeout_s=self._total_timeout_s,
        )
        async with contextlib.aclosing(pieces):
            async for piece in pieces:
                yield piece

    async def look(self, request: Outgoing, path: str) -> dict[str, Any]:
        return await self._to(request).look(path, timeout_s=_LOOK_TIMEOUT_S)

    async def aclose(self) -> None:
        for connection in self._connections.values():
            await connection.aclose()

    def _to(self, request: Outgoing) -> OllamaConnection:
        key = (request.base_url, request.headers)
        connection = self._connections.get(key)
        if connection is None:
            connection = OllamaConnection(request.base_url, headers=dict(request.headers))
            self._connections[key] = connection
        return connection


class Gathered:
    """The answer that the pieces of a stream add up to, as Ollama gives it when it is not asked to stream."""

    def __init__(self) -> None:
        self._texts: dict[str, list[str]] = {}
        self._calls: list[Any] = []

    def add(self, piece: dict[str, Any]) -> None:
        message = piece.get("message")
        for name, value in (message if isinstance(message, dict) else piece).items():
            if name in ("content", "thinking", "response") and isinstance(value, str) and value:
                self._texts.setdefault(name, []).append(value)
            elif name == "tool_calls" and isinstance(value, list):
                self._calls += value

    def answer(self, last: dict[str, Any]) -> dict[str, Any]:
        """The whole answer, made from everything added and the last piece's totals."""
        texts = {name: "".join(parts) for name, parts in self._texts.items()}
        message = last.get("message")
        if not isinstance(message, dict):
            return last | texts
        whole = message | {"content": ""} | texts
        if self._calls:
            whole["tool_calls"] = self._calls
        return last | {"message": whole}
