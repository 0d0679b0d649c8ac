"""The parts of the gateway, put together, in front of a server on a real socket."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from namel3ss.gateway.principal import Scope
from namel3ss.sandbox import SandboxOptions, SandboxServer
from tests.support.gateway import running_gateway

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.gateway import RunningGateway

CHAT = {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[RunningGateway]:
    with (
        SandboxServer(SandboxOptions()) as server,
        running_gateway(tmp_path, {"gpu1": server.url}) as running,
    ):
        yield running


def test_a_user_with_a_key_chats_by_every_protocol(gateway: RunningGateway) -> None:
    key = gateway.key("ada")

    native = gateway.post("/api/chat", CHAT, key=key)
    openai = gateway.post("/v1/chat/completions", CHAT, key=key)
    anthropic = gateway.post("/v1/messages", {**CHAT, "max_tokens": 20}, key=key)

    assert (native.status_code, openai.status_code, anthropic.status_code) == (200, 200, 200)
    assert json.loads(native.text.splitlines()[-1])["done"] is True
    assert openai.json()["choices"][0]["message"]["content"]
    assert anthropic.json()["type"] == "message"


def test_nobody_gets_in_without_a_key_and_nobody_beyond_its_scope(gateway: RunningGateway) -> None:
    assert gateway.post("/api/chat", CHAT).status_code == 401
    assert gateway.post("/api/chat", CHAT, key="n3_wrong").status_code == 401
    assert gateway.get("/api/ps", key=gateway.key("ada")).status_code == 403
    assert gateway.get("/api/ps", key=gateway.key("bob", Scope.OPERATOR)).status_code == 200


def test_the_first_administrator_has_a_key_that_works(gateway: RunningGateway) -> None:
    assert gateway.first_key is not None
    assert gateway.get("/api/admin/queue", key=gateway.first_key).json()["queue_length"] == 0
