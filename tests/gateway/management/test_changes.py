"""Models are changed by those who may, under names of the default registry, and nothing else of a request arrives."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from namel3ss.gateway.errors import Reason
from namel3ss.gateway.exchange import CallerLeft
from namel3ss.gateway.principal import Scope
from namel3ss.sandbox import SandboxOptions, SandboxServer
from tests.contract.recordings import recording
from tests.gateway.management.calling import (
    PATIENCE_S,
    WRITER,
    call,
    managing,
    principal,
    refused,
    start_call,
)
from tests.support.scripted_server import Gate, Reset, Send, chunk, document, head, line, lines

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from tests.support.scripted_server import Script, ScriptedServer

PROGRAM = """
ai model chat_model { provider: ollama  model: "tiny" }
gateway team { pull: { allow: ["llama3:*"] } }
"""
FILE = b"GGUF and more"
DIGEST = f"sha256:{hashlib.sha256(FILE).hexdigest()}"
NAMED = {"X-Namel3ss-Server": "gpu2"}


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(SandboxOptions(pull_seconds=0.0)) as server:
        yield server


# -- delete ---------------------------------------------------------------------------------------------------


async def test_a_deleted_model_is_gone_and_the_list_is_read_again(sandbox: SandboxServer):
    async with managing(PROGRAM, {"gpu1": sandbox.url}) as here:
        first = await call(here.handlers, "DELETE", "/api/delete", {"model": "chat_model"}, by=WRITER)
        again = await refused(call(here.handlers, "DELETE", "/api/delete", {"name": "tiny"}, by=WRITER))
        installed = here.servers.installed("gpu1")

    assert (first.status, first.body) == (200, b"")
    assert (again.status, again.message) == (404, "model 'tiny' not found")
    assert installed is not None
    assert "tiny:latest" not in {model.name for model in installed}


async def test_the_managed_route_says_where_it_was_deleted():
    with SandboxServer() as one, SandboxServer(SandboxOptions(tiny=False)) as two:
        async with managing(PROGRAM, {"gpu1": one.url, "gpu2": two.url}) as here:
            answer = await call(
                here.handlers, "DELETE", "/api/providers/ollama/models/tiny:latest", by=WRITER
            )

    assert answer.json == {
        "success": True,
        "message": "Model 'tiny:latest' deleted",
        "model": "tiny:latest",
        "servers": ["gpu1"],
    }


async def test_a_model_is_deleted_on_the_server_that_is_named_alone():
    with SandboxServer() as one, SandboxServer() as two:
        async with managing(PROGRAM, {"gpu1": one.url, "gpu2": two.url}) as here:
            await call(here.handlers, "DELETE", "/api/delete", {"model": "tiny"}, by=WRITER, headers=NAMED)
            answer = await call(here.handlers, "GET", "/api/tags", by=WRITER)

    assert [(model["name"], list(model["servers"])) for model in answer.json["models"]] == [
        ("tiny:latest", ["gpu1"])
    ]


async def test_a_server_that_fails_is_named_and_the_others_have_deleted(
    upstream: ScriptedServer, sandbox: SandboxServer
):
    upstream.on("/api/delete", document({"error": "open /root/.ollama/x: permission denied"}, 500))
    async with managing(PROGRAM, {"gpu1": upstream.url, "gpu2": sandbox.url}) as here:
        refusal = await refused(call(here.handlers, "DELETE", "/api/delete", {"model": "tiny"}, by=WRITER))
        left = here.servers.installed("gpu2")

    assert (refusal.reason, refusal.message) == (
        Reason.bad_upstream,
        "The server gpu1 could not delete 'tiny' (status 500).",
    )
    assert left is not None
    assert "tiny:latest" not in {model.name for model in left}
    assert set(here.servers.refreshed) == {"gpu1", "gpu2"}


async def test_one_who_looks_after_models_deletes_what_nobody_can_call(sandbox: SandboxServer):
    async with managing(PROGRAM, {"gpu1": sandbox.url}) as here:
        answer = await call(here.handlers, "DELETE", "/api/delete", {"model": "tiny-tools"}, by=WRITER)
        kept = principal(Scope.MODELS_WRITE, models=("chat_model",))
        refusal = await refused(
            call(here.handlers, "DELETE", "/api/delete", {"model": "tiny-embed"}, by=kept)
        )

    assert answer.status == 200
    assert refusal.reason is Reason.model_not_allowed


@pytest.mark.parametrize(
    ("body", "words"),
    [(b"", "missing request body"), (b"{}", "model is required"), (b'{"model": "a:"}', "invalid model name")],
)
async def test_a_wrong_deletion_reaches_no_server(upstream: ScriptedServer, body: bytes, words: str):
    async with managing(PROGRAM, {"gpu1": upstream.url}) as here:
        refusal = await refused(call(here.handlers, "DELETE", "/api/delete", body, by=WRITER))

    assert (refusal.status, refusal.message) == (400, words)
    assert upstream.requests == []


# -- copy and create ------------------------------------------------------------------------------------------


async def test_a_copy_has_a_name_of_its_own(sandbox: SandboxServer):
    async with managing(PROGRAM, {"gpu1": sandbox.url}) as here:
        body = {"source": "chat_model", "destination": "team/copy"}
        answer = await call(here.handlers, "POST", "/api/copy", body, by=WRITER)
        shown = await call(here.handlers, "GET", "/api/providers/ollama/models/team/copy", by=WRITER)

    assert (answer.status, answer.body) == (200, b"")
    assert shown.json["name"] == "team/copy:latest"


async def test_a_model_is_made_from_an_installed_one(sandbox: SandboxServer):
    async with managing(PROGRAM, {"gpu1": sandbox.url}) as here:
        body = {"model": "made", "from": "chat_model", "system": "Be brief.", "stream": True}
        answer = await call(here.handlers, "POST", "/api/create", body, by=WRITER)
        shown = await call(here.handlers, "POST", "/api/show", {"model": "made"}, by=WRITER)

    assert answer.lines[-1] == {"status": "success"}
    assert shown.json["system"] == "Be brief."


@pytest.mark.security(36, 37)
async def test_a_model_that_was_made_is_known_before_its_maker_hears_of_the_end(sandbox: SandboxServer):
    async with managing(PROGRAM, {"gpu1": sandbox.url}) as here:
        making = start_call(
            here.handlers, "POST", "/api/create", {"model": "made", "from": "tiny"}, by=WRITER
        )
        await making.until(lambda seen: seen.ended)
        installed = here.servers.installed("gpu1")
        await making.answered()

    assert installed is not None
    assert "made:latest" in {model.name for model in installed}


async def test_nothing_that_names_a_place_arrives(upstream: ScriptedServer):
    upstream.on("/api/tags", document({"models": [{"name": "tiny:latest"}]}))
    for path in ("/api/create", "/api/push"):
        upstream.on(path, lines({"status": "success"}))
    places = {
        "insecure": True,
        "remote_host": "http://evil.example",
        "path": "/etc/passwd",
        "modelfile": "FROM /x",
    }
    case = {"Model": "evil.example/a/b", "FROM": "evil.example/a/b", "Insecure": True}
    async with managing(PROGRAM, {"gpu1": upstream.url}) as here:
        create = {"model": "made", "from": "tiny", "template": "x", **places, **case}
        await call(here.handlers, "POST", "/api/create", create, by=WRITER)
        await call(here.handlers, "POST", "/api/push", {"model": "team/made", **places, **case}, by=WRITER)

    sent = {request.path: request.json for request in upstream.requests if request.method == "POST"}
    assert sent == {
        "/api/create": {"model": "made:latest", "from": "tiny", "template": "x", "stream": True},
        "/api/push": {"model": "team/made:latest", "stream": True},
    }


@pytest.mark.security(36)
@pytest.mark.parametrize("name", ["evil.example/a/b", "http://evil.example/a/b", "../x", "hf.co/a/b", "a@b"])
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/create", {"model": "NAME", "from": "tiny"}),
        ("POST", "/api/create", {"model": "made", "from": "NAME"}),
        ("POST", "/api/copy", {"source": "tiny", "destination": "NAME"}),
        ("POST", "/api/push", {"model": "NAME"}),
    ],
)
async def test_no_name_leads_to_another_registry(
    upstream: ScriptedServer, method: str, path: str, body: dict[str, str], name: str
):
    upstream.on("/api/tags", document({"models": [{"name": "tiny:latest"}]}))
    asked = {key: name if value == "NAME" else value for key, value in body.items()}
    async with managing(PROGRAM, {"gpu1": upstream.url}) as here:
        refusal = await refused(call(here.handlers, method, path, asked, by=WRITER))

    assert refusal.reason in (Reason.bad_request, Reason.model_not_found)
    assert [request for request in upstream.requests if request.method == "POST"] == []


@pytest.mark.security(36)
async def test_a_model_is_made_from_one_that_the_server_would_pull_only_if_that_may_be_pulled(
    upstream: ScriptedServer,
):
    upstream.on("/api/tags", document({"models": []})).on("/api/create", lines({"status": "success"}))
    async with managing(PROGRAM, {"gpu1": upstream.url}) as here:
        no = await refused(
            call(here.handlers, "POST", "/api/create", {"model": "made", "from": "mistral"}, by=WRITER)
        )
        yes = await call(
            here.handlers, "POST", "/api/create", {"model": "made", "from": "llama3:8b"}, by=WRITER
        )

    assert no.reason is Reason.model_not_found
    assert yes.lines == [{"status": "success"}]


@pytest.mark.security(36)
@pytest.mark.parametrize(
    "files",
    [
        "m.gguf",
        {"m.gguf": "sha256:xyz"},
        {"m.gguf": 7},
        {"../m.gguf": DIGEST},
        {"/etc/m.gguf": DIGEST},
        {"a/../../m": DIGEST},
        {"a\\b": DIGEST},
        {"": DIGEST},
    ],
)
async def test_files_are_named_by_digest_and_lie_nowhere_else(upstream: ScriptedServer, files: object):
    async with managing(PROGRAM, {"gpu1": upstream.url}) as here:
        refusal = await refused(
            call(here.handlers, "POST", "/api/create", {"model": "made", "files": files}, by=WRITER)
        )

    assert refusal.status == 400
    assert upstream.requests == []


@pytest.mark.parametrize("path", ["/api/create", "/api/push", "/api/copy", f"/api/blobs/{DIGEST}"])
async def test_what_concerns_one_server_names_it_where_there_are_several(
    upstream: ScriptedServer, second: ScriptedServer, path: str
):
    body = {"model": "made", "from": "tiny", "source": "tiny", "destination": "made"}
    async with managing(PROGRAM, {"gpu1": upstream.url, "gpu2": second.url}) as here:
        refusal = await refused(call(here.handlers, "POST", path, body, by=WRITER))

    assert refusal.status == 400
    assert "gpu1, gpu2" in (refusal.suggestion or "")
    assert upstream.requests + second.requests == []


async def test_the_servers_words_lose_the_paths_of_its_machine(upstream: ScriptedServer):
    recorded = [each for each in recording("ollama-0.24.0/create/missing-blob").response["lines"] if each]
    told = lines(*(each.encode() + b"\n" for each in recorded))
    upstream.on("/api/tags", document({"models": []}))
    upstream.on(
        "/api/create",
        told,
        document({"error": "open /root/.ollama/x: no such file"}, 500),
    )
    async with managing(PROGRAM, {"gpu1": upstream.url}) as here:
        body = {"model": "made", "files": {"m.gguf": DIGEST}}
        streamed = await call(here.handlers, "POST", "/api/create", body, by=WRITER)
        plain = await call(here.handlers, "POST", "/api/create", {**body, "stream": False}, by=WRITER)

    assert b"/usr/share" not in streamed.body
    assert "no such file" in streamed.lines[-1]["error"]
    assert (plain.status, plain.json) == (500, {"error": "open (path): no such file"})


async def test_lines_pass_whole_and_a_server_that_dies_ends_them_with_an_error(upstream: ScriptedServer):
    begun = b'{"status":"writ'
    script: Script = [
        Send(head(chunked=True)),
        Send(chunk(line({"status": "parsing GGUF"}) + begun)),
        Reset(),
    ]
    upstream.on("/api/create", script).on("/api/tags", document({"models": []}))
    async with managing(PROGRAM, {"gpu1": upstream.url}) as here:
        body = {"model": "made", "files": {"m.gguf": DIGEST}}
        answer = await call(here.handlers, "POST", "/api/create", body, by=WRITER)

    error = {"error": "The server gpu1 ended its answer before it was complete."}
    assert answer.lines == [{"status": "parsing GGUF"}, error]


async def test_a_line_without_end_is_not_kept(upstream: ScriptedServer):
    endless = [Send(chunk(bytes(256 * 1024))) for _ in range(5)]
    upstream.on("/api/create", [Send(head(chunked=True)), *endless, Gate()])
    upstream.on("/api/tags", document({"models": []}))
    async with managing(PROGRAM, {"gpu1": upstream.url}) as here:
        body = {"model": "made", "files": {"m.gguf": DIGEST}}
        answer = await call(here.handlers, "POST", "/api/create", body, by=WRITER)

    assert answer.lines == [{"error": "The server gpu1 sends a line without end."}]


async def test_a_caller_that_leaves_ends_what_it_had_made(upstream: ScriptedServer):
    gate = Gate()
    upstream.on(
        "/api/create", [Send(head(chunked=True)), Send(chunk(line({"status": "parsing GGUF"}))), gate]
    )
    upstream.on("/api/tags", document({"models": []}))
    async with managing(PROGRAM, {"gpu1": upstream.url}) as here:
        body = {"model": "made", "files": {"m.gguf": DIGEST}}
        making = start_call(here.handlers, "POST", "/api/create", body, by=WRITER)
        await making.until(lambda seen: bool(seen.pieces))
        making.leave()
        await making.answered()
        [request] = [request for request in upstream.requests if request.path == "/api/create"]
        await request.aborted.reached()


# -- files ----------------------------------------------------------------------------------------------------


async def test_a_file_is_passed_on_and_then_known(sandbox: SandboxServer):
    async with managing(PROGRAM, {"gpu1": sandbox.url}) as here:
        unknown = await call(here.handlers, "HEAD", f"/api/blobs/{DIGEST}", by=WRITER)
        sent = await call(here.handlers, "POST", f"/api/blobs/{DIGEST}", FILE, by=WRITER)
        known = await call(here.handlers, "HEAD", f"/api/ollama/blobs/{DIGEST}", by=WRITER)
        wrong = await call(here.handlers, "POST", f"/api/blobs/sha256:{'1' * 64}", FILE, by=WRITER)

    assert (unknown.status, sent.status, known.status, wrong.status) == (404, 201, 200, 400)
    assert "digest mismatch" in wrong.json["error"]


@pytest.mark.parametrize("digest", ["sha256:xyz", "..", "sha256:" + "A" * 64])
@pytest.mark.parametrize("method", ["HEAD", "POST"])
async def test_what_is_no_digest_reaches_no_server(upstream: ScriptedServer, method: str, digest: str):
    async with managing(PROGRAM, {"gpu1": upstream.url}) as here:
        refusal = await refused(call(here.handlers, method, f"/api/blobs/{digest}", by=WRITER))

    assert (refusal.status, refusal.message) == (400, "invalid digest format")
    assert upstream.requests == []


@asynccontextmanager
async def raw_server(
    talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[str]:
    """A server for one connection, which is over when the block ends."""
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        finally:
            writer.transport.abort()
            with suppress(ConnectionError):
                await writer.wait_closed()
            over.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with asyncio.timeout(PATIENCE_S):
            await over.wait()


async def test_an_answer_before_the_whole_file_has_been_sent_is_passed_on():
    """A real server answers so for a file that it has, and resets the connection."""
    answered = asyncio.Event()

    async def answer_early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await answered.wait()

    async with raw_server(answer_early) as url, managing(PROGRAM, {"gpu1": url}) as here:
        # What follows of the file never comes: the answer does not wait for it.
        sending = start_call(
            here.handlers, "POST", f"/api/blobs/{DIGEST}", FILE, by=WRITER, body_goes_on=True
        )
        await sending.until(lambda seen: seen.ended)
        answered.set()
        await sending.answered()

    assert (sending.status, sending.body) == (200, b"")


async def test_a_caller_that_leaves_while_sending_takes_the_file_along():
    received = bytearray()

    async def read_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while piece := await reader.read(1024):
                received.extend(piece)

    async with raw_server(read_all) as url, managing(PROGRAM, {"gpu1": url}) as here:
        sending = start_call(
            here.handlers, "POST", f"/api/blobs/{DIGEST}", FILE, by=WRITER, body_goes_on=True
        )
        sending.leave()
        with pytest.raises(CallerLeft):
            await sending.answered()

    assert not received.endswith(b"0\r\n\r\n")


async def test_a_file_that_is_announced_too_large_is_refused_at_once(upstream: ScriptedServer):
    async with managing(PROGRAM, {"gpu1": upstream.url}) as here:
        sending = start_call(here.handlers, "POST", f"/api/blobs/{DIGEST}", FILE, by=WRITER)
        sending.exchange.headers[b"content-length"] = str(2**50).encode()
        refusal = await refused(sending.answered())

    assert refusal.reason is Reason.body_too_large
    assert upstream.requests == []


@pytest.mark.security(35)
async def test_every_change_is_noted_with_who_asked(sandbox: SandboxServer):
    async with managing(PROGRAM, {"gpu1": sandbox.url}) as here:
        await call(here.handlers, "POST", "/api/copy", {"source": "tiny", "destination": "b"}, by=WRITER)
        await call(here.handlers, "POST", "/api/create", {"model": "c", "from": "tiny"}, by=WRITER)
        await call(here.handlers, "POST", "/api/push", {"model": "c"}, by=WRITER)
        await call(here.handlers, "DELETE", "/api/delete", {"model": "b"}, by=WRITER)
        await call(here.handlers, "POST", f"/api/blobs/{DIGEST}", FILE, by=WRITER)

    assert [(actor, action, subject) for actor, action, subject, _ in here.ledger.acts] == [
        ("wim", "model.copy", "b:latest"),
        ("wim", "model.create", "c:latest"),
        ("wim", "model.push", "c:latest"),
        ("wim", "model.delete", "b:latest"),
        ("wim", "model.file", DIGEST),
    ]
