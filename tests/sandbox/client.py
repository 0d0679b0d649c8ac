"""Talking to a sandbox in a line or two."""

from __future__ import annotations

import http.client
import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from namel3ss.sandbox.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Callable

    from namel3ss.sandbox import SandboxServer

__all__ = ["ManualClock", "ask", "chat", "generate", "lines", "wait_until"]


def ask(server: SandboxServer, method: str, path: str, body: object = None) -> tuple[int, Any]:
    """The status, and the body as JSON where it is JSON."""
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=20)
    try:
        sent = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        connection.request(method, path, sent)
        response = connection.getresponse()
        data = response.read()
    finally:
        connection.close()
    if method != "HEAD" and (response.getheader("Content-Type") or "").startswith("application/json"):
        return response.status, json.loads(data)
    return response.status, data.decode()


def lines(server: SandboxServer, path: str, body: object) -> list[dict[str, Any]]:
    """An NDJSON answer."""
    status, text = ask(server, "POST", path, body)
    assert status == 200, text
    return [json.loads(line) for line in text.split("\n") if line]


def generate(server: SandboxServer, model: str, prompt: str, **more: object) -> dict[str, Any]:
    status, answer = ask(
        server, "POST", "/api/generate", {"model": model, "prompt": prompt, "stream": False, **more}
    )
    assert status == 200, answer
    assert isinstance(answer, dict)
    return answer


def chat(
    server: SandboxServer, model: str, messages: list[dict[str, Any]] | str, **more: object
) -> dict[str, Any]:
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    status, answer = ask(
        server, "POST", "/api/chat", {"model": model, "messages": messages, "stream": False, **more}
    )
    assert status == 200, answer
    assert isinstance(answer, dict)
    return answer


def wait_until(holds: Callable[[], bool], what: str) -> None:
    """Looks until it holds; a server needs a moment to notice things."""
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline, f"still not so after 10 s: {what}"
        time.sleep(0.002)


class ManualClock(Clock):
    """Stands still but for `forward`; sleeping takes no time and moves it."""

    def __init__(self) -> None:
        self.shift_ns = 0
        self.slept: list[float] = []

    def now_ns(self) -> int:
        return 1_800_000_000_000_000_000 + self.shift_ns

    def ticks_ns(self) -> int:
        return self.shift_ns

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.shift_ns += int(seconds * 1e9)

    def forward(self, seconds: float) -> None:
        self.shift_ns += int(seconds * 1e9)
