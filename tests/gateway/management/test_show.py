"""What is shown of a model depends on who asks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from namel3ss.gateway.errors import Reason
from namel3ss.gateway.principal import Scope
from tests.contract.recordings import all_recordings, recording
from tests.gateway.management.calling import OPERATOR, USER, call, managing, principal, refused
from tests.gateway.management.test_lists import PROGRAM, entry, managed
from tests.support.scripted_server import document

if TYPE_CHECKING:
    from tests.support.scripted_server import ScriptedServer

CONFIDENTIAL = {
    "license": "CANARY licence",
    "modelfile": "CANARY FROM /root/.ollama/blobs/sha256-1",
    "parameters": "CANARY",
    "template": "CANARY",
    "system": "CANARY",
    "messages": [{"role": "user", "content": "CANARY"}],
    "a_field_of_tomorrow": "CANARY",
    "model_info": {
        "general.license": "CANARY",
        "tokenizer.chat_template": "CANARY",
        "llama.context_length": 2048,
    },
}


async def test_users_learn_how_to_call_a_model_and_operators_all(upstream: ScriptedServer):
    upstream.on("/api/show", document(CONFIDENTIAL | {"capabilities": ["completion"]}))
    async with managed(upstream) as (handlers, _):
        told = await call(handlers, "POST", "/api/show", {"model": "tiny"}, by=USER)
        all_of_it = await call(handlers, "POST", "/api/show", {"model": "tiny"}, by=OPERATOR)

    assert told.json == {"model_info": {"llama.context_length": 2048}, "capabilities": ["completion"]}
    assert all_of_it.json == CONFIDENTIAL | {"capabilities": ["completion"]}


async def test_the_same_holds_for_the_managed_model(upstream: ScriptedServer):
    upstream.on("/api/show", document(CONFIDENTIAL | {"capabilities": ["completion"]}))
    upstream.on("/api/tags", document({"models": [entry("tiny:latest")]}))
    async with managed(upstream) as (handlers, _):
        told = await call(handlers, "GET", "/api/providers/ollama/models/tiny", by=USER)
        all_of_it = await call(handlers, "GET", "/api/providers/ollama/models/tiny:latest", by=OPERATOR)

    assert b"CANARY" not in told.body
    assert told.json["name"] == "tiny:latest"
    assert told.json["capabilities"] == ["completion"]
    assert all_of_it.json["system"] == "CANARY"


async def test_the_server_is_asked_under_the_ollama_name(upstream: ScriptedServer):
    upstream.on("/api/show", document({"capabilities": []}))
    async with managed(upstream) as (handlers, _):
        await call(handlers, "POST", "/api/show", {"model": "polite", "verbose": True, "insecure": True})
        await call(handlers, "POST", "/api/ollama/show", {"name": "tiny"})

    assert [request.json for request in upstream.requests] == [
        {"model": "tiny", "verbose": True},
        {"model": "tiny"},
    ]


async def test_what_a_session_of_ollama_run_has_set_is_asked_about_with_its_model(upstream: ScriptedServer):
    upstream.on("/api/show", document({"capabilities": []}))
    session = {"system": "Be brief.", "options": {"num_ctx": 1024}}
    wrong = {"verbose": "yes", "system": 5, "options": ["num_ctx"]}
    async with managed(upstream) as (handlers, _):
        await call(handlers, "POST", "/api/show", {"model": "tiny", **session}, by=OPERATOR)
        await call(handlers, "POST", "/api/show", {"model": "tiny", **wrong}, by=OPERATOR)

    assert [request.json for request in upstream.requests] == [
        {"model": "tiny", **session},
        {"model": "tiny"},
    ]


@pytest.mark.parametrize("name", ["secret", "SECRET:latest", "registry.ollama.ai/library/secret"])
async def test_a_model_that_is_not_served_is_unknown(upstream: ScriptedServer, name: str):
    async with managed(upstream) as (handlers, _):
        shown = await refused(call(handlers, "POST", "/api/show", {"model": name}))
        managed_one = await refused(call(handlers, "GET", f"/api/providers/ollama/models/{name}"))
        listed = await refused(call(handlers, "GET", f"/v1/models/{name}"))

    assert [each.reason for each in (shown, managed_one, listed)] == [Reason.model_not_found] * 3
    assert shown.message == f"model '{name}' not found"
    assert upstream.requests == []


async def test_a_key_limited_to_some_models_sees_no_other_even_as_operator(upstream: ScriptedServer):
    limited = principal(Scope.OPERATOR, models=("coder", "team/*"))
    async with managed(upstream) as (handlers, _):
        served = await refused(call(handlers, "POST", "/api/show", {"model": "tiny"}, by=limited))
        not_served = await refused(call(handlers, "POST", "/api/show", {"model": "left-over"}, by=limited))

    assert served.reason is not_served.reason is Reason.model_not_allowed
    assert upstream.requests == []


async def test_the_next_server_is_asked_where_one_does_not_have_the_model(
    upstream: ScriptedServer, second: ScriptedServer
):
    upstream.on("/api/show", document({"error": "model 'tiny' not found"}, 404))
    second.on("/api/show", document({"capabilities": ["completion"]}))
    async with managed(upstream, second) as (handlers, servers):
        found = await call(handlers, "POST", "/api/show", {"model": "tiny"})
        servers.down.add("gpu2")
        missing = await refused(call(handlers, "POST", "/api/show", {"model": "tiny"}))

    assert found.json == {"capabilities": ["completion"]}
    assert missing.reason is Reason.model_not_found


async def test_a_server_that_fails_is_passed_over_while_another_knows_the_model(
    upstream: ScriptedServer, second: ScriptedServer
):
    upstream.on("/api/show", document({"error": "open /root/.ollama/x: permission denied"}, 500))
    second.on("/api/show", document({"capabilities": ["completion"]}))
    async with managing(PROGRAM % "", {"gpu1": upstream.url, "gpu2": second.url}) as here:
        found = await call(here.handlers, "POST", "/api/show", {"model": "tiny"})
        here.servers.down.add("gpu2")
        failed = await refused(call(here.handlers, "POST", "/api/show", {"model": "tiny"}))

    assert found.json == {"capabilities": ["completion"]}
    assert failed.reason is Reason.bad_upstream
    assert "/root" not in str(failed)


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"", 400, "missing request body"),
        (b"{", 400, "unexpected EOF"),
        (b"[]", 400, "must be an object, not a list"),
        (b"{}", 400, "model is required"),
        (b'{"model": 7}', 400, "model must be a text, not a number"),
        (b'{"model": "a:"}', 400, "invalid model name"),
    ],
)
async def test_a_wrong_request_is_refused_before_a_server_is_asked(
    upstream: ScriptedServer, body: bytes, status: int, words: str
):
    async with managed(upstream) as (handlers, _):
        refusal = await refused(call(handlers, "POST", "/api/show", body))

    assert refusal.status == status
    assert words in refusal.message
    assert upstream.requests == []


@pytest.mark.parametrize(
    "name",
    [
        each.name
        for each in all_recordings()
        if each.case.startswith("models/show") and each.response["status"] == 200
    ],
)
async def test_nothing_recorded_that_is_confidential_reaches_a_user(upstream: ScriptedServer, name: str):
    body = recording(name).response["body"].encode()
    upstream.on("/api/show", document(body))
    async with managed(upstream) as (handlers, _):
        told = (await call(handlers, "POST", "/api/show", {"model": "tiny"})).json
        all_of_it = await call(handlers, "POST", "/api/show", {"model": "tiny"}, by=OPERATOR)

    assert told.keys() <= {"details", "model_info", "tensors", "capabilities", "modified_at"}
    assert told["capabilities"] == json.loads(body)["capabilities"]
    assert "blobs" not in json.dumps(told)
    assert all_of_it.body == body
