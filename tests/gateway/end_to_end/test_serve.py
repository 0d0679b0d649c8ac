"""`namel3ss serve`: how it starts, and how it ends."""

from __future__ import annotations

import json
import signal
import socket
import stat
import threading
from typing import TYPE_CHECKING

import httpx
import pytest
import trustme

from namel3ss.sandbox import SandboxOptions, SandboxServer
from tests.gateway.end_to_end.served import PATIENCE_S, served
from tests.support.command_line import call, run_command
from tests.support.eventually import eventually
from tests.support.gateway import write_gateway

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.gateway.end_to_end.served import Served

MODELS = """
ai model chat_model { provider: ollama  model: "tiny" }
ai model endless { provider: ollama  model: "tiny-endless" }
"""
MESSAGES = [{"role": "user", "content": "Hi"}]
ENDLESS = {"model": "endless", "messages": MESSAGES, "stream": True}


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    """Answers for minutes where `endless` is asked."""
    with SandboxServer(SandboxOptions(tokens_per_second=50)) as running:
        yield running


@pytest.fixture
def program(tmp_path: Path, server: SandboxServer) -> Path:
    return write_gateway(tmp_path, {"gpu1": server.url}, models=MODELS, settings="shutdown_grace: 1s")


class Caller:
    """One request on a thread of its own; `begun` once bytes of its answer have come."""

    def __init__(self, gateway: Served, path: str, document: dict[str, object]) -> None:
        self.begun = threading.Event()
        self.status = 0
        self.headers = httpx.Headers()
        self.text = ""
        self._gateway = gateway
        self._path = path
        self._document = document
        self._thread = threading.Thread(target=self._call, name="caller")
        self._thread.start()

    def _call(self) -> None:
        with (
            self._gateway.client() as client,
            client.stream("POST", self._path, json=self._document) as answer,
        ):
            self.status, self.headers = answer.status_code, answer.headers
            for piece in answer.iter_text():
                self.text += piece
                self.begun.set()

    def join(self) -> None:
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()


# -- the start ------------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.security(31, 45)
def test_first_start_leaves_the_administrators_key_in_a_private_file_and_the_next_makes_none(
    program: Path,
) -> None:
    with served(program) as first:
        (file,) = (program.parent / ".namel3ss").glob("*.key")
        with first.client() as client:
            assert client.get("/api/tags").status_code == 200
        assert first.stop() == 0
    with served(program) as second:
        with second.client() as client:
            assert client.get("/api/tags").status_code == 200
        assert second.stop() == 0

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [str(file) in "".join(each.words) for each in (first, second)] == [True, False]
    assert len(list((program.parent / ".namel3ss").glob("*.key"))) == 1


@pytest.mark.long
def test_sandbox_stands_in_for_every_server(tmp_path: Path) -> None:
    models = 'ai model chat { provider: ollama  model: "llama3:8b" }\n'
    # A server that must not be asked: nothing but a refused connection would come of it.
    program = write_gateway(
        tmp_path, {"gpu1": "http://127.0.0.1:9", "gpu2": "http://127.0.0.1:9"}, models=models
    )

    with served(program, "--sandbox", "--tokens-per-second", "1000") as gateway:
        with gateway.client() as client:
            answer = client.post("/api/chat", json={"model": "chat", "messages": MESSAGES, "stream": False})
        assert gateway.stop(signal.SIGINT) == 0

    assert "made-up" in answer.json()["message"]["content"]
    assert any("made up" in line for line in gateway.words)


@pytest.mark.long
def test_the_end_of_its_terminal_ends_it_in_order_unless_it_is_to_outlive_it(
    tmp_path: Path, server: SandboxServer
) -> None:
    program = write_gateway(tmp_path, {"gpu1": server.url}, models=MODELS, settings="shutdown_grace: 0s")
    with served(program) as gateway:
        running = Caller(gateway, "/api/chat", ENDLESS)
        assert running.begun.wait(PATIENCE_S)
        assert gateway.stop(signal.SIGHUP) == 0
        running.join()
    assert "being stopped" in json.loads(running.text.strip().splitlines()[-1])["error"]

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as `nohup` does
    try:
        with served(program) as gateway:
            gateway.process.send_signal(signal.SIGHUP)
            assert httpx.get(f"{gateway.url}/health/live", trust_env=False).status_code == 200
            assert gateway.stop(signal.SIGTERM) == 0
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.long
def test_a_taken_address_is_named_before_anything_else_happens(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        program = tmp_path / "team.ai"
        program.write_text(
            f'ai model chat {{ provider: ollama  model: "tiny" }}\ngateway team {{ listen: "127.0.0.1:{port}" }}\n',
            encoding="utf-8",
        )

        done = run_command("serve", str(program))

    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}: " in done.stderr
    assert "change listen" in done.stderr
    assert not (tmp_path / ".namel3ss").exists()


