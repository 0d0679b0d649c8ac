"""What administrators see of requests, of usage, of the configuration and of each other."""

from __future__ import annotations

import contextlib
import json
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from namel3ss.declarations import check_text
from namel3ss.gateway.administration.configuration import effective_configuration
from namel3ss.gateway.plan import plan_gateway
from tests.support.eventually import eventually
from tests.support.scripted_server import Gate, document

if TYPE_CHECKING:
    import httpx

    from tests.gateway.administration.office import Office

PROMPT = "the secret of the canary"
CHAT = {"model": "tiny", "messages": [{"role": "user", "content": PROMPT}], "stream": False}
ANSWER = {
    "model": "tiny",
    "created_at": "2026-01-01T00:00:00Z",
    "message": {"role": "assistant", "content": "Hello."},
    "done": True,
    "done_reason": "stop",
    "prompt_eval_count": 12,
    "eval_count": 3,
}


def queue(office: Office) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = office.get("/api/overview").json()["queue"]["entries"]
    return entries


def test_requests_are_shown_from_their_arrival_to_their_end_and_can_be_cancelled(own_office: Office) -> None:
    office, gate = own_office, Gate()
    office.upstream.on("/api/chat", [gate])
    keys = {user: office.gateway.key(user) for user in ("ada", "bob")}

    def chat(user: str) -> httpx.Response:
        return office.main("POST", "/api/chat", CHAT, key=keys[user], headers={"x-request-id": user})

    with ThreadPoolExecutor(2) as threads:
        running = threads.submit(chat, "ada")
        gate.arrived.wait()
        waiting = threads.submit(chat, "bob")
        eventually(lambda: len(queue(office)) == 2)
        overview = office.get("/api/overview").json()
        shown = office.get("/api/queue").json()
        cancelled = [office.send("DELETE", f"/api/queue/{user}").status_code for user in ("bob", "ada")]
        ended = [running.result(), waiting.result()]

    first, second = shown["entries"]
    assert (shown["queue_length"], shown["running"], shown["processing"]) == (1, 1, True)
    assert (first["user"], first["stage"], first["server"], first["position"]) == (
        "ada",
        "sent",
        "gpu1",
        None,
    )
    assert (second["user"], second["stage"], second["server"], second["position"]) == (
        "bob",
        "waiting",
        None,
        0,
    )
    assert {entry["model"] for entry in shown["entries"]} == {"tiny"}
    assert overview["servers"][0]["in_flight"] == 1
    assert PROMPT not in json.dumps(overview) + json.dumps(shown)
    assert cancelled == [204, 204]
    assert {answer.headers["x-namel3ss-error"] for answer in ended} == {"cancelled"}
    acts = [(entry["action"], entry["subject"]) for entry in office.get("/api/audit").json()["entries"]]
    assert acts[:2] == [("request.cancel", "ada"), ("request.cancel", "bob")]


@pytest.mark.long
def test_of_a_long_queue_the_first_in_line_are_shown_whenever_they_came(own_office: Office) -> None:
    gateway, gate = own_office.gateway, Gate()
    own_office.upstream.on("/api/chat", [gate])
    body = json.dumps(CHAT)
    place = urlsplit(gateway.url)
    with contextlib.ExitStack() as stack:

        def ask(key: str) -> None:
            connection = stack.enter_context(socket.create_connection((place.hostname, place.port)))
            head = f"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
            connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())

        for key in [gateway.key(f"user{number}") for number in range(5)]:
            for _ in range(45):
                ask(key)
        eventually(lambda: own_office.get("/api/queue").json()["queue_length"] == 224)
        ask(gateway.key("late"))
        eventually(lambda: own_office.get("/api/queue").json()["queue_length"] == 225)
        eventually(lambda: "late" in [entry["user"] for entry in queue(own_office)][:7])


def test_a_request_that_is_not_under_way_cannot_be_cancelled(office: Office) -> None:
    assert office.send("DELETE", "/api/queue/unknown").status_code == 404


@pytest.mark.security(24)
def test_usage_is_shown_by_day_user_and_model(own_office: Office) -> None:
    office = own_office
    office.upstream.on("/api/chat", document(ANSWER))
    key = office.gateway.key("ada")

    for _ in range(2):
        assert office.main("POST", "/api/chat", CHAT, key=key).status_code == 200

    usage = office.get("/api/usage").json()
    (row,) = usage["rows"]
    assert row == {
        "day": usage["last"],
        "user": "ada",
        "model": "tiny",
        "requests": 2,
        "failed": 0,
        "estimated": 0,
        "prompt_tokens": 24,
        "completion_tokens": 6,
    }
    assert office.get("/api/usage", user="bob").json()["rows"] == []
    assert office.get("/api/usage", first="2020-01-01", last="2020-01-31").json()["rows"] == []
    for page in ("/api/usage", "/api/audit", "/api/overview", "/metrics"):
        assert "canary" not in office.get(page).text


