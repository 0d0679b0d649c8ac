"""The example of a chat service: its addresses, one by one."""

from __future__ import annotations

import importlib.util
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from namel3ss.scheduling import RequestQueue
from tests.support.scripted_server import Gate, ScriptedServer, document

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

EXAMPLE = Path(__file__).resolve().parent.parent.parent / "examples/chat_service.py"
ANSWER = {"model": "llama3:8b", "message": {"role": "assistant", "content": "Hi"}, "done": True}


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def service(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.setenv("NAMEL3SS_OLLAMA_BASE_URL", server.url)
    spec = importlib.util.spec_from_file_location("chat_service", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    RequestQueue.reset_instance()


def call(service: Any, method: str, path: str, sent: object = None) -> tuple[str, Any]:
    body = b"" if sent is None else json.dumps(sent).encode()
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
    }
    codes: list[str] = []
    parts = service.application(environ, lambda code, headers: codes.append(code))
    return codes[0], json.loads(b"".join(parts))


def test_user_is_told_the_position_and_fetches_the_answer_later(server: ScriptedServer, service: Any) -> None:
    gate = Gate()
    server.on("/api/chat", [gate, *document(ANSWER)], document(ANSWER))
    service.PATIENCE_S = 0.01
    _, first = call(service, "POST", "/api/chat/start", {"message": "a", "user": "ada"})
    gate.arrived.wait()

    code, second = call(service, "POST", "/api/chat/start", {"message": "b", "user": "grace"})
    _, status = call(service, "GET", "/api/status")
    _, standing = call(service, "GET", f"/api/chat/{second['request_id']}")
    gate.open()
    service.PATIENCE_S = 10.0

    assert (code, first["position"], second["position"]) == ("202 Accepted", "processing", 0)
    assert second["waiting"] == "Your request is in a queue with 0 other requests."
    assert (status["status"], status["provider"]) == ("ok", "ollama")
    assert (status["queue_stats"]["queue_size"], status["queue_stats"]["active_requests"]) == (1, 1)
    assert standing["position"] == 0
    for started in (first, second):
        assert call(service, "GET", f"/api/chat/{started['request_id']}") == ("200 OK", {"answer": "Hi"})


def test_plain_chat_answers_and_mistakes_have_their_codes(server: ScriptedServer, service: Any) -> None:
    server.on("/api/chat", document(ANSWER), document({"error": "model 'x' not found"}, 404))

    assert call(service, "POST", "/api/chat", {"message": "a"}) == ("200 OK", {"answer": "Hi"})
    assert call(service, "POST", "/api/chat", {}) == ("400 Bad Request", {"error": "'message' is missing."})
    assert call(service, "POST", "/api/chat", "a")[0] == "400 Bad Request"
    assert call(service, "POST", "/api/chat", {"message": "a"})[0] == "502 Bad Gateway"
    assert call(service, "GET", "/elsewhere")[0] == "404 Not Found"
    assert "error" in call(service, "GET", "/api/chat/nobody")[1]
