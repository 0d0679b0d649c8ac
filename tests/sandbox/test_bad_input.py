"""Whatever is sent, the answer is one of the server's: never a traceback, never unbounded memory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from namel3ss.sandbox import SandboxOptions, SandboxServer
from namel3ss.sandbox.http import LARGEST_BODY
from tests.contract.wire_client import exchange
from tests.sandbox.client import ask

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROUTES = [
    "/api/generate",
    "/api/chat",
    "/api/embed",
    "/api/embeddings",
    "/api/show",
    "/api/copy",
    "/api/pull",
    "/api/push",
    "/api/create",
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/responses",
    "/v1/messages",
]


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    with SandboxServer(SandboxOptions(installed=("m",), pull_seconds=0)) as running:
        yield running


def _is_an_answer(status: int, answer: object) -> bool:
    return status < 500 or (isinstance(answer, dict) and "error" in answer)


_KEYS = [
    "type",
    "role",
    "content",
    "text",
    "name",
    "function",
    "arguments",
    "parameters",
    "properties",
    "id",
    "image_url",
    "source",
    "effort",
    "format",
    "schema",
    "input",
    "output",
    "a",
]
_FIELDS = [
    "prompt",
    "messages",
    "tools",
    "format",
    "think",
    "options",
    "images",
    "stream",
    "keep_alive",
    "input",
    "system",
    "suffix",
    "template",
    "context",
    "max_tokens",
    "stop",
    "response_format",
    "logprobs",
    "reasoning",
    "text",
    "instructions",
    "thinking",
    "dimensions",
    "from",
    "files",
    "parameters",
    "source",
    "destination",
    "truncate",
    "raw",
]
_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-5, 10**12)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
)
_values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=4),
    max_leaves=8,
)
_models = st.sampled_from(["tiny", "m", "tiny-embed", "tiny-thinker", "nope", "a b", "m:cloud", ""])
_bodies = st.fixed_dictionaries({"model": _models}, optional=dict.fromkeys(_FIELDS, _values))


@pytest.mark.parametrize("path", _ROUTES)
@given(body=_bodies)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_request_of_strange_values_gets_an_answer(
    server: SandboxServer, path: str, body: dict[str, object]
) -> None:
    if isinstance(body.get("options"), dict):
        body["options"] = {**body["options"], "num_predict": 3}  # type: ignore[dict-item]
    status, answer = ask(server, "POST", path, body)
    assert _is_an_answer(status, answer), (status, answer)


@pytest.mark.parametrize("path", _ROUTES)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x00",
        b"\xff\xfe",
        b"%PDF-1.7",
        b"<html>",
        b"[" * 100_000,
        b'{"a":' * 20_000,
        b'{"model":"' + b"x" * 100_000 + b'"}',
        b'{"model":' + b"9" * 10_000 + b"}",
    ],
    ids=["empty", "nul", "utf16", "pdf", "html", "arrays", "objects", "long", "digits"],
)
def test_a_body_that_is_no_request_gets_an_answer(server: SandboxServer, path: str, body: bytes) -> None:
    status, answer = ask(server, "POST", path, body)
    assert status < 500
    assert "error" in answer


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "//",
        "/%00",
        "/api/blobs/",
        "/api/blobs/%2e%2e",
        "/v1/models/%ff",
        "/api/tags?x=%",
        "/" + "a" * 5000,
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PATCH", "OPTIONS"])
def test_a_strange_path_gets_an_answer(server: SandboxServer, method: str, path: str) -> None:
    assert exchange(server.url, method, path).status < 500


def test_a_body_that_is_too_large_is_refused_while_it_is_read(server: SandboxServer) -> None:
    status, answer = ask(server, "POST", "/api/chat", b" " * (LARGEST_BODY + 1))
    assert (status, answer) == (413, {"error": "http: request body too large"})


def test_a_deeply_nested_schema_is_refused(server: SandboxServer) -> None:
    schema: dict[str, object] = {"type": "string"}
    for _ in range(300):
        schema = {"type": "object", "properties": {"a": schema}, "required": ["a"]}
    request = {"model": "m", "prompt": "x", "format": schema, "stream": False}
    status, answer = ask(server, "POST", "/api/generate", request)
    assert (status, answer["error"]) == (500, "invalid JSON schema in format")


def test_a_huge_prompt_is_answered(server: SandboxServer) -> None:
    request = {
        "model": "tiny",
        "prompt": "alpha beta " * 20_000,
        "stream": False,
        "options": {"num_predict": 1},
    }
    status, answer = ask(server, "POST", "/api/generate", request)
    assert status == 200
    assert answer["prompt_eval_count"] == 2048
    assert json.dumps(answer)
