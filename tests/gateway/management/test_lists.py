"""Lists are made from what a key may use, and never passed on as a server sent them."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from namel3ss.gateway.errors import Reason
from tests.contract.recordings import recording
from tests.gateway.management.calling import OPERATOR, USER, call, managing, principal, refused, start_call
from tests.support.scripted_server import document, stall

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.gateway.management.calling import Handlers, Servers
    from tests.support.scripted_server import ScriptedServer

PROGRAM = """
ai model chat_model { provider: ollama  model: "tiny" }
ai model polite { provider: ollama  model: "tiny"  system: "Be polite." }
ai model coder { provider: ollama  model: "team/coder:7b" }
ai model away { provider: ollama  model: "not-there" }
gateway team { %s }
"""


def entry(
    name: str, digest: str = "aa", modified_at: str = "2026-11-21T08:11:47.3532Z", **more: object
) -> Any:
    return {
        "name": name,
        "model": name,
        "modified_at": modified_at,
        "size": 3639214,
        "digest": digest,
        "details": {"parent_model": "", "format": "gguf", "family": "llama", "families": ["llama"]},
        **more,
    }


@asynccontextmanager
async def managed(
    *upstreams: ScriptedServer, settings: str = "", stopping: bool = False
) -> AsyncIterator[tuple[Handlers, Servers]]:
    addresses = {f"gpu{number}": server.url for number, server in enumerate(upstreams, 1)}
    async with managing(PROGRAM % settings, addresses, is_stopping=stopping) as here:
        yield here.handlers, here.servers


async def test_tags_hold_what_the_key_may_use_and_the_server_has(upstream: ScriptedServer):
    upstream.on(
        "/api/tags",
        document({"models": [entry("tiny:latest"), entry("secret:latest"), entry("team/coder:7b")]}),
    )
    async with managed(upstream) as (handlers, _):
        all_of_it = await call(handlers, "GET", "/api/tags")
        a_part = await call(handlers, "GET", "/api/ollama/tags", by=principal(models=("coder",)))

    assert [model["name"] for model in all_of_it.json["models"]] == ["tiny:latest", "team/coder:7b"]
    assert [model["name"] for model in a_part.json["models"]] == ["team/coder:7b"]


async def test_an_entry_keeps_what_the_server_said_and_names_the_declarations(upstream: ScriptedServer):
    upstream.on("/api/tags", document({"models": [entry("tiny:latest", capabilities=["completion"])]}))
    async with managed(upstream) as (handlers, _):
        answer = await call(handlers, "GET", "/api/tags")

    expected = entry("tiny:latest", capabilities=["completion"]) | {
        "declared_names": ["chat_model", "polite"]
    }
    assert answer.json == {"models": [expected]}
    assert answer.headers["content-type"] == "application/json; charset=utf-8"


async def test_several_servers_make_one_list_with_the_digest_on_each(
    upstream: ScriptedServer, second: ScriptedServer
):
    upstream.on("/api/tags", document({"models": [entry("tiny:latest", "aa")]}))
    second.on("/api/tags", document({"models": [entry("Tiny:latest", "bb"), entry("team/coder:7b", "cc")]}))
    async with managed(upstream, second) as (handlers, _):
        answer = await call(handlers, "GET", "/api/tags")

    servers = {model["name"]: model["servers"] for model in answer.json["models"]}
    assert servers == {"tiny:latest": {"gpu1": "aa", "gpu2": "bb"}, "team/coder:7b": {"gpu2": "cc"}}


async def test_the_newest_model_comes_first(upstream: ScriptedServer):
    old, new = "2026-11-21T08:11:47.29640093Z", "2026-11-21T10:11:47.353+01:00"
    upstream.on(
        "/api/tags",
        document({"models": [entry("tiny", modified_at=old), entry("team/coder:7b", modified_at=new)]}),
    )
    async with managed(upstream) as (handlers, _):
        answer = await call(handlers, "GET", "/api/tags")

    assert [model["name"] for model in answer.json["models"]] == ["team/coder:7b", "tiny"]


async def test_no_path_of_the_servers_machine_is_listed(upstream: ScriptedServer):
    details = {"parent_model": "/usr/local/bin/om/blobs/sha256-2bf37b6e572f", "family": "llama"}
    loaded = {"models": [entry("tiny:latest", details=details)]}
    upstream.on("/api/tags", document(loaded)).on("/api/ps", document(loaded))
    async with managed(upstream) as (handlers, _):
        listed = await call(handlers, "GET", "/api/tags")
        running = await call(handlers, "GET", "/api/ps", by=OPERATOR)

    assert listed.json["models"][0]["details"] == {"parent_model": "", "family": "llama"}
    assert b"blobs" not in listed.body + running.body


async def test_a_parent_that_is_a_model_is_kept(upstream: ScriptedServer):
    upstream.on("/api/tags", document({"models": [entry("tiny", details={"parent_model": "team/base:7b"})]}))
    async with managed(upstream) as (handlers, _):
        answer = await call(handlers, "GET", "/api/tags")

    assert answer.json["models"][0]["details"] == {"parent_model": "team/base:7b"}


async def test_openai_clients_get_their_shape(upstream: ScriptedServer):
    upstream.on("/api/tags", document({"models": [entry("tiny:latest"), entry("team/coder:7b")]}))
    async with managed(upstream) as (handlers, _):
        listed = await call(handlers, "GET", "/v1/models")
        one = await call(handlers, "GET", "/v1/models/team/coder:7b")
        by_declaration = await call(handlers, "GET", "/v1/models/polite")

    created = 1795248707
    assert listed.json == {
        "object": "list",
        "data": [
            {"id": "tiny:latest", "object": "model", "created": created, "owned_by": "library"},
            {"id": "team/coder:7b", "object": "model", "created": created, "owned_by": "team"},
        ],
    }
    assert by_declaration.json["id"] == "polite"
    assert one.status == 200


async def test_an_empty_list_is_a_list(upstream: ScriptedServer):
    upstream.on("/api/tags", document({"models": []}))
    async with managed(upstream) as (handlers, _):
        assert (await call(handlers, "GET", "/v1/models")).json == {"object": "list", "data": []}
        assert (await call(handlers, "GET", "/api/tags")).json == {"models": []}


async def test_callers_at_one_time_ask_the_server_once(upstream: ScriptedServer):
    gate = stall()
    upstream.on("/api/tags", [gate, *document({"models": [entry("tiny")]})])
    async with managed(upstream) as (handlers, _):
        calls = [start_call(handlers, "GET", "/api/tags") for _ in range(20)]
        await gate.arrived.reached()
        gate.open()
        answers = [await each.answered() for each in calls]

    assert [len(answer.json["models"]) for answer in answers] == [1] * 20
    assert upstream.paths() == ["/api/tags"]


async def test_a_server_that_fails_is_left_out_while_another_answers(
    upstream: ScriptedServer, second: ScriptedServer
):
    upstream.on("/api/tags", document({"error": "no"}, 500))
    second.on("/api/tags", document({"models": [entry("tiny")]}))
    async with managed(upstream, second) as (handlers, _):
        answer = await call(handlers, "GET", "/api/tags")

    assert [model["servers"] for model in answer.json["models"]] == [{"gpu2": "aa"}]


async def test_without_a_server_there_is_no_list(upstream: ScriptedServer):
    async with managed(upstream) as (handlers, servers):
        servers.down.add("gpu1")
        refusal = await refused(call(handlers, "GET", "/api/providers/ollama/models"))

    assert refusal.reason is Reason.server_down
    assert refusal.status == 503
    assert upstream.requests == []


@pytest.mark.parametrize("body", [b"<html>sign in</html>", b"[]", b'{"models"', b"\xff"])
async def test_an_answer_that_is_not_ollamas_is_said_to_be_none(upstream: ScriptedServer, body: bytes):
    upstream.on("/api/tags", document(body))
    async with managed(upstream) as (handlers, _):
        refusal = await refused(call(handlers, "GET", "/api/tags"))

    assert refusal.reason is Reason.bad_upstream
    assert "127.0.0.1" not in str(refusal)


@pytest.mark.parametrize("models", [None, 7, "all", [None, 7, {}, {"name": 7}, {"name": ""}]])
async def test_what_is_no_entry_is_passed_over(upstream: ScriptedServer, models: object):
    upstream.on("/api/tags", document({"models": models}))
    async with managed(upstream) as (handlers, _):
        assert (await call(handlers, "GET", "/api/tags")).json == {"models": []}


async def test_the_managed_list_counts_and_shows_operators_what_nobody_can_call(upstream: ScriptedServer):
    upstream.on("/api/tags", document({"models": [entry("tiny:latest"), entry("left-over:1b")]}))
    async with managed(upstream) as (handlers, _):
        mine = await call(handlers, "GET", "/api/providers/ollama/models", by=USER)
        operators = await call(handlers, "GET", "/api/providers/ollama/models", by=OPERATOR)
        callable_ones = await call(handlers, "GET", "/api/tags", by=OPERATOR)

    assert [model["name"] for model in mine.json["models"]] == ["tiny:latest"]
    assert mine.json["total"] == 1
    assert [model["name"] for model in operators.json["models"]] == ["tiny:latest", "left-over:1b"]
    assert operators.json["total"] == 2
    assert [model["name"] for model in callable_ones.json["models"]] == ["tiny:latest"]


async def test_models_that_run_elsewhere_are_listed_where_file_and_key_allow_them(upstream: ScriptedServer):
    upstream.on("/api/tags", document({"models": [entry("tiny", remote_host="https://elsewhere.example")]}))
    may = principal(allows_cloud=True)
    async with managed(upstream) as (handlers, _):
        the_file_says_no = await call(handlers, "GET", "/api/tags", by=may)
    async with managed(upstream, settings="cloud_models: true") as (handlers, _):
        the_key_says_no = await call(handlers, "GET", "/api/tags", by=USER)
        both_say_yes = await call(handlers, "GET", "/api/tags", by=may)

    assert [len(each.json["models"]) for each in (the_file_says_no, the_key_says_no, both_say_yes)] == [
        0,
        0,
        1,
    ]


async def test_loaded_models_name_their_server(upstream: ScriptedServer, second: ScriptedServer):
    upstream.on("/api/ps", document({"models": [entry("tiny:latest", size_vram=0)]}))
    second.on("/api/ps", document({"models": [entry("secret:latest")]}))
    async with managed(upstream, second) as (handlers, _):
        answer = await call(handlers, "GET", "/api/ps", by=OPERATOR)

    assert [(model["name"], model["server"]) for model in answer.json["models"]] == [
        ("tiny:latest", "gpu1"),
        ("secret:latest", "gpu2"),
    ]


async def test_the_version_is_the_lowest_of_the_servers_and_names_the_gateway(
    upstream: ScriptedServer, second: ScriptedServer
):
    async with managed(upstream, second) as (handlers, servers):
        servers.versions = {"gpu1": "0.33.0-rc2", "gpu2": "0.9.6"}
        answer = await call(handlers, "GET", "/api/version")
        servers.versions = {"gpu1": "<canary>", "gpu2": "0.24.0"}
        other = await call(handlers, "GET", "/api/version")
        servers.versions = {}
        unknown = await refused(call(handlers, "GET", "/api/version"))

    assert answer.json["version"] == "0.9.6"
    assert answer.json["gateway"].startswith("namel3ss ")
    assert other.json["version"] == "0.24.0"
    assert unknown.status == 503


async def test_the_cloud_is_shut_unless_the_file_opens_it(upstream: ScriptedServer):
    async with managed(upstream) as (handlers, _):
        shut = await call(handlers, "GET", "/api/ollama/status")
    async with managed(upstream, settings="cloud_models: true") as (handlers, _):
        open_ = await call(handlers, "GET", "/api/ollama/status")

    assert shut.json == {"cloud": {"disabled": True, "source": "config"}}
    assert open_.json == {"cloud": {"disabled": False, "source": "none"}}


async def test_head_sends_headers_alone(upstream: ScriptedServer):
    upstream.on("/api/tags", document({"models": [entry("tiny")]}))
    async with managed(upstream) as (handlers, _):
        answer = await call(handlers, "HEAD", "/api/tags")

    assert answer.status == 200
    assert answer.body == b""
    assert int(answer.headers["content-length"]) > 100


@pytest.mark.parametrize("server", ["ollama-0.24.0", "ollama-0.33.0-rc2"])
async def test_recorded_lists_come_through_with_all_their_fields(upstream: ScriptedServer, server: str):
    body = recording(f"{server}/models/tags").response["body"].encode()
    upstream.on("/api/tags", document(body))
    recorded = {model["name"]: model for model in json.loads(body)["models"]}
    async with managed(upstream) as (handlers, _):
        answer = await call(handlers, "GET", "/api/tags")

    [listed] = answer.json["models"]
    assert listed == recorded["tiny:latest"] | {
        "declared_names": ["chat_model", "polite"],
        "details": recorded["tiny:latest"]["details"] | {"parent_model": ""},
    }
