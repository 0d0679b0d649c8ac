"""Ollama's JavaScript client, unmodified, on Node: only the address and a key are told to it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.editors.npm import NODE, install
from tests.gateway.clients.gateways import EMBEDDED, HELLO, ClientGateway, client_gateway

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.long

_FOLDER: Final = Path(__file__).resolve().parent / "node"
_PATIENCE_S: Final = 60.0  # a guard against waiting for ever; nothing is decided by it


@pytest.fixture(autouse=True)
def _installed() -> None:
    """The client, as the lock says. Where the registry of npm cannot be reached, the tests are skipped and say so."""
    install(_FOLDER)


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[ClientGateway]:
    with client_gateway(tmp_path) as running:
        yield running


def outcome(step: str, gateway: ClientGateway) -> Any:
    """What one step of client.mjs comes to."""
    done = subprocess.run(
        [str(NODE), str(_FOLDER / "client.mjs"), step, gateway.url, gateway.key],
        env={"NODE_DISABLE_COMPILE_CACHE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=_PATIENCE_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_answers_whole_and_streamed_and_with_thoughts(gateway: ClientGateway) -> None:
    assert outcome("answers", gateway) == {
        "chat": HELLO,
        "generate": HELLO,
        "streamed": HELLO,
        "thinking": "The user greets me",
    }


def test_tools_go_there_and_back(gateway: ClientGateway) -> None:
    found = outcome("tools", gateway)
    assert (found["call"]["name"], found["call"]["arguments"]) == ("get_weather", {"city": "Paris"})
    assert found["answer"] == "It is 18 C in Paris."


def test_embeddings(gateway: ClientGateway) -> None:
    assert outcome("embeddings", gateway) == [EMBEDDED, EMBEDDED]


def test_errors_have_the_status_and_words_that_the_client_looks_for(gateway: ClientGateway) -> None:
    missing, beyond, unknown = outcome("errors", gateway)
    assert missing == {"status": 404, "message": "model 'nope' not found"}
    assert beyond["status"] == 400
    assert "`num_ctx` is 1000000000" in beyond["message"]
    assert unknown["status"] == 401


@pytest.mark.fault(76)
@pytest.mark.parametrize("fault", ["cut:after=3", "no-done"])
def test_stream_that_breaks_off_raises_instead_of_ending(tmp_path: Path, fault: str) -> None:
    with client_gateway(tmp_path, fault) as gateway:
        assert "ended its answer" in outcome("broken", gateway)["message"]


def test_client_that_leaves_a_stream_stops_the_server(tmp_path: Path) -> None:
    with client_gateway(tmp_path, tokens_per_second=200) as gateway:
        first, running, ending = outcome("leaving", gateway)
        assert (first, running, ending) == (" w0", 1, "AbortError")
        gateway.wait_until_nothing_runs()
