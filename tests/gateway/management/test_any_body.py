"""Whatever the body of a request holds, it is done or refused, and only what was understood reaches a server."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from namel3ss.gateway.errors import Refusal
from tests.gateway.management.calling import WRITER, call, managing
from tests.support.scripted_server import ScriptedServer, document, lines

PROGRAM = """
ai model chat_model { provider: ollama  model: "tiny" }
gateway team { pull: { allow: ["tiny*"] } }
"""
KEYS = (
    "model", "name", "stream", "from", "files", "adapters", "source", "destination", "insecure", "remote_host",
    "verbose", "system", "Model", "FROM", "parameters", "license", "quantize",
)  # fmt: skip
WORDS = st.sampled_from(
    [
        "tiny",
        "chat_model",
        "evil.example/a/b",
        "http://evil.example/a",
        "tiny:cloud",
        "..",
        "",
        "sha256:" + "0" * 64,
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
BODIES = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6) | VALUES
ROUTES = (
    ("POST", "/api/show"),
    ("POST", "/api/pull"),
    ("POST", "/api/push"),
    ("POST", "/api/create"),
    ("POST", "/api/copy"),
    ("DELETE", "/api/delete"),
    ("POST", "/api/providers/ollama/pull"),
    ("POST", "/api/providers/ollama/models/update"),
)


@pytest.mark.long
@pytest.mark.security(36, 37)
@settings(max_examples=25)
@given(data=st.data())
def test_a_body_is_understood_or_refused(data: st.DataObject):
    bodies = data.draw(st.lists(BODIES, min_size=len(ROUTES), max_size=len(ROUTES)))
    with ScriptedServer(document({})) as upstream:
        upstream.on("/api/tags", document({"models": [{"name": "tiny:latest", "digest": "aa"}]}))
        for path in ("/api/pull", "/api/push", "/api/create"):
            upstream.on(path, lines({"status": "success"}))
        asyncio.run(_ask_all(upstream.url, bodies))
        sent = [request.json for request in upstream.requests if request.body]

    for body in sent:
        assert "evil.example" not in json.dumps({key: body[key] for key in body if key not in _FREE})
        assert not body.keys() & {"insecure", "remote_host", "Model", "FROM"}


# Contents that a writer chooses; a server connects nowhere because of them.
_FREE = frozenset({"system", "parameters", "license", "quantize"})


async def _ask_all(url: str, bodies: list[Any]) -> None:
    async with managing(PROGRAM, {"gpu1": url}) as here:
        for (method, path), body in zip(ROUTES, bodies, strict=True):
            with contextlib.suppress(Refusal):
                await call(here.handlers, method, path, json.dumps(body).encode(), by=WRITER)
