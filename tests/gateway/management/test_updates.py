"""Newer versions are pulled of what is installed and may be pulled, and of nothing else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.gateway.management.calling import OPERATOR, PATIENCE_S, call, managing
from tests.support.scripted_server import document, lines

if TYPE_CHECKING:
    from tests.support.scripted_server import Script, ScriptedServer

PROGRAM = """
ai model chat_model {{ provider: ollama  model: "llama3:8b" }}
gateway team {{ pull: {{ allow: ["llama3:*", "gone:*"] {more} }} }}
"""
UPDATE = "/api/providers/ollama/models/update"
SUCCESS = lines({"status": "success"})


def listing(**digests: str) -> Script:
    return document(
        {"models": [{"name": name.replace("_", ":"), "digest": digest} for name, digest in digests.items()]}
    )


async def test_only_what_may_be_pulled_is_updated_and_only_newer_ones_are_told(upstream: ScriptedServer):
    before = listing(llama3_8b="old", llama3_1b="same", custom_7b="x")
    after = listing(llama3_8b="new", llama3_1b="same", custom_7b="x")
    upstream.on("/api/pull", SUCCESS)
    async with managing(PROGRAM.format(more=""), {"gpu1": upstream.url}) as here:
        upstream.on("/api/tags", before)
        await here.servers.refresh("gpu1")
        upstream.on("/api/tags", before, after)
        answer = await call(here.handlers, "POST", UPDATE, by=OPERATOR)

    pulled = sorted(request.json["model"] for request in upstream.requests if request.path == "/api/pull")
    assert pulled == ["llama3:1b", "llama3:8b"]
    assert answer.status == 200
    assert answer.json["message"] == "1 of 2 models had a newer version"
    assert answer.json["updated"] == [{"model": "llama3:8b", "server": "gpu1"}]
    assert answer.json["unchanged"] == [{"model": "llama3:1b", "server": "gpu1"}]
    assert (answer.json["success"], answer.json["failed"]) == (True, [])


async def test_one_that_fails_is_told_with_its_reason(upstream: ScriptedServer):
    upstream.on("/api/tags", listing(gone_1b="x"))
    upstream.on("/api/pull", lines({"error": "pull model manifest: file does not exist"}))
    async with managing(PROGRAM.format(more=""), {"gpu1": upstream.url}) as here:
        answer = await call(here.handlers, "POST", UPDATE, by=OPERATOR)

    assert answer.status == 500
    assert answer.json["success"] is False
    assert answer.json["failed"] == [
        {"model": "gone:1b", "server": "gpu1", "error": "pull model manifest: file does not exist"}
    ]


async def test_where_there_is_nothing_to_update_nothing_is_pulled(upstream: ScriptedServer):
    upstream.on("/api/tags", listing(custom_7b="x"))
    async with managing(PROGRAM.format(more=""), {"gpu1": upstream.url}) as here:
        answer = await call(here.handlers, "POST", UPDATE, {}, by=OPERATOR)

    assert (answer.json["success"], answer.json["pulls"]) == (True, [])
    assert upstream.paths() == ["/api/tags"]


async def test_updates_come_by_themselves_where_the_file_says_so(upstream: ScriptedServer):
    # The first look finds no server that answers sensibly, and the next one goes on all the same.
    upstream.on("/api/tags", document(b"<html>"), listing(llama3_8b="old")).on("/api/pull", SUCCESS)
    async with managing(PROGRAM.format(more="auto_update: 20ms"), {"gpu1": upstream.url}) as here:
        async with asyncio.timeout(PATIENCE_S):
            while "/api/pull" not in upstream.paths():
                await upstream.requests_reached(len(upstream.requests) + 1)

    assert here.ledger.acts[0] == ("(gateway)", "model.update", "llama3:8b", {"servers": ["gpu1"]})