@pytest.mark.parametrize(
    "query",
    [
        {"first": "2026-02-30"},
        {"first": "yesterday"},
        {"first": "2026-02-02", "last": "2026-02-01"},
        {"first": "0001-01-01"},
        {"begin": "2026-02-02"},
        {"limit": "5"},
    ],
)
def test_days_that_cannot_be_shown_are_refused(office: Office, query: dict[str, str]) -> None:
    assert office.get("/api/usage", **query).status_code == 422


@pytest.mark.security(35)
def test_every_change_is_in_the_audit_log_with_who_made_it_and_without_secrets(own_office: Office) -> None:
    office = own_office
    office.user("ada", password="a password nobody guesses")
    made = office.post("/api/keys", {"user": "ada"}).json()
    key_id = made["key"]["id"]
    rotated = office.post(f"/api/keys/{key_id}/rotate").json()
    office.send("DELETE", f"/api/keys/{rotated['key']['id']}")
    office.post("/api/servers", {"name": "gpu2", "base_url": "http://127.0.0.1:9"})
    office.post("/api/servers/gpu2/drain")
    office.post("/api/whitelist", {"class": "chat", "network": "10.0.0.1"})
    office.send("PATCH", "/api/users/ada", {"enabled": False, "scopes": ["operator"]})

    answer = office.get("/api/audit")

    acts = [(entry["actor"], entry["action"]) for entry in answer.json()["entries"]]
    assert acts[:8] == [
        ("admin", action)
        for action in (
            "user.disable", "user.scopes", "whitelist.add", "server.drain", "server.add", "key.revoke",
            "key.rotate", "key.create",
        )
    ]  # fmt: skip
    for secret in (made["secret"], rotated["secret"], "nobody guesses", office.key):
        assert secret not in answer.text


def test_the_audit_log_is_read_page_by_page(own_office: Office) -> None:
    for number in range(5):
        own_office.user(f"user{number}")

    first = own_office.get("/api/audit", limit=3).json()["entries"]
    second = own_office.get("/api/audit", limit=2, before=first[-1]["id"]).json()["entries"]

    assert [entry["subject"] for entry in first + second] == ["user4", "user3", "user2", "user1", "user0"]


@pytest.mark.security(35)
def test_nothing_over_http_changes_the_audit_log(office: Office) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert office.send(method, "/api/audit").status_code == 405


@pytest.mark.security(25)
def test_the_configuration_shows_where_values_come_from_and_no_secret() -> None:
    text = """
        ai model chat_model { provider: ollama  model: "tiny" }
        server gpu1 { base_url: "http://10.0.0.5:11434"  api_key: env.GPU_KEY }
        gateway team {
            servers: [gpu1]
            queue: { max_waiting: 7 }
            database: env.DATABASE
        }
    """
    environ = {"GPU_KEY": "canary-key", "DATABASE": "postgresql://gate:canary-password@db.example/gateway"}
    program = check_text(text, "team.ai", environ=environ)
    plan = plan_gateway(program, None, environ)

    values = {value.name: value for value in effective_configuration(program, plan, environ)}

    assert not any("canary" in value.value for value in values.values())
    assert values["database"].value == "postgresql://gate:***@db.example/gateway"
    assert values["gpu1.api_key"].value == "taken from GPU_KEY"
    assert (values["queue.max_waiting"].value, values["queue.max_waiting"].origin) == ("7", "gateway")
    assert re.fullmatch(r"team\.ai:6:\d+", values["queue.max_waiting"].declared_at or "")
    assert (values["queue.reserve"].value, values["queue.reserve"].declared_at) == ("0", None)


async def test_gauges_show_every_class_and_server(own_office: Office) -> None:
    text = own_office.get("/metrics").text

    for name in ("coding", "chat", "default", "batch"):
        assert f'namel3ss_gateway_queue_waiting{{class="{name}"}} 0.0' in text
    assert 'namel3ss_gateway_server_up{server="gpu1"} 1.0' in text
    assert "namel3ss_gateway_keys 1.0" in text
