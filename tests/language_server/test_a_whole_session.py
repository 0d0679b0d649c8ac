"""One sitting, from a broken file to an answer, as an editor would do it, with a recorded server behind it."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import pytest

from namel3ss.sandbox import SandboxOptions, SandboxServer
from tests.support.editor import ServerError, open_editor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.editor import Editor

pytestmark = pytest.mark.long

BROKEN = """\
import "./models.ai"

promt ask {
    model: smal
    input: { text: str }
    templat: "Say in one line: {{ txt }}"
    sytem "Be brief."
}
"""
MODELS = "ai model small {\n  provider: ollama\n  model: llama3:8b\n  config: { temprature: 0.2 }\n}\n"


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(SandboxOptions(installed=("llama3:8b",))) as server:
        yield server


async def fix_everything(editor: Editor, uri: str) -> int:
    """Take the first fix of the first finding that has one until nothing is found; how many it took."""
    for taken in range(20):
        findings = await editor.diagnostics(uri)
        if not [found for found in findings if found["source"] == "namel3ss"]:
            return taken
        actions = [
            action
            for found in findings
            for action in await editor.request(
                "textDocument/codeAction",
                {
                    "textDocument": {"uri": uri},
                    "range": found["range"],
                    "context": {"diagnostics": [found], "only": ["quickfix"]},
                },
            )
            if "edit" in action
        ]
        assert actions, findings
        editor.apply(actions[0]["edit"])
    raise AssertionError("twenty fixes were not enough")


async def execute(editor: Editor, command: Any) -> Any:
    arguments = command.get("arguments", [])
    return await editor.request(
        "workspace/executeCommand", {"command": command["command"], "arguments": arguments}
    )


async def test_from_a_broken_file_to_an_answer(tmp_path: Path, sandbox: SandboxServer) -> None:
    app, models = (tmp_path / "app.ai").as_uri(), (tmp_path / "models.ai").as_uri()
    (tmp_path / "models.ai").write_text(MODELS)
    environ = {**os.environ, "NAMEL3SS_OLLAMA_BASE_URL": sandbox.url}
    async with open_editor(environ) as editor:
        await editor.initialize(tmp_path)

        # Open a broken file, and mend it by code actions alone until it is clean.
        editor.open(models, MODELS)
        assert await fix_everything(editor, models) >= 1
        assert "temperature: 0.2" in editor.texts[models]
        editor.open(app, BROKEN)
        assert await fix_everything(editor, app) >= 4
        assert 'template: "Say in one line: {{ text }}"' in editor.texts[app]
        assert 'system: "Be brief."' in editor.texts[app]

        # Complete an installed model.
        editor.rewrite(
            models, editor.texts[models] + "\nai model other {\n  provider: ollama\n  model: \n}\n"
        )
        await editor.diagnostics(models)
        while (completed := await editor.at("completion", models, "  model: ¦\n}"))["isIncomplete"]:
            await editor.wait_for("textDocument/publishDiagnostics")
        installed = [item for item in completed["items"] if "not installed" not in item["detail"]]
        assert "llama3:8b" in [item["label"] for item in installed]
        assert all(
            "GB" in item["detail"] or "kB" in item["detail"] or "MB" in item["detail"] for item in installed
        )
        missing = next(item for item in completed["items"] if item["detail"] == "not installed")
        editor.apply({"changes": {models: [missing["textEdit"]]}})

        # Pull it, with progress.
        (finding,) = [
            found
            for found in await editor.diagnostics(
                models, lambda found: any(each["code"] == "model-not-installed" for each in found)
            )
            if found["code"] == "model-not-installed"
        ]
        context = {"diagnostics": [finding]}
        actions = await editor.request(
            "textDocument/codeAction",
            {"textDocument": {"uri": models}, "range": finding["range"], "context": context},
        )
        pull = next(action["command"] for action in actions if action["title"].startswith("Pull model"))
        outcome = await execute(editor, pull)
        assert outcome["success"], outcome
        steps = [told["params"]["value"] for told in editor.heard if told["method"] == "$/progress"]
        assert steps[0]["kind"] == "begin"
        assert steps[-1]["kind"] == "end"
        assert any(step["kind"] == "report" for step in steps)
        await editor.diagnostics(
            models, lambda found: all(each["code"] != "model-not-installed" for each in found)
        )

        # Rename a model in two files.
        edit = await editor.at("rename", app, "model: sm¦all", newName="brief")
        assert set(edit["changes"]) == {app, models}
        editor.apply(edit)
        assert "ai model brief {" in editor.texts[models]
        assert "model: brief" in editor.texts[app]

        # Format.
        options = {"tabSize": 4, "insertSpaces": True}
        edits = await editor.request(
            "textDocument/formatting", {"textDocument": {"uri": models}, "options": options}
        )
        editor.apply({"changes": {models: edits}})
        assert "    provider: ollama\n" in editor.texts[models]

        # Run, as the editor has it: nothing of this was saved.
        lenses = await editor.request("textDocument/codeLens", {"textDocument": {"uri": app}})
        (run,) = [lens["command"] for lens in lenses if lens["command"]["title"] == "Run"]
        needs = await execute(editor, run)
        assert needs["needs"] == ["text"]
        run["arguments"] = [*run["arguments"], {"text": "the sea"}, "run-1"]
        answer = await execute(editor, run)
        assert answer["success"], answer
        pieces = [told["params"] for told in editor.heard if told["method"] == "namel3ss/output"]
        assert "".join(piece["text"] for piece in pieces if piece["run"] == "run-1") == answer["output"]
        assert answer["output"]

        assert await editor.shut_down() == 0
        assert editor.noise == []


async def test_a_pull_can_be_cancelled(tmp_path: Path) -> None:
    with SandboxServer(SandboxOptions(pull_seconds=600)) as sandbox:
        environ = {**os.environ, "NAMEL3SS_OLLAMA_BASE_URL": sandbox.url}
        async with open_editor(environ) as editor:
            await editor.initialize(tmp_path)
            pulling = editor.request(
                "workspace/executeCommand",
                {"command": "namel3ss.pullModel", "arguments": ["ollama", "mistral:7b", None]},
            )
            task = asyncio.ensure_future(pulling)
            begun = await editor.wait_for("$/progress")
            editor.notify("window/workDoneProgress/cancel", {"token": begun["token"]})

            outcome = await task

            assert not outcome["success"]
            assert "cancelled" in outcome["message"]
            assert await editor.shut_down() == 0


async def test_a_run_that_the_editor_cancels_is_not_finished_by_the_server(tmp_path: Path) -> None:
    text = "ai model chat { provider: ollama  model: llama3:8b }\n\nprompt ask { model: chat  template: Hello }\n"
    with SandboxServer(SandboxOptions(installed=("llama3:8b",), tokens_per_second=0.5)) as sandbox:
        environ = {**os.environ, "NAMEL3SS_OLLAMA_BASE_URL": sandbox.url}
        async with open_editor(environ) as editor:
            await editor.initialize(tmp_path)
            uri = (tmp_path / "app.ai").as_uri()
            editor.open(uri, text)
            running = asyncio.ensure_future(
                editor.request(
                    "workspace/executeCommand",
                    {"command": "namel3ss.run", "arguments": [uri, "prompt", "ask", {}, "run-1"]},
                )
            )
            await editor.wait_for("namel3ss/output")
            assert sandbox.active_requests == 1

            editor.notify("$/cancelRequest", {"id": editor.last_request})

            with pytest.raises(ServerError) as caught:
                await running
            assert caught.value.code == -32800
            async with asyncio.timeout(20):
                while sandbox.active_requests:  # noqa: ASYNC110  # it lives on a thread and tells nobody
                    await asyncio.sleep(0.01)
            assert await editor.shut_down() == 0
            assert editor.noise == []
