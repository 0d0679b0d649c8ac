"""The extension in a stand-in for VS Code, with the real server and a recorded Ollama behind it."""

from __future__ import annotations

import json
import re
import sysconfig
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from namel3ss.language_server.features import actions
from namel3ss.sandbox import SandboxOptions, SandboxServer
from tests.editors.npm import EXTENSION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.editors.conftest import Node

pytestmark = pytest.mark.long

PROGRAM: Final = Path(sysconfig.get_path("scripts"), "namel3ss")
TEXT: Final = """\
ai model chat { provider: ollama  model: "llama3:8b" }

prompt greet {
    model: chat
    input: { name: str }
    template: "Say hi to {{ name }}"
}
"""


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    options = SandboxOptions(installed=("llama3:8b",), tiny=False, pull_seconds=0.1)
    with SandboxServer(options) as server:
        yield server


def play(
    node: Node,
    folder: Path,
    story: str,
    *,
    server: SandboxServer | None = None,
    program: str | Path = PROGRAM,
    text: str = TEXT,
) -> dict[str, Any]:
    """What a story of activation.js came to."""
    file = folder / "app.ai"
    file.write_text(text, encoding="utf-8")
    # Nothing listens on the discard port.
    url = server.url if server is not None else "http://127.0.0.1:9"
    printed = node.run(
        "activation.js", story, EXTENSION, program, file, environ={"NAMEL3SS_OLLAMA_BASE_URL": url}
    )
    found: dict[str, Any] = json.loads(printed)
    assert found["left"] == [], "commands that are still registered"
    return found