def test_check_shows_what_is_in_force_and_starts_nothing(program: Path) -> None:
    checked = call("serve", program, "--check", environ={})

    assert checked.code == 0
    assert 'shutdown_grace: "1s"' in checked.stdout
    assert "max_waiting: 500          # default" in checked.stdout
    assert "# model endless: tiny-endless" in checked.stdout
    assert not (program.parent / ".namel3ss").exists()


def test_check_of_a_file_with_a_mistake_fails_though_the_rest_could_be_served(program: Path) -> None:
    mistaken = 'ai model other { provider: ollama  model: "tiny"  config: { temprature: 0 } }\n'
    program.write_text(mistaken + program.read_text(encoding="utf-8"), encoding="utf-8")

    checked = call("serve", program, "--check", environ={})

    assert checked.code == 1
    assert "unknown setting `temprature`" in checked.stderr
    assert "# model endless: tiny-endless" in checked.stdout


@pytest.mark.security(25)
def test_check_shows_no_secret(tmp_path: Path) -> None:
    program = tmp_path / "team.ai"
    program.write_text(
        'ai model chat { provider: ollama  model: "tiny" }\n'
        'server gpu1 { base_url: "https://gpu.example.com"  api_key: env.GPU_KEY }\n'
        "gateway team { database: env.DATABASE }\n",
        encoding="utf-8",
    )

    checked = call(
        "serve",
        program,
        "--check",
        environ={"GPU_KEY": "sk-canary", "DATABASE": "postgresql://ann:canary@db/n3"},
    )

    assert checked.code == 0, checked.stderr
    assert "env.DATABASE" in checked.stdout
    assert "canary" not in checked.stdout + checked.stderr


@pytest.mark.security(16, 31, 47)
@pytest.mark.parametrize(
    ("settings", "option", "said"),
    [
        ('admin_listen: "0.0.0.0:8081"', "--expose-admin", "other machines can reach them"),
        ('trusted_proxies: ["0.0.0.0/0"]', "--trust-every-proxy", "claim to be anybody"),
    ],
)
def test_what_others_could_misuse_takes_an_option(
    settings: str, option: str, said: str, tmp_path: Path
) -> None:
    program = tmp_path / "team.ai"
    program.write_text(
        f'ai model chat {{ provider: ollama  model: "tiny" }}\ngateway team {{ {settings} }}\n',
        encoding="utf-8",
    )

    refused = call("serve", program, "--check", environ={})
    allowed = call("serve", program, "--check", option, environ={})

    assert (refused.code, allowed.code) == (2, 0)
    assert said in refused.stderr
    assert option in refused.stderr
    assert "warning: " in allowed.stderr


@pytest.mark.security(16, 47)
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            'listen: "0.0.0.0:8080"  hosts: ["llm.example.com"]  allow_addresses: ["10.0.0.0/8"]',
            "without TLS",
        ),
        (
            'listen: "0.0.0.0:8080"  hosts: ["llm.example.com"]  allow_addresses: ["::/0"]',
            "lets every address in",
        ),
        ("anonymous: default", "without a key count as class `default`"),
    ],
)
def test_what_is_probably_not_meant_is_said(settings: str, said: str, tmp_path: Path) -> None:
    program = tmp_path / "team.ai"
    program.write_text(
        'ai model chat { provider: ollama  model: "tiny" }\n'
        'server gpu1 { base_url: "http://10.0.0.5:11434" }\n'
        f"gateway team {{ {settings} }}\n",
        encoding="utf-8",
    )

    checked = call("serve", program, "--check", environ={})

    assert checked.code == 0
    assert said in checked.stderr
    assert "The server `gpu1` is at 10.0.0.5. Ollama asks nobody for a key" in checked.stderr


# -- TLS ------------------------------------------------------------------------------------------------------


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path, trustme.CA]:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost")
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    return chain, key, authority


@pytest.mark.long
@pytest.mark.security(46)
def test_with_a_certificate_the_main_address_speaks_tls_and_says_so_for_the_future(
    program: Path, certificate: tuple[Path, Path, trustme.CA], tmp_path: Path
) -> None:
    chain, key, authority = certificate
    root = tmp_path / "root.pem"
    authority.cert_pem.write_to_path(str(root))

    with served(program, "--tls-cert", str(chain), "--tls-key", str(key)) as gateway:
        assert gateway.url.startswith("https://")
        with gateway.client(verify=_trusting(root)) as client:
            answer = client.get("/api/tags")
        assert gateway.stop() == 0

    assert answer.status_code == 200
    assert answer.headers["strict-transport-security"] == "max-age=31536000"


def _trusting(root: Path) -> object:
    import ssl

    return ssl.create_default_context(cafile=root)


