from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from namel3ss.language_server.features import navigation
from namel3ss.language_server.features.navigation import RenameError
from tests.language_server.files import at, make_workspace, opened, spelled

if TYPE_CHECKING:
    from pathlib import Path

    from lsprotocol import types

    from namel3ss.language_server.documents import Document
    from namel3ss.language_server.programs import Place
    from namel3ss.language_server.workspace import Workspace

MODELS = 'ai model small { provider: ollama  model: tiny }\nai model "large one" { extends: small }\n'
APP = """\
import "./models.ai"

prompt ask {
    model: small
    input: { text: str }
    template: "{{ text }} and {{ input.text }}"
}

chain talk {
    input: { text: str }
    step one { prompt: ask  input: { text: "{{ input.text }}" }  output: answer }
    step two { model: small  prompt: "{{ answer }}"  output: more }
}
"""


def open_both(folder: Path, marked: str) -> tuple[Workspace, Document, types.Position]:
    (folder / "models.ai").write_text(MODELS)
    before, _, after = marked.partition("¦")
    text = APP.replace(before + after, marked, 1)
    workspace, document = opened(text, make_workspace(folder), (folder / "app.ai").as_uri())
    return workspace, document, at(document, text)


def told(places: list[Place]) -> list[tuple[str, int, str]]:
    return [
        (
            place.document.path.rpartition("/")[2],
            place.document.lines.line_of(place.span.start),
            place.document.text[place.span.start : place.span.end],
        )
        for place in places
    ]


@pytest.mark.parametrize(
    ("marked", "expected"),
    [
        ("model: sm¦all\n    input", [("models.ai", 0, "small")]),
        ("prompt: as¦k", [("app.ai", 2, "ask")]),
        ('import "./mod¦els.ai"', [("models.ai", 0, "")]),
        ("{{ te¦xt }} and", [("app.ai", 4, "text")]),
        ("{{ ans¦wer }}", [("app.ai", 10, "answer")]),
        ("template¦:", []),
    ],
)
def test_definition(tmp_path: Path, marked: str, expected: list[tuple[str, int, str]]) -> None:
    workspace, document, position = open_both(tmp_path, marked)

    assert told(navigation.find_definition(workspace, document, position)) == expected


def test_references_are_found_in_all_files_of_the_program(tmp_path: Path) -> None:
    workspace, document, position = open_both(tmp_path, "model: sm¦all\n    input")

    found = navigation.find_references(workspace, document, position)

    assert sorted(told(found)) == [
        ("app.ai", 3, "small"),
        ("app.ai", 11, "small"),
        ("models.ai", 0, "small"),
        ("models.ai", 1, "small"),
    ]
    without = navigation.find_references(workspace, document, position, with_declaration=False)
    assert len(without) == 3


def test_references_from_the_imported_file_reach_the_files_that_import_it(tmp_path: Path) -> None:
    (tmp_path / "app.ai").write_text(APP)
    text = MODELS.replace("small", "sm¦all", 1)
    workspace = make_workspace(tmp_path)
    list(workspace.find_files())
    workspace, document = opened(text, workspace, (tmp_path / "models.ai").as_uri())

    assert len(navigation.find_references(workspace, document, at(document, text))) == 4


def test_renaming_a_model_changes_every_file_and_keeps_quotes(tmp_path: Path) -> None:
    workspace, document, position = open_both(tmp_path, "model: sm¦all\n    input")

    edit = navigation.rename(workspace, document, position, "tiny_one")

    assert edit is not None
    assert edit.changes is not None
    assert {uri.rpartition("/")[2]: len(edits) for uri, edits in edit.changes.items()} == {
        "app.ai": 2,
        "models.ai": 2,
    }
    assert {each.new_text for edits in edit.changes.values() for each in edits} == {"tiny_one"}


def test_renaming_an_input_changes_its_uses_in_templates_of_the_declaration_alone(tmp_path: Path) -> None:
    workspace, document, position = open_both(tmp_path, "input: { te¦xt: str }\n    template")

    edit = navigation.rename(workspace, document, position, "question")

    assert edit is not None
    assert edit.changes is not None
    (edits,) = edit.changes.values()
    assert [spelled(document, each.range) for each in edits] == ["text", "text", "text"]


def test_renaming_reaches_the_profiles_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "models.prod.ai").write_text("ai model small { config: { temperature: 0 } }\n")
    text = MODELS.replace("small", "sm¦all", 1)
    workspace = make_workspace(tmp_path)
    (tmp_path / "models.ai").write_text(MODELS)
    list(workspace.find_files())
    workspace, document = opened(text, workspace, (tmp_path / "models.ai").as_uri())

    edit = navigation.rename(workspace, document, at(document, text), "tiny")

    assert edit is not None
    assert edit.changes is not None
    assert {uri.rpartition("/")[2] for uri in edit.changes} == {"models.ai", "models.prod.ai"}


@pytest.mark.parametrize("name", ["", "1a", "a b", "ask", "{}", "x" * 200])
def test_what_can_be_no_name_or_is_taken_is_refused(tmp_path: Path, name: str) -> None:
    workspace, document, position = open_both(tmp_path, "model: sm¦all\n    input")

    with pytest.raises(RenameError):
        navigation.rename(workspace, document, position, name)


def test_only_names_can_be_renamed(tmp_path: Path) -> None:
    _, document, position = open_both(tmp_path, "ta¦lk")
    found = navigation.prepare_rename(document, position)
    assert found is not None
    assert found.placeholder == "talk"

    _, document, position = open_both(tmp_path, "templ¦ate")
    assert navigation.prepare_rename(document, position) is None


def test_symbols_of_the_workspace_are_found_by_some_of_their_letters(tmp_path: Path) -> None:
    (tmp_path / "models.ai").write_text(MODELS)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "app.ai").write_text(APP)
    workspace = make_workspace(tmp_path)
    list(workspace.find_files())

    assert {each.name for each in navigation.workspace_symbols(workspace, "lk")} == {"talk"}
    assert {each.name for each in navigation.workspace_symbols(workspace, "")} == {
        "small",
        "large one",
        "ask",
        "talk",
    }
