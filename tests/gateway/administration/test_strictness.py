"""What is not declared is not taken, and what is taken has bounds."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from namel3ss.gateway.administration import activity_shapes, shapes
from namel3ss.gateway.errors import Reason

if TYPE_CHECKING:
    from tests.gateway.administration.office import Office

TAKEN = {
    name: kind
    for module in (shapes, activity_shapes)
    for name in module.__all__
    if isinstance(kind := getattr(module, name), type)
    and issubclass(kind, msgspec.Struct)
    and kind.__struct_config__.forbid_unknown_fields
}
SWITCHES = ("bypass", "bypass_filter", "admin", "is_admin", "debug", "priority", "actor", "id", "created_by")


@pytest.mark.security(4)
def test_every_body_and_query_refuses_fields_that_it_does_not_know(office: Office) -> None:
    document = office.get("/openapi.json").json()
    bodies = queries = 0
    for path, methods in document["paths"].items():
        address = re.sub(r"\{\w+\}", "x", path)
        for method in methods:
            for switch in SWITCHES:
                if method == "get" and path not in ("/api/session",):
                    answer = office.get(address, **{switch: "true"})
                    queries += 1
                elif method != "get" and path != "/api/session":
                    answer = office.send(method.upper(), address, {switch: True})
                    bodies += 1
                    beside = office.send(method.upper(), f"{address}?{switch}=true")
                    assert beside.status_code == 422, (method, path, switch)
                else:
                    continue
                assert answer.status_code == 422, (method, path, switch)
    assert bodies > 50
    assert queries > 50


@pytest.mark.security(4)
def test_what_is_taken_is_strict_and_every_text_in_it_is_bounded() -> None:
    assert len(TAKEN) >= 8
    for name, kind in TAKEN.items():
        for schema in _texts(msgspec.json.schema(kind)):
            assert {"maxLength", "pattern", "enum"} & schema.keys(), (name, schema)


def _texts(schema: Any) -> list[dict[str, Any]]:
    """Every schema of a text within a schema."""
    if isinstance(schema, list):
        return [text for item in schema for text in _texts(item)]
    if not isinstance(schema, dict):
        return []
    own = [schema] if schema.get("type") == "string" else []
    return own + [text for value in schema.values() for text in _texts(value)]


NASTY = st.one_of(
    st.text(max_size=80),
    st.sampled_from(
        [
            "' OR '1'='1",
            '"; DROP TABLE keys; --',
            "x' UNION SELECT digest FROM keys --",
            "%",
            "_",
            "\\",
            "\0",
            "a\nb",
        ]
    ),
)


@pytest.mark.security(11)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=NASTY)
def test_texts_of_every_kind_reach_the_database_as_values(office: Office, text: str) -> None:
    """None is a server's mistake, and none finds or changes anything but what has that name."""
    answers = [
        office.get("/api/keys", user=text),
        office.get("/api/usage", user=text),
        office.post("/api/users", {"name": text}),
        office.post("/api/keys", {"user": "admin", "label": text, "class": text}),
        office.send("DELETE", "/api/whitelist", {"class": text, "network": "10.0.0.1"}),
    ]

    for answer in answers:
        assert answer.status_code < 500, answer.text
    assert len(office.get("/api/keys", user="admin").json()["keys"]) == 1


@pytest.mark.security(27)
def test_a_body_that_is_too_large_or_no_json_is_refused(office: Office) -> None:
    headers = {"authorization": f"Bearer {office.key}", "content-type": "application/json"}

    large = office.client.post("/api/users", content=b'{"name": "' + b"a" * 300_000, headers=headers)
    broken = office.client.post("/api/users", content=b'{"name": ', headers=headers)
    deep = office.client.post("/api/users", content=b"[" * 100_000, headers=headers)
    bytes_ = office.client.post("/api/users", content=b"\xff\xfe", headers=headers)

    assert (large.status_code, large.json()["error"]["reason"]) == (413, "body_too_large")
    for answer in (broken, deep, bytes_):
        assert answer.status_code in (400, 422)


def test_the_document_describes_every_operation_and_its_refusals(office: Office) -> None:
    document = office.get("/openapi.json").json()

    assert document["openapi"].startswith("3.1")
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"].endswith("."), (method, path)
            named = set(re.findall(r"\w+", operation["responses"]["401"]["description"]))
            assert "no_key" in named
    reasons = document["components"]["schemas"]["Refusal"]["properties"]["error"]["properties"]["reason"]
    assert set(reasons["enum"]) == set(Reason.__members__)


def _send_in_two(connection: socket.socket, head: str, body: bytes) -> bytes:
    """The head of a request, and its body in a packet of its own; the head of the answer."""
    connection.sendall(head.encode())
    connection.sendall(body)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(65536)
    return answer.lower()


def test_a_connection_is_used_again_after_a_refusal_and_ends_only_where_that_was_said(office: Office) -> None:
    place = urlsplit(office.url)
    head = f"POST /api/users HTTP/1.1\r\nhost: {place.netloc}\r\ncontent-length: "

    with socket.create_connection((place.hostname, place.port), timeout=10) as connection:
        answers = [_send_in_two(connection, f"{head}2\r\n\r\n", b"{}") for _ in range(3)]
        large = _send_in_two(connection, f"{head}200000\r\n\r\n", b"{")

    for answer in answers:
        assert b" 401 " in answer
        assert b"connection: close" not in answer
    assert b" 401 " in large
    assert b"connection: close" in large