@pytest.mark.security(46)
def test_certificates_that_cannot_be_used_are_named(
    program: Path, certificate: tuple[Path, Path, trustme.CA], tmp_path: Path
) -> None:
    chain, key, _ = certificate
    other = tmp_path / "other.pem"
    other.write_bytes(trustme.CA().issue_cert("localhost").private_key_pem.bytes())
    cases = {
        "given together": ("--tls-cert", chain),
        "absent.pem cannot be read": ("--tls-cert", chain, "--tls-key", tmp_path / "absent.pem"),
        "does not belong to the certificate": ("--tls-cert", chain, "--tls-key", other),
        "are not a certificate and its key": ("--tls-cert", program, "--tls-key", key),
    }

    for said, options in cases.items():
        done = call("serve", program, *options, environ={})
        assert (done.code, said in done.stderr) == (2, True), done.stderr


# -- the end --------------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.fault(71)
def test_sigterm_refuses_who_waits_and_ends_what_runs_too_long_in_its_own_protocol(program: Path) -> None:
    with served(program) as gateway:
        running = Caller(gateway, "/v1/chat/completions", ENDLESS)
        assert running.begun.wait(PATIENCE_S)
        waiting = Caller(gateway, "/api/chat", ENDLESS)
        with gateway.client() as client:
            eventually(lambda: client.get("/api/status").json()["queue_stats"]["queue_size"] == 1)

        code = gateway.stop()
        running.join()
        waiting.join()

    assert code == 0
    assert (waiting.status, waiting.headers["x-namel3ss-error"]) == (503, "shutting_down")
    assert int(waiting.headers["retry-after"]) >= 1
    assert "still waiting" in json.loads(waiting.text)["error"]
    last_event = running.text.strip().split("\n\n")[-1]
    assert "being stopped" in json.loads(last_event.removeprefix("data: "))["error"]["message"]
    assert "Traceback" not in "".join(gateway.words)


@pytest.mark.long
@pytest.mark.fault(71)
def test_sigterm_lets_an_answer_end_that_ends_within_the_grace_time(
    tmp_path: Path, server: SandboxServer
) -> None:
    program = write_gateway(tmp_path, {"gpu1": server.url}, models=MODELS, settings="shutdown_grace: 5m")
    document = {**ENDLESS, "options": {"num_predict": 100}}
    with served(program) as gateway:
        running = Caller(gateway, "/api/chat", document)
        assert running.begun.wait(PATIENCE_S)

        code = gateway.stop()
        running.join()

    assert (code, running.status) == (0, 200)
    assert json.loads(running.text.strip().splitlines()[-1])["done_reason"] == "length"


@pytest.mark.long
@pytest.mark.fault(71)
def test_a_second_signal_ends_everything_at_once(tmp_path: Path, server: SandboxServer) -> None:
    program = write_gateway(tmp_path, {"gpu1": server.url}, models=MODELS, settings="shutdown_grace: 10m")
    with served(program) as gateway:
        running = Caller(gateway, "/api/chat", ENDLESS)
        assert running.begun.wait(PATIENCE_S)
        gateway.process.send_signal(signal.SIGTERM)
        with pytest.raises(httpx.HTTPError):  # noqa: PT012 - until it accepts no more
            while True:
                httpx.get(f"{gateway.url}/health/live", trust_env=False)

        code = gateway.stop(signal.SIGTERM)
        running.join()

    assert code == 0
    assert "being stopped" in json.loads(running.text.strip().splitlines()[-1])["error"]
    eventually(lambda: server.active_requests == 0)


@pytest.mark.long
@pytest.mark.fault(13)
def test_without_files_left_callers_are_told_to_come_again_and_later_all_is_well(program: Path) -> None:
    with served(program, files=128) as gateway:
        address = httpx.URL(gateway.url)
        crowd = []
        try:
            for _ in range(200):
                caller = socket.create_connection((address.host, address.port or 0), PATIENCE_S)
                crowd.append(caller)
                # Half a request, so that none of them is idle.
                caller.sendall(b"GET /health/live HTTP/1.1\r\n")
            answers = _answers(crowd)
        finally:
            for caller in crowd:
                caller.close()
        with gateway.client() as client:
            eventually(lambda: client.get("/health/live").status_code == 200)
            assert client.get("/api/tags").status_code == 200
        assert gateway.stop() == 0

    assert answers <= {200, 503, 0}
    assert {200, 503} <= answers


def _answers(crowd: list[socket.socket]) -> set[int]:
    """The statuses that they get for the rest of their requests; 0 where the connection ends without one."""
    statuses = set()
    for caller in crowd:
        try:
            caller.sendall(b"Host: localhost\r\n\r\n")
            answer = caller.recv(4096)
        except ConnectionError:
            answer = b""
        statuses.add(int(answer.split(b" ")[1]) if answer else 0)
    return statuses
