"""The real server process over pipes: what only a process shows."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.editor import CAPABILITIES, ServerError, open_editor

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.editor import Editor

pytestmark = pytest.mark.long

BROKEN = "ai model a {\n    provider: ollama\n    model: tiny\n    config: { temprature: 0.5 }\n}\n"
SOUND = BROKEN.replace("temprature: 0.5", "temperature: 0.5, num_ctx: 4096")
OFFLINE = {"onlineChecks": False}


async def test_a_file_is_checked_while_it_is_typed(tmp_path: Path) -> None:
    uri = (tmp_path / "app.ai").as_uri()
    async with open_editor(os.environ) as editor:
        result = await editor.initialize(tmp_path, options=OFFLINE)
        assert result["serverInfo"]["name"] == "namel3ss"
        editor.open(uri, BROKEN)
        (finding,) = await editor.diagnostics(uri)
        assert finding["code"] == "N3201"
        place = {"start": {"line": 3, "character": 14}, "end": {"line": 3, "character": 24}}
        editor.change(uri, {"range": place, "text": "temperature"})

        assert await editor.diagnostics(uri) == []
        assert await editor.shut_down() == 0
        assert editor.noise == []


async def test_what_the_server_offers_is_told_and_answers(tmp_path: Path) -> None:
    uri = (tmp_path / "app.ai").as_uri()
    document = {"textDocument": {"uri": uri}}
    whole = {"start": {"line": 0, "character": 0}, "end": {"line": 5, "character": 0}}
    async with open_editor(os.environ) as editor:
        await editor.initialize(tmp_path, options=OFFLINE)
        offered = {name for name, value in editor.capabilities.items() if value}
        assert {
            "textDocumentSync", "completionProvider", "hoverProvider", "definitionProvider", "referencesProvider",
            "renameProvider", "documentSymbolProvider", "workspaceSymbolProvider", "foldingRangeProvider",
            "selectionRangeProvider", "documentLinkProvider", "inlayHintProvider", "semanticTokensProvider",
            "documentFormattingProvider", "documentRangeFormattingProvider", "documentOnTypeFormattingProvider",
            "signatureHelpProvider", "codeActionProvider", "codeLensProvider", "diagnosticProvider", "executeCommandProvider",
            "documentHighlightProvider",
        } <= offered  # fmt: skip
        editor.open(uri, SOUND)

        hovered = await editor.at("hover", uri, "tempe¦rature")
        assert "a number from 0 to 2" in hovered["contents"]["value"]
        completed = await editor.at("completion", uri, "config: {¦ temp")
        assert "top_k" in {item["label"] for item in completed["items"]}
        (symbol,) = await editor.request("textDocument/documentSymbol", document)
        assert symbol["name"] == "a"
        assert await editor.request("textDocument/foldingRange", document)
        assert await editor.request("textDocument/inlayHint", {**document, "range": whole})
        assert (
            await editor.request(
                "textDocument/formatting", {**document, "options": {"tabSize": 4, "insertSpaces": True}}
            )
            == []
        )
        tokens = await editor.request("textDocument/semanticTokens/full", document)
        changed = await editor.request(
            "textDocument/semanticTokens/full/delta", {**document, "previousResultId": tokens["resultId"]}
        )
        assert changed["edits"] == []
        (lens,) = await editor.request("textDocument/codeLens", document)
        assert lens["command"]["title"] == "Chat"
        assert await editor.request("workspace/symbol", {"query": "a"})
        (edit,) = (await editor.at("rename", uri, "ai model ¦a", newName="b"))["changes"][uri]
        assert edit["newText"] == "b"
        with pytest.raises(ServerError, match="no name"):
            await editor.at("rename", uri, "ai model ¦a", newName="1 2")
        assert await editor.shut_down() == 0


async def test_an_editor_that_pulls_is_not_told_a_second_time(tmp_path: Path) -> None:
    uri = (tmp_path / "app.ai").as_uri()
    pulls = {"textDocument": {"uri": uri}}
    async with open_editor(os.environ) as editor:
        await editor.initialize(tmp_path, options=OFFLINE)
        editor.open(uri, BROKEN)
        assert len(await editor.diagnostics(uri)) == 1

        first = await editor.request("textDocument/diagnostic", pulls)
        assert [finding["code"] for finding in first["items"]] == ["N3201"]
        assert await editor.diagnostics(uri) == []
        again = await editor.request(
            "textDocument/diagnostic", {**pulls, "previousResultId": first["resultId"]}
        )
        assert again["kind"] == "unchanged"

        editor.rewrite(uri, SOUND)
        after = await editor.request(
            "textDocument/diagnostic", {**pulls, "previousResultId": first["resultId"]}
        )
        assert after["items"] == []
        assert [told for told in editor.heard if told["method"] == "textDocument/publishDiagnostics"] == []


@pytest.mark.parametrize(
    ("encodings", "agreed", "column"), [(["utf-8", "utf-16"], "utf-8", 18), (["utf-16"], "utf-16", 16)]
)
async def test_columns_are_counted_as_agreed(encodings: list[str], agreed: str, column: int) -> None:
    capabilities: dict[str, Any] = {**CAPABILITIES, "general": {"positionEncodings": encodings}}
    async with open_editor(os.environ) as editor:
        await editor.initialize(capabilities=capabilities, options=OFFLINE)
        assert editor.capabilities["positionEncoding"] == agreed
        editor.open("untitled:a.ai", 'ai model "😀" { x: "y"\r\nprovider: ollama }\r\n')

        found = await editor.diagnostics("untitled:a.ai", lambda found: bool(found))

        places = {(each["range"]["start"]["line"], each["range"]["start"]["character"]) for each in found}
        assert (0, column) in places


async def test_drawings_are_left_alone_with_one_information_each(tmp_path: Path) -> None:
    async with open_editor(os.environ) as editor:
        await editor.initialize(tmp_path, options=OFFLINE)
        for number, text in enumerate(("%PDF-1.5 drawing", "%!PS-Adobe", "a\0b")):
            uri = (tmp_path / f"logo{number}.ai").as_uri()
            editor.open(uri, text)

            told = await editor.wait_for("window/showMessage")
            assert told["type"] == 3
            assert "leaves it alone" in told["message"]
            assert await editor.diagnostics(uri) == []
            assert await editor.request("textDocument/documentSymbol", {"textDocument": {"uri": uri}}) == []
            assert await editor.at("hover", uri, text[:1] + "¦") is None


async def test_a_failing_request_is_answered_and_the_server_lives_on(tmp_path: Path) -> None:
    uri = (tmp_path / "app.ai").as_uri()
    async with open_editor(os.environ) as editor:
        await editor.initialize(tmp_path, options=OFFLINE)
        with pytest.raises(ServerError):
            await editor.request(
                "textDocument/hover",
                {"textDocument": {"uri": "file:///never/opened.ai"}, "position": {"line": 0, "character": 0}},
            )
        with pytest.raises(ServerError):
            await editor.request("workspace/executeCommand", {"command": "namel3ss.unheard"})
        with pytest.raises(ServerError):
            await editor.request("no/such/method", {})
        editor.notify("no/such/notification", {})
        editor.notify(
            "textDocument/didChange",
            {"textDocument": {"uri": "file:///never/opened.ai", "version": 2}, "contentChanges": []},
        )

        editor.open(uri, SOUND)
        assert await editor.diagnostics(uri) == []
        assert editor.noise == []


async def test_files_outside_of_the_workspace_and_in_no_file_at_all_are_served(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    async with open_editor(os.environ) as editor:
        await editor.initialize(inside, options=OFFLINE)
        for uri in ((tmp_path / "outside.ai").as_uri(), "untitled:Untitled-1", "git:/app.ai?ref=HEAD"):
            editor.open(uri, BROKEN)
            assert [finding["code"] for finding in await editor.diagnostics(uri)] == ["N3201"]


async def test_a_file_that_is_deleted_is_missed_by_who_imports_it(tmp_path: Path) -> None:
    models = tmp_path / "models.ai"
    models.write_text(SOUND)
    uri = (tmp_path / "app.ai").as_uri()
    async with open_editor(os.environ) as editor:
        await editor.initialize(tmp_path, options=OFFLINE)
        editor.open(uri, 'import "./models.ai"\n')
        assert await editor.diagnostics(uri) == []
        models.unlink()
        editor.notify("workspace/didChangeWatchedFiles", {"changes": [{"uri": models.as_uri(), "type": 3}]})

        (finding,) = await editor.diagnostics(uri, lambda found: bool(found))

        assert finding["code"] == "N3401"

        moved = tmp_path / "moved.ai"
        moved.write_text(SOUND)
        editor.notify("workspace/didChangeWatchedFiles", {"changes": [{"uri": moved.as_uri(), "type": 1}]})
        editor.rewrite(uri, 'import "./moved.ai"\n')
        assert await editor.diagnostics(uri) == []


async def test_it_says_goodbye_while_an_answer_is_still_coming(tmp_path: Path) -> None:
    asked = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        asked.set()
        await reader.read()
        writer.close()

    uri = (tmp_path / "app.ai").as_uri()
    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as silent:
        environ = {
            **os.environ,
            "NAMEL3SS_OLLAMA_BASE_URL": f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}",
        }
        async with open_editor(environ) as editor:
            await editor.initialize(tmp_path, options=OFFLINE)
            editor.open(uri, SOUND)
            arguments = [uri, "a", [{"role": "user", "content": "Hello"}]]
            command = {"command": "namel3ss.chat", "arguments": arguments}
            chat = asyncio.create_task(editor.request("workspace/executeCommand", command))
            await asked.wait()

            assert await editor.shut_down() == 0
            with pytest.raises(ServerError, match="cancel"):
                await chat


async def refused(editor: Editor, method: str, params: object) -> int:
    """The code of the error that a request is answered with."""
    with pytest.raises(ServerError) as raised:
        await editor.request(method, params)
    return int(raised.value.code)


async def test_every_request_has_an_answer_whenever_it_comes_and_whatever_it_says(tmp_path: Path) -> None:
    uri = (tmp_path / "app.ai").as_uri()
    hover = {"textDocument": {"uri": uri}, "position": {"line": 0, "character": 0}}
    async with open_editor(os.environ) as editor:
        editor.open(uri, BROKEN)  # too early: there is nobody yet to open it
        assert await refused(editor, "textDocument/hover", hover) == -32002
        assert await refused(editor, "shutdown", None) == -32002
        assert await refused(editor, "initialize", {"capabilities": 5}) == -32602

        await editor.initialize(tmp_path, options=OFFLINE)
        assert await refused(editor, "initialize", {"capabilities": {}, "processId": None}) == -32600
        for unreadable in (None, [1], 5, {}, {**hover, "position": {"line": -1, "character": 0}}):
            assert await refused(editor, "textDocument/hover", unreadable) == -32602
        for nothing in (b"{", b"\xff\xfe"):
            editor.send_bytes(nothing)
        for odd in (b"[]", b"5", b"{}", b'{"jsonrpc":"2.0"}', b'{"jsonrpc":"2.0","id":99999,"result":5}'):
            editor.send_bytes(odd)
        editor.notify("$/cancelRequest", {"id": 12345})
        editor.open(uri, SOUND)
        assert await editor.diagnostics(uri) == []
        assert [(lost["id"], lost["error"]["code"]) for lost in editor.lost] == [(None, -32700)] * 2

        await editor.request("shutdown", None)
        assert await refused(editor, "textDocument/hover", hover) == -32600
        assert await refused(editor, "shutdown", None) == -32600
        editor.notify("exit", None)
        assert await editor.process.wait() == 0
        assert editor.noise == []


async def test_it_ends_when_its_input_ends() -> None:
    async with open_editor(os.environ) as editor:
        await editor.initialize(options=OFFLINE)
        assert editor.process.stdin is not None
        editor.process.stdin.close()

        assert await editor.process.wait() == 1


async def test_it_ends_when_the_editors_process_is_gone() -> None:
    other = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "input()", stdin=asyncio.subprocess.PIPE
    )
    try:
        async with open_editor(os.environ) as editor:
            await editor.initialize(options=OFFLINE, process_id=other.pid)
            other.kill()
            await other.wait()

            assert await editor.process.wait() == 1
    finally:
        with contextlib.suppress(ProcessLookupError):
            other.kill()
        await other.communicate()


async def test_saying_goodbye_without_a_shutdown_is_an_error() -> None:
    async with open_editor(os.environ) as editor:
        await editor.initialize(options=OFFLINE)
        editor.notify("exit", None)

        assert await editor.process.wait() == 1
