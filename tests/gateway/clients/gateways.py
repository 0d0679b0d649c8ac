"""A gateway on the sandbox, as clients find it: one server with one slot for each model, and a user's key."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from namel3ss.sandbox import SandboxOptions, SandboxServer
from tests.support.eventually import eventually
from tests.support.gateway import RunningGateway, running_gateway

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from namel3ss.sandbox import Fault

__all__ = [
    "EMBEDDED",
    "HELLO",
    "SCRIPTED",
    "WEATHER",
    "ClientGateway",
    "client_gateway",
    "gateway_without_servers",
]

HELLO = "Hello from a tiny model."
SCRIPTED = "An answer of another model."
EMBEDDED = 32
"""How wide the vectors of `tiny-embed` are."""

WEATHER = {
    "name": "get_weather",
    "description": "Current weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "name"}},
        "required": ["city"],
    },
}

_MODELS = "".join(
    f'ai model {name.replace("-", "_")} {{ provider: ollama  model: "{name}" }}\n'
    for name in ("tiny", "tiny-endless", "tiny-tools", "tiny-thinker", "tiny-embed")
)


@dataclass(frozen=True)
class ClientGateway:
    """What a client is told of a gateway, and what a test looks at."""

    running: RunningGateway
    key: str

    @property
    def url(self) -> str:
        return self.running.url

    def requests(self) -> list[dict[str, Any]]:
        """The user's requests that are under way."""
        found: list[dict[str, Any]] = self.running.get("/requests", key=self.key).json()["requests"]
        return found

    def wait_until_nothing_runs(self) -> None:
        """After a client has left: the gateway has noticed, and the slot of the model is free."""
        eventually(lambda: not self.requests())
        again = {"model": "tiny-endless", "prompt": "hi", "stream": False, "options": {"num_predict": 3}}
        assert self.running.post("/api/generate", again, key=self.key).json()["response"] == " w0 w1 w2"


@contextlib.contextmanager
def client_gateway(
    folder: Path, *faults: Fault | str, tokens_per_second: float | None = None
) -> Iterator[ClientGateway]:
    """Serve one while inside; `faults` are the sandbox's."""
    options = SandboxOptions(faults=faults, tokens_per_second=tokens_per_second)
    with (
        SandboxServer(options) as server,
        running_gateway(folder, {"gpu1": server.url}, models=_MODELS) as running,
    ):
        yield ClientGateway(running, running.key("ada"))


@contextlib.contextmanager
def gateway_without_servers(folder: Path) -> Iterator[ClientGateway]:
    """Serve one whose only server is down, while inside: its fallback says `SCRIPTED`."""
    cloud = f'ai model cloud {{ provider: scripted  model: "big"  config: {{ answers: ["{SCRIPTED}"] }} }}\n'
    # No server listens at the port of `discard`.
    servers = {"gpu1": "http://127.0.0.1:9"}
    models, settings = _MODELS + cloud, "fallback: cloud"
    with running_gateway(folder, servers, models=models, settings=settings) as running:
        yield ClientGateway(running, running.key("ada", allows_fallback=True))