@pytest.fixture(scope="module")
def talk(node: Node, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A prompt was run, and a conversation of two turns held."""
    with SandboxServer(SandboxOptions(installed=("llama3:8b",), tiny=False)) as server:
        return play(node, tmp_path_factory.mktemp("talk"), "talk", server=server)


def said(found: dict[str, Any], kind: str) -> list[str]:
    return [entry[1] for entry in found["told"] if entry[0] == kind]


def test_commands_models_and_the_state_of_the_server_are_there(
    node: Node, tmp_path: Path, sandbox: SandboxServer
) -> None:
    found = play(node, tmp_path, "look", server=sandbox)

    manifest = json.loads((EXTENSION / "package.json").read_text(encoding="utf-8"))
    declared = [each["command"] for each in manifest["contributes"]["commands"]]
    assert Counter(found["commands"]) == Counter([*declared, *actions.COMMANDS])
    (model,) = found["models"]
    assert model["label"] == "llama3:8b"
    assert "GB" in model["tooltip"]
    assert model["contextValue"] == "model"
    assert found["state"] == "models"
    assert found["statusBar"]["isShown"]
    assert found["statusBar"]["text"] == "$(server) 1 model"
    assert said(found, "error") == []


def test_running_asks_for_missing_inputs_and_shows_the_answer_while_it_comes(talk: dict[str, Any]) -> None:
    assert said(talk, "input") == ["Input name"]
    assert talk["answer"]["success"]
    run = talk["run"]
    assert run["title"] == "prompt greet"
    pieces = [message["text"] for message in run["posted"] if message["kind"] == "piece"]
    assert len(pieces) > 1
    assert "".join(pieces) == talk["answer"]["output"]
    assert run["posted"][-1] == {"kind": "end", "output": talk["answer"]["output"]}


def test_a_chat_listens_and_answers_turn_after_turn(talk: dict[str, Any]) -> None:
    posted = talk["conversation"]

    assert posted[0] == {"kind": "listen"}
    assert [message["kind"] for message in posted].count("end") == 2
    assert [message for message in posted if message["kind"] == "failed"] == []


def test_the_page_of_an_answer_loads_nothing_but_its_own_script_and_style(talk: dict[str, Any]) -> None:
    run = talk["run"]

    policy = re.search(r'<meta http-equiv="Content-Security-Policy" content="([^"]+)">', run["html"])
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy[1].split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["style-src"] == "vscode-resource:"
    nonce = re.fullmatch(r"'nonce-([\w+/=]{20,})'", rules["script-src"])
    assert nonce is not None
    assert set(rules) == {"default-src", "style-src", "script-src"}
    scripts = re.findall(r"<script[^>]*>(.*?)</script>", run["html"])
    assert scripts == [""], "no script stands in the page itself"
    assert f'nonce="{nonce[1]}"' in run["html"]
    assert [root["path"] for root in run["options"]["localResourceRoots"]] == [str(EXTENSION / "media")]


def test_what_a_model_says_reaches_the_page_as_text_only() -> None:
    script = (EXTENSION / "media" / "answer.js").read_text(encoding="utf-8")

    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|Function\(", script)


def test_a_closed_view_and_a_dismissed_question_end_quietly(
    node: Node, tmp_path: Path, sandbox: SandboxServer
) -> None:
    found = play(node, tmp_path, "dismiss", server=sandbox)

    assert found["dismissed"] is None
    assert found["isClosed"]
    assert not found["answer"]["success"]
    assert [message["kind"] for message in found["posted"]] == ["wait"]


def test_an_answer_stops_when_the_user_says_so_or_closes_its_view(node: Node, tmp_path: Path) -> None:
    # So slow that it would not end in the time of a test.
    with SandboxServer(SandboxOptions(installed=("llama3:8b",), tiny=False, tokens_per_second=5.0)) as server:
        found = play(node, tmp_path, "stop", server=server)

    for answer in found["answers"]:
        assert not answer["success"]
        assert answer["output"], "what came so far"
    stopped, closed = found["posted"]
    assert stopped[:4] == ["wait", "pause", "wait", "piece"]
    assert stopped[-1] == "stopped"
    assert closed[-1] == "piece"


def test_models_are_pulled_with_a_bar_and_removed_after_a_question(
    node: Node, tmp_path: Path, sandbox: SandboxServer
) -> None:
    found = play(node, tmp_path, "keep", server=sandbox)

    assert found["pulled"] == ["llama3:8b", "mistral:7b"]
    assert found["removed"] == ["mistral:7b"]
    notification, is_cancellable = 15, True
    assert [entry for entry in found["told"] if entry[0] == "progress"] == [
        ["progress", "Pulling mistral:7b", notification, is_cancellable]
    ]
    assert sum(entry[1]["increment"] for entry in found["told"] if entry[0] == "step") <= 100
    assert "Remove llama3:8b from the server?" in said(found, "warning")


def test_a_pull_ends_when_the_user_cancels_its_bar(node: Node, tmp_path: Path) -> None:
    with SandboxServer(SandboxOptions(installed=("llama3:8b",), tiny=False, pull_seconds=600)) as server:
        found = play(node, tmp_path, "cancel", server=server)

    assert found["models"] == ["llama3:8b"]
    assert any("cancelled" in text for text in said(found, "warning"))


def test_nothing_is_run_pulled_or_started_in_a_workspace_that_is_not_trusted(
    node: Node, tmp_path: Path, sandbox: SandboxServer
) -> None:
    found = play(node, tmp_path, "distrust", server=sandbox)

    assert len(said(found, "warning")) == 7
    assert all(text.startswith("Trust this workspace first") for text in said(found, "warning"))
    assert said(found, "input") == []
    assert found["views"] == 0
    assert found["models"] == ["llama3:8b"]


def test_drawings_are_left_alone_with_one_information_each(node: Node, tmp_path: Path) -> None:
    (tmp_path / "logo.ai").write_text("%!PS-Adobe-3.0", encoding="utf-8")
    (tmp_path / "bytes.ai").write_text("a\0b", encoding="utf-8")

    found = play(node, tmp_path, "draw", text="\ufeff%PDF-1.5 drawing")

    assert found["languages"] == ["plaintext"] * 3
    assert not found["statusBar"]["isShown"]
    assert found["diagnostics"] == 0
    told = sorted(text.split(" is a drawing")[0] for text in said(found, "information"))
    assert told == ["app.ai", "bytes.ai", "logo.ai"]


@pytest.mark.parametrize("program", ["namel3ss-that-is-not-there", "false"])
def test_a_server_that_does_not_start_gives_one_error_with_the_cure(
    node: Node, tmp_path: Path, program: str
) -> None:
    found = play(node, tmp_path, "fail", program=program)

    (error,) = said(found, "error")
    assert program in error
    assert "pip install 'namel3ss[editor]'" in error
    assert found["statusBar"]["tooltip"] == "The language server does not run."
    assert found["pages"] == [["workbench.action.openSettings", {"query": "namel3ss.server.command"}]]
    (menu,) = said(found, "pick")
    assert not [entry for entry in menu if "Pull" in entry or "Start Ollama" in entry]


@pytest.mark.parametrize(("story", "state"), [("alone", "unreachable"), ("unasked", "off")])
def test_the_empty_view_says_why_there_are_no_models(
    node: Node, tmp_path: Path, story: str, state: str
) -> None:
    found = play(node, tmp_path, story)

    assert found["state"] == state
    (menu,) = said(found, "pick")
    assert any("Start Ollama" in entry for entry in menu) == (state == "unreachable")
    assert not [entry for entry in menu if "Pull" in entry]


def test_a_restarted_server_answers_as_before(node: Node, tmp_path: Path, sandbox: SandboxServer) -> None:
    found = play(node, tmp_path, "restart", server=sandbox)

    assert found["answer"]["success"]
    assert said(found, "error") == []
