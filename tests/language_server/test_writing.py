"""Code actions, lenses and formatting."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from lsprotocol import types

from namel3ss.language.formatting import format_text
from namel3ss.language_server.features import actions, formatting
from namel3ss.language_server.features.diagnostics import find_problems
from namel3ss.language_server.machine import ServerFacts
from namel3ss.language_server.trust import Trust
from tests.language_server.files import FACTS, at, opened

if TYPE_CHECKING:
    from namel3ss.language_server.documents import Document
    from namel3ss.language_server.workspace import Workspace

MISSING = "ai model chat {\n    provider: ollama\n    model: mistral:7b\n}\n"


def whole(document: Document) -> types.Range:
    return types.Range(types.Position(0, 0), document.lines.position(len(document.text)))


def offered(
    workspace: Workspace, document: Document, facts: ServerFacts | None = None, only: list[str] | None = None
) -> list[types.CodeAction]:
    return actions.code_actions(
        workspace, document, whole(document), ask=lambda _: facts, trust=Trust(), only=only
    )


def changed(document: Document, edits: list[types.TextEdit]) -> str:
    text = document.text
    for edit in sorted(edits, key=lambda each: document.lines.span(each.range), reverse=True):
        span = document.lines.span(edit.range)
        text = text[: span.start] + edit.new_text + text[span.end :]
    return text


def test_every_fix_of_every_finding_is_offered() -> None:
    workspace, document = opened(
        'import "./a.ai"\nai modle a {\n    provider olama\n    model: tiny\n    config: { temprature: 0.5, }\n}\nprompt p { template: "{{ x }}"  modle: b }\n'
    )
    fixes = [fix.title for problem in find_problems(workspace, document) for fix in problem.fixes]
    assert len(fixes) > 2

    found = offered(workspace, document, only=["quickfix"])

    assert [action.title.casefold() for action in found] == [title.casefold() for title in fixes]
    assert all(action.edit is not None and action.diagnostics for action in found)


def test_all_safe_fixes_are_one_action() -> None:
    workspace, document = opened("ai modle a {\n    provider ollama\n    model tiny\n}\n")

    (action,) = offered(workspace, document, only=["source.fixAll"])

    assert action.edit is not None
    assert action.edit.changes is not None
    (edit,) = action.edit.changes[document.uri]
    assert "ai model a" in edit.new_text


def test_a_model_that_is_not_installed_can_be_pulled_or_replaced_by_one_that_is() -> None:
    workspace, document = opened(MISSING)

    found = {action.title: action for action in offered(workspace, document, FACTS, ["quickfix"])}

    pull = found["Pull model mistral:7b"].command
    assert pull is not None
    assert (pull.command, pull.arguments) == ("namel3ss.pullModel", ["ollama", "mistral:7b", None])
    use = found["Use an installed model: llama3:8b"].edit
    assert use is not None
    assert use.changes is not None
    assert changed(document, list(use.changes[document.uri])) == MISSING.replace("mistral:7b", "llama3:8b")


def test_a_server_that_is_not_there_can_be_started() -> None:
    workspace, document = opened(MISSING)

    titles = [action.title for action in offered(workspace, document, ServerFacts(False, problem="refused"))]

    assert "Start Ollama" in titles


def test_a_foreign_server_is_asked_after_a_click_only() -> None:
    workspace, document = opened(
        'ai model a {\n    provider: ollama\n    model: tiny\n    config: { base_url: "http://models.example:11434" }\n}\n'
    )

    (action,) = [each for each in offered(workspace, document) if "Ask" in each.title]

    assert action.title == "Ask models.example about its models"
    assert action.command is not None
    assert action.command.arguments == ["models.example"]


def test_lenses_stand_above_what_they_run() -> None:
    workspace, document = opened(
        MISSING + 'prompt ask { template: "hi" }\nchain c {\n    step s { prompt: ask  output: x }\n}\n'
    )

    found = actions.code_lenses(workspace, document, lambda _: FACTS)

    shown = [(lens.range.start.line, lens.command.title if lens.command else "") for lens in found]
    assert shown == [(0, "Chat"), (0, "Pull mistral:7b"), (4, "Run"), (5, "Run")]


def test_a_model_that_is_installed_has_no_lens_to_pull_it() -> None:
    workspace, document = opened(MISSING.replace("mistral:7b", "tiny"))

    found = actions.code_lenses(workspace, document, lambda _: FACTS)

    assert [lens.command.title for lens in found if lens.command] == ["Chat"]


UNTIDY = "ai model a {\n  provider:   ollama\n  model: tiny # x\n}\nai model b {\n  provider: ollama\n\n\n  model: tiny\n}\n"


@pytest.mark.parametrize(
    "text", [UNTIDY, UNTIDY.replace("\n", "\r\n"), "# 😀\n" + UNTIDY, "ai model a { b }"]
)
def test_formatting_gives_the_one_layout_by_edits(text: str) -> None:
    _, document = opened(text)

    assert changed(document, formatting.format_document(document)) == format_text(text)


def test_formatting_a_range_leaves_the_rest_alone() -> None:
    _, document = opened(UNTIDY)
    within = types.Range(types.Position(1, 0), types.Position(1, 5))

    text = changed(document, formatting.format_range(document, within))

    assert text.startswith("ai model a {\n    provider: ollama\n    model: tiny  # x\n}")
    assert text.endswith(UNTIDY[UNTIDY.index("ai model b") :])


def test_a_closing_brace_lays_out_its_declaration() -> None:
    text = UNTIDY.replace("model: tiny # x\n}", "model: tiny # x\n}¦")
    _, document = opened(text)

    found = changed(document, formatting.format_on_type(document, at(document, text)))

    assert found.startswith("ai model a {\n    provider: ollama\n    model: tiny  # x\n}\n")
    assert found.endswith(UNTIDY[UNTIDY.index("ai model b") :])
