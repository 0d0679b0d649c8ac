"""Whether a server that is meant for this machine alone answers elsewhere."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

import pytest

from namel3ss.cli.exposure import own_addresses, reached_from_outside
from tests.support.command_line import call
from tests.support.scripted_server import ScriptedServer, document, refusing_url

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.security(47)


def test_own_addresses_are_none_that_only_this_machine_has() -> None:
    assert not any(ipaddress.ip_address(address).is_loopback for address in own_addresses())


def test_server_that_answers_there_is_told_of_with_the_place() -> None:
    with ScriptedServer() as server:
        server.on("/api/version", document({"version": "0.24.0"}))
        port = server.url.rpartition(":")[2]

        # The address stands for one of the machine's others.
        assert reached_from_outside(server.url, ["127.0.0.1"]) == f"127.0.0.1:{port}"
        assert reached_from_outside(server.url, []) is None
        # Nobody says that it is for this machine alone.
        assert reached_from_outside(f"http://gpu.example:{port}", ["127.0.0.1"]) is None
        server.on("/api/version", document({"something": "else"}))
        assert reached_from_outside(server.url, ["127.0.0.1"]) is None


def test_where_nothing_listens_nothing_is_said() -> None:
    with refusing_url() as url:
        assert reached_from_outside(url, ["127.0.0.1"]) is None


def test_check_of_a_gateway_says_nothing_of_servers_that_only_this_machine_reaches(tmp_path: Path) -> None:
    with ScriptedServer() as server:
        file = tmp_path / "team.ai"
        file.write_text(
            'ai model m { provider: ollama  model: "tiny" }\n'
            f'server gpu1 {{ base_url: "{server.url}" }}\ngateway team {{ servers: [gpu1] }}\n',
            encoding="utf-8",
        )
        checked = call("serve", file, "--check")

    assert checked.code == 0
    assert "also answers" not in checked.stderr
    assert server.requests == []
