"""No name of a stored server leads to an address that machines keep for themselves, whatever a resolver says and when."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import pytest

from namel3ss.gateway.connections import Connections
from namel3ss.gateway.kept_back import is_kept_back
from namel3ss.gateway.plan import BackendPlan
from namel3ss.gateway.upstream_answer import UpstreamError
from namel3ss.providers.transport.failure_kinds import Failure
from tests.support.scripted_server import ScriptedServer, Send, head

if TYPE_CHECKING:
    from collections.abc import Coroutine

pytestmark = pytest.mark.security(37)


class Resolving(asyncio.SelectorEventLoop):
    """An event loop to which a name means what each of these answers says, the last for ever."""

    def __init__(self, *answers: list[str]) -> None:
        super().__init__()
        self.answers = list(answers)
        self.asked = 0

    async def getaddrinfo(self, host: Any, port: Any, **_: Any) -> list[Any]:
        assert host == "gpu.example"
        self.asked += 1
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        kinds = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in found]
        return [
            (kind, socket.SOCK_STREAM, 6, "", (address, port))
            for kind, address in zip(kinds, found, strict=True)
        ]


def asked_by_name(
    server: ScriptedServer, loop: Resolving, *, is_guarded: bool = True, times: int = 1
) -> bytes:
    """What the server answers, asked so many times, each on a connection of its own."""

    async def ask() -> bytes:
        url = server.url.replace("127.0.0.1", "gpu.example")
        text = b""
        for _ in range(times):
            connections = Connections(
                BackendPlan(name="gpu1", base_url=url, is_guarded=is_guarded), connect_timeout_s=5.0
            )
            try:
                answer = await connections.send("GET", "/", None, content_type=None, read_timeout_s=5.0)
                text += await answer.read(100)
                answer.close()
            finally:
                await connections.aclose()
        return text

    return run(loop, ask())


def run(loop: Resolving, work: Coroutine[Any, Any, bytes]) -> bytes:
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(work)


@pytest.fixture
def server() -> Any:
    with ScriptedServer() as running:
        running.on("/", [Send(head(200, length=2) + b"ok")])
        yield running


@pytest.mark.parametrize("address", ["169.254.169.254", "::ffff:169.254.169.254", "fe80::1", "0.0.0.0", "::"])
def test_a_name_that_leads_there_is_not_connected_to(server: ScriptedServer, address: str) -> None:
    with pytest.raises(UpstreamError) as caught:
        asked_by_name(server, Resolving([address]))

    assert caught.value.kind is Failure.REFUSED
    assert "keep for themselves" in str(caught.value)
    assert server.requests == []


def test_of_several_addresses_only_the_others_are_tried(server: ScriptedServer) -> None:
    loop = Resolving(["0.0.0.0", "127.0.0.1"])

    assert asked_by_name(server, loop) == b"ok"


def test_what_was_looked_at_is_what_is_connected_to_however_the_name_changes(server: ScriptedServer) -> None:
    """Each connection asks the resolver once, so that no second answer can lead elsewhere."""
    loop = Resolving(["127.0.0.1"], ["127.0.0.1"], ["169.254.169.254"])

    with pytest.raises(UpstreamError):
        asked_by_name(server, loop, times=3)

    assert loop.asked == 3
    assert len(server.requests) == 2


def test_the_next_address_is_tried_where_one_does_not_listen(server: ScriptedServer) -> None:
    assert asked_by_name(server, Resolving(["::1", "127.0.0.1"])) == b"ok"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("169.254.0.1", True),
        ("fe80::1%eth0", True),
        ("64:ff9b::a9fe:a9fe", True),
        ("2002:a9fe:a9fe::1", True),
        ("fd00:ec2::254", True),
        ("100.100.100.200", True),
        ("224.0.0.1", True),
        ("127.0.0.1", False),
        ("10.0.0.5", False),
        ("fd00::5", False),
        ("2001:db8::1", False),
    ],
)
def test_addresses_that_machines_keep_for_themselves_are_known_in_every_form(
    address: str, expected: bool
) -> None:
    assert is_kept_back(address) is expected
