"""A chat service for many users of one model: each is told where they stand. A plain WSGI application, no framework.

POST /api/chat/start       {"message": "…", "user": "…"}   → {"request_id", "position", "waiting"}
GET  /api/chat/REQUEST_ID                                  → {"answer"} or {"error"}; {"position"} while it takes longer
POST /api/chat             {"message": "…", "user": "…"}   → {"answer"}, with a wait
GET  /api/status                                           → {"status", "provider", "queue_stats"}

With Flask each branch of `respond` becomes a route, and the rest stays.
"""

import json
import os
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from namel3ss.bridge import bridge_for, waiting_message
from namel3ss.errors import N3Error, UsageError
from namel3ss.scheduling import QueueFullError, RequestQueue

SETTINGS = {
    "provider": "ollama",
    "ollama_url": os.environ.get("NAMEL3SS_OLLAMA_BASE_URL", "http://localhost:11434"),
    "ollama_model": "llama3:8b",
    "max_tokens": 200,
}
BRIDGE = bridge_for(SETTINGS)
PATIENCE_S = 10.0


def status() -> dict[str, Any]:
    """How the service is."""
    queue_stats = RequestQueue.get_instance().get_queue_stats()
    return {"status": "ok", "provider": SETTINGS["provider"], "queue_stats": queue_stats}


def chat(message: str, user: str) -> dict[str, Any]:
    """One answer, however long it takes to get its turn."""
    response = BRIDGE.generate_response([{"role": "user", "content": message}], user=user)
    return {"answer": BRIDGE.extract_text_content(response)}


def start_chat(message: str, user: str) -> dict[str, Any]:
    """Put a question in the queue, and say where it stands."""
    queue = RequestQueue.get_instance()
    body = {"model": SETTINGS["ollama_model"], "messages": [{"role": "user", "content": message}]}
    request_id = queue.add_request({"base_url": SETTINGS["ollama_url"], "body": body}, user=user)
    where = queue.get_queue_position(request_id) or {}
    return {
        "request_id": request_id,
        "position": where.get("position"),
        "waiting": waiting_message(queue, request_id),
    }


def look_up(request_id: str) -> dict[str, Any]:
    """Its answer if that comes within 10 seconds, else where a question stands."""
    queue = RequestQueue.get_instance()
    result = queue.get_result(request_id, timeout=PATIENCE_S, keep=True)
    if "error" not in result:
        return {"answer": result["message"]["content"]}
    if result["kind"] == "timeout":
        return queue.get_queue_position(request_id) or {}
    return {"error": result["error"]}


def respond(method: str, path: str, sent: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The status and body of one answer."""
    try:
        if (method, path) == ("GET", "/api/status"):
            return "200 OK", status()
        if (method, path) == ("POST", "/api/chat"):
            return "200 OK", chat(sent["message"], sent.get("user", ""))
        if (method, path) == ("POST", "/api/chat/start"):
            return "202 Accepted", start_chat(sent["message"], sent.get("user", ""))
        if method == "GET" and path.startswith("/api/chat/"):
            return "200 OK", look_up(path.removeprefix("/api/chat/"))
    except KeyError as error:
        return "400 Bad Request", {"error": f"{error} is missing."}
    except UsageError as error:
        return "400 Bad Request", {"error": str(error)}
    except QueueFullError as error:
        return "503 Service Unavailable", {"error": error.message, "retry_after": error.retry_after_s}
    except N3Error as error:
        return "502 Bad Gateway", {"error": error.message}
    return "404 Not Found", {"error": f"There is no {method} {path}."}


def application(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """The service as WSGI: any server for Python runs it."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    try:
        sent = dict(json.loads(environ["wsgi.input"].read(length) or "{}"))
    except (ValueError, TypeError):
        code, answer = "400 Bad Request", {"error": "The body is not an object in JSON."}
    else:
        code, answer = respond(environ["REQUEST_METHOD"], environ["PATH_INFO"], sent)
    start_response(code, [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]


class Server(ThreadingMixIn, WSGIServer):
    """A thread for each user."""


class QuietHandler(WSGIRequestHandler):
    """Writes no line for each request."""

    def log_message(self, *_: object, **__: object) -> None:
        """Nothing."""


def ask(url: str, sent: dict[str, Any] | None = None) -> dict[str, Any]:
    """What a user's browser does."""
    data = None if sent is None else json.dumps(sent).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data)) as answer:  # http://127.0.0.1 only
            body: dict[str, Any] = json.load(answer)
    except urllib.error.HTTPError as refused:  # its body says why
        with refused:
            body = json.load(refused)
    return body


def main() -> None:
    """Serve two users and show what they see; then end."""
    with make_server("127.0.0.1", 0, application, Server, QuietHandler) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            started = ask(f"{url}/api/chat/start", {"message": "Why is the sky blue?", "user": "ada"})
            print("Ada's question stands at", started["position"])
            print("Grace reads:", ask(f"{url}/api/chat", {"message": "Say hello.", "user": "grace"}))
            print("Ada reads:", ask(f"{url}/api/chat/{started['request_id']}"))
            print(ask(f"{url}/api/status"))
        finally:
            server.shutdown()
            serving.join()
    RequestQueue.get_instance().shutdown()


if __name__ == "__main__":
    main()
